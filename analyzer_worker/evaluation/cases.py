"""Labelled incidents: what is in a case, how a file of them is read, and which split a case belongs to.

A file is JSON Lines: one case a line, in the form that corrections are exported in. `docs/evaluation.md` says how
cases are labelled.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.analysis import CATEGORIES, Category, Severity
from schemas.levels import Level, fold_level

Split = Literal["dev", "test"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
MAX_EVENTS: Final = 10_000

Text = Annotated[str, Meta(min_length=1, max_length=300)]


class InvalidCases(ValueError):  # noqa: N818 - reads as what it is
    """Files of cases that cannot be used: one line for each fault, as `file:line: what is wrong`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults: Final = list(faults)


class CaseEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event of a case, in the order of the file."""

    level: str
    message: Annotated[str, Meta(min_length=1, max_length=32_768)]
    attributes: dict[str, str | float | bool] | None = None

    @property
    def severity_level(self) -> Level:
        """The level that `level` names; a case that was read has one."""
        level = fold_level(self.level)
        assert level
        return level


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An incident and what a person says it is. `split` is None in cases that are nobody's but the user's."""

    id: Text
    service: Annotated[str, Meta(min_length=1, max_length=100)]
    events: Annotated[list[CaseEvent], Meta(min_length=1, max_length=MAX_EVENTS)]
    category: Category
    severity: Severity
    source: Annotated[str, Meta(min_length=1, max_length=1_000)]
    split: Split | None = None


def split_of(case_id: str) -> Split:
    """The split of a case of ours: fixed by its id, so that nobody can move a case that turns out inconvenient."""
    return "test" if hashlib.sha256(case_id.encode()).digest()[0] % 2 else "dev"


@lru_cache(maxsize=1)
def bundled_cases() -> tuple[Case, ...]:
    """The cases that come with the package, category by category."""
    room = files("analyzer_worker.evaluation") / "cases"
    texts = [(f"{name}.jsonl", (room / f"{name}.jsonl").read_text(encoding="utf-8")) for name in CATEGORIES]
    return tuple(parse_cases(texts))


def load_cases(paths: Iterable[Path]) -> list[Case]:
    """Read files of cases.

    Raises:
        InvalidCases: with everything that is wrong with them.
    """
    texts: list[tuple[str, str]] = []
    faults: list[str] = []
    for path in paths:
        try:
            texts.append((str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}")
    try:
        cases = parse_cases(texts)
    except InvalidCases as invalid:
        raise InvalidCases([*faults, *invalid.faults]) from invalid
    if faults:
        raise InvalidCases(faults)
    return cases


def parse_cases(texts: Iterable[tuple[str, str]]) -> list[Case]:
    """The cases in texts that are given with their names; see `load_cases`."""
    cases: list[Case] = []
    faults: list[str] = []
    seen: dict[str, str] = {}
    for name, text in texts:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not lines:
            faults.append(f"{name}: holds no case; one JSON object a line is expected")
        for number, line in lines:
            place = f"{name}:{number}"
            read = _parse_line(line, place)
            if isinstance(read, str):
                faults.append(read)
            elif read.id in seen:
                faults.append(f"{place}: id {read.id!r} was given already at {seen[read.id]}")
            else:
                seen[read.id] = place
                cases.append(read)
    if faults:
        raise InvalidCases(faults)
    return cases


_decode: Final = msgspec.json.Decoder(Case).decode


def _parse_line(line: str, place: str) -> Case | str:
    """The case of a line, or what is wrong with it."""
    try:
        case = _decode(line)
    except msgspec.ValidationError as error:
        return f"{place}: {_said(str(error))}"
    except msgspec.DecodeError as error:
        return f"{place}: is not one JSON object: {error}"
    strange = next((event.level for event in case.events if fold_level(event.level) is None), None)
    return case if strange is None else f"{place}: events: {strange!r} is no level; ERROR is one"


def _said(message: str) -> str:
    """The decoder's message with the field first, and the closed lists where a value is not in them."""
    what, _, where = message.partition(" - at `$")
    field = where.removesuffix("`").lstrip(".") or "the case"
    allowed: dict[str, Any] = {"category": CATEGORIES, "severity": ("P1", "P2", "P3"), "split": SPLITS}
    hint = f"; one of {', '.join(allowed[field])}" if field in allowed else ""
    return f"{field}: {what}{hint}"
