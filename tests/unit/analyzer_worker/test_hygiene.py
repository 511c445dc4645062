"""Text without characters that nobody sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.hygiene import clipped, visible


@pytest.mark.parametrize(
    "unseen",
    ["\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\x1b", "\u00ad", "\ufe0f", "\U000e0041", "\u3164", "\ud800"],
)  # fmt: skip
def test_unseen_characters_go(unseen: str) -> None:
    """Control, bidirectional, zero-width, tags, fillers and lone surrogates."""
    assert visible(f"a{unseen}b") == "ab"


def test_lines_become_one() -> None:
    """Line breaks of every kind turn into spaces; letters of any script stay."""
    assert visible("Grüße\r\n日本\u2028x") == "Grüße  日本 x"
    assert clipped("  a \n b  ", 10) == "a b"
    assert clipped("abcdef", 4) == "abc…"


@given(st.text())
def test_visible_text_stays_as_it_is(text: str) -> None:
    """Cleaning twice is cleaning once."""
    assert visible(visible(text)) == visible(text)
