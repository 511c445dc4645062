"""What people say of detection once they know: was an incident one, and was something missed."""

from typing import Final, Literal, get_args

import msgspec

from schemas.lifecycle import Status

Verdict = Literal["true_positive", "noise", "missed"]
"""`true_positive`, something was wrong; `noise`, nothing was; `missed`, something was, and people knew it before."""

VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

GIVEN_WITH: Final[frozenset[Status]] = frozenset({"resolved", "closed"})
"""The statuses with which people are asked for a verdict: those of work that is done. It may be given with any."""


class MissedIncident(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something was wrong with `service` from `start` to `end`, both included, and no incident told of it.

    The record of `ops.missed-incidents`, under its `id`. `start` and `end` are event times and `at`, when it was
    recorded, wall clock, all in microseconds since the epoch.
    """

    id: str
    service: str
    start: int
    end: int
    actor: str
    at: int
    note: str | None = None
