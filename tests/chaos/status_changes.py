"""What people do to incidents between the halves: chosen in the calm run, repeated in the stormy one."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx

from tests.support.pipeline import Pipeline

_SHARE: Final = 0.15
_SECONDS: Final = 60.0
_NEXT: Final = {
    "open": ("investigating", "resolved", "closed"),
    "investigating": ("resolved", "closed"),
    "resolved": ("investigating", "open", "closed"),
}


class Change(NamedTuple):
    """A person's wish."""

    key: str
    status: str
    note: str


def choose_changes(chance: random.Random, incidents: Mapping[str, dict[str, Any]]) -> list[Change]:
    """Wishes for some of the incidents, by their present statuses; some will be refused."""
    open_to_change = sorted(
        key for key, incident in incidents.items() if not incident["merged_into"] and incident["status"] in _NEXT
    )
    chosen = [key for key in open_to_change if chance.random() < _SHARE]
    return [Change(key, chance.choice(_NEXT[incidents[key]["status"]]), f"note on {key}") for key in chosen]


def apply_changes(pipeline: Pipeline, changes: list[Change], after_each: Callable[[Change], None]) -> None:
    """Send the wishes one after the other."""
    for change in changes:
        number = pipeline.count("SELECT id FROM incidents WHERE key = $1", change.key)
        _patch(pipeline.http, number, change)
        after_each(change)


def _patch(client: httpx.Client, number: int, change: Change) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        answer = client.patch(f"/api/v1/incidents/{number}/status", json={"status": change.status, "note": change.note})
        # A front door that was killed may still be on its way to the database.
        if answer.status_code != 503 or time.monotonic() > deadline:
            break
    assert answer.status_code == 200, f"{change}: {answer.status_code} {answer.text}"
