"""Text without characters that nobody sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.hygiene import clipped, original_of, visible


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


def test_what_was_made_visible_is_found_again() -> None:
    """As the text itself has it, line breaks and unseen characters included."""
    text = "Error:\r\n  at \u202efoo\u202c.py"
    assert original_of("Error:    at foo.py", text) == text
    assert original_of("foo.p", text) == "foo\u202c.p"
    assert original_of("bar", text) is None
    assert original_of("", text) is None


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_any_part_of_visible_text_is_found_again(text: str, start: int, length: int) -> None:
    """And reads the same."""
    piece = visible(text)[start : start + length]
    if piece:
        found = original_of(piece, text)
        assert found is not None
        assert visible(found) == piece
        assert found in text
