"""Characters that a reader does not see, or that reorder what is read, taken out of text before and after a model."""

import unicodedata
from typing import Final

_BLANKS: Final = frozenset("\t\n\r\v\f\u0085\u2028\u2029")
# Invisible, but letters or marks to Unicode: Hangul fillers, braille blank, variation selectors.
_INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f") | frozenset(
    map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def visible(text: str) -> str:
    """`text` without control, bidirectional, zero-width and unassigned characters; line breaks become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if char in _BLANKS else char for char in text if char in _BLANKS or _is_seen(char))


def original_of(piece: str, text: str) -> str | None:
    """The part of `text`, as it stands there, that reads as `piece` where it is visible; None where none does."""
    start = visible(text).find(piece)
    if start < 0 or not piece:
        return None
    places = [place for place, char in enumerate(text) if char in _BLANKS or _is_seen(char)]
    return text[places[start] : places[start + len(piece) - 1] + 1]


def _is_seen(char: str) -> bool:
    return char not in _INVISIBLE and unicodedata.category(char) not in _UNSEEN


def clipped(text: str, limit: int) -> str:
    """Visible text on one line, at most `limit` characters, an ellipsis where it was cut."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
