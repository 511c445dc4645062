"""Real logs through the whole pipeline, over both ways in, on both brokers: the incidents that an oracle counts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.brokers.base import Broker
from tests.support.brokers import both_brokers
from tests.support.databases import Databases
from tests.support.oracle import DATA, in_seconds, incidents_of, read_events
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.view import found, linked, mine, stored
from tests.support.waiting import wait_until

pytestmark = both_brokers


@pytest.fixture(scope="module")
def pipeline(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The whole pipeline on the module's broker."""
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("state dir")) as running:
        yield running


@pytest.mark.parametrize("file", DATA, ids=lambda file: file.name)
@pytest.mark.parametrize("way", ["http", "kafka"])
def test_real_logs_give_the_incidents_of_the_oracle(pipeline: Pipeline, file: Path, way: str) -> None:
    """Same services, counts, first and last event times; and every event can be read back."""
    events = read_events(file)
    prefix = f"{way}-"
    expected = incidents_of((prefix + service, level, seconds) for service, level, seconds in map(in_seconds, events))

    sent = pipeline.command("send", str(file), "--via", way, "--service-prefix", prefix, "--json", *target(pipeline))

    assert json.loads(sent)["accepted"] == len(events)
    wait_until(lambda: found(pipeline, prefix) == expected, timeout=180, what=f"{len(expected)} incidents")
    wait_until(lambda: stored(pipeline, prefix) == len(events), timeout=180, what="all events to read")
    members = sum(incident["event_count"] for incident in mine(pipeline, prefix))
    wait_until(lambda: linked(pipeline, prefix) == members, timeout=60, what="each event under its incident")


def test_the_rules_say_something_about_each_incident(pipeline: Pipeline) -> None:
    """No incident stays without an analysis, and none was held up for it."""
    incidents = wait_until(lambda: all_analysed(pipeline), timeout=60, what="an analysis of each incident")

    for incident in incidents:
        assert incident["summary"]
        assert incident["severity"] in ("P1", "P2", "P3")
        assert incident["recommended_actions"]


def target(pipeline: Pipeline) -> tuple[str, str]:
    return ("--url", pipeline.url)


def all_analysed(pipeline: Pipeline) -> list[dict[str, Any]]:
    incidents = pipeline.incidents()
    return incidents if all(incident["analysis_status"] == "done" for incident in incidents) else []
