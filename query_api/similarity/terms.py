"""Messages to the words that tell them apart, and words to a vector: pure functions.

The vector is the feature hashing of Weinberger et al. (2009): each word and each pair of neighbouring words adds
1 + log(frequency) (Manning, Raghavan and Schuetze 2008, section 6.4.1) to one of `DIMENSIONS` places, with a sign, and
the whole has length 1. The same text gives the same vector on every machine.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final

import msgspec

from query_api.text import clean
from schemas.template import template_of

DIMENSIONS: Final = 256
MAX_TEXTS: Final = 20
MAX_TEXT: Final = 1_000
MAX_WORDS: Final = 400
_MASK: Final = re.compile(r"<[a-z_:]{1,40}>")
_WORD: Final = re.compile(r"[^\W_][\w]{1,39}")
_COMMON: Final = frozenset(
    word
    for line in (
        "a an and are as at be been but by can could did do does error for from had has have if in into is it its",
        "may not of on or that the their then there this to was were when which while will with",
    )
    for word in line.split()
)


class Terms(msgspec.Struct, frozen=True):
    """The distinct words of some messages, in alphabetical order, and their vector."""

    words: list[str]
    embedding: list[float]


def terms_of(texts: Iterable[str]) -> Terms | None:
    """The terms of some messages; None where no word is left. Messages with one template count once."""
    templates = dict.fromkeys(template_of(clean(text)[:MAX_TEXT]) for text in list(texts)[:MAX_TEXTS])
    sequences = [_words(template) for template in templates]
    counts = Counter(word for words in sequences for word in words)
    if not counts:
        return None
    counts.update(f"{one} {other}" for words in sequences for one, other in pairwise(words))
    words = sorted(word for word in counts if " " not in word)[:MAX_WORDS]
    return Terms(words, _hashed(counts))


def _words(template: str) -> list[str]:
    found = _WORD.findall(_MASK.sub(" ", template).lower())
    return [word for word in found if word not in _COMMON and not word.isdigit()]


def _hashed(counts: Counter[str]) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word, count in counts.items():
        number = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        vector[number % DIMENSIONS] += (1 if number >> 63 else -1) * (1 + math.log(count))
    length = math.sqrt(sum(value * value for value in vector))
    # Where every word met one of the other sign the words alone must do.
    return [round(value / length, 6) for value in vector] if length else [1.0] + [0.0] * (DIMENSIONS - 1)


def as_vector(embedding: Sequence[float]) -> str:
    """As pgvector reads it."""
    return f"[{','.join(map(str, embedding))}]"


def as_query(words: Sequence[str]) -> str:
    """As PostgreSQL's tsquery: any of the words."""
    return " | ".join(f"'{word}'" for word in words)
