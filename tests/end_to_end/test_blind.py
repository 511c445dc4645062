"""The canary: incidents of the pipeline's own come, are in no list, and when they do not come it is told."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.brokers.base import Broker
from ops_assist.output import safe
from schemas.canary import PREFIX
from tests.support.brokers import APACHE_KAFKA
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, PROCESSOR, SERVICES, Pipeline, running_pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("broker", [APACHE_KAFKA], indirect=True, scope="module")

_SHOP = [{"service": "shop", "level": "ERROR", "message": f"payment {number} failed"} for number in range(5)]


def sight(running: Pipeline) -> dict[str, Any]:
    """What the pipeline says of whether it sees."""
    found: dict[str, Any] = running.http.get("/api/v1/pipeline").json()["visibility"]
    return found


def sight_when(running: Pipeline, *, blind: bool) -> dict[str, Any]:
    """The same once it is so, else nothing."""
    found = sight(running)
    return found if found["blind"] is blind else {}


def blind_gauge(running: Pipeline) -> str:
    """The line of the alarm's metric."""
    lines = running.http.get("/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("ops_api_blind "))


def test_blindness_is_told_and_ends(broker: Broker, databases: Databases, tmp_path: Path) -> None:
    """A frozen processor makes the pipeline blind, and the answer says where it stopped; thawed, it sees again."""
    with running_pipeline(broker, databases.create(), tmp_path, *SERVICES, CANARY_INTERVAL="5") as running:
        wait_until(lambda: sight(running)["canary"]["incidents"] >= 6, timeout=60, what="two incidents of each canary")
        seeing = sight(running)
        running.freeze(PROCESSOR)
        blind = wait_until(lambda: sight_when(running, blind=True), timeout=60, what="blindness")
        wait_until(lambda: blind_gauge(running).endswith(" 1.0"), timeout=30, what="the metric")
        told = running.command("lag", "--url", running.url)
        running.thaw(PROCESSOR)
        again = wait_until(lambda: sight_when(running, blind=False), timeout=60, what="sight again")
        running.http.post("/api/v1/events/batch", json=_SHOP)
        (incident,) = wait_until(running.incidents, timeout=60, what="a real incident")
        wait_until(lambda: sight(running)["incidents"]["incidents"], timeout=30, what="the latency of it")
        services = running.http.get("/api/v1/services").json()
        refused = running.http.post("/api/v1/events", json=_SHOP[0] | {"service": f"{PREFIX}-0"})
        accepted = httpx.get(f"http://127.0.0.1:{running.ports[FRONT_DOOR]}/metrics").text
        opened = httpx.get(f"http://127.0.0.1:{running.ports[PROCESSOR]}/metrics").text

    assert seeing["blind"] is False
    assert seeing["canary"]["p99"] < 30
    assert (blind["stopped_at"], blind["blind_partitions"]) == ("detection", [0, 1, 2])
    assert "stream_processor: no answer" in blind["reason"]
    assert safe(blind["reason"]).split(" for ")[0] in told
    assert (again["blind"], again["reason"], again["blind_partitions"]) == (False, None, [])
    assert (incident["id"], incident["service"]) == (1, "shop")
    assert [service["service"] for service in services] == ["shop"]
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "service"
    assert 'ops_gateway_events_accepted_total{route="/api/v1/events/batch"} 5.0' in accepted
    assert 'ops_processor_incidents_opened_total{rule="error-burst"} 1.0' in opened
    assert "ops-assist.canary" not in opened
