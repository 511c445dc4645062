"""Rules of every kind in real processes: each opens its incident, by the log's clock where nobody sends any more."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from deploy.brokers.base import Broker
from schemas.timestamps import MICROSECONDS, to_rfc3339
from tests.support.databases import Databases
from tests.support.pipeline import PROCESSOR, SERVICES, Pipeline, running_pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache_kafka

RULES = """
rules:
- {name: burst, kind: count, match: {services: count-*}, window: 1m, threshold: 3}
- name: error-rate
  kind: rate
  match: {services: rate-*}
  multiple: 3
  floor: 2
  learning_windows: 3
  allowed_lateness: 0s
- name: error-share
  kind: ratio
  match: {services: ratio-*}
  window: 5s
  share: 0.5
  minimum: 4
  allowed_lateness: 1s
- name: new-error
  kind: new-pattern
  match: {services: new-*}
  learning_period: 1h
  allowed_lateness: 1s
- {name: silent, kind: absence, match: {services: gone-*}, window: 20s, threshold: 3, severity_floor: P1}
"""


def sent(service: str, second: float, level: str = "ERROR", message: str = "boom") -> dict[str, Any]:
    """An event so many seconds after a whole minute about three hours ago."""
    start = int(time() - 10_800) // 60 * 60
    at = to_rfc3339(round((start + second) * MICROSECONDS))
    return {"service": service, "level": level, "message": message, "timestamp": at}


def events() -> Iterator[dict[str, Any]]:
    """What opens one incident of each rule."""
    yield from (sent("count-a", second) for second in range(3))
    yield from (sent("rate-a", 60.0 * minute) for minute in range(5))
    yield from (sent("rate-a", 300 + second) for second in range(4))
    yield from (sent("ratio-a", second / 2, "ERROR" if second % 2 else "INFO") for second in range(6))
    yield sent("new-a", 0, "INFO", "started")
    yield sent("new-a", 60, message="order 17 refused")
    yield sent("new-a", 7_200, message="order 18 refused")
    yield sent("new-a", 7_201, message="disk 3 of 10.0.0.7 is gone")
    yield from (sent("gone-a", second, "INFO") for second in range(3))


def test_each_kind_opens_its_incident(broker: Broker, databases: Databases, tmp_path: Path) -> None:
    """Three at once, two and the silence by ticks that the processor writes, killed and started again on the way."""
    (tmp_path / "rules.yaml").write_text(RULES)
    with running_pipeline(
        broker, databases.create(), tmp_path, *SERVICES, RULES=str(tmp_path / "rules.yaml")
    ) as running:
        send(running, tmp_path, list(events()))
        wait_until(lambda: {"burst", "error-rate"} <= found(running).keys(), timeout=60, what="what is decided at once")
        running.kill(PROCESSOR)
        running.start(PROCESSOR)
        wait_until(lambda: len(found(running)) == 5, timeout=90, what="an incident of each rule")

        assert {rule: (i["service"], i["event_count"], i["status"]) for rule, i in found(running).items()} == {
            "burst": ("count-a", 3, "open"),
            "error-rate": ("rate-a", 4, "open"),
            "error-share": ("ratio-a", 3, "open"),
            "new-error": ("new-a", 1, "open"),
            "silent": ("gone-a", 1, "open"),
        }
        send(running, tmp_path, [sent("gone-a", 100, "INFO")])
        wait_until(lambda: found(running)["silent"]["status"] == "resolved", timeout=30, what="heard again")
        assert len(running.incidents()) == 5
        assert reason_of(running, "silent").startswith("nothing from gone-a for 20s after ")
        assert 'reason="dead_lettered"' not in metrics(running), "a tick is a record of no events"
        assert running.count("SELECT count(*) FROM events") == len(list(events())) + 1


def send(running: Pipeline, folder: Path, members: list[dict[str, Any]]) -> None:
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in members))
    running.command("send", str(file), "--url", running.url)


def found(running: Pipeline) -> dict[str, dict[str, Any]]:
    return {incident["rule"]: incident for incident in running.incidents()}


def reason_of(running: Pipeline, rule: str) -> str:
    incident = running.http.get(f"/api/v1/incidents/{found(running)[rule]['id']}").json()
    opened: str = incident["timeline"][0]["reason"]
    return opened


def metrics(running: Pipeline) -> str:
    return httpx.get(f"http://127.0.0.1:{running.ports[PROCESSOR]}/metrics").text
