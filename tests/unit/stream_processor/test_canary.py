"""The canary in the processor: its incidents come anew each time, and guard against silence that nobody heard."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from schemas.canary import BURST_EVENTS, canaries
from schemas.codec import decode_incident, encode
from schemas.incident import Incident
from schemas.levels import LEVELS
from schemas.timestamps import MICROSECONDS
from schemas.topics import ANALYSES, CANARY, EVENTS_LATE, INCIDENT_EVENTS, INCIDENTS
from stream_processor.backtest.passes import Pass, take_records
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.canary import RULE
from stream_processor.log_clock import TICK
from stream_processor.processor import Processor
from stream_processor.rules import AbsenceRule, CountRule, Rule, RuleSet
from stream_processor.state import is_ended_key
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows

START = 1_700_000_000
(SERVICE,) = canaries(1)
KEY = SERVICE.encode()
SECOND = MICROSECONDS
BURST = CountRule("error-burst", ("ERROR", "FATAL"), 5, 300 * SECOND, 3_600 * SECOND)
ABSENCE = AbsenceRule("absence", LEVELS, 2, 30 * SECOND, 0)
EAGER = CountRule("eager", LEVELS, 1, SECOND, 0)


class Log:
    """A partition and a processor over memory, with the records that come to be there."""

    def __init__(self, *rules: Rule, by_pulse: bool = True) -> None:
        self.rules = RuleSet(rules or (BURST,), 600 * SECOND)
        self.by_pulse = by_pulse
        self.rows, self.publisher = MemoryRows(), MemoryPublisher()
        self.records: list[LogRecord] = []
        self.start()

    def start(self) -> None:
        """A processor on the rows that are there."""
        self.processor = Processor(self.rules, self.rows, self.publisher, 1, by_pulse=self.by_pulse)

    def add(self, at: float, value: bytes, key: bytes | None = None) -> LogRecord:
        """A record that was appended `at` seconds after the start."""
        record = LogRecord(len(self.records), value, timestamp=round((START + at) * 1_000), key=key)
        self.records.append(record)
        return record

    def burst(self, at: float, events: int = BURST_EVENTS, level: str = "ERROR") -> LogRecord:
        """What the canary sends; its own clock is an hour behind."""
        event = {"service": SERVICE, "level": level, "message": "tweet", "timestamp": "2023-11-14T21:13:20Z"}
        return self.add(at, encode([event] * events), KEY)

    def pulse(self, at: float) -> LogRecord:
        """A sign of life of the canary."""
        return self.burst(at, 1, "INFO")

    def pulses(self, start: int, end: int) -> list[LogRecord]:
        """One every three seconds."""
        return [self.pulse(at) for at in range(start, end, 3)]

    def event(self, at: float, service: str = "shop", level: str = "INFO") -> LogRecord:
        """An event of somebody's service."""
        return self.add(at, encode({"service": service, "level": level, "message": "x"}), service.encode())

    async def take(self, records: Iterable[LogRecord]) -> None:
        """Bring records to the processor."""
        await self.processor.take_events(0, list(records))

    def silences(self) -> list[str]:
        """The services that were missed."""
        return [one.service for one in self.publisher.incidents().values() if one.rule == "absence"]


def ledger(reason: str) -> float:
    return REGISTRY.get_sample_value("ops_processor_events_total", {"reason": reason}) or 0.0


async def test_each_burst_opens_an_incident_in_a_topic_of_its_own() -> None:
    """Whatever the gateway's clock says; no list, no link, no late event, and one row however many there were."""
    log, before = Log(), ledger("canary")

    for minute in range(50):
        await log.take([log.burst(60 * minute), *(log.pulse(60 * minute + 3 * n) for n in range(1, 4))])

    opened = {decode_incident(record.value or b"").key for record in log.publisher.to(CANARY)}
    assert len(opened) == 50
    assert {decode_incident(record.value or b"").rule for record in log.publisher.to(CANARY)} == {RULE}
    for topic in (INCIDENTS, INCIDENT_EVENTS, EVENTS_LATE, ANALYSES):
        assert log.publisher.to(topic) == []
    assert [key for key in log.rows.rows if is_ended_key(key)] == []
    assert len(log.rows.rows) == 2  # the service and the clock
    assert max(map(len, log.rows.rows.values())) < 2_000
    assert ledger("canary") - before == 50 * (BURST_EVENTS + 3)


async def test_what_opened_tells_when_the_log_took_it() -> None:
    """The latency is counted from the append, which the gateway's 201 follows."""
    log = Log()

    await log.take([log.burst(7)])

    (incident,) = [decode_incident(record.value or b"") for record in log.publisher.to(CANARY)]
    assert (incident.created_at, incident.first_event_at) == ((START + 7) * SECOND,) * 2
    assert (incident.service, incident.event_count, incident.status) == (SERVICE, BURST_EVENTS, "open")


async def test_four_events_are_no_incident() -> None:
    """It is a threshold that is crossed."""
    log = Log()

    await log.take([log.burst(0, BURST_EVENTS - 1)])

    assert log.publisher.to(CANARY) == []


async def test_a_crash_before_the_state_is_written_says_the_same_again() -> None:
    """As for all incidents: one key and version has one content."""
    log = Log()
    record = log.burst(0)
    log.rows.fails = True
    with pytest.raises(ConnectionError):
        await log.take([record])
    log.rows.fails = False
    log.start()

    await log.take([record])

    first, second = log.publisher.to(CANARY)
    assert first == second


@pytest.mark.parametrize("rules", [(EAGER,), (BURST, EAGER), (ABSENCE, EAGER)])
async def test_no_rule_of_anybody_sees_the_canary(rules: tuple[Rule, ...]) -> None:
    """Nor does the canary depend on them: its incident comes whatever they are."""
    log = Log(*rules)

    await log.take([log.burst(0), *log.pulses(3, 120)])

    assert log.publisher.incidents() == {}
    assert len(log.publisher.to(CANARY)) == 1


def test_backtests_pass_the_canary_by() -> None:
    """It is neither found, nor counted, nor the end of the log."""
    log, found = Log(EAGER), Pass([])
    run = RuleRun(log.rules)

    take_records([run], [log.event(0), log.burst(5)], 1, found)

    assert [one.service for one in run.findings().incidents] == ["shop"]
    assert found.events == 1


async def test_a_worker_that_is_an_hour_behind_misses_nobody() -> None:
    """It catches up through records in which the service sent on; only then is its silence heard."""
    log = Log(ABSENCE)
    await log.take([*log.pulses(0, 12), log.event(12), log.event(13)])

    for start in range(15, 3_600, 15):
        await log.take([log.event(start), *log.pulses(start, start + 15)])
    assert log.silences() == []
    await log.take(log.pulses(3_600, 3_660))
    assert log.silences() == ["shop"]


@pytest.mark.parametrize(("by_pulse", "missed"), [(True, []), (False, ["shop"])])
async def test_a_gateway_that_nobody_reaches_is_no_silence(by_pulse: bool, missed: list[str]) -> None:  # noqa: FBT001 - a case
    """Ticks and direct producers go on for an hour: without the canary the service is missed, with it nobody is."""
    log = Log(ABSENCE, by_pulse=by_pulse)
    await log.take([*log.pulses(0, 12), log.event(12), log.event(13)])

    for at in range(16, 3_600, 4):
        await log.take([log.add(at, TICK), log.event(at + 1, "direct")])

    assert log.silences() == missed


async def test_after_blindness_silence_counts_from_where_it_was() -> None:
    """Twenty seconds before it and ten after it are thirty; the blindness itself counts for ten at most."""
    log = Log(ABSENCE)
    await log.take([log.pulse(0), log.event(0.5), log.event(1), *log.pulses(3, 10)])

    await log.take([log.pulse(600), log.pulse(603)])
    assert log.silences() == []
    await log.take(log.pulses(606, 620))
    assert log.silences() == ["shop"]


async def test_a_broker_that_was_away_for_ten_minutes_makes_no_silence() -> None:
    """Nothing at all was appended; the service is among the first that send again."""
    log = Log(ABSENCE)
    await log.take([log.pulse(0), log.event(0.5), log.event(1), *log.pulses(3, 13)])

    await log.take([log.pulse(612), log.event(614), *log.pulses(615, 640)])

    assert log.silences() == []


async def test_no_tick_is_written_where_the_canary_sends() -> None:
    """It would not move the clock; without the canary one is wanted."""
    with_it, without = Log(ABSENCE), Log(ABSENCE, by_pulse=False)
    for log in (with_it, without):
        await log.take([log.pulse(0), log.event(1), log.event(2)])

    assert not with_it.processor.wants_tick(0)
    assert without.processor.wants_tick(0)


async def open_incident(log: Log, heard_until: int) -> None:
    """An incident that begins at once, with the canary heard until some second."""
    await log.take([log.event(n, level="ERROR") for n in range(5)])
    await log.take(log.pulses(5, heard_until))


def statuses(log: Log) -> list[str]:
    return [incident.status for incident in log.publisher.incidents().values()]


async def at(log: Log, second: float) -> None:
    await log.processor.watch_quiet(0, round((START + second) * SECOND))


async def test_an_incident_is_not_resolved_while_the_pipeline_is_blind_or_behind() -> None:
    """Its quiet period has passed by the clock, and nobody knows whether its service was quiet."""
    log = Log()
    await open_incident(log, 600)

    await at(log, 3_700)
    assert statuses(log) == ["open"]
    log.start()
    log.processor.recovered(0, log.rows.rows, (START + 3_700) * SECOND)
    await at(log, 3_700)
    assert statuses(log) == ["open"], "a restart does not forget that it was blind"


async def test_quiet_that_was_heard_to_its_end_resolves() -> None:
    """Also by a worker that was behind for an hour and has caught up: what lay in between was heard."""
    log = Log()
    await open_incident(log, 3_620)

    await at(log, 3_615)

    assert statuses(log) == ["resolved"]


async def test_after_blindness_a_whole_quiet_period_must_be_heard() -> None:
    """The time of the blindness is no quiet."""
    log = Log()
    await open_incident(log, 600)
    await log.take(log.pulses(5_000, 8_700))

    await at(log, 5_000 + 3_599)
    assert statuses(log) == ["open"]
    await at(log, 5_000 + 3_601)
    assert statuses(log) == ["resolved"]


async def test_with_the_canary_off_quiet_is_told_by_the_clock_alone() -> None:
    """Old pulses in the log stop nothing."""
    log = Log(by_pulse=False)
    await open_incident(log, 60)

    await at(log, 3_700)

    assert statuses(log) == ["resolved"]


happenings = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 3, 3, 3, 4, 9, 40]),
        st.sampled_from(["pulse", "pulse", "pulse", "burst", "shop", "cart", "error", "tick"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(happened=happenings, seed=st.integers(0, 10_000))
async def test_batches_crashes_and_replays_decide_the_same(happened: list[tuple[int, str]], seed: int) -> None:
    """Silences, incidents and those of the canary, whole or in pieces, with records again after each restart."""
    whole, pieces, dice = Log(BURST, ABSENCE), Log(BURST, ABSENCE), random.Random(seed)
    records, now = [], 0
    for gap, what in happened:
        now += gap
        records.append(_record(whole, now, what))
    await whole.take(records)

    done = 0
    while done < len(records):
        end = min(len(records), done + dice.randint(1, 8))
        await pieces.take(records[max(0, done - dice.randint(0, 5)) : end])
        done = end
        if dice.random() < 0.4:
            pieces.start()
            pieces.processor.recovered(0, pieces.rows.rows, (START + now) * SECOND)

    assert _decided(pieces) == _decided(whole)


def _record(log: Log, at: float, what: str) -> LogRecord:
    if what == "tick":
        return log.add(at, TICK)
    if what in ("pulse", "burst"):
        return log.pulse(at) if what == "pulse" else log.burst(at)
    return log.event(at, "shop" if what == "error" else what, "ERROR" if what == "error" else "INFO")


def _decided(log: Log) -> tuple[dict[str, Incident], set[str]]:
    canary = {decode_incident(record.value or b"").key for record in log.publisher.to(CANARY)}
    return log.publisher.incidents(), canary
