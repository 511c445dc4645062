"""All that is kept of a service, and how it is written to rows of the state table."""

from collections.abc import Callable
from typing import Final

import msgspec

from stream_processor.recent_ids import IdRow, RecentIds
from stream_processor.span import Item, Span
from stream_processor.tumbling import MinuteCounts

Read = Callable[[bytes], bytes | None]
"""Looks a row up in the state table."""

NEVER: Final = -(2**62)
"""The newest event time of a service that has sent nothing yet."""

_SERVICE, _IDS, _ENDED = b"s", b"i", b"e"


class RuleState(msgspec.Struct, array_like=True):
    """What one rule knows of one service.

    `loose`: qualifying events that belong to no incident, by time, as far back as a window can still reach them.
    `spans`: incidents that an event may still change, by time; only the last can be active.
    """

    loose: list[Item] = []
    spans: list[Span] = []
    last_key: str | None = None


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

    __slots__ = ("ids", "minutes", "newest", "offset", "revision", "rules", "service")

    def __init__(self, row: ServiceRow, ids: RecentIds) -> None:
        self.service = row.service
        self.offset = row.offset
        self.revision = row.revision
        self.newest = row.newest
        self.minutes = row.minutes
        self.rules = row.rules
        self.ids = ids

    def rule_state(self, rule: str) -> RuleState:
        """What `rule` knows of this service."""
        state = self.rules.get(rule)
        if state is None:
            state = self.rules[rule] = RuleState()
        return state


_encode: Final = msgspec.msgpack.Encoder().encode
decode_service: Final = msgspec.msgpack.Decoder(ServiceRow).decode
_decode_ended: Final = msgspec.msgpack.Decoder(EndedRow).decode
_decode_age: Final = msgspec.msgpack.Decoder(_Age).decode


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
    return ServiceState(row, RecentIds(row.ids, lambda number: read(_segment_key(service, number))))


def state_rows(state: ServiceState) -> dict[bytes, bytes | None]:
    """The rows to write for `state`, in the order in which they must be written.

    New id segments come before the row that names them, and expired ones go after the row that no longer does, so that
    whatever is cut off in the middle leaves a readable state.
    """
    segments = state.ids.take_rows()
    before = {_segment_key(state.service, n): value for n, value in segments.items() if value is not None}
    after = {_segment_key(state.service, n): None for n, value in segments.items() if value is None}
    state.revision += 1
    row = ServiceRow(
        state.service, state.offset, state.revision, state.newest, state.ids.row(), state.minutes, state.rules
    )
    return {**before, service_key(state.service): _encode(row), **after}


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


def _segment_key(service: str, number: int) -> bytes:
    return _IDS + number.to_bytes(8, "big") + service.encode()
