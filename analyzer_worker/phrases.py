"""Whole words and phrases in hostile text, in time linear in its length.

A phrase is written in lower case, words separated by spaces:

- `a|b` one of several words;
- `word*` any word that begins so (at least four letters before the star);
- `..` at most four words in between;
- `<90-100>` a whole number in that range.

Text is cut into words at everything that is neither letter nor digit. An identifier such as `OutOfMemoryError` or
`HTTP504` counts both as one word and as its parts, so `out of memory` finds it and `oom` does not find `boom`.
No regular expression sees a whole message, so there is nothing to backtrack over: each position of the text tries the
phrases that begin with its word, and a phrase tries at most a constant number of ways.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

MAX_GAP: Final = 4
MIN_PREFIX: Final = 4
_MAX_IDENTIFIER: Final = 128
_MAX_DIGITS: Final = 9

_IDENTIFIER: Final = re.compile(r"[^\W_]+")
_PART: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")


class BadPhrase(ValueError):  # noqa: N818 - reads as what it is
    """A phrase that does not follow the notation; the text says why."""


class Words(msgspec.Struct, frozen=True):
    """A text as words: parts of identifiers with their spans, and whole identifiers by their first part."""

    parts: list[str]
    spans: list[tuple[int, int]]
    wholes: dict[int, tuple[str, int]]
    """Position of an identifier's first part: the identifier in lower case, and the position after its last part."""


def words_of(text: str) -> Words:
    """Cut `text` into words."""
    words = Words([], [], {})
    for found in _IDENTIFIER.finditer(text):
        _add_identifier(words, found.group(), found.start())
    return words


def _add_identifier(words: Words, identifier: str, start: int) -> None:
    first = len(words.parts)
    pieces = list(_PART.finditer(identifier)) if len(identifier) <= _MAX_IDENTIFIER else []
    for piece in pieces:
        words.parts.append(piece.group().lower())
        words.spans.append((start + piece.start(), start + piece.end()))
    if not pieces:
        words.parts.append(identifier.lower())
        words.spans.append((start, start + len(identifier)))
    if len(pieces) > 1:
        words.wholes[first] = (identifier.lower(), len(words.parts))


class Element(msgspec.Struct, frozen=True):
    """One place of a phrase: some words, beginnings of words, a range of numbers, or a gap."""

    literals: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    numbers: tuple[int, int] | None = None
    gap: bool = False

    def fits(self, word: str) -> bool:
        """Whether `word` may stand here."""
        if word in self.literals or (self.prefixes and word.startswith(self.prefixes)):
            return True
        if self.numbers is None or not (word.isascii() and word.isdigit()) or len(word) > _MAX_DIGITS:
            return False
        return self.numbers[0] <= int(word) <= self.numbers[1]

    def ends(self, words: Words, at: int) -> Iterator[int]:
        """The positions after this element where it stands at `at`."""
        if at >= len(words.parts):
            return
        if self.fits(words.parts[at]):
            yield at + 1
        whole = words.wholes.get(at)
        if whole is not None and self.fits(whole[0]):
            yield whole[1]


GAP: Final = Element(gap=True)
_NUMBERS: Final = re.compile(r"<(\d{1,6})-(\d{1,6})>")
_WORD: Final = re.compile(r"[a-z0-9]+\*?")


def parse_phrase(text: str) -> tuple[Element, ...]:
    """Read the notation.

    Raises:
        BadPhrase: where it is not followed.
    """
    elements = tuple(_parse_element(word, text) for word in text.split())
    if not elements or elements[0].gap or elements[-1].gap or elements[0].numbers:
        raise BadPhrase(f"{text!r} must begin with a word and must not end with '..'")
    if sum(element.gap for element in elements) > 2:  # noqa: PLR2004 - keeps the number of ways constant
        raise BadPhrase(f"{text!r} has more than two gaps")
    return elements


def _parse_element(word: str, phrase: str) -> Element:
    if word == "..":
        return GAP
    if numbers := _NUMBERS.fullmatch(word):
        return Element(numbers=(int(numbers[1]), int(numbers[2])))
    choices = word.split("|")
    if not all(_WORD.fullmatch(choice) for choice in choices):
        raise BadPhrase(f"{word!r} in {phrase!r} is no word in lower case, choice, number range or '..'")
    prefixes = tuple(choice[:-1] for choice in choices if choice.endswith("*"))
    if any(len(prefix) < MIN_PREFIX for prefix in prefixes):
        raise BadPhrase(f"{word!r} in {phrase!r}: at least {MIN_PREFIX} letters must stand before the star")
    return Element(frozenset(choice for choice in choices if not choice.endswith("*")), prefixes)


def find_end(phrase: Sequence[Element], words: Words, at: int) -> int | None:
    """The position after `phrase` where it stands at `at`, or None where it does not."""
    if not phrase:
        return at
    head, rest = phrase[0], phrase[1:]
    starts = range(at, at + MAX_GAP + 1) if head.gap else head.ends(words, at)
    for start in starts:
        end = find_end(rest, words, start)
        if end is not None:
            return end
    return None


class Found(msgspec.Struct, frozen=True):
    """A phrase found in a text: whose it is (an index into the index's owners), and the span of characters."""

    owner: int
    start: int
    end: int


class PhraseIndex:
    """Many phrases, found together; phrases that begin alike share one look-up."""

    def __init__(self, phrases: Sequence[tuple[int, str]], unless: Mapping[int, frozenset[str]]) -> None:
        """`phrases`: each with the number of its owner; `unless`: words that take an owner's phrases back."""
        self._unless = unless
        self._by_word: dict[str, list[tuple[int, tuple[Element, ...]]]] = {}
        self._by_prefix: dict[str, list[tuple[int, tuple[Element, ...]]]] = {}
        for owner, text in phrases:
            elements = parse_phrase(text)
            for word in elements[0].literals:
                self._by_word.setdefault(word, []).append((owner, elements))
            for prefix in {prefix[:MIN_PREFIX] for prefix in elements[0].prefixes}:
                self._by_prefix.setdefault(prefix, []).append((owner, elements))

    def find(self, words: Words) -> list[Found]:
        """What stands in the text; a phrase that lies inside a longer one that was found is left out."""
        present = set(words.parts)
        found = {item for at in range(len(words.parts)) for item in self._find_at(words, at)}
        found = {item for item in found if present.isdisjoint(self._unless.get(item.owner, ()))}
        kept: list[Found] = []
        furthest, widest = -1, (-1, -1)
        for item in sorted(found, key=lambda f: (f.start, -f.end, f.owner)):
            if item.end > furthest or (item.start, item.end) == widest:
                kept.append(item)
            if item.end > furthest:
                furthest, widest = item.end, (item.start, item.end)
        return kept

    def _find_at(self, words: Words, at: int) -> Iterator[Found]:
        whole = words.wholes.get(at)
        for word in {words.parts[at], whole[0]} if whole else {words.parts[at]}:
            candidates = (*self._by_word.get(word, ()), *self._by_prefix.get(word[:MIN_PREFIX], ()))
            for owner, phrase in candidates:
                end = find_end(phrase, words, at)
                if end is not None and end <= len(words.parts):
                    yield Found(owner, words.spans[at][0], words.spans[end - 1][1])
