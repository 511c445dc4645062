"""What is published of the records is what the code reads and writes, and releases understand each other."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped] # it ships no types

from runtime.published.compatibility import unreadable
from runtime.published.files import DOCS, RELEASES, pages
from runtime.published.json_schemas import schemas
from runtime.published.kinds import KINDS
from schemas.topics import DETECTION_CHANGELOG, TOPICS

ROOT = Path(__file__).parents[3]
ASYNCAPI = ROOT / "tests" / "data" / "asyncapi" / "asyncapi-3.0.0.json"
RELEASED = sorted(path.stem for path in (ROOT / RELEASES).glob("*.json"))
HOW_TO_BUMP = (
    "\nGive a new field a default, keep old ones, and let a release read a new word before another writes it. Where"
    " that cannot be: say so in docs/upgrading.md and in the changelog, how to upgrade without both at once, and"
    " remove the releases that are left behind from docs/schemas/releases."
)


def released(version: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / RELEASES / f"{version}.json").read_text())
    return content


@pytest.mark.parametrize("path", pages(), ids=str)
def test_the_file_is_what_the_code_would_write(path: Path) -> None:
    """After a change: python -m runtime.published."""
    assert (ROOT / path).read_text() == pages()[path], "run: python -m runtime.published"


def test_no_schema_is_left_of_a_record_that_is_gone() -> None:
    """Each file belongs to a kind of record."""
    assert {path.stem for path in (ROOT / DOCS / "schemas").glob("*.json")} == {kind.name for kind in KINDS}


def test_the_document_is_asyncapi() -> None:
    """By AsyncAPI's own schema of 3.0.0."""
    document = yaml.safe_load((ROOT / DOCS / "asyncapi.yaml").read_text())
    errors = list(Draft7Validator(json.loads(ASYNCAPI.read_text())).iter_errors(document))
    assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


def test_a_document_that_is_no_asyncapi_is_told() -> None:
    """The schema is not one that takes everything."""
    document = yaml.safe_load((ROOT / DOCS / "asyncapi.yaml").read_text())
    document["channels"]["events"]["bindings"]["kafka"]["partitions"] = "many"
    assert not Draft7Validator(json.loads(ASYNCAPI.read_text())).is_valid(document)


def test_every_topic_but_the_processors_own_is_a_channel() -> None:
    """What only the processor reads is nobody else's to build on."""
    assert {kind.topic for kind in KINDS} == {topic.name for topic in TOPICS} - {DETECTION_CHANGELOG}


def test_every_reference_leads_to_a_file_or_a_part() -> None:
    """Relative to docs/, where the document lies."""
    document = yaml.safe_load((ROOT / DOCS / "asyncapi.yaml").read_text())
    for reference in _references(document):
        place, _, part = reference.partition("#/")
        assert not place or (ROOT / DOCS / place).is_file(), reference
        found = document
        for name in part.split("/") if part else ():
            found = found[name]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        mine = [value["$ref"]] if "$ref" in value else []
        return mine + [reference for part in value.values() for reference in _references(part)]
    return [reference for part in value for reference in _references(part)] if isinstance(value, list) else []


def test_a_release_is_kept_to_compare_with() -> None:
    """Else the two tests below would hold nothing."""
    assert RELEASED


@pytest.mark.parametrize("version", RELEASED)
def test_what_a_release_has_written_is_read_today(version: str) -> None:
    """Upgrading forwards: topics hold its records for weeks."""
    _hold(version, {name: unreadable(old, schemas()[name]) for name, old in released(version).items()})


@pytest.mark.parametrize("version", RELEASED)
def test_a_release_reads_what_is_written_today(version: str) -> None:
    """While both run, and after going back."""
    _hold(version, {name: unreadable(schemas()[name], old) for name, old in released(version).items()})


def _hold(version: str, found: dict[str, list[str]]) -> None:
    told = [f"{name}: {text}" for name, texts in found.items() for text in texts]
    assert not told, f"not compatible with {version}:\n" + "\n".join(told) + HOW_TO_BUMP
