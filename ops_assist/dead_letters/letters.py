"""A record of `ops.events.dlq` or `ops.events.late` as a person meets it, and which of them are meant."""

from typing import Any, NamedTuple

import msgspec

from schemas.letter_decision import LetterDecision
from schemas.timestamps import to_rfc3339
from schemas.topics import Header
from stream_processor.sorting import Record

_OURS = frozenset(value for name, value in vars(Header).items() if name.isupper())


class Origin(NamedTuple):
    """Where a letter's record lay in its topic; `element`: in the record's array; `received_at`: microseconds."""

    topic: str
    partition: int
    offset: int
    element: int | None
    received_at: int


class Letter(msgspec.Struct, frozen=True):
    """A letter with what it says of itself. `decision`: what somebody did with it, newest; None: it is open."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    reason: str
    detail: str
    service: str
    key: bytes | None
    value: bytes | None
    origin: Origin | None
    retries: int
    headers: tuple[tuple[str, bytes], ...]
    decision: LetterDecision | None = None

    @property
    def place(self) -> str:
        """How commands name it, within its topic."""
        return f"{self.partition}/{self.offset}"

    @property
    def came_from(self) -> str:
        """topic/partition/offset, and /index where it was one of an array; ? where it does not say."""
        if self.origin is None:
            return "?"
        topic, partition, offset, element, _ = self.origin
        return "/".join(str(part) for part in (topic, partition, offset, element) if part is not None)

    @property
    def status(self) -> str:
        """In a word."""
        return self.decision.action if self.decision else "open"


class Wanted(NamedTuple):
    """Which letters are meant; what is empty or None takes all."""

    reason: str = ""
    service: str = ""
    decided: bool = False
    """Those that somebody has dealt with too."""

    def takes(self, letter: Letter) -> bool:
        """Whether this one is meant."""
        return (
            (self.decided or letter.decision is None)
            and self.reason in ("", letter.reason)
            and self.service in ("", letter.service)
        )


def letter_of(record: Record, decision: LetterDecision | None) -> Letter:
    """The letter of a record; nothing that it holds is trusted to be there or to be well-formed."""
    told = {name: value.decode(errors="replace") for name, value in record.headers if value}
    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp * 1_000,
        reason=told.get(Header.REASON, ""),
        detail=told.get(Header.DETAIL, ""),
        service=_service(record),
        key=record.key,
        value=record.value,
        origin=_origin(told, record.timestamp),
        retries=_number(told.get(Header.RETRIES, "")) or 0,
        headers=tuple((n, v or b"") for n, v in record.headers if n not in _OURS),
        decision=decision,
    )


def as_json(letter: Letter) -> dict[str, Any]:
    """A letter for programs, with its whole value."""
    return {
        "topic": letter.topic,
        "time": to_rfc3339(letter.timestamp),
        "status": letter.status,
        "reason": letter.reason,
        "detail": letter.detail,
        "service": letter.service,
        "origin": letter.came_from,
        "partition": letter.partition,
        "offset": letter.offset,
        "retries": letter.retries,
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers},
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "value": (letter.value or b"").decode(errors="replace"),
        "decision": letter.decision,
    }


def _service(record: Record) -> str:
    """The service that its value names, else its key: producers key events by service."""
    try:
        content = msgspec.json.decode(record.value or b"")
    except (msgspec.DecodeError, ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and isinstance(service := content.get("service"), str):
        return service
    return (record.key or b"").decode(errors="replace")


def _origin(told: dict[str, str], timestamp: int) -> Origin | None:
    partition, offset = _number(told.get(Header.PARTITION, "")), _number(told.get(Header.OFFSET, ""))
    if partition is None or offset is None or Header.TOPIC not in told:
        return None
    received = _number(told.get(Header.TIMESTAMP, ""))
    index = _number(told.get(Header.INDEX, ""))
    return Origin(told[Header.TOPIC], partition, offset, index, (timestamp if received is None else received) * 1_000)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 - 64 bits
