"""Message templates: what varies is masked, what does not stays, and hostile text costs no more than its length."""

import random
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.template import MAX_TEXT, MAX_WORDS, template_fingerprint, template_of


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("user 42 not found", "user <num> not found"),
        ("took 12.5 ms, limit 1,000", "took <num> ms, limit <num>"),
        ("timeout after 30s on eth0", "timeout after <num>s on eth<num>"),
        ("cannot open 'a b.txt' for \"x\"", "cannot open <str> for <str>"),
        ("it can't be: don't 'do' that", "it can't be: don't <str> that"),
        ("GET /orders/17/items/9f86d081884c7d65 500", "GET /orders/<num>/items/<hex> <num>"),
        ("from 10.0.0.1:5432 and [fe80::1:2:3]:80", "from <ip>:<num> and [<ip>]:<num>"),
        ("id 123e4567-e89b-12d3-a456-426614174000.", "id <uuid>."),
        ("at 2024-01-01T12:00:00.123Z: x", "at <time>: x"),
        ("2024-01-01 12:00:00,123 +01:00 boom", "<time> <time> +<num>:<num> boom"),
        ("mail ann@example.com bounced", "mail <email> bounced"),
        ("at 0x7fff5a3c in deadbeef", "at <hex> in deadbeef"),
        ("pod-7f9c8d-x2b4q died", "pod-<id>-<id> died"),
        ("  many\t spaces\n here ", "many spaces here"),
        ("relation \"users\" of 'shop' is gone", "relation <str> of <str> is gone"),
        ("std::bad_alloc in Foo::bar", "std::bad_alloc in Foo::bar"),
        ("token <redacted:jwt> expired", "token <redacted:jwt> expired"),
        ("", ""),
    ],
)
def test_what_varies_is_masked(message: str, expected: str) -> None:
    """Numbers, ids, addresses, times and quoted text; words and punctuation stay."""
    assert template_of(message) == expected


def test_a_long_message_is_told_by_its_beginning() -> None:
    """Forty words; a long word by its first 64 characters and by being longer."""
    assert template_of("word " * 1_000) == " ".join(["word"] * MAX_WORDS)
    assert template_of("x" * 65) == "x" * 64 + "..."
    assert template_of("x" * 64) == "x" * 64


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_has_a_bounded_template(text: str) -> None:
    """Whatever characters: no error, one space between words, and a fingerprint of 64 bits."""
    found = template_of(text)
    assert found == " ".join(found.split())
    assert len(found) <= MAX_WORDS * (3 * 64 * 6)
    assert 0 <= template_fingerprint(found) < 2**64


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.integers(0, 10**12), min_size=3, max_size=3), word=st.sampled_from(["ok", "failed", "lost"]))
def test_numbers_never_tell_templates_apart_and_words_do(numbers: list[int], word: str) -> None:
    """The same sentence with other numbers is the same template; another word makes another."""
    one, two, three = numbers
    assert template_of(f"job {one} on host {two} {word}: code={three}") == f"job <num> on host <num> {word}: code=<num>"


@pytest.mark.parametrize(
    "piece", ["'", "\"'`", "a", "1", "1:", ":", "a@", ".", "0x", "-", "f" * 63 + " ", "<num>", "1."]
)
def test_the_work_is_in_proportion_to_the_text(piece: str) -> None:
    """The longest message made of what patterns stumble over costs a bounded number of steps of the interpreter."""
    steps = [_steps(piece, length) for length in (MAX_TEXT // 4, MAX_TEXT)]
    assert steps[1] < 6 * steps[0] + 500


def _steps(piece: str, length: int) -> int:
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        del frame, event, arg
        count += 1
        return trace

    text = (piece * length)[:length]
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        template_of(text)
    finally:
        sys.settrace(before)
    return count


def test_fingerprints_tell_templates_apart() -> None:
    """Four thousand templates, four thousand fingerprints."""
    dice = random.Random(7)
    texts = {" ".join(dice.choices(["ab", "cd", "ef", "gh"], k=8)) for _ in range(4_000)}
    assert len({template_fingerprint(text) for text in texts}) == len(texts)
