"""A status change made by a person: the record of `ops.incident-status`, keyed by service (CONTRACT 7)."""

import msgspec

from schemas.lifecycle import Status
from schemas.verdict import Verdict


class StatusChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at` is in microseconds since the epoch; `change_id` makes a redelivery recognisable.

    `verdict`: what it turned out to be; with the present status it changes nothing else.
    """

    change_id: str
    incident_key: str
    service: str
    to_status: Status
    actor: str
    at: int
    note: str | None = None
    verdict: Verdict | None = None
