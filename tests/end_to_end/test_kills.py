"""Every process is killed once in the middle of the data: nothing acknowledged is lost, no incident is doubled."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from tests.support.databases import Databases
from tests.support.oracle import DATA, in_seconds, incidents_of, read_events
from tests.support.pipeline import SERVICES, Pipeline, running_pipeline
from tests.support.view import found, linked, mine, stored
from tests.support.waiting import wait_until

PREFIX = "killed-"
PROGRESS = 2_000
"""Events that must have come through between one kill and the next."""


@pytest.fixture(scope="module")
def pipeline(broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The whole pipeline on a broker of its own, so that the broker may be killed too."""
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("state dir")) as running:
        yield running


@pytest.mark.apache_kafka
def test_killing_each_process_once_changes_nothing(pipeline: Pipeline, broker: ApacheKafka) -> None:
    """SIGKILL of the broker, the HTTP services, the processor, the materializer and the analyzer while data flows."""
    events = read_events(DATA[0])
    expected = incidents_of((PREFIX + service, level, seconds) for service, level, seconds in map(in_seconds, events))

    with sending(pipeline, DATA[0]) as sender:
        for victim in (*SERVICES, "the broker"):
            wait_until(progress_from(pipeline), timeout=120, what=f"progress before killing {victim}")
            assert sender.poll() is None, f"the data was through before {victim} was killed"
            if victim == "the broker":
                broker.kill()
                broker.start()
            else:
                pipeline.kill(victim)
                pipeline.start(victim)
        sent, _ = sender.communicate(timeout=240)

    assert json.loads(sent)["accepted"] == len(events)
    wait_until(lambda: stored(pipeline, PREFIX) == len(events), timeout=120, what="every event in the view")
    wait_until(lambda: found(pipeline, PREFIX) == expected, timeout=120, what="the incidents of an undisturbed run")
    members = sum(incident["event_count"] for incident in mine(pipeline, PREFIX))
    wait_until(lambda: linked(pipeline, PREFIX) == members, timeout=60, what="each event under its incident")
    assert all(incident["status"] != "closed" for incident in mine(pipeline, PREFIX))


def sending(pipeline: Pipeline, file: Path) -> subprocess.Popen[str]:
    """Sends a file over HTTP at four hundred times its recorded speed, which takes about a minute."""
    return pipeline.background_command(
        "send", str(file), "--speed", "400", "--service-prefix", PREFIX, "--json", "--url", pipeline.url
    )


def progress_from(pipeline: Pipeline) -> Callable[[], bool]:
    before = stored(pipeline, PREFIX)
    return lambda: stored(pipeline, PREFIX) >= before + PROGRESS
