"""Events of files as a log: each is a record of its own, received when the newest event time so far has come.

That is the clock of scenarios (`stream_processor.scenarios`). Where rules listen to silence, time goes on between two
events by records that hold none, as a live worker writes them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from schemas.codec import Place, UnreadableRecord, decode_events
from schemas.event import MAX_SERVICE, Event, InvalidEvent, WireEvent, to_event
from schemas.levels import LEVELS, Level, fold_level
from schemas.placement import home_partition
from schemas.timestamps import EARLIEST, MICROSECONDS, to_datetime
from schemas.topics import EVENTS
from stream_processor.backtest.passed import Passed
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.decisions import Arrival
from stream_processor.log_clock import TICK, TICK_SECONDS

MOST_TOLD: Final = 10
"""Lines that cannot be read of which each is told why."""

_TICK: Final = int(TICK_SECONDS * MICROSECONDS)
_EPOCH: Final = to_datetime(0)
_MICROSECOND: Final = timedelta(microseconds=1)
_decoder: Final = msgspec.json.Decoder(WireEvent)
_ALL_LEVELS: Final = frozenset(LEVELS)
_LATEST: Final = 2**62
_MOST_NAMES: Final = 100_000
_BROKEN: Final = (msgspec.DecodeError, ValueError, RecursionError)


class FileRecord(msgspec.Struct, gc=False):
    """A record as the log's clock sees it; `timestamp` in milliseconds."""

    offset: int
    timestamp: int
    topic: str = EVENTS
    partition: int = 0
    key: bytes | None = None
    value: bytes | None = TICK
    headers: Sequence[tuple[str, bytes]] = ()


class Unreadable(msgspec.Struct, frozen=True):
    """A line that holds no valid event, and why. `line` counts the lines that are not empty from 1, over all files."""

    line: int
    why: str


Take = Callable[[WireEvent, str, Level, int, int], None]
"""Takes a valid event with its service, level, event time and the time of its receipt (both in microseconds)."""


class _Services(dict[str, str | None]):
    """Names as they are written to names as they are kept; None: another shard's, empty: no valid name."""

    def __init__(self, shard: int, shards: int) -> None:
        super().__init__()
        self._shard, self._shards = shard, shards

    def __missing__(self, written: str) -> str | None:
        name = written.strip()
        if not 1 <= len(name) <= MAX_SERVICE:
            return ""
        found = name if home_partition(name, self._shards) == self._shard else None
        if len(self) < _MOST_NAMES:
            self[written] = found
        return found


class _Levels(dict[str, Level | None]):
    """Levels as they are written to levels as they are kept; None: no level."""

    def __missing__(self, written: str) -> Level | None:
        found = fold_level(written)
        if len(self) < _MOST_NAMES:
            self[written] = found
        return found


_level_of: Final = _Levels()


class FileLog:
    """Brings the lines of files to sets of rules.

    Args:
        runs: the sets of rules.
        shard: it takes in the services of this home partition.
        shards: among so many. Every shard reads all lines, since time goes on with all of them.
    """

    def __init__(self, runs: Sequence[RuleRun], shard: int = 0, shards: int = 1) -> None:
        self.lines = 0
        self.events = 0
        self.first: int | None = None
        """The event time of the first event."""
        self.newest: int | None = None
        self.unreadable: list[Unreadable] = []
        self.refused = 0
        """Events that are none."""
        self._runs = runs
        self._services = _Services(shard, shards)
        self._is_plain = all(run.rules.is_plain for run in runs)
        self._has_clock = any(run.rules.has_clock for run in runs)
        self._levels = frozenset(level for run in runs for level in run.rules.seen_levels)
        self._passed = Passed(runs) if Passed.is_for(runs) else None
        self._offset = 0
        self._records: list[FileRecord] = []
        self._here: dict[str, list[Arrival]] = {}

    def take(self, block: bytes) -> None:
        """Take in whole lines."""
        wires = self._decode(block)
        if self._is_plain:
            self._read(wires, self._levels, self._take_one if len(self._runs) == 1 else self._take_plain)
        else:
            self._read(wires, _ALL_LEVELS, self._take_any)
        if self._passed is not None:
            self._passed.tell_all()
        for run in self._runs:
            run.take(self._records, self._here)
        self._records, self._here = [], {}

    def _read(self, wires: Iterable[WireEvent], levels: frozenset[Level], take: Take) -> None:
        """Bring the events of this shard whose level is one of `levels` to `take`, and let the others pass by."""
        services, known_levels, newest, lines, events = self._services, _level_of, self.newest, self.lines, 0
        passers = [self._passed.add] if self._passed else [run.passer() for run in self._runs]
        for wire in wires:
            lines += 1
            service, level, moment = services[wire.service], known_levels[wire.level], wire.timestamp
            time = newest if moment is None else (moment - _EPOCH) // _MICROSECOND
            if service == "" or level is None or time is None or time < EARLIEST:
                self._refuse(lines, _fault(wire, newest))
                continue
            if newest is None or time > newest:
                if newest is None or self._has_clock:
                    self._pass_time(newest, time)
                newest = time
            if self._has_clock:
                self._hear(newest)
            if service is None:
                continue
            events += 1
            if level in levels:
                self.lines = lines
                take(wire, service, level, time, newest)
            else:
                for passes in passers:
                    passes(service, time, newest)
        self.newest, self.lines, self.events = newest, max(lines, self.lines), self.events + events

    def _take_one(self, wire: WireEvent, service: str, level: Level, time: int, now: int) -> None:
        """The only set of rules, of kind count, takes one event after the other."""
        self._runs[0].take_one(self._arrival(wire, service, level, time, now))

    def _take_plain(self, wire: WireEvent, service: str, level: Level, time: int, now: int) -> None:
        """The same for several."""
        arrival = self._arrival(wire, service, level, time, now)
        if self._passed is not None:
            self._passed.tell(service)
        for run in self._runs:
            run.take_one(arrival)

    def _take_any(self, wire: WireEvent, service: str, level: Level, time: int, now: int) -> None:
        """Rules of all kinds take the events of a block at once, with the time that goes on in it."""
        self._here.setdefault(service, []).append(self._arrival(wire, service, level, time, now))

    def _arrival(self, wire: WireEvent, service: str, level: Level, time: int, now: int) -> Arrival:
        if not self._has_clock:
            self._offset += 1
        event_id = wire.id or Place(EVENTS, 0, self.lines, now).event_id(0)
        event = Event(
            event_id,
            service,
            level,
            wire.message,
            time,
            wire.attributes or None,
            wire.trace_id,
            wire.span_id,
            wire.host,
            wire.environment,
        )
        return Arrival(event, self._offset, 0, now)

    def _pass_time(self, before: int | None, time: int) -> None:
        """The newest event time was `before` and is `time` from now on."""
        if before is None:
            self.first = time
        else:
            for tick in range(before + _TICK, time, _TICK):
                self._hear(tick)

    def _hear(self, now: int) -> None:
        self._offset += 1
        self._records.append(FileRecord(self._offset, now // 1_000))

    def _refuse(self, line: int, why: str) -> None:
        self.refused += 1
        if len(self.unreadable) < MOST_TOLD:
            self.unreadable.append(Unreadable(line, why))

    def _decode(self, block: bytes) -> Iterable[WireEvent]:
        try:
            return _decoder.decode_lines(block)
        except _BROKEN:
            return self._decode_each(block)

    def _decode_each(self, block: bytes) -> Iterator[WireEvent]:
        """The events of lines of which one at least holds something else than one whole event."""
        lines = self.lines
        for line in block.split(b"\n"):
            if line.strip():
                lines += 1
                try:
                    yield _decoder.decode(line)
                except _BROKEN:
                    yield from self._decode_closely(line, lines)

    def _decode_closely(self, line: bytes, number: int) -> Iterator[WireEvent]:
        """The events of an array, those with a leap second; what is broken is refused."""
        try:
            for _, event in decode_events(line, Place(EVENTS, 0, number, _LATEST)):
                if isinstance(event, InvalidEvent):
                    self._refuse(number, str(event))
                else:
                    yield _as_wire(event)
        except UnreadableRecord as unreadable:
            self._refuse(number, str(unreadable))


def _as_wire(event: Event) -> WireEvent:
    at = None if event.timestamp == _LATEST else to_datetime(event.timestamp)  # it brought none
    more = (event.trace_id, event.span_id, event.host, event.environment)
    return WireEvent(event.service, event.level, event.message, at, event.id, event.attributes, *more)


def _fault(wire: WireEvent, newest: int | None) -> str:
    """What is wrong with an event that could be decoded."""
    if wire.timestamp is None and newest is None:
        return "timestamp: is missing, and no event before it has one"
    try:
        to_event(wire, default_id="", received_at=_LATEST)
    except InvalidEvent as invalid:
        return str(invalid)
    return "is no valid event"
