"""A backtest decides what the live processor decides, event by event, however the log is cut."""

import json
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.incident import Incident
from schemas.lifecycle import Status
from schemas.placement import home_partition
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS, from_rfc3339, to_rfc3339
from schemas.topics import INCIDENT_STATUS
from stream_processor.backtest.file_log import FileLog
from stream_processor.backtest.findings import Findings, joined
from stream_processor.backtest.live import certify, inputs_by_partition
from stream_processor.backtest.passes import Pass, take_records
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.backtest.topic_range import Range
from stream_processor.processor import Processor
from stream_processor.rule_files import load_rules
from stream_processor.rules import CountRule, RuleSet
from stream_processor.scenarios import ScenarioRun
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows

START: Final = 1_710_000_000
PARTITIONS: Final = 2
SERVICES: Final = ("checkout", "payment", "search")
ERRORS: Final = ("ERROR", "CRITICAL", "FATAL")
RULES: Final = RuleSet(
    (
        CountRule("burst", ERRORS, 3, 60 * MICROSECONDS, 300 * MICROSECONDS),
        CountRule("warnings", ("WARNING",), 2, 10 * MICROSECONDS, 20 * MICROSECONDS),
    ),
    90 * MICROSECONDS,
)
EVERY_KIND: Final = load_rules([Path("docs/examples/every-kind.yaml"), Path("docs/examples/error-burst.yaml")])

Event = dict[str, Any]


@st.composite
def events(draw: st.DrawFn, most: int = 60) -> list[Event]:
    """Events of a few services, some out of order, some late, some twice, some of levels that no rule counts."""
    made: list[Event] = []
    second = START
    for number in range(draw(st.integers(0, most))):
        second += draw(st.integers(0, 8) | st.integers(20, 400))
        if made and draw(st.integers(0, 9)) == 0:
            made.append(draw(st.sampled_from(made)))
            continue
        made.append(
            {
                "service": draw(st.sampled_from(SERVICES)),
                "level": draw(st.sampled_from(("ERROR", "fatal", "WARN", "INFO", "DEBUG"))),
                "message": draw(st.sampled_from(("timed out after 30 s", "no space left", "all is well"))),
                "timestamp": to_rfc3339((second - draw(st.sampled_from((0, 0, 5, 80, 120)))) * MICROSECONDS),
                "id": f"e{number}",
            }
        )
    return made


def lines(made: list[Event]) -> list[bytes]:
    return [json.dumps(event).encode() + b"\n" for event in made]


def from_blocks(rules: RuleSet, blocks: list[bytes], shards: int = 1) -> Findings:
    parts = []
    for shard in range(shards):
        run = RuleRun(rules)
        log = FileLog([run], shard, shards)
        for block in blocks:
            log.take(block)
        parts.append(run.findings())
    return joined(parts)


@settings(max_examples=100, deadline=None)
@given(made=events(), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5), shards=st.integers(1, 3))
def test_files_give_what_a_scenario_of_the_same_events_gives(made: list[Event], cuts: list[int], shards: int) -> None:
    """Incidents, near misses and how each event ended, whatever the blocks and the number of processes."""
    scenario = ScenarioRun(RULES)
    log = FileLog([], 0, 1)
    for line in lines(made):
        log._read(log._decode(line), frozenset({*ERRORS, "WARNING", "INFO", "DEBUG"}), log._take_any)
    for arrival in sorted((one for some in log._here.values() for one in some), key=lambda one: one.offset):
        scenario.play(arrival.event)
    expected = scenario.outcome()

    found = from_blocks(RULES, cut(lines(made), cuts), shards)

    assert {one.key: summary(one) for one in found.incidents} == {one.key: summary(one) for one in expected.incidents}
    assert found.near_misses == expected.near_misses
    assert found.ledger == dict(sorted(expected.ledger.items()))


@settings(max_examples=40, deadline=None)
@given(made=events(), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_rules_of_all_kinds_give_the_same_whatever_the_blocks_and_processes(made: list[Event], cuts: list[int]) -> None:
    """Silence is heard at the same records in every process."""
    whole = from_blocks(EVERY_KIND, [b"".join(lines(made))])

    assert from_blocks(EVERY_KIND, cut(lines(made), cuts)) == whole
    assert from_blocks(EVERY_KIND, cut(lines(made), cuts), shards=3) == whole


class Live:
    """A processor over memory, and the log that it has read."""

    def __init__(self, rules: RuleSet) -> None:
        self.publisher = MemoryPublisher()
        self.processor = Processor(rules, MemoryRows(), self.publisher, PARTITIONS)
        self.logs: dict[int, list[LogRecord]] = {number: [] for number in range(PARTITIONS)}
        self.clock = START * 1_000
        self.changes = 0

    async def receive(self, some: list[Event], partition: int, junk: bytes | None) -> None:
        """Records are appended to a partition, and decided on."""
        log, start = self.logs[partition], len(self.logs[partition])
        self.clock = max([self.clock, *(in_millis(event) for event in some)])
        for value in [encode(some[:2]), *(encode(event) for event in some[2:]), *([junk] if junk else [])]:
            log.append(LogRecord(len(log), value, partition, timestamp=self.clock))
        await self.processor.take_events(partition, log[start:])

    async def change(self, to: Status) -> None:
        """A person changes the newest incident."""
        newest = max(self.publisher.incidents().values(), key=lambda one: (one.created_at, one.key), default=None)
        if newest is not None:
            self.changes += 1
            made = StatusChange(f"c{self.changes}", newest.key, newest.service, to, "ann", self.clock * 1_000)
            record = LogRecord(0, encode(made), topic=INCIDENT_STATUS)
            await self.processor.take_status_changes(home_partition(newest.service, PARTITIONS), [record])

    async def wait(self, seconds: int) -> None:
        """Nothing comes, and the wall clock shows it."""
        self.clock += seconds * 1_000
        for partition in self.logs:
            await self.processor.watch_quiet(partition, self.clock * 1_000)


@settings(max_examples=80, deadline=None)
@given(
    made=events(),
    steps=st.lists(
        st.tuples(
            st.integers(1, 7),
            st.sampled_from([None, None, b"junk", b"[]", b'[{"level":"ERROR"}]']),
            st.sampled_from([None, None, None, "investigating", "resolved", "open", "closed", 30, 4000]),
        ),
        min_size=1,
        max_size=20,
    ),
    rules=st.sampled_from([RULES, EVERY_KIND]),
    fetch=st.integers(1, 9),
)
async def test_the_log_alone_gives_the_live_incidents(
    made: list[Event], steps: list[tuple[int, bytes | None, Status | int | None]], rules: RuleSet, fetch: int
) -> None:
    """People's changes, silence, junk and misplaced events in between: the same keys, counts, times and statuses."""
    live = Live(rules)
    turn = 0
    while made:
        size, junk, between = steps[turn % len(steps)]
        some, made, turn = made[:size], made[size:], turn + 1
        for partition in range(PARTITIONS):
            await live.receive([e for e in some if home(e) == partition], partition, junk)
        if isinstance(between, int):
            await live.wait(between)
        elif between is not None:
            await live.change(between)
    published = list(live.publisher.incidents().values())

    found = Pass([])
    inputs = inputs_by_partition(published)
    runs = {number: RuleRun(rules, number, inputs.get(number, [])) for number in live.logs}
    for number, log in live.logs.items():
        for start in range(0, len(log), fetch):
            take_records([runs[number]], log[start : start + fetch], PARTITIONS, found)
    findings = joined([run.findings() for run in runs.values()])

    certificate = certify(published, [Range(number, 0, len(log)) for number, log in live.logs.items()], findings)
    assert certificate.matches, certificate.comparison
    assert {one.key: one.status for one in findings.incidents} == {
        one.key: one.status for one in published if not one.merged_into
    }


def home(event: Event) -> int:
    return home_partition(event["service"], PARTITIONS)


def in_millis(event: Event) -> int:
    return from_rfc3339(event["timestamp"]) // 1_000


def cut(whole: list[bytes], sizes: list[int]) -> list[bytes]:
    blocks, turn = [], 0
    while whole:
        size = sizes[turn % len(sizes)]
        blocks.append(b"".join(whole[:size]))
        whole, turn = whole[size:], turn + 1
    return blocks


def summary(one: Any) -> tuple[Any, ...]:
    detected = one.created_at if isinstance(one, Incident) else one.detected_at
    return one.event_count, one.first_event_at, one.last_event_at, one.status, one.reason, one.previous_key, detected
