"""The locked lists fit the project's own statement of what it needs."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME: list[str] = PROJECT["dependencies"]
PACKAGES = (
    *("schemas", "runtime", "ingest_gateway", "stream_processor"),
    *("analyzer_worker", "query_api", "ops_assist", "deploy"),
)
TEST: list[str] = PROJECT["optional-dependencies"]["test"]


def _pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): pinned for package, pinned in found}


@pytest.mark.parametrize(
    ("lock", "needed"), [("requirements.txt", RUNTIME), ("requirements-test.txt", [*RUNTIME, *TEST])]
)
def test_every_dependency_is_pinned_to_a_version_that_fits(lock: str, needed: list[str]) -> None:
    """`make lock` was run after the last change of pyproject.toml."""
    pins = _pins(lock)
    requirements = [Requirement(text) for text in needed]
    pinned = {str(wanted): pins.get(canonicalize_name(wanted.name), "missing") for wanted in requirements}
    unfit = {
        str(wanted): pinned[str(wanted)]
        for wanted in requirements
        if pinned[str(wanted)] == "missing" or not wanted.specifier.contains(pinned[str(wanted)])
    }
    assert unfit == {}


def test_tests_run_on_the_versions_that_people_get() -> None:
    """The list for tests holds the one for running, version by version."""
    assert _pins("requirements.txt").items() <= _pins("requirements-test.txt").items()


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-test.txt"])
def test_every_pin_has_hashes_and_no_place(lock: str) -> None:
    """Any package index that has the files will do."""
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert len(_pins(lock)) <= text.count("--hash=sha256:")


OPTIONAL = {"xllamacpp"}
"""What a script for people with a model of their own imports; its docstring says how to get it."""


def _imported(package: str) -> set[str]:
    """The top-level modules that a package of ours imports."""
    nodes = (node for path in (ROOT / package).rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    names = {
        name
        for node in nodes
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] * (not node.level)
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - set(PACKAGES) - {"tests", ""}


@pytest.mark.parametrize(("packages", "needed"), [(PACKAGES, RUNTIME), (("tests",), [*RUNTIME, *TEST])])
def test_every_import_is_of_a_dependency_that_is_named(packages: tuple[str, ...], needed: list[str]) -> None:
    """What comes along with another package today may not come tomorrow, or not without the packages for tests."""
    named = {canonicalize_name(Requirement(text).name) for text in needed}
    of_module = packages_distributions()
    unnamed = {
        module
        for package in packages
        for module in _imported(package)
        if not named & {canonicalize_name(name) for name in of_module.get(module, [])}
    }
    assert unnamed <= OPTIONAL
