"""Rules of every kind in the processor: crashes, batches and the speed of a replay change nothing, ticks included."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.incident import Incident
from schemas.levels import Level
from schemas.lifecycle import Status
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import EVENTS, EVENTS_LATE, INCIDENT_STATUS
from stream_processor.log_clock import MOST_GAP, TICK
from stream_processor.outgoing import Outgoing
from stream_processor.processor import Processor
from stream_processor.rules import AbsenceRule, CountRule, PatternRule, RateRule, RatioRule, Rule, RuleSet
from stream_processor.state import service_key
from tests.support.kinds_oracle import silences
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows

START = 1_700_000_000
LEVELS: tuple[Level, ...] = ("ERROR", "FATAL")
ALL_LEVELS: tuple[Level, ...] = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")


def seconds(count: float) -> int:
    return round(count * MICROSECONDS)


ABSENCE = AbsenceRule("absence", ALL_LEVELS, 2, seconds(25), 0)
RULES: tuple[Rule, ...] = (
    CountRule("count", LEVELS, 3, seconds(4), seconds(20)),
    RateRule(
        *("rate", LEVELS, 1, seconds(5), seconds(20)),
        multiple=1.5,
        floor=1,
        baseline_windows=4,
        learning_windows=2,
        allowed_lateness=seconds(5),
    ),
    RatioRule("ratio", LEVELS, 1, seconds(5), seconds(20), share=0.5, minimum=2, allowed_lateness=seconds(3)),
    ABSENCE,
    PatternRule(
        *("pattern", LEVELS, 1, seconds(6), seconds(20)), learning_period=seconds(12), allowed_lateness=seconds(4)
    ),
)
EVERY_KIND = RuleSet(RULES, seconds(10))


class Step(NamedTuple):
    """A record: `gap` seconds after the one before; its events, none for a tick, and what a person does before it."""

    gap: float
    events: tuple[tuple[str, str, str, float], ...]
    change: Status | None = None


events = st.tuples(
    st.sampled_from(["a", "a", "b"]),
    st.sampled_from(["ERROR", "ERROR", "INFO"]),
    st.sampled_from("uvwxyz"),
    st.sampled_from([0, 0, 0, 1, 2, 4, 7, 12]),
)
steps = st.builds(
    Step,
    st.sampled_from([0, 0.5, 1, 1, 2, 4, 4, 8, 300]),
    st.lists(events, max_size=3).map(tuple),
    st.sampled_from([*[None] * 7, "investigating", "resolved", "open", "closed"]),
)


def log_of(history: Sequence[Step], partition: int = 0) -> list[LogRecord]:
    """The records, with the broker's append times; each event some seconds before its record."""
    at, records = float(START), []
    for offset, step in enumerate(history):
        at += step.gap
        sent = [
            {
                "id": f"{offset}-{index}",
                "service": service,
                "level": level,
                "message": f"case {name}",
                "timestamp": to_rfc3339(seconds(at - behind)),
            }
            for index, (service, level, name, behind) in enumerate(step.events)
        ]
        records.append(LogRecord(offset, encode(sent), partition, timestamp=round(at * 1_000)))
    return records


class Cut(Exception):  # noqa: N818 - reads as what it is
    """The process was killed."""


class CuttingRows(MemoryRows):
    """A state table whose writes may be cut off anywhere."""

    def __init__(self, dice: random.Random | None) -> None:
        super().__init__()
        self.dice = dice

    async def write(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Write all rows, or the first of them and raise."""
        if self.dice and self.dice.random() < 0.2:
            written = self.dice.randint(0, len(rows))
            await super().write(partition, dict(list(rows.items())[:written]))
            raise Cut
        await super().write(partition, rows)


class CuttingPublisher(MemoryPublisher):
    """A way out that may be cut off anywhere."""

    def __init__(self, dice: random.Random | None) -> None:
        super().__init__()
        self.dice = dice

    async def publish(self, owner: int, records: Sequence[Outgoing]) -> None:
        """Publish all records, or the first of them and raise."""
        if self.dice and self.dice.random() < 0.2:
            await super().publish(owner, records[: self.dice.randint(0, len(records))])
            raise Cut
        await super().publish(owner, records)


class Setup:
    """A processor over memory, which is started anew whenever it is cut off."""

    def __init__(self, rules: RuleSet = EVERY_KIND, dice: random.Random | None = None) -> None:
        self.rules = rules
        self.dice = dice
        self.rows = CuttingRows(dice)
        self.publisher = CuttingPublisher(dice)
        self.start()

    def start(self) -> None:
        self.processor = Processor(self.rules, self.rows, self.publisher, 1)
        self.processor.recovered(0, self.rows.rows, seconds(START))

    async def do(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except Cut:
                self.start()
            else:
                return

    async def take(self, records: Sequence[LogRecord]) -> None:
        await self.do(lambda: self.processor.take_events(0, records))

    async def change(self, number: int, to: Status) -> None:
        """A person sets the status of the newest incident, if there is one."""
        newest = max(self.publisher.incidents().values(), key=lambda i: (i.created_at, i.key), default=None)
        if newest is not None:
            made = StatusChange(f"c{number}", newest.key, newest.service, to, "ann", seconds(START))
            record = LogRecord(number, encode(made), topic=INCIDENT_STATUS)
            await self.do(lambda: self.processor.take_status_changes(0, [record]))

    def of(self, rule: str) -> list[Incident]:
        found = [i for i in self.publisher.incidents().values() if i.rule == rule and not i.merged_into]
        return sorted(found, key=lambda incident: (incident.service, incident.first_event_at, incident.created_at))


async def play(history: Sequence[Step], dice: random.Random | None) -> Setup:
    """Play a history: record by record, or with `dice` in any batches, some again, cut off anywhere."""
    setup, records = Setup(dice=dice), log_of(history)
    done = changed = 0
    while done < len(records):
        to = history[done].change
        if to is not None and (done == 0 or changed < done):
            await setup.change(done, to)
            changed = done
        end = next((n for n in range(done + 1, len(records)) if history[n].change is not None), len(records))
        last = done + 1 if dice is None else dice.randint(done + 1, end)
        # Records before a status change were taken in before it: the shell holds the change back until they are.
        first = done if dice is None else dice.randint(changed, done)
        await setup.take(records[first:last])
        done = last
    return setup


histories = st.integers(2, 40).flatmap(lambda size: st.lists(steps, min_size=size, max_size=size))


@settings(max_examples=80, deadline=None)
@given(history=histories, seed=st.integers(0, 2**32))
async def test_crashes_and_batches_change_nothing_for_any_kind(history: list[Step], seed: int) -> None:
    """Cut off within any publishing or writing, redelivered, in other batches: the same records, and no other."""
    undisturbed = await play(history, None)
    disturbed = await play(history, random.Random(seed))

    assert disturbed.publisher.versions.items() >= undisturbed.publisher.incidents_by_version().items()
    assert disturbed.publisher.incidents() == undisturbed.publisher.incidents()
    for key in undisturbed.publisher.incidents():
        assert disturbed.publisher.links(key) == undisturbed.publisher.links(key)
    assert late_ones(disturbed) == late_ones(undisturbed)


def late_ones(setup: Setup) -> set[bytes | None]:
    return {letter.value for letter in setup.publisher.to(EVENTS_LATE)}


@settings(max_examples=60, deadline=None)
@given(history=histories, batch=st.integers(1, 40))
async def test_silence_is_what_the_records_tell(history: list[Step], batch: int) -> None:
    """Absence as counted by hand from append times, whatever the batches; ticks count as much as events."""
    history = [step._replace(change=None, events=tuple(e for e in step.events if e[3] < 10)) for step in history]
    setup, records = Setup(RuleSet((ABSENCE,), seconds(100))), log_of(history)
    for start in range(0, len(records), batch):
        await setup.take(records[start : start + batch])

    for service in "ab":
        told: list[tuple[float, int | None]] = []
        for step, record in zip(history, records, strict=True):
            at = record.timestamp / 1_000
            times = [seconds(at - behind) for name, _, _, behind in step.events if name == service]
            told += [(at, time) for time in times] or [(at, None)]
        expected = silences(told, window=25, threshold=2, most_gap=MOST_GAP / MICROSECONDS)
        found = [i for i in setup.of("absence") if i.service == service]
        assert sorted((i.last_event_at, i.status == "resolved") for i in found) == sorted(expected)
        assert all(i.event_count == 1 and i.first_event_at == i.last_event_at for i in found)


def ticks(first: int, at: float, count: int, every: float = 4) -> list[LogRecord]:
    return [LogRecord(first + n, TICK, timestamp=round((at + n * every) * 1_000)) for n in range(count)]


def heartbeats(first: int, at: float, count: int, service: str = "a", every: float = 4) -> list[LogRecord]:
    steps = [Step(0, ((service, "INFO", "beat", 0),))] * count
    records = log_of(steps)
    for n, record in enumerate(records):
        moment = at + n * every
        value = {"service": service, "level": "INFO", "message": "beat", "id": f"{first + n}"}
        record.offset, record.timestamp = first + n, round(moment * 1_000)
        record.value = encode(value | {"timestamp": to_rfc3339(seconds(moment))})
    return records


async def test_a_service_that_falls_silent_is_missed_and_heard_again() -> None:
    """Ticks carry the clock past 25 s; the next event resolves the incident, which a person need not touch."""
    setup = Setup(RuleSet((ABSENCE,), seconds(10)))
    await setup.take(heartbeats(0, START, 3))
    await setup.take(ticks(3, START + 12, 5))
    assert setup.of("absence") == []

    await setup.take(ticks(8, START + 32, 1))
    await setup.take(ticks(9, START + 36, 1))

    (missed,) = setup.of("absence")
    assert (missed.status, missed.event_count, missed.last_event_at) == ("open", 1, seconds(START + 8))
    assert missed.reason.startswith("nothing from a for 25s after 2023-11-14T22:13:28Z, when it had sent 3 events")
    assert missed.created_at == seconds(START + 36), "the record whose time was past the deadline"
    assert setup.publisher.links(missed.key) == {(2, 0)}

    await setup.take(heartbeats(10, START + 60, 1))
    (back,) = setup.of("absence")
    assert (back.status, back.timeline[-1].what) == ("resolved", "heard")
    await setup.take(ticks(11, START + 64, 20))
    assert len(setup.of("absence")) == 1, "one event is too few to be missed"


async def test_a_worker_that_is_behind_misses_nobody() -> None:
    """An hour of records of a service that never fell silent, read in one go or in small pieces: no incident."""
    beats = heartbeats(0, START, 900)
    for size in (900, 7):
        setup = Setup(RuleSet((ABSENCE,), seconds(10)))
        for start in range(0, len(beats), size):
            await setup.take(beats[start : start + size])
        assert setup.of("absence") == []


async def test_an_hour_without_the_broker_is_no_silence() -> None:
    """Nothing could be appended: the gap counts as ten seconds, and the service is heard in time."""
    setup = Setup(RuleSet((ABSENCE,), seconds(10)))
    await setup.take(heartbeats(0, START, 3))

    await setup.take(ticks(3, START + 3_600, 3))
    await setup.take(heartbeats(6, START + 3_612, 3))

    assert setup.of("absence") == []


async def test_silence_that_was_listened_to_is_found_by_a_worker_that_was_away() -> None:
    """The records were appended while it was down: it decides at the same record as one that was there."""
    there, away = Setup(RuleSet((ABSENCE,), seconds(10))), Setup(RuleSet((ABSENCE,), seconds(10)))
    records = [*heartbeats(0, START, 3), *heartbeats(3, START + 10, 12, "b")]
    for record in records:
        await there.take([record])
    await away.take(records[:3])
    away.start()
    await away.take(records[3:])

    assert there.publisher.incidents() == away.publisher.incidents()
    assert [i.service for i in there.of("absence")] == ["a"]


@pytest.mark.parametrize("to", ["resolved", "closed"])
async def test_a_silence_that_a_person_settled_stays_settled(to: Status) -> None:
    """It is not opened again while the service is silent; two events later it is missed again."""
    setup = Setup(RuleSet((ABSENCE,), seconds(10)))
    await setup.take(heartbeats(0, START, 3))
    await setup.take(ticks(3, START + 12, 8))
    await setup.change(11, to)
    await setup.take(ticks(11, START + 44, 20))
    (settled,) = setup.of("absence")
    assert settled.status == to

    await setup.take(heartbeats(31, START + 130, 2))
    await setup.take(ticks(33, START + 138, 8))

    again = setup.of("absence")[-1]
    assert (again.status, again.previous_key, len(setup.of("absence"))) == ("open", settled.key, 2)


async def test_a_silence_that_a_person_took_up_again_goes_on() -> None:
    """Reopened, it is a person's to resolve; the next silence is noted in it and opens no second one."""
    setup = Setup(RuleSet((ABSENCE,), seconds(10)))
    await setup.take(heartbeats(0, START, 3))
    await setup.take(ticks(3, START + 12, 8))
    await setup.take(heartbeats(11, START + 44, 1))
    await setup.change(12, "investigating")
    await setup.take(heartbeats(12, START + 48, 3))
    await setup.take(ticks(15, START + 60, 8))

    (incident,) = setup.of("absence")
    assert (incident.status, incident.event_count, incident.timeline[-1].what) == ("investigating", 2, "silent")
    assert [change.what for change in incident.timeline] == ["opened", "heard", "status_changed", "silent"]


async def test_ratio_and_new_pattern_do_not_wait_for_a_service_that_is_silent() -> None:
    """Their windows are decided on as if the service had sent on: after the lateness and the window of log time."""
    setup = Setup()
    quiet = [Step(1, (("a", "INFO", "u", 0),)) for _ in range(15)]
    burst = [Step(0, (("a", "ERROR", "new", 0), ("a", "ERROR", "new", 0)))]
    records = log_of([*quiet, *burst])
    await setup.take(records)
    assert setup.of("ratio") == setup.of("pattern") == []

    await setup.take(ticks(16, START + 19, 1))
    assert [(i.event_count, i.created_at) for i in setup.of("pattern")] == [(2, seconds(START + 19))]
    await setup.take(ticks(17, START + 22, 1))
    assert setup.of("ratio") == []
    await setup.take(ticks(18, START + 23, 1))
    assert [(i.event_count, i.first_event_at) for i in setup.of("ratio")] == [(2, seconds(START + 15))]

    late = Step(24, (("a", "ERROR", "new", 5), ("a", "ERROR", "new", 0)))
    record = log_of([late])[0]
    record.offset = 19
    await setup.take([record])
    assert [i.event_count for i in setup.of("ratio")] == [2], (
        "what comes for a window that is decided on is late for it"
    )


async def test_many_that_fall_silent_at_once_are_told_in_steps() -> None:
    """Twelve hundred services and one record: an incident for each, and no row is left behind."""
    setup = Setup(RuleSet((ABSENCE,), seconds(10)))
    sent = [
        {"service": f"s{n}", "level": "INFO", "message": "x", "timestamp": to_rfc3339(seconds(START)), "id": f"{n}-{t}"}
        for n in range(1_200)
        for t in range(2)
    ]
    await setup.take([LogRecord(0, encode(sent), timestamp=START * 1_000)])
    assert setup.processor.wants_tick(0)

    await setup.take(ticks(1, START + 4, 8))

    assert len(setup.of("absence")) == 1_200
    assert not setup.processor.wants_tick(0)
    assert sum(key in setup.rows.rows for key in map(service_key, {str(s["service"]) for s in sent})) == 1_200


async def test_a_deadline_that_has_moved_on_writes_nothing() -> None:
    """A service that is heard all the time is looked at when its first deadline comes, and left as it is."""
    for forgets in (False, True):
        setup = Setup(RuleSet((ABSENCE,), seconds(10)))
        await setup.take([*heartbeats(0, START, 3), *heartbeats(3, START + 12, 3)])
        before = setup.rows.rows[service_key("a")]
        if forgets:
            setup.start()

        await setup.take(ticks(6, START + 28, 1))
        await setup.take(ticks(7, START + 36, 1))

        assert setup.rows.rows[service_key("a")] == before
        assert setup.processor.wants_tick(0)
        await setup.take(ticks(8, START + 46, 1))
        assert [i.last_event_at for i in setup.of("absence")] == [seconds(START + 20)]


async def test_a_tick_goes_to_its_own_partition_and_only_where_silence_may_decide() -> None:
    """Rules of kind count and rate never want one."""
    plain = Setup(RuleSet(RULES[:2], seconds(10)))
    await plain.take(heartbeats(0, START, 3))
    assert not plain.processor.wants_tick(0)
    assert [key for key in plain.rows.rows if key.startswith(b"c")] == []

    setup = Setup()
    assert not setup.processor.wants_tick(0)
    await setup.take(heartbeats(0, START, 3))
    assert setup.processor.wants_tick(0)
    await setup.processor.tick(0)
    assert setup.publisher.to(EVENTS) == [Outgoing(EVENTS, 0, None, b"[]")]
