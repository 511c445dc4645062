"""Rows of older workers are read by those of today, and rows of today by older ones."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import encode
from schemas.placement import home_partition
from schemas.status_change import StatusChange
from schemas.topics import DETECTION_CHANGELOG, INCIDENT_STATUS, INCIDENTS
from stream_processor.processor import Processor
from stream_processor.state import supersedes
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows
from tests.support.record_samples import PARTITIONS, rules
from tests.support.state_fields import state_fields
from tests.support.stored_records import stored_files, stored_records

KEPT = Path(__file__).parents[2] / "data" / "state_fields"
RELEASES = sorted(path.stem for path in KEPT.glob("*.json"))
DAY = 86_400 * 1_000_000


class Upgraded:
    """A worker of today on the rows of an older one."""

    def __init__(self, file: str) -> None:
        self.rows, self.publisher = MemoryRows(), MemoryPublisher()
        stored = stored_records(file)
        self.rows.rows = {row.key or b"": row.value for row in stored[DETECTION_CHANGELOG]}
        self.incidents: dict[str, dict[str, Any]] = {}
        for record in stored[INCIDENTS]:
            incident = json.loads(record.value)
            if incident["version"] >= self.incidents.get(incident["key"], incident)["version"]:
                self.incidents[incident["key"]] = incident
        self.processor = Processor(rules(), self.rows, self.publisher, PARTITIONS)
        for partition in range(PARTITIONS):
            self.processor.recovered(partition, self._of(partition), 1_700_000_000_000_000)

    def _of(self, partition: int) -> dict[bytes, bytes]:
        services = {home_partition(f"shop-{n}", PARTITIONS): f"shop-{n}" for n in range(3)}
        assert partition in services
        return self.rows.rows

    def change(self, key: str, to: str) -> dict[str, object]:
        """A person changes an incident; gives its newest version."""
        service, partition = self.incidents[key]["service"], self.incidents[key]["partition"]
        wish = StatusChange("after-upgrade", key, service, to, "ann", 1_700_000_000_000_000)  # type: ignore[arg-type]
        record = LogRecord(99, encode(wish), partition, INCIDENT_STATUS)
        asyncio.run(self.processor.take_status_changes(partition, [record]))
        newest: dict[str, object] = json.loads(self.publisher.to(INCIDENTS)[-1].value or b"")
        return newest


@pytest.mark.parametrize("file", stored_files())
def test_work_on_an_older_incident_goes_on(file: str) -> None:
    """One version further, with all that was known of it before."""
    upgraded = Upgraded(file)
    key, before = next((k, i) for k, i in upgraded.incidents.items() if i["status"] == "resolved")

    after = upgraded.change(key, "closed")

    assert after["status"] == "closed"
    assert after["version"] == before["version"] + 1
    assert after["timeline"][:-1] == before["timeline"]  # type: ignore[index]
    same = {"key", "service", "rule", "event_count", "first_event_at", "last_event_at", "samples"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


@pytest.mark.parametrize("file", stored_files())
def test_the_age_of_older_rows_is_known(file: str) -> None:
    """Of two rows under a key the same one is the newer."""
    for row in stored_records(file)[DETECTION_CHANGELOG]:
        assert not supersedes(row.key or b"", row.value, row.value)


@pytest.mark.parametrize("version", RELEASES)
def test_fields_of_rows_are_only_added_at_their_end(version: str) -> None:
    """Rows are arrays: a field has no name but its place, and older workers look at as many as they know."""
    now = state_fields()
    for name, fields in json.loads((KEPT / f"{version}.json").read_text()).items():
        assert now.get(name, [])[: len(fields)] == fields, f"{name}: {now.get(name)} does not begin with {fields}"
        more = now[name][len(fields) :]
        assert all(field.endswith("?") for field in more), f"{name}: give {more} defaults"


def test_a_release_is_kept_to_compare_with() -> None:
    """Else the test above would hold nothing."""
    assert RELEASES
