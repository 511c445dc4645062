"""`ops-assist topics` on real brokers: made, changed and found as declared."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.brokers.base import Broker
from runtime.settings import Settings
from schemas.topics import EVENTS, TOPICS
from tests.support.brokers import both_brokers
from tests.support.waiting import eventually

pytestmark = both_brokers


class Topics:
    """The command on a broker, with a file of topics."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self._settings = settings
        self.file = file

    def run(self, *arguments: str) -> tuple[int, str, str]:
        address = self._settings.kafka_bootstrap_servers
        done = subprocess.run(
            [sys.executable, "-m", "ops_assist", "topics", *arguments, "--bootstrap-servers", address],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr

    def plan(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and steps."""
        code, printed, said = self.run("plan", "--exit-code", "--json", "--file", str(self.file))
        assert printed, said
        steps: list[dict[str, Any]] = json.loads(printed)
        return code, steps

    def apply(self) -> tuple[int, str, str]:
        return self.run("apply", "--yes", "--file", str(self.file))


async def test_topics_become_as_declared_and_partitions_are_left_alone(
    broker: Broker, broker_settings: Settings, tmp_path: Path
) -> None:
    """From an empty cluster to no drift, a setting changed and others kept, another number of partitions refused."""
    topics = Topics(broker_settings, tmp_path / "topics.yaml")
    topics.file.write_text("partitions: 3\ntopics:\n  ops.events: {segment.bytes: 2000000}\n")
    code, steps = topics.plan()
    assert (code, [step["kind"] for step in steps]) == (2, ["create"] * len(TOPICS))
    assert topics.apply()[0] == 0

    async def as_declared() -> bool:
        return topics.plan() == (0, [])

    await eventually(as_declared, what="no drift after the topics were made")

    if broker.supports_idempotence:  # Apache Kafka; the embedded broker keeps no settings
        topics.file.write_text("partitions: 3\ntopics:\n  ops.events: {retention.ms: 3600000}\n")
        code, (step,) = topics.plan()
        assert (code, step["kind"], step["changes"]) == (2, "alter", {"retention.ms": "3600000"})
        assert topics.apply()[0] == 0
        await eventually(as_declared, what="no drift after a setting was changed")
        topics.file.write_text(
            "partitions: 3\ntopics:\n  ops.events: {retention.ms: 3600000, segment.bytes: 2000000}\n"
        )
        assert topics.plan() == (0, [])  # what was set before was not forgotten

    topics.file.write_text(topics.file.read_text().replace("partitions: 3", "partitions: 6"))
    code, (step,) = topics.plan()
    assert (code, step["kind"], step["topic"]) == (2, "refused", EVENTS)
    code, _, said = topics.apply()
    assert (code, said.strip()) == (1, f"ops-assist: refused: {EVENTS}; the plan says what to do instead")
