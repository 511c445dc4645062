"""All that is kept of a service, and how it is written to rows of the state table."""

from collections.abc import Callable
from typing import Final

import msgspec

from stream_processor.kind_states import OwnState, PatternState
from stream_processor.log_clock import LogClock
from stream_processor.recent_ids import IdRow, RecentIds
from stream_processor.seen_templates import SeenTemplates
from stream_processor.span import Item, Span
from stream_processor.tumbling import MinuteCounts

Read = Callable[[bytes], bytes | None]
"""Looks a row up in the state table."""

NEVER: Final = -(2**62)
"""The newest event time of a service that has sent nothing yet."""

_SERVICE, _IDS, _ENDED, _TEMPLATES, _CLOCK = b"s", b"i", b"e", b"t", b"c"


class RuleState(msgspec.Struct, array_like=True):
    """What one rule knows of one service.

    `loose`: qualifying events that belong to no incident, by time, as far back as a window can still reach them.
    `spans`: incidents that an event may still change, by time; only the last can be active.
    `own`: what a rule of a watching kind keeps beside them.
    """

    loose: list[Item] = []
    spans: list[Span] = []
    last_key: str | None = None
    own: OwnState | None = None


class ServiceRow(msgspec.Struct, array_like=True):
    """A service's row. `offset`: the last record that it includes; `newest`: its newest event time (microseconds).

    `revision` counts its writes: it tells rows of one offset apart, between which a person or the clock has come.
    """

    service: str
    offset: int = -1
    revision: int = 0
    newest: int = NEVER
    ids: IdRow = msgspec.field(default_factory=IdRow)
    minutes: MinuteCounts = {}
    rules: dict[str, RuleState] = {}


class EndedRow(msgspec.Struct, array_like=True):
    """The row of an incident that events no longer change but people may."""

    service: str
    rule: str
    span: Span


class _Age(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The beginning of a service's row."""

    service: str
    offset: int
    revision: int


class ServiceState:
    """A service's state, read from its row or new."""

    __slots__ = ("_gone", "_read", "_seen", "due", "ids", "minutes", "newest", "offset", "revision", "rules", "service")

    def __init__(self, row: ServiceRow, ids: RecentIds, read: Read = lambda _: None) -> None:
        self.service = row.service
        self.offset = row.offset
        self.revision = row.revision
        self.newest = row.newest
        self.due = NEVER
        """The newest event time at which something may end or be forgotten; not kept in the row."""
        self.minutes = row.minutes
        self.rules = row.rules
        self.ids = ids
        self._read = read
        self._seen: dict[str, SeenTemplates] = {}
        self._gone: list[bytes] = []

    def rule_state(self, rule: str) -> RuleState:
        """What `rule` knows of this service."""
        state = self.rules.get(rule)
        if state is None:
            state = self.rules[rule] = RuleState()
        return state

    def seen_templates(self, rule: str, own: PatternState) -> SeenTemplates:
        """The message templates that the new-pattern rule of this name and state knows."""
        seen = self._seen.get(rule)
        if seen is None:
            seen = self._seen[rule] = SeenTemplates(own, lambda n: self._read(_template_key(self.service, rule, n)))
        return seen

    def replace_own(self, rule: str, own: OwnState | None) -> None:
        """A rule has become another under the same name: what it kept beside its incidents is dropped."""
        known = self.rule_state(rule)
        if isinstance(known.own, PatternState):
            start, end = known.own.start, known.own.start + known.own.segments
            self._gone += [_template_key(self.service, rule, number) for number in range(start, end)]
            self._seen.pop(rule, None)
            if isinstance(own, PatternState):
                own.start = end
        known.own = own
        known.loose.clear()

    def take_template_rows(self) -> tuple[dict[bytes, bytes], list[bytes]]:
        """The rows of templates to write before the service's row, and those to delete after it."""
        rows = {
            _template_key(self.service, rule, number): value
            for rule, seen in self._seen.items()
            for number, value in seen.take_rows().items()
        }
        gone, self._gone = self._gone, []
        return rows, gone


_encode: Final = msgspec.msgpack.Encoder().encode
decode_service: Final = msgspec.msgpack.Decoder(ServiceRow).decode
_decode_ended: Final = msgspec.msgpack.Decoder(EndedRow).decode
_decode_age: Final = msgspec.msgpack.Decoder(_Age).decode
_decode_clock: Final = msgspec.msgpack.Decoder(LogClock).decode


def service_key(service: str) -> bytes:
    """The key of a service's row."""
    return _SERVICE + service.encode()


def is_service_key(key: bytes) -> bool:
    """Whether a row is a service's."""
    return key.startswith(_SERVICE)


def supersedes(key: bytes, row: bytes, present: bytes) -> bool:
    """Whether `row`, which lies behind `present` on the changelog under the same key, is the newer of the two.

    It is not when a worker wrote it that had been replaced: frozen in the middle of a write, it sends the rest when it
    wakes up, behind what its successor has written.
    """
    if is_service_key(key):
        old, new = _decode_age(present), _decode_age(row)
        return (new.offset, new.revision) > (old.offset, old.revision)
    if is_ended_key(key):
        return _decode_ended(row).span.version > _decode_ended(present).span.version
    if key.startswith(_CLOCK):
        return _decode_clock(row).offset > _decode_clock(present).offset
    return True


def is_ended_key(key: bytes) -> bool:
    """Whether a row is an ended incident's."""
    return key.startswith(_ENDED)


def ended_key(incident_key: str) -> bytes:
    """The key of an ended incident's row."""
    return _ENDED + incident_key.encode()


def new_state(service: str) -> ServiceState:
    """The state of a service that was never heard of."""
    return ServiceState(ServiceRow(service), RecentIds())


def read_state(service: str, read: Read) -> ServiceState:
    """The state of `service` as the table has it."""
    value = read(service_key(service))
    if value is None:
        return new_state(service)
    row = decode_service(value)
    return ServiceState(row, RecentIds(row.ids, lambda number: read(_segment_key(service, number))), read)


def state_rows(state: ServiceState) -> dict[bytes, bytes | None]:
    """The rows to write for `state`, in the order in which they must be written.

    New segments come before the row that names them, and expired ones go after the row that no longer does, so that
    whatever is cut off in the middle leaves a readable state.
    """
    segments = state.ids.take_rows()
    templates, gone = state.take_template_rows()
    before = {_segment_key(state.service, n): value for n, value in segments.items() if value is not None}
    after = {_segment_key(state.service, n): None for n, value in segments.items() if value is None}
    state.revision += 1
    row = ServiceRow(
        state.service, state.offset, state.revision, state.newest, state.ids.row(), state.minutes, state.rules
    )
    return {**before, **templates, service_key(state.service): _encode(row), **after, **dict.fromkeys(gone)}


def read_ended(incident_key: str, read: Read) -> EndedRow | None:
    """The ended incident of this key, if the table has it."""
    value = read(ended_key(incident_key))
    return None if value is None else _decode_ended(value)


def decode_ended(value: bytes) -> EndedRow:
    """The ended incident in a row."""
    return _decode_ended(value)


def ended_row(row: EndedRow) -> dict[bytes, bytes | None]:
    """The row to write for an ended incident."""
    return {ended_key(row.span.key): _encode(row)}


def read_clock(partition: int, read: Read) -> LogClock:
    """The log's clock of a partition as the table has it."""
    value = read(_clock_key(partition))
    return LogClock() if value is None else _decode_clock(value)


def clock_row(partition: int, clock: LogClock) -> dict[bytes, bytes | None]:
    """The row to write for a clock: after the rows of all that its record has changed, since none of it comes again."""
    return {_clock_key(partition): _encode(clock)}


def _clock_key(partition: int) -> bytes:
    return _CLOCK + partition.to_bytes(4, "big")


def _template_key(service: str, rule: str, number: int) -> bytes:
    return _TEMPLATES + number.to_bytes(4, "big") + rule.encode() + b"\0" + service.encode()


def _segment_key(service: str, number: int) -> bytes:
    return _IDS + number.to_bytes(8, "big") + service.encode()
