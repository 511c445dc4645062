"""Incidents and what was read of them, for tests of the evidence."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from analyzer_worker.evidence.material import Material
from analyzer_worker.evidence.surroundings import Neighbour, PastIncident, Resolution, Surroundings
from analyzer_worker.verdict import Sample
from schemas.incident import Incident, MinuteCount

SECOND = 1_000_000
MINUTE = 60 * SECOND


def incident(**changes: Any) -> Incident:
    """Five events of checkout."""
    five = Incident(
        "k", 1, "checkout", "error-burst", "open", 5, 0, 42 * SECOND, 0, 0, 5, 300 * SECOND,
        "5 events of checkout within 300 s", 0, [], [], minutes=[MinuteCount(0, {"ERROR": 5, "INFO": 2})],
    )  # fmt: skip
    return msgspec.structs.replace(five, **changes)


def sample(text: str, number: int = 0, **changes: Any) -> Sample:
    """An event, `number` seconds after the first."""
    return msgspec.structs.replace(Sample(f"id-{number}", "ERROR", text, number * SECOND), **changes)


def material(
    *texts: str,
    of: Incident | None = None,
    samples: Sequence[Sample] | None = None,
    drawn: Sequence[Sample] | None = None,
    surrounded_by: str | None = None,
) -> Material:
    """Events with these texts, all that were read; `surrounded_by` is the text of everything around them."""
    events = [sample(text, number) for number, text in enumerate(texts)] if samples is None else samples
    of = of or incident(event_count=len(events))
    return Material(of, events, drawn, surroundings=_around(surrounded_by) if surrounded_by else Surroundings())


def _around(text: str) -> Surroundings:
    opened = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    neighbours = [Neighbour(f"n{n}", f"{chr(97 + n)} {text}", "network_issue", "P2", opened, 7) for n in range(10)]
    past = PastIncident(text, "database_issue", text, 0.9, Resolution("ada", text))
    return Surroundings(neighbours, [past] * 3)
