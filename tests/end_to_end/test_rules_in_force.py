"""RULES reaches the detection: the rules of the files, and only they, open incidents."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.brokers.base import Broker
from tests.support.brokers import EMBEDDED
from tests.support.databases import Databases
from tests.support.pipeline import PROCESSOR, SERVICES, Pipeline, running_pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize(
    "broker", [pytest.param(EMBEDDED, marks=pytest.mark.embedded_broker)], indirect=True, scope="module"
)

RULES = """
rules:
- name: slow-payments
  kind: count
  match: {levels: [warning], services: "payment-*", attributes: {region: eu-1}, message: "(?i)timed? *out"}
  window: 1m
  threshold: 2
  severity_floor: P1
"""


def test_the_rules_of_the_file_are_in_force(broker: Broker, databases: Databases, tmp_path: Path) -> None:
    """An incident of the file's rule with its floor; what the default rule would count opens nothing."""
    (tmp_path / "rules.yaml").write_text(RULES)
    slow = {"level": "WARNING", "message": "Timed out", "attributes": {"region": "eu-1"}}
    events = [
        *({"service": "payment-api", **slow} for _ in range(3)),
        *({"service": "search", **slow} for _ in range(4)),
        *({"service": "payment-api", "level": "ERROR", "message": "boom"} for _ in range(5)),
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))

    with running_pipeline(
        broker, databases.create(), tmp_path, *SERVICES, RULES=str(tmp_path / "rules.yaml")
    ) as running:
        running.command("send", str(file), "--url", running.url)

        def ledger() -> str:
            return httpx.get(f"http://127.0.0.1:{running.ports[PROCESSOR]}/metrics").text

        wait_until(lambda: 'events_total{reason="below_level"} 5.0' in ledger(), timeout=60, what="all events decided")
        assert 'events_total{reason="no_rule"} 4.0' in ledger()
        found = wait_until(lambda: [i for i in running.incidents() if i["severity"]], timeout=60, what="an analysis")
        wait_until(lambda: explained(running, "search")["events"] == 4, what="all events in the view")
        active, silent = explained(running, "payment-api"), explained(running, "search")
        shown = json.loads(running.command("explain", "search", "--url", running.url, "--json"))
        table = running.command("explain", "payment-api", "--url", running.url)
        unknown = running.http.get("/api/v1/services/nobody/explain")
        in_force = httpx.get(f"http://127.0.0.1:{running.ports[PROCESSOR]}/rules").json()
        paths = running.http.get("/openapi.json").json()["paths"]

    assert [(i["service"], i["rule"], i["event_count"], i["severity"]) for i in found] == [
        ("payment-api", "slow-payments", 3, "P1")
    ]
    [rule] = active["rules"]
    incident = rule["incident"]
    assert (incident["id"], incident["key"], incident["event_count"]) == (found[0]["id"], found[0]["key"], 3)
    assert (rule["reasons"], rule["count"]) == ({"attached": 1, "below_level": 5, "opened": 1, "qualified": 1}, 3)
    assert "3 of 2" in table
    [rule] = silent["rules"]
    assert (rule["reasons"], rule["count"], rule["incident"]) == ({"no_rule": 4}, 0, None)
    assert shown["rules"][0]["reasons"] == {"no_rule": 4}
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "No event of service nobody is known")
    assert active["rules_fingerprint"] == in_force["fingerprint"]
    assert "/api/v1/services/{service}/explain" in paths


def explained(running: Pipeline, service: str) -> dict[str, Any]:
    """The detection's view of a service as of now."""
    answer = running.http.get(f"/api/v1/services/{service}/explain")
    found: dict[str, Any] = answer.json()
    return found if answer.is_success else {"events": 0}
