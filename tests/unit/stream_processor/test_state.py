"""What is kept of a service is read back as it was written, whatever is in it."""

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.incident import Change, ChangeKind, EventPosition, MinuteCount
from schemas.levels import LEVELS
from schemas.lifecycle import STATUSES
from stream_processor.kind_states import (
    AbsenceState,
    Bunch,
    OwnState,
    PatternState,
    RateState,
    RateWindow,
    RatioState,
    RatioWindow,
    Template,
)
from stream_processor.log_clock import LogClock
from stream_processor.recent_ids import ALWAYS_KEPT, SEGMENT, IdRow, RecentIds
from stream_processor.span import Item, Span
from stream_processor.state import (
    NEVER,
    EndedRow,
    RuleState,
    ServiceRow,
    ServiceState,
    clock_row,
    ended_key,
    ended_row,
    is_ended_key,
    is_service_key,
    new_state,
    read_clock,
    read_ended,
    read_state,
    service_key,
    state_rows,
    supersedes,
)

TIMES = st.integers(-(2**62), 2**62)
COUNTS = st.integers(0, 2**40)
STATUS = st.sampled_from(STATUSES)
ITEMS = st.builds(Item, TIMES, COUNTS, COUNTS)
CHANGES = st.builds(
    Change,
    TIMES,
    st.text(max_size=5),
    st.sampled_from(get_args(ChangeKind)),
    st.text(max_size=5),
    st.none() | STATUS,
    st.none() | STATUS,
    st.none() | st.text(max_size=5),
    st.none() | st.text(max_size=5),
)
MINUTES = st.builds(MinuteCount, COUNTS, st.dictionaries(st.sampled_from(LEVELS), COUNTS))
SPANS = st.builds(
    Span,
    key=st.text(max_size=5),
    version=COUNTS,
    status=STATUS,
    head=st.lists(ITEMS, min_size=1, max_size=3),
    last=TIMES,
    count=COUNTS,
    created_at=TIMES,
    updated_at=TIMES,
    threshold=COUNTS,
    window=COUNTS,
    reason=st.text(max_size=5),
    samples=st.lists(st.builds(EventPosition, COUNTS, COUNTS), max_size=3),
    timeline=st.lists(CHANGES, max_size=3),
    minutes=st.lists(MINUTES, max_size=2),
    lateness=COUNTS,
    severity_floor=st.sampled_from([None, "P1", "P2", "P3"]),
    previous_key=st.none() | st.text(max_size=5),
    merged_into=st.none() | st.text(max_size=5),
    heard_at=TIMES,
    kept_alive_at=TIMES,
    quiet_from=st.none() | STATUS,
    taken_up=st.lists(ITEMS, max_size=2),
)
NUMBERS = st.integers(-(2**40), 2**40)
BUNCHES = st.builds(Bunch, COUNTS, st.lists(ITEMS, max_size=3))
RATE_WINDOWS = st.builds(RateWindow, st.none() | st.floats(0, 1e9), BUNCHES, st.booleans(), COUNTS)
TEMPLATES = st.builds(Template, st.text(max_size=5), TIMES, BUNCHES, st.booleans(), st.booleans(), st.booleans())
FINGERPRINTS = st.integers(0, 2**64 - 1)
OWN: st.SearchStrategy[OwnState] = st.one_of(
    st.builds(
        RateState,
        *(COUNTS, st.none() | NUMBERS),
        st.dictionaries(NUMBERS, COUNTS, max_size=3),
        st.dictionaries(NUMBERS, RATE_WINDOWS, max_size=2),
    ),
    st.builds(
        RatioState,
        COUNTS,
        st.dictionaries(NUMBERS, st.builds(RatioWindow, COUNTS, BUNCHES), max_size=2),
        *(COUNTS, st.none() | TIMES),
    ),
    st.builds(
        PatternState,
        *(COUNTS, st.none() | TIMES),
        st.dictionaries(FINGERPRINTS, TEMPLATES, max_size=2),
        st.lists(FINGERPRINTS, max_size=3),
        *(COUNTS, COUNTS, COUNTS, st.none() | TIMES),
    ),
    st.builds(AbsenceState, COUNTS, COUNTS, st.none() | ITEMS, st.text(max_size=5), COUNTS),
)
RULES = st.dictionaries(
    st.text(max_size=5),
    st.builds(
        RuleState,
        *(st.lists(ITEMS, max_size=3), st.lists(SPANS, max_size=2), st.none() | st.text(max_size=5), st.none() | OWN),
    ),
    max_size=2,
)
NOTHING: dict[bytes, bytes] = {}
SERVICES = st.sampled_from(["a", "\x00", "zahlung-ü", "支付", "\U0001f525" * 25, "s", "i", "e"]) | st.text(min_size=1)


@settings(max_examples=100, deadline=None)
@given(
    service=SERVICES,
    numbers=st.tuples(COUNTS, TIMES),
    minutes=st.dictionaries(st.integers(-(2**40), 2**40), COUNTS, max_size=3),
    rules=RULES,
    ids=st.integers(0, 2 * SEGMENT + 2),
)
def test_a_service_is_read_back_as_it_was_written(
    service: str, numbers: tuple[int, int], minutes: dict[int, int], rules: dict[str, RuleState], ids: int
) -> None:
    """Every field, for any name of a service, with ids in the row and in rows of their own."""
    offset, newest = numbers
    written = ServiceState(ServiceRow(service, offset, 7, newest, IdRow(), minutes, rules), RecentIds())
    for number in range(ids):
        written.ids.add(number, 2**64 - 1 - number)
    rows = {key: value for key, value in state_rows(written).items() if value is not None}

    read = read_state(service, rows.get)

    assert fields(read) == fields(written)
    assert read.revision == 8
    assert all(2**64 - 1 - number in read.ids for number in range(ids))
    assert [key for key in rows if is_service_key(key)] == [service_key(service)]
    assert list(rows)[-1] == service_key(service), "segments come before the row that names them"


def fields(state: ServiceState) -> dict[str, Any]:
    kept = [name for name in ServiceState.__slots__ if name != "ids" and not name.startswith("_")]
    return {name: getattr(state, name) for name in kept} | {"ids": state.ids.row()}


@settings(max_examples=50, deadline=None)
@given(service=SERVICES, span=SPANS)
def test_an_ended_incident_is_read_back_as_it_was_written(service: str, span: Span) -> None:
    """Under the key of the incident, which is no key of a service."""
    row = EndedRow(service, "error-burst", span)

    rows = ended_row(row)

    assert read_ended(span.key, rows.get) == row
    assert list(rows) == [ended_key(span.key)]
    assert [(is_ended_key(key), is_service_key(key)) for key in rows] == [(True, False)]
    assert read_ended("another", NOTHING.get) is None


def test_a_service_never_heard_of_is_new() -> None:
    """No record is included, no event time known, and a second one shares nothing with it."""
    state = read_state("checkout", NOTHING.get)

    assert (state.service, state.offset, state.newest) == ("checkout", -1, NEVER)
    state.rule_state("error-burst").loose.append(Item(1, 2, 3))
    state.minutes[1] = 1
    assert new_state("checkout").rules == {}
    assert new_state("checkout").rule_state("error-burst").loose == []
    assert new_state("checkout").minutes == {}


def test_a_rules_state_is_the_same_when_asked_again() -> None:
    """What a rule changes of its state is what is written."""
    state = new_state("checkout")

    assert state.rule_state("error-burst") is state.rule_state("error-burst")


def test_an_expired_segment_is_deleted_after_the_row_that_named_it() -> None:
    """Cut off in the middle, the rows can still be read."""
    state = new_state("checkout")
    for number in range(SEGMENT + ALWAYS_KEPT):
        state.ids.add(number, number)
    state_rows(state)
    state.ids.forget(SEGMENT)

    rows = list(state_rows(state).items())

    assert [(key, value is None) for key, value in rows] == [
        (service_key("checkout"), False),
        (b"i" + (0).to_bytes(8, "big") + b"checkout", True),
    ]


def test_known_templates_stand_in_rows_of_their_own() -> None:
    """64 a row, written once, before the row that names them; read back, all are known."""
    state = new_state("checkout")
    own = PatternState(7)
    state.rule_state("new").own = own
    seen = state.seen_templates("new", own)
    for fingerprint in range(150):
        seen.add(fingerprint)
        seen.add(fingerprint)
    rows = state_rows(state)

    assert [key[:1] for key in rows] == [b"t", b"t", b"s"]
    assert list(state_rows(state)) == [service_key("checkout")]
    read = read_state("checkout", {key: row or b"" for key, row in rows.items()}.get)
    kept = read.rules["new"].own
    assert isinstance(kept, PatternState)
    known = read.seen_templates("new", kept)
    assert (len(known), len(kept.tail), kept.segments) == (150, 22, 2)
    assert all(fingerprint in known for fingerprint in range(150))
    assert 150 not in known


def test_a_rule_that_becomes_another_leaves_no_templates_behind() -> None:
    """Their rows go after the row that no longer names them, and new ones never take their keys."""
    state = new_state("checkout")
    own = PatternState(7)
    state.rule_state("new").own = own
    for fingerprint in range(64):
        state.seen_templates("new", own).add(fingerprint)
    (old, _) = state_rows(state)

    other = PatternState(8)
    state.replace_own("new", other)
    for fingerprint in range(64):
        state.seen_templates("new", other).add(fingerprint)
    (new, service, gone) = rows = state_rows(state)

    assert (service, gone, rows[gone]) == (service_key("checkout"), old, None)
    assert new != old
    state.replace_own("new", None)
    assert list(state_rows(state).items())[-1] == (new, None)


def test_a_clock_is_read_back_and_only_a_later_one_takes_its_place() -> None:
    """A worker that was replaced may write an earlier one behind it."""
    clock, earlier = LogClock(7, 90, 10**15), LogClock(6, 80, 10**15)
    ((key, row),) = clock_row(3, clock).items()
    ((_, before),) = clock_row(3, earlier).items()

    assert row is not None
    assert before is not None
    assert read_clock(3, {key: row}.get) == clock
    assert read_clock(4, {key: row}.get) == LogClock()
    assert (supersedes(key, row, before), supersedes(key, before, row)) == (True, False)
