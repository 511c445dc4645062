"""Rules that change while the processor runs, and topics that change under its state; the tests run in this order."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client.parser import text_string_to_metric_families

from deploy.brokers.apache_kafka import ApacheKafka
from runtime.kafka import TopicsUnsuitable, ensure_topics, topic_configs
from runtime.settings import Settings
from schemas.codec import decode_incident, encode
from schemas.placement import home_partition
from schemas.topics import DETECTION_CHANGELOG, EVENTS, INCIDENTS, TOPICS
from stream_processor.layout import check_layout
from tests.support.databases import Databases
from tests.support.pipeline import PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import admin_client, end_offset, producer, read
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache_kafka

PARTITIONS: Final = 3
RULE: Final = "- {name: %s, kind: count, match: {services: %s}, window: 5m, threshold: %d}\n"


def rules(**thresholds: int) -> str:
    """Rules that count errors of the service of their name."""
    return "rules:\n" + "".join(RULE % (name, name, threshold) for name, threshold in thresholds.items())


class Watched:
    """A processor whose rule file is changed."""

    def __init__(self, pipeline: Pipeline, settings: Settings, file: Path) -> None:
        self.pipeline = pipeline
        self.settings = settings
        self.file = file
        self.sent = 0
        self.counted_before = 0
        """Events that an earlier process has counted."""

    def write(self, text: str) -> None:
        """Replace the file at once, as an editor or a deployment does."""
        passing = self.file.with_suffix(".new")
        passing.write_text(text)
        passing.replace(self.file)

    async def send(self, service: str, count: int) -> None:
        """Send errors and wait until each has its reason."""
        async with producer(self.settings) as client:
            for _ in range(count):
                self.sent += 1
                event = {"service": service, "level": "ERROR", "message": "boom", "id": f"e{self.sent}"}
                await client.send(EVENTS, encode(event), partition=home_partition(service, PARTITIONS))
        expected = self.sent - self.counted_before
        wait_until(
            lambda: sum(self.metrics("ops_processor_events").values()) == expected, what=f"{expected} events decided"
        )

    def rules(self) -> dict[str, Any]:
        """What /rules answers."""
        page: dict[str, Any] = self._get("/rules").json()
        return page

    def metrics(self, family: str) -> dict[str, int]:
        """The samples of a metric by their first label, those that are not 0."""
        found = {f.name: f for f in text_string_to_metric_families(self._get("/metrics").text)}[family]
        samples = [sample for sample in found.samples if not sample.name.endswith("_created")]
        return {next(iter(s.labels.values()), ""): int(s.value) for s in samples if s.value}

    async def counts(self) -> dict[str, int]:
        """The number of events of each service's incident, by the newest versions."""
        newest: dict[str, int] = {}
        for partition in range(PARTITIONS):
            end = await end_offset(self.settings, INCIDENTS, partition)
            for record in await read(self.settings, INCIDENTS, end, partition=partition) if end else []:
                incident = decode_incident(record.value or b"")
                newest[incident.service] = incident.event_count
        return newest

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.pipeline.ports[PROCESSOR]}{path}")


@pytest.fixture
def watched(broker: ApacheKafka, kafka_settings: Settings, databases: Databases, tmp_path: Path) -> Iterator[Watched]:
    """A processor with its state on disk and two rules."""
    file = tmp_path / "rules.yaml"
    file.write_text(rules(kept=5, changing=10))
    with running_pipeline(
        broker, databases.create(), tmp_path, PROCESSOR, RULES=str(file), STATE_STORE="disk"
    ) as pipeline:
        yield Watched(pipeline, kafka_settings, file)


async def test_rules_change_while_events_are_counted(watched: Watched) -> None:
    """Another threshold, a new rule, a broken file, a mended one: each event counts once, and no count begins anew."""
    await watched.send("kept", 4)
    await watched.send("changing", 4)
    assert watched.metrics("ops_processor_events") == {"qualified": 8}

    watched.write(rules(kept=5, changing=5, added=2))
    wait_until(lambda: len(watched.rules()["rules"]) == 3, what="the new rules in force")
    for service, count in (("kept", 1), ("changing", 1), ("added", 2)):
        await watched.send(service, count)
    assert watched.metrics("ops_processor_events") == {"qualified": 9, "opened": 3}

    in_force = watched.rules()["fingerprint"]
    watched.write("rules:\n- {name: kept, kind: count, window: 5m}\n- {name: B}\n")
    wait_until(lambda: watched.metrics("ops_processor_rules_invalid") == {"": 1}, what="the broken file noticed")
    assert len(watched.rules()["refused"]["faults"]) == 3
    assert watched.rules()["fingerprint"] == in_force
    [told] = [line for line in watched.pipeline.log_of(PROCESSOR).splitlines() if "rules_refused" in line]
    assert '"level":"error"' in told.replace(" ", "")
    await watched.send("kept", 1)

    watched.write(rules(kept=5, changing=5))
    watched.pipeline.signal(PROCESSOR, signal.SIGHUP)
    wait_until(lambda: watched.rules()["refused"] is None, what="the mended file in force")
    assert watched.metrics("ops_processor_rules_invalid") == {}
    await watched.send("added", 1)
    assert watched.metrics("ops_processor_events") == {"qualified": 9, "opened": 3, "attached": 1, "no_rule": 1}
    assert watched.metrics("ops_processor_rules_reloads") == {"changed": 2, "refused": 1}
    assert await watched.counts() == {"kept": 6, "changing": 5, "added": 2}

    watched.pipeline.kill(PROCESSOR)
    watched.pipeline.start(PROCESSOR)
    watched.pipeline.wait_ready(PROCESSOR)
    watched.counted_before = watched.sent
    await watched.send("kept", 1)
    assert (await watched.counts())["kept"] == 7


async def test_a_changelog_that_forgets_is_refused(
    kafka_settings: Settings, broker: ApacheKafka, tmp_path: Path
) -> None:
    """It is made compacted; where somebody has set otherwise, the start ends with one line that says how to mend it."""
    async with admin_client(kafka_settings) as admin:
        made = (await topic_configs(admin, [DETECTION_CHANGELOG]))[DETECTION_CHANGELOG]
        assert made["cleanup.policy"] == "compact"
        await set_policy(admin, made, "compact,delete")
        ended = start_in_vain(broker, tmp_path)
        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert line.startswith(f"stream_processor: {DETECTION_CHANGELOG} has cleanup.policy compact,delete,")
        await set_policy(admin, made, "compact")
    assert await ensure_topics(kafka_settings) == PARTITIONS


async def set_policy(admin: Any, present: dict[str, str], policy: str) -> None:
    """Set the changelog's cleanup.policy; what is not named is set back to its default."""
    config = {"cleanup.policy": policy, "max.message.bytes": present["max.message.bytes"]}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, DETECTION_CHANGELOG, configs=config)])


async def test_more_partitions_under_existing_state_are_refused(
    kafka_settings: Settings, broker: ApacheKafka, tmp_path: Path
) -> None:
    """Of one topic: topics disagree. Of all topics alike: the state knows better."""
    await check_layout(kafka_settings, PARTITIONS)
    async with admin_client(kafka_settings) as admin:
        await admin.create_partitions({EVENTS: NewPartitions(6)})
        with pytest.raises(TopicsUnsuitable, match=r"ops\.events has 6 .*changelog has 3.*docs/state\.md"):
            await ensure_topics(kafka_settings)
        await admin.create_partitions({topic.name: NewPartitions(6) for topic in TOPICS if topic.name != EVENTS})
    assert await ensure_topics(kafka_settings) == 6
    ended = start_in_vain(broker, tmp_path)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("stream_processor: the state of detection was built for 3 partitions of ops.events")


def start_in_vain(broker: ApacheKafka, state_dir: Path) -> subprocess.CompletedProcess[str]:
    """Start a processor that must end by itself."""
    pipeline = Pipeline(broker, "postgresql://nobody@127.0.0.1:1/none", state_dir)
    try:
        return subprocess.run(
            [sys.executable, "-m", "stream_processor"],
            env=pipeline.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        pipeline.stop()
