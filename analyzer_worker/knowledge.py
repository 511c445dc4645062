"""What the rules analyzer knows: the pattern files beside this module, checked as they are read."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta

from analyzer_worker.phrases import PhraseIndex, Words
from schemas.analysis import CATEGORIES, Category, Severity

Sentence = Annotated[str, Meta(min_length=10, max_length=300)]
Phrases = Annotated[list[str], Meta(min_length=1)]


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Phrases that mean the same thing and speak for one category; see `phrases` for how they are written."""

    match: Phrases
    weight: Annotated[float, Meta(ge=0.5, le=6)]
    """How strongly one event that holds a phrase speaks for the category: 6 unmistakable, 4 strong, 2 a hint."""
    severity: Severity | None = None
    """What the phrase itself says about severity; None leaves it to the category."""
    says: str | None = None
    actions: list[Sentence] = []
    unless: list[str] = []
    """Words anywhere in the message that take the pattern's meaning away."""


class CategoryKnowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of `patterns/`."""

    category: Category
    title: str
    severity: Severity
    actions: Annotated[list[Sentence], Meta(min_length=1, max_length=6)]
    patterns: list[Pattern]


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Phrases of `outages.yaml`: an incident with one of them is P1."""

    match: Phrases
    says: str
    unless: list[str] = []


class Hit(msgspec.Struct, frozen=True):
    """A pattern found in a message, with the span of characters that it covers."""

    category: Category
    pattern: Pattern
    start: int
    end: int


class Knowledge:
    """All categories and outage phrases, ready to be looked for."""

    def __init__(self, categories: list[CategoryKnowledge], outages: list[Outage]) -> None:
        self.categories: Final = {item.category: item for item in categories}
        self.outages: Final = outages
        self._patterns: Final = [(item.category, pattern) for item in categories for pattern in item.patterns]
        self._index: Final = _index([pattern for _, pattern in self._patterns])
        self._outage_index: Final = _index(outages)

    def hits(self, words: Words) -> list[Hit]:
        """The patterns that a message holds, without those that lie inside longer ones."""
        return [Hit(*self._patterns[item.owner], item.start, item.end) for item in self._index.find(words)]

    def outage(self, words: Words) -> Outage | None:
        """The first outage phrase of a message that no word of the message takes back."""
        return next((self.outages[item.owner] for item in self._outage_index.find(words)), None)


def _index(patterns: Sequence[Pattern | Outage]) -> PhraseIndex:
    phrases = [(owner, phrase) for owner, pattern in enumerate(patterns) for phrase in pattern.match]
    return PhraseIndex(phrases, {owner: frozenset(pattern.unless) for owner, pattern in enumerate(patterns)})


@lru_cache(maxsize=1)
def knowledge() -> Knowledge:
    """The knowledge of the package.

    Raises:
        msgspec.ValidationError, BadPhrase: where a file breaks its rules; a test keeps that from being released.
    """
    room = files("analyzer_worker")
    categories = [_read(room / "patterns" / f"{name}.yaml", CategoryKnowledge) for name in CATEGORIES]
    return Knowledge(categories, _read(room / "outages.yaml", list[Outage]))


def _read(file: Traversable, kind: Any) -> Any:
    return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), kind)
