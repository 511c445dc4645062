"""The pipeline as a person runs it: `up`, six incidents, commands, Ctrl-C; on both brokers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from tests.support.up_process import UpProcess, assert_gone
from tests.support.waiting import wait_until

EXPECTED = {
    "user-service": ("database_issue", "P1"),
    "api-gateway": (None, "P2"),
    "analytics-worker": ("memory_issue", "P1"),
    "auth-service": ("authentication_issue", "P2"),
    "public-api": ("rate_limiting", "P3"),
    "storage-service": ("disk_issue", "P1"),
}

BROKERS = [
    pytest.param("kafka", marks=pytest.mark.apache_kafka),
    pytest.param("embedded", marks=pytest.mark.embedded_broker),
]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=BROKERS)
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    """A running pipeline, one a broker, in a directory with a space in its name."""
    broker: str = request.param
    if broker == "kafka" and (reason := ApacheKafka.available()):
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"Apache Kafka cannot be run here: {reason}")
    process = UpProcess(tmp_path_factory.mktemp("end to end") / "the state", BROKER=broker)
    process.start()
    yield process
    if process.running.poll() is None:
        process.stop()


def _incidents(up: UpProcess) -> dict[str, dict[str, Any]]:
    return {incident["service"]: incident for incident in up.get("/api/v1/incidents")}


def test_it_says_where_everything_is(up: UpProcess) -> None:
    """The ready line is exactly so, and the API, its documents and the dashboard answer there."""
    http, dashboard = up.ports["HTTP"], up.ports["DASHBOARD"]
    lines = up.text.splitlines()
    assert f"ready: http://localhost:{http} (docs at /docs), dashboard http://localhost:{dashboard}" in lines
    assert up.get("/readyz") == {"status": "ready", "reasons": {}}
    assert set(up.get("/openapi.json")["paths"]["/api/v1/events"]) == {"get", "post"}


def test_six_incidents_come_out(up: UpProcess) -> None:
    """create_incidents.sh makes exactly those of the contract, with their severities."""
    done = up.create_incidents()
    assert done.returncode == 0, done.stdout + done.stderr
    found = _incidents(up)
    assert set(found) == set(EXPECTED)
    for service, (category, severity) in EXPECTED.items():
        assert found[service]["severity"] == severity
        assert category in (None, found[service]["category"])
        assert service in done.stdout


def test_a_second_run_adds_to_what_is_open_and_opens_anew_what_was_resolved(up: UpProcess) -> None:
    """The incident of a service that was resolved stays as it is, and its successor links back to it."""
    before = _incidents(up)
    resolved = before["public-api"]["id"]
    changed = up.command("incidents", "set", str(resolved), "resolved", "--note", "limits raised")
    assert changed.returncode == 0, changed.stderr
    wait_until(
        lambda: any(change.get("to") == "resolved" for change in up.get(f"/api/v1/incidents/{resolved}")["timeline"]),
        what="the processor's answer to the status change",
    )
    done = up.create_incidents()
    assert done.returncode == 0, done.stdout + done.stderr
    after = {incident["id"]: incident for incident in up.get("/api/v1/incidents")}
    assert len(after) == len(EXPECTED) + 1
    newest = max(after)
    assert up.get(f"/api/v1/incidents/{newest}")["previous_incident_id"] == resolved
    assert after[resolved]["event_count"] == before["public-api"]["event_count"]
    opened = before["user-service"]
    assert after[opened["id"]]["event_count"] == 2 * opened["event_count"]


def test_a_file_is_sent_both_ways(up: UpProcess, tmp_path: Path) -> None:
    """Over HTTP and straight to Kafka the same file gives the same incidents."""
    events = [
        {"service": f"s{number % 3}", "level": "ERROR", "message": f"boom {number}", "timestamp": f"{minute}:00Z"}
        for number in range(30)
        if (minute := f"2024-05-01T10:{number // 3:02}")
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    for via in ("http", "kafka"):
        done = up.command("send", str(path), "--via", via, "--service-prefix", f"{via}-", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["accepted"] == len(events)

    def counts(via: str) -> dict[str, int]:
        return {f"s{n}": _incidents(up).get(f"{via}-s{n}", {}).get("event_count", 0) for n in range(3)}

    for via in ("http", "kafka"):
        wait_until(lambda via=via: counts(via) == {"s0": 10, "s1": 10, "s2": 10}, what=f"the incidents via {via}")  # type: ignore[misc]


@pytest.mark.parametrize("client", [(sys.executable, "older_client.py"), ("sh", "older_client.sh")], ids=" ".join)
def test_clients_of_the_older_system_run_unchanged(up: UpProcess, client: tuple[str, str]) -> None:
    """The Python and curl snippets of the older system's users: a bare list, small ids, the same sentences."""
    program, script = client
    done = subprocess.run(
        [program, Path(__file__).with_name(script), up.url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_view_is_rebuilt_while_the_pipeline_runs(up: UpProcess) -> None:
    """`rebuild-view` finds the database of `up`, shows how far it is, and every incident has its id again."""
    before = {incident["key"]: incident["id"] for incident in up.get("/api/v1/incidents?limit=1000")}
    done = up.command("rebuild-view", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["by_running_materializer"]
    assert "filling the view: " in done.stderr
    assert {incident["key"]: incident["id"] for incident in up.get("/api/v1/incidents?limit=1000")} == before


@pytest.mark.parametrize("arguments", [("lag",), ("topics",), ("incidents", "list"), ("dlq", "list")])
def test_commands_find_the_running_pipeline(up: UpProcess, arguments: tuple[str, ...]) -> None:
    """With no more than the same settings; as a table and as JSON."""
    table, as_json = up.command(*arguments), up.command(*arguments, "--json")
    assert (table.returncode, as_json.returncode) == (0, 0), table.stderr + as_json.stderr
    assert isinstance(json.loads(as_json.stdout), list)


def test_nothing_was_warned_of(up: UpProcess) -> None:
    """Ordinary work makes no noise on the screen."""
    lines = up.text.splitlines()
    ready = next(index for index, line in enumerate(lines) if line.startswith("ready: "))
    assert lines[ready + 2 :] == []


def test_a_signal_ends_it_all(up: UpProcess) -> None:
    """Exit code 0, no process, no port."""
    family = up.family()
    up.running.send_signal(signal.SIGINT)
    assert up.running.wait(40) == 0
    assert_gone(up, family)


def test_a_killed_up_starts_again(up: UpProcess) -> None:
    """SIGKILL of `up` takes everything with it; the next start works, with the data that its broker keeps."""
    up.start()
    before = _incidents(up)
    up.running.kill()
    up.running.wait(10)
    up.start()
    assert _incidents(up) == before
    assert bool(before) == (up.environment["BROKER"] == "kafka")
    done = up.create_incidents()
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_crash_of_a_service_ends_it_all(up: UpProcess) -> None:
    """Exit code 1 and one line that says which, how, and where its log is."""
    family = up.family()
    up.service("analyzer_worker").kill()
    assert up.running.wait(40) == 1
    assert_gone(up, family)
    faults = [line for line in up.text.splitlines() if line.startswith("ops-assist: ")]
    log = up.state_dir.resolve() / "logs" / "analyzer_worker.log"
    assert faults == [f"ops-assist: analyzer_worker was killed by SIGKILL; its log is {log}"]
