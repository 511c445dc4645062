"""What came between events, and where: the changes of people, and incidents that were seen to fall quiet.

A timeline says after which record of the partition each of them was decided (`schemas.incident.Change.after`), so a
backtest can decide it at the same place.
"""

from collections.abc import Iterable

import msgspec

from schemas.incident import Change
from schemas.status_change import StatusChange


class Input(msgspec.Struct, frozen=True):
    """Something that came after the record at `after`. `change`: a person's; None: the wall clock had come to `at`."""

    after: int
    at: int
    service: str
    change: StatusChange | None = None


def inputs_of(key: str, service: str, timeline: Iterable[Change]) -> list[Input]:
    """What a timeline tells, in its order; what was refused led to nothing.

    Entries that were written before places were kept have none, and are left out.
    """
    found = []
    for entry in timeline:
        if entry.after is None:
            continue
        if entry.what == "quiet":
            found.append(Input(entry.after, entry.at, service))
        elif entry.what == "status_changed" and entry.change_id and entry.to_status:
            change = StatusChange(entry.change_id, key, service, entry.to_status, entry.actor, entry.at, entry.note)
            found.append(Input(entry.after, entry.at, service, change))
    return found


def in_order(inputs: Iterable[Input]) -> list[Input]:
    """By place, and at one place by the wall clock."""
    return sorted(inputs, key=lambda one: (one.after, one.at))
