"""A naive, independent answer to "which incidents should there be?": all events sorted, brute force."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

DATA = sorted((Path(__file__).parents[1] / "data").glob("*.jsonl.gz"))
"""The real logs; see tests/data/README.md."""

Found = tuple[str, int, float, float]
"""Service, event count, first and last event time in seconds."""


def incidents_of(
    events: Iterable[tuple[str, str, float]], threshold: int = 5, window: float = 300, quiet: float = 3600
) -> list[Found]:
    """The incidents of (service, level, seconds) events: `quiet` 0 means never."""
    times: dict[str, list[float]] = defaultdict(list)
    for service, level, seconds in events:
        if level in ("ERROR", "CRITICAL", "FATAL"):
            times[service].append(seconds)
    found: list[Found] = []
    for service, moments in times.items():
        members: list[float] = []
        waiting: list[float] = []
        for moment in sorted(moments):
            if members and quiet and moment - members[-1] > quiet:
                found.append((service, len(members), members[0], members[-1]))
                members = []
            if members:
                members.append(moment)
                continue
            waiting = [other for other in waiting if moment - other <= window] + [moment]
            if len(waiting) >= threshold:
                members, waiting = waiting, []
        if members:
            found.append((service, len(members), members[0], members[-1]))
    return sorted(found)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a gzipped JSONL file."""
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def in_seconds(event: dict[str, Any]) -> tuple[str, str, float]:
    """What the oracle needs of an event."""
    return event["service"], event["level"], datetime.fromisoformat(event["timestamp"]).timestamp()
