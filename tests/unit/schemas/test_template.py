"""Messages that differ only in what changes from event to event have one template."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.template import template_fingerprint, template_of


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("took 1234 ms, 5 of 20 done", "took <num> ms, <num> of <num> done"),
        ("waited 30s for 12.5MB", "waited <num>s for <num>MB"),
        ("connect to 203.0.113.9:5432 refused", "connect to <ip> refused"),
        ("from 2001:db8::8a2e:370:7334 port 22", "from <ip> port <num>"),
        ("order 550e8400-e29b-41d4-a716-446655440000 failed", "order <uuid> failed"),
        ("at 2026-11-24T10:11:12.345Z and 10:11:12", "at <time> and <time>"),
        ("segfault at 0xdeadbeef, commit 9f86d081884c7d65", "segfault at <hex>, commit <hex>"),
        ("relation \"users\" of 'shop' is gone", "relation <str> of <str> is gone"),
        ("worker-12 can't reach redis:6379", "worker-<num> can't reach redis:<num>"),
        ("customer4711 uses http2 over utf8", "customer<num> uses http2 over utf8"),
        ("std::bad_alloc in Foo::bar", "std::bad_alloc in Foo::bar"),
        ("token <redacted:jwt> expired", "token <redacted:jwt> expired"),
    ],
)
def test_what_changes_is_masked(message: str, template: str) -> None:
    """Each kind of value has its mask; words stay."""
    assert template_of(message) == template


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=10**9), st.uuids())
def test_events_of_one_statement_share_a_fingerprint(one: int, other: int, request: object) -> None:
    """Whatever the numbers are; another statement has another one."""
    fingerprints = {template_fingerprint(f"request {request} took {number} ms") for number in (one, other)}
    assert len(fingerprints) == 1
    assert template_fingerprint(f"request {request} failed after {one} ms") not in fingerprints
    assert max(fingerprints) < 2**64


@given(st.text(max_size=300))
def test_any_text_has_a_template(message: str) -> None:
    """Nothing raises, lone surrogates included."""
    assert template_fingerprint(message) == template_fingerprint(message)


@pytest.mark.parametrize("piece", ["1", "a1", "'", '"', ":", "1:", "f", "1.", "0x", "1-", "ab:"])
def test_hostile_text_takes_little_time(piece: str) -> None:
    """The longest message, of the worst that each part can meet."""
    text = (piece * 32_768)[:32_768]
    started = time.process_time()
    template_of(text)
    assert time.process_time() - started < 2
