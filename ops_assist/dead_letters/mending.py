"""What a retry of a dead letter sends: the same events, under the same ids however often it is retried."""

from typing import Final, NamedTuple

import msgspec

from ops_assist.dead_letters.letters import Letter
from schemas.codec import Place, UnreadableRecord, decode_events, pack_events
from schemas.event import Event, InvalidEvent
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, PACK_BYTES, Header
from stream_processor.outgoing import Outgoing

MOST_RETRIES: Final = 5
"""A letter that came back as often as this is no matter of trying again."""


class Refused(NamedTuple):
    """Why nothing is sent."""

    why: str


def mended(letter: Letter, partitions: int, value: bytes | None = None) -> list[Outgoing] | Refused:
    """The records for `ops.events`, which has `partitions`; `value`: a corrected one in place of the letter's.

    An event without an id gets one made of where it came from, so that a retry that is repeated counts once.
    """
    if letter.topic != EVENTS_DLQ:
        return Refused("a late event would be late again")
    if letter.origin is not None and letter.origin.topic != EVENTS:
        return Refused(f"it came from {letter.origin.topic}, not from {EVENTS}")
    if letter.retries >= MOST_RETRIES:
        return Refused(f"it came back {letter.retries} times")
    try:
        events = _events(letter, letter.value if value is None else value)
    except (UnreadableRecord, InvalidEvent) as fault:
        return Refused(f"still {'unreadable' if isinstance(fault, UnreadableRecord) else 'invalid'}: {fault}")
    if not events:
        return Refused("it holds no event")
    headers = [*letter.headers, (Header.RETRIES, str(letter.retries + 1).encode())]
    return [
        Outgoing(EVENTS, home_partition(service, partitions), service.encode(), packed, headers)
        for service, members in events.items()
        for packed in pack_events(members, PACK_BYTES)
    ]


def _events(letter: Letter, value: bytes | None) -> dict[str, list[Event]]:
    place, first = _place(letter)
    found: dict[str, list[Event]] = {}
    for index, event in decode_events(value, place):
        if isinstance(event, InvalidEvent):
            raise event
        if event.id == place.event_id(index):
            event = msgspec.structs.replace(event, id=place.event_id(first + index))  # noqa: PLW2901 - the same event
        found.setdefault(event.service, []).append(event)
    return found


def _place(letter: Letter) -> tuple[Place, int]:
    """Where ids are made of: apart from the ids of the record's events that were good, and of this letter's twins."""
    if letter.origin is None:
        return Place(letter.topic, letter.partition, letter.offset, letter.timestamp), 0
    topic, partition, offset, index, received_at = letter.origin
    return Place(f"{topic}#dead", partition, offset, received_at), index or 0
