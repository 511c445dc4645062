"""Identities: new ones sort by time, derived ones are the same after any replay."""

import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import derived_event_id, event_fingerprint, incident_key, uuid7


def test_a_uuid7_holds_the_time_of_its_making() -> None:
    """RFC 9562 section 5.7: 48 bits of milliseconds, version 7, variant 10."""
    before = time.time_ns() // 1_000_000
    made = UUID(uuid7())
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_no_two_uuid7_are_the_same() -> None:
    """74 random bits a millisecond."""
    assert len({uuid7() for _ in range(10_000)}) == 10_000


@given(st.integers(0, 1_000), st.integers(0, 2**63 - 1), st.integers(0, 10_000), st.integers(0, 2**52))
def test_a_derived_id_is_a_function_of_the_place(partition: int, offset: int, index: int, received_at: int) -> None:
    """The same place gives the same id, a neighbour another one."""
    made = derived_event_id("t", partition, offset, index, received_at)
    assert made == derived_event_id("t", partition, offset, index, received_at)
    assert UUID(made).version == 8
    assert made != derived_event_id("t", partition, offset, index + 1, received_at)
    assert made != derived_event_id("t", partition, offset + 1, index, received_at)
    assert made != derived_event_id("t", partition + 1, offset, index, received_at)


def test_an_incident_key_depends_on_each_of_its_parts() -> None:
    """Rule, service, the event that crossed the threshold, and its time."""
    base = ("rule", "service", "event", 1)
    keys = {
        incident_key(*base),
        incident_key("other", *base[1:]),
        incident_key("rule", "other", "event", 1),
        incident_key("rule", "service", "other", 1),
        incident_key("rule", "service", "event", 2),
        incident_key("rulese", "rvice", "event", 1),
    }
    assert len(keys) == 6
    assert incident_key(*base) == incident_key(*base)


@given(st.text(max_size=64))
def test_a_fingerprint_is_64_bits_of_the_id(event_id: str) -> None:
    """And the same in every process."""
    assert 0 <= event_fingerprint(event_id) < 2**64
    assert event_fingerprint(event_id) == event_fingerprint(event_id)


def test_a_known_fingerprint_never_changes() -> None:
    """It lies in the changelog: another value would forget every id that was seen."""
    assert event_fingerprint("event-1") == 2_123_818_840_965_202_205
