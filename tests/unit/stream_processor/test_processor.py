"""The processor carries decisions out in an order that no crash can break."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.incident import Incident
from schemas.lifecycle import Status
from schemas.placement import home_partition
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE, INCIDENT_STATUS, Header
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows, event_record

RULES = RuleSet(
    (CountRule("error-burst", ("ERROR", "CRITICAL", "FATAL"), 5, 300 * MICROSECONDS, 3600 * MICROSECONDS),),
    600 * MICROSECONDS,
)
START = 1_699_990_000  # well before the records of the log were received
DAY = 86_400 * MICROSECONDS


def error(second: float, service: str = "checkout", **fields: object) -> dict[str, object]:
    at = to_rfc3339(int((START + second) * MICROSECONDS))
    return {"service": service, "level": "ERROR", "message": "boom", "timestamp": at} | fields


def change(key: str, to: Status, change_id: str = "c1") -> LogRecord:
    made = StatusChange(change_id, key, "checkout", to, "ann", START * MICROSECONDS)
    return LogRecord(0, encode(made), topic=INCIDENT_STATUS)


class Setup:
    """A processor over memory, which can be started anew on the same rows."""

    def __init__(self, partitions: int = 1) -> None:
        self.rows = MemoryRows()
        self.publisher = MemoryPublisher()
        self.partitions = partitions
        self.start()

    def start(self) -> None:
        self.processor = Processor(RULES, self.rows, self.publisher, self.partitions)

    async def burst(self, offset: int, seconds: range, partition: int = 0) -> None:
        records = [event_record(offset + n, error(s)) for n, s in enumerate(seconds)]
        await self.processor.take_events(partition, records)

    def only(self) -> Incident:
        (incident,) = self.publisher.incidents().values()
        return incident


async def test_the_fifth_error_opens_an_incident_that_further_ones_add_to() -> None:
    """Four errors open nothing, the fifth opens, the sixth adds."""
    pipeline = Setup()

    await pipeline.burst(0, range(4))
    assert pipeline.publisher.incidents() == {}
    await pipeline.burst(4, range(4, 5))
    opened = pipeline.only()
    await pipeline.burst(5, range(5, 6))

    grown = pipeline.only()
    assert (opened.event_count, opened.status, grown.event_count) == (5, "open", 6)
    assert grown.last_event_at - grown.first_event_at == 5 * MICROSECONDS
    assert pipeline.publisher.links(grown.key) == {(n, 0) for n in range(6)}


async def test_after_resolved_five_new_errors_open_a_linked_incident() -> None:
    """A person resolves; four more errors open nothing; the fifth opens an incident that links back."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    first = pipeline.only()

    await pipeline.processor.take_status_changes(0, [change(first.key, "resolved")])
    await pipeline.burst(5, range(5, 9))
    assert pipeline.only().status == "resolved"
    await pipeline.burst(9, range(9, 10))

    second = next(i for i in pipeline.publisher.incidents().values() if i.key != first.key)
    assert (second.event_count, second.previous_key) == (5, first.key)
    assert pipeline.publisher.incidents()[first.key].event_count == 5


async def test_while_investigating_events_still_add() -> None:
    """Investigating is active: the same incident grows."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    await pipeline.processor.take_status_changes(0, [change(pipeline.only().key, "investigating")])

    await pipeline.burst(5, range(5, 8))

    assert (pipeline.only().status, pipeline.only().event_count) == ("investigating", 8)


async def test_a_reopened_incident_takes_events_in_again() -> None:
    """Resolved, reopened: what came meanwhile and what comes now belongs to it."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    key = pipeline.only().key
    await pipeline.processor.take_status_changes(0, [change(key, "resolved", "c1")])
    await pipeline.burst(5, range(5, 7))

    await pipeline.processor.take_status_changes(0, [change(key, "open", "c2")])
    await pipeline.burst(7, range(7, 9))

    assert (pipeline.only().status, pipeline.only().event_count) == ("open", 9)
    assert pipeline.publisher.links(key) == {(n, 0) for n in range(9)}


async def test_reopening_beside_an_active_incident_is_refused_with_the_reason() -> None:
    """One service has at most one active incident a rule."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    first = pipeline.only()
    await pipeline.processor.take_status_changes(0, [change(first.key, "resolved", "c1")])
    await pipeline.burst(5, range(5, 10))

    await pipeline.processor.take_status_changes(0, [change(first.key, "open", "c2")])

    refused = pipeline.publisher.incidents()[first.key]
    assert refused.status == "resolved"
    assert (refused.timeline[-1].what, refused.timeline[-1].change_id) == ("status_refused", "c2")
    assert "is active" in refused.timeline[-1].reason


async def test_closing_an_older_incident_leaves_the_active_one_alone() -> None:
    """Closing what was resolved does not end the incident that came after it."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    first = pipeline.only()
    await pipeline.processor.take_status_changes(0, [change(first.key, "resolved", "c1")])
    await pipeline.burst(5, range(5, 10))

    await pipeline.processor.take_status_changes(0, [change(first.key, "closed", "c2")])
    await pipeline.burst(10, range(10, 12))

    counts = {i.status: i.event_count for i in pipeline.publisher.incidents().values()}
    assert counts == {"closed": 5, "open": 7}


async def test_a_change_delivered_twice_is_applied_once() -> None:
    """Redelivery publishes the very same version again, also after a restart."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    made = change(pipeline.only().key, "resolved")
    await pipeline.processor.take_status_changes(0, [made])
    applied = pipeline.only()

    pipeline.start()
    await pipeline.processor.take_status_changes(0, [made])

    assert pipeline.only() == applied


async def test_misplaced_and_mixed_records_are_written_again_in_their_place() -> None:
    """Events of other partitions' services leave with id and time stamped, and count nowhere else."""
    here = next(s for s in map(str, range(99)) if home_partition(s, 3) == 0)
    there = next(s for s in map(str, range(99)) if home_partition(s, 3) == 2)
    pipeline = Setup(partitions=3)
    mixed = [error(n, there if n % 2 else here) for n in range(10)]

    await pipeline.processor.take_events(0, [event_record(0, *mixed)])

    (sent,) = pipeline.publisher.to(EVENTS)
    assert (sent.partition, sent.key) == (2, there.encode())
    assert pipeline.only().service == here
    await pipeline.processor.take_events(2, [LogRecord(0, sent.value, 2)])
    assert {i.service: i.event_count for i in pipeline.publisher.incidents().values()} == {here: 5, there: 5}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"not json", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (None, "unreadable"),
        (b"", "unreadable"),
        (b"42", "unreadable"),
        (b"[" * 10_000, "unreadable"),
        (b'{"service": "a"}', "invalid"),
        (b'{"service": "a", "level": "LOUD", "message": "x"}', "invalid"),
    ],
)
async def test_what_cannot_be_read_is_dead_lettered_with_its_origin(value: bytes | None, reason: str) -> None:
    """The value leaves as it came, and headers tell why and from where."""
    pipeline = Setup()

    await pipeline.processor.take_events(0, [LogRecord(7, value, key=b"k")])

    (letter,) = pipeline.publisher.to(EVENTS_DLQ)
    headers = dict(letter.headers)
    assert (letter.value, letter.key) == (value, b"k")
    assert headers[Header.REASON] == reason.encode()
    assert (headers[Header.TOPIC], headers[Header.PARTITION], headers[Header.OFFSET]) == (b"ops.events", b"0", b"7")


async def test_one_bad_event_of_an_array_leaves_alone() -> None:
    """The other events of its array count; it is dead-lettered as it was received."""
    pipeline = Setup()
    good = [error(n) for n in range(5)]

    await pipeline.processor.take_events(0, [event_record(0, *good[:3], {"level": "ERROR"}, *good[3:])])

    (letter,) = pipeline.publisher.to(EVENTS_DLQ)
    assert letter.value == b'{"level":"ERROR"}'
    assert dict(letter.headers)[Header.INDEX] == b"3"
    assert pipeline.only().event_count == 5


async def test_late_events_go_to_their_topic_with_how_late_they_were() -> None:
    """More than ten minutes behind the service's newest event: published aside, counted nowhere."""
    pipeline = Setup()

    await pipeline.processor.take_events(0, [event_record(0, error(1000)), event_record(1, error(399))])

    (late,) = pipeline.publisher.to(EVENTS_LATE)
    assert b"601 s behind" in dict(late.headers)[Header.DETAIL]


async def test_silence_on_the_wall_clock_resolves_and_a_late_sign_of_life_stirs() -> None:
    """An hour without a word resolves; an event from within the hour of event time brings it back."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    silent = (1_700_000_000 + 3601) * MICROSECONDS

    await pipeline.processor.watch_quiet(0, silent - 2 * MICROSECONDS)
    assert pipeline.only().status == "open"
    await pipeline.processor.watch_quiet(0, silent)
    assert (pipeline.only().status, pipeline.only().timeline[-1].what) == ("resolved", "quiet")
    await pipeline.burst(5, range(5, 6))

    assert (pipeline.only().status, pipeline.only().event_count) == ("open", 6)
    assert [entry.what for entry in pipeline.only().timeline] == ["opened", "quiet", "stirred"]


async def test_what_was_written_but_not_published_is_published_after_recovery() -> None:
    """A crash between writing that an incident fell quiet and saying so is made good."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    pipeline.publisher.fails = True
    with pytest.raises(ConnectionError):
        await pipeline.processor.watch_quiet(0, (1_700_000_000 + 3601) * MICROSECONDS)
    pipeline.publisher.fails = False
    pipeline.start()

    pipeline.processor.recovered(0, pipeline.rows.rows, START * MICROSECONDS)
    await pipeline.processor.clean_up(0)

    assert pipeline.only().status == "resolved"


async def test_what_a_reopened_incident_took_in_is_told_again_after_a_crash() -> None:
    """Cut off between writing a reopening and publishing it: delivered again, it names what came meanwhile."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    key = pipeline.only().key
    await pipeline.processor.take_status_changes(0, [change(key, "resolved", "c1")])
    await pipeline.burst(5, range(5, 7))
    reopening = change(key, "open", "c2")
    pipeline.publisher.fails = True
    with pytest.raises(ConnectionError):
        await pipeline.processor.take_status_changes(0, [reopening])
    pipeline.publisher.fails = False
    pipeline.start()
    await pipeline.burst(7, range(7, 8))

    await pipeline.processor.take_status_changes(0, [reopening])

    assert pipeline.only().event_count == 8
    assert pipeline.publisher.links(key) == {(n, 0) for n in range(8)}


@pytest.mark.parametrize(("days", "rows"), [(6, 2), (8, 1)])
async def test_closed_incidents_leave_the_state_after_a_week(days: int, rows: int) -> None:
    """Until then a redelivered change still finds its incident; then only the service's row is left."""
    pipeline = Setup()
    await pipeline.burst(0, range(5))
    await pipeline.processor.take_status_changes(0, [change(pipeline.only().key, "closed")])

    pipeline.processor.recovered(0, pipeline.rows.rows, 1_700_000_000 * MICROSECONDS + days * DAY)
    await pipeline.processor.clean_up(0)

    assert len(pipeline.rows.rows) == rows


@settings(max_examples=150, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 5000), min_size=5, max_size=40),
    steps=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["investigating", "resolved", "open", "closed"])), max_size=6
    ),
    seed=st.integers(0, 2**32),
)
async def test_crashes_between_any_two_effects_change_nothing(
    seconds: list[int], steps: list[tuple[int, Status]], seed: int
) -> None:
    """Killed before or after any publishing or writing, and replayed: the same incidents, none twice, none missing."""
    seconds = [second for n, second in enumerate(seconds) if second >= max(seconds[: n + 1]) - 600]

    async def run(dice: random.Random | None) -> dict[str, Incident]:
        pipeline = Setup()
        committed = 0
        for at in range(len(seconds)):
            due = [to for when, to in steps if when == at]
            for number, to in enumerate(due):
                newest = max(pipeline.publisher.incidents().values(), key=lambda i: i.created_at, default=None)
                if newest:
                    made = change(newest.key, to, f"c{at}-{number}")
                    await attempt(pipeline, dice, lambda made=made: pipeline.processor.take_status_changes(0, [made]))
            # Records before a status change were taken in before it: the shell holds the change back until they are.
            start = committed if dice is None or due else dice.randint(max(committed, at - 3), at)
            start = max(start, last_change(steps, at))
            records = [event_record(n, error(seconds[n])) for n in range(start, at + 1)]
            await attempt(pipeline, dice, lambda records=records: pipeline.processor.take_events(0, records))
            committed = at
        return pipeline.publisher.incidents()

    assert await run(random.Random(seed)) == await run(None)


def last_change(steps: list[tuple[int, Status]], at: int) -> int:
    return max((when for when, _ in steps if when <= at), default=0)


async def attempt(pipeline: Setup, dice: random.Random | None, act: object) -> None:
    """Do it, crashing at random before an effect and starting anew until it is done."""
    assert callable(act)
    while True:
        pipeline.rows.fails = bool(dice and dice.random() < 0.3)
        pipeline.publisher.fails = bool(dice and dice.random() < 0.3)
        try:
            await act()
        except ConnectionError:
            pipeline.start()
        else:
            break
    pipeline.rows.fails = pipeline.publisher.fails = False
