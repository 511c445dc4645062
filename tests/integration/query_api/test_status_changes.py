"""What people change: acknowledged by Kafka before the answer, shown at once, and there after a rebuild of the view."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from aiokafka import AIOKafkaConsumer

from ingest_gateway.app import create_app as create_gateway
from ops_assist.front_door import FrontDoor, join
from query_api.app import create_app
from runtime.kafka import make_consumer, make_producer
from runtime.settings import Settings
from schemas.codec import decode_analysis_request, decode_correction, decode_status_change, encode
from schemas.correction import Correction
from schemas.incident import Change, Incident
from schemas.lifecycle import is_allowed
from schemas.placement import home_partition
from schemas.status_change import StatusChange
from schemas.topics import ANALYSES, ANALYSIS_REQUESTS, CORRECTIONS, INCIDENT_STATUS, INCIDENTS
from stream_processor.explain.app import create_app as create_explain
from stream_processor.verify.app import create_app as create_verify
from tests.integration.query_api.conftest import Serve
from tests.integration.query_api.running import materializing
from tests.support.waiting import eventually
from tests.unit.query_api.view_records import OPENED, Rows, analysis, incident

pytestmark = pytest.mark.apache_kafka

PARTITIONS = 3
HOME = home_partition("checkout", PARTITIONS)


class Pipeline:
    """The API and the materializer on a real Kafka, with the processor and the analyzer played by the test."""

    def __init__(self, api: httpx2.AsyncClient, settings: Settings, key: str) -> None:
        self.api, self.settings, self.key = api, settings, key
        self.id = 0

    async def publish(self, record: Incident) -> None:
        """Write an incident record as the processor does."""
        await self._send(INCIDENTS, encode(record))

    async def analyse(self, **fields: Any) -> None:
        """Write an analysis as the analyzer does."""
        await self._send(ANALYSES, encode(analysis(self.key, **fields)))

    async def patch(self, status: str, **headers: str) -> httpx2.Response:
        """Change the status over HTTP."""
        return await self.api.patch(f"/api/v1/incidents/{self.id}/status", json={"status": status}, headers=headers)

    async def correct(self, body: dict[str, Any], **headers: str) -> httpx2.Response:
        """Correct the analysis over HTTP."""
        return await self.api.patch(f"/api/v1/incidents/{self.id}/analysis", json=body, headers=headers)

    async def shown(self) -> tuple[str, str]:
        """Category and severity as lists show them."""
        detail = await self.detail()
        return detail["category"], detail["severity"]

    async def detail(self) -> dict[str, Any]:
        """The incident over HTTP."""
        found: dict[str, Any] = (await self.api.get(f"/api/v1/incidents/{self.id}")).json()
        return found

    async def changes(self) -> list[StatusChange]:
        """Every status change of this incident that is in Kafka."""
        found = [decode_status_change(record.value) for record in await self.read(INCIDENT_STATUS)]
        return [change for change in found if change.incident_key == self.key]

    async def read(self, topic: str) -> list[Any]:
        """Every record of a topic at its home partition."""
        consumer: AIOKafkaConsumer = make_consumer(self.settings, topic, group_id=None)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            records: list[Any] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                records += [r for found in (await consumer.getmany(timeout_ms=500)).values() for r in found]
        finally:
            await consumer.stop()
        assert {record.partition for record in records} <= {HOME}
        return records

    async def _send(self, topic: str, value: bytes) -> None:
        producer = make_producer(self.settings, "test")
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, self.key.encode(), HOME)
        finally:
            await producer.stop()


@pytest.fixture
async def pipeline(settings: Settings, serve: Serve, request: pytest.FixtureRequest) -> AsyncIterator[Pipeline]:
    """One open incident, visible over HTTP."""
    api = await serve(settings, analyze_seconds=1.0)
    pipeline = Pipeline(api, settings, request.node.name)
    async with materializing(settings):
        await pipeline.publish(incident(pipeline.key, partition=HOME))

        async def visible() -> int:
            listed = (await api.get("/api/v1/incidents?limit=1000")).json()
            return next((item["id"] for item in listed if item["key"] == pipeline.key), 0)

        pipeline.id = await eventually(visible, what="the incident")
        await eventually(lambda: _is_ready(api), what="Kafka behind the API")
        yield pipeline


async def _is_ready(api: httpx2.AsyncClient) -> bool:
    return (await api.get("/readyz")).status_code == 200


async def test_change_is_in_kafka_before_the_answer(pipeline: Pipeline) -> None:
    """The record says who, what and when, in the partition of the service; the view shows it at once."""
    before = time.time_ns() // 1_000
    answer = await pipeline.api.patch(
        f"/api/v1/incidents/{pipeline.id}/status",
        json={"status": "investigating", "note": "looking"},
        headers={"X-Actor": "ada"},
    )

    (change,) = await pipeline.changes()
    detail = await pipeline.detail()

    assert answer.json() == {
        "message": "Incident status updated successfully",
        "incident_id": pipeline.id,
        "new_status": "investigating",
    }
    assert (change.to_status, change.actor, change.note, change.service) == (
        "investigating",
        "ada",
        "looking",
        "checkout",
    )
    assert before <= change.at <= time.time_ns() // 1_000
    assert (detail["status"], detail["status_pending"]) == ("investigating", True)


async def test_processor_confirms_or_refuses(pipeline: Pipeline) -> None:
    """The record that tells of the change ends the pending state, whether it was made or refused."""
    await pipeline.patch("resolved")
    (change,) = await pipeline.changes()
    made = Change(change.at, change.actor, "status_refused", "it was too late", "open", "open", None, change.change_id)

    await pipeline.publish(incident(pipeline.key, 6, partition=HOME, timeline=[OPENED, made]))

    async def confirmed() -> bool:
        return not (await pipeline.detail())["status_pending"]

    await eventually(confirmed, what="the refusal in the view")
    detail = await pipeline.detail()
    assert (detail["status"], detail["timeline"][-1]["what"]) == ("open", "status_refused")


async def test_a_verdict_is_given_with_a_status_and_may_change(pipeline: Pipeline) -> None:
    """It travels with the change and stands in the timeline once the processor has it; given again, it is no change."""
    path = f"/api/v1/incidents/{pipeline.id}/status"
    refused = await pipeline.api.patch(path, json={"status": "closed", "verdict": "good"})
    detail = "verdict: expected one of true_positive, noise, missed"
    assert (refused.status_code, refused.json()["detail"]) == (422, detail)

    await pipeline.api.patch(path, json={"status": "closed", "verdict": "noise"})
    (change,) = await pipeline.changes()
    entry = Change(
        change.at, "anonymous", "status_changed", "set", "open", "closed", None, change.change_id, 7, "noise"
    )
    await pipeline.publish(incident(pipeline.key, 6, partition=HOME, status="closed", timeline=[OPENED, entry]))

    async def judged() -> str:
        return str((await pipeline.detail())["verdict"] or "")

    assert await eventually(judged, what="the verdict in the view") == "noise"
    assert (await pipeline.detail())["timeline"][-1]["verdict"] == "noise"
    for verdict in ("noise", "true_positive"):
        again = await pipeline.api.patch(path, json={"status": "closed", "verdict": verdict})
        assert again.status_code == 200
    assert [one.verdict for one in await pipeline.changes()] == ["noise", "true_positive"]


async def test_present_status_publishes_nothing(pipeline: Pipeline) -> None:
    """Setting the status that it has is a 200 that changes nothing."""
    answer = await pipeline.patch("open")

    assert (answer.status_code, answer.json()["new_status"]) == (200, "open")
    assert await pipeline.changes() == []


async def test_steps_that_are_not_allowed(pipeline: Pipeline) -> None:
    """Skipping forwards and reopening are fine, going back to open from investigating is not, closed is final."""
    statuses = ["investigating", "open", "resolved", "investigating", "closed", "open"]

    answers = [await pipeline.patch(status) for status in statuses]

    assert [answer.status_code for answer in answers] == [200, 409, 200, 200, 200, 409]
    assert answers[-1].json()["detail"] == "The incident is closed, which is final; open a new one instead"
    assert len(await pipeline.changes()) == 4


async def test_of_two_people_at_once_one_is_told(pipeline: Pipeline) -> None:
    """Of many changes based on the same ETag, sent together, exactly one is made."""
    tag = (await pipeline.api.get(f"/api/v1/incidents/{pipeline.id}")).headers["etag"]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(pipeline.patch(status, **{"If-Match": tag}))
            for status in ("investigating", "resolved", "closed", "investigating", "resolved")
        ]

    assert sorted(task.result().status_code for task in tasks) == [200, 412, 412, 412, 412]
    assert len(await pipeline.changes()) == 1


async def test_tag_of_the_answer_is_good_for_the_next_change(pipeline: Pipeline) -> None:
    """Whoever made a change can go on without reading the incident again."""
    tag = (await pipeline.patch("investigating")).headers["etag"]

    assert (await pipeline.patch("resolved", **{"If-Match": tag})).status_code == 200


async def test_analysis_in_time(pipeline: Pipeline) -> None:
    """The request is in Kafka; the answer comes with the analysis that names it."""

    async def analyse() -> None:
        requests = await eventually(lambda: pipeline.read(ANALYSIS_REQUESTS), what="the request")
        asked = [decode_analysis_request(record.value) for record in requests]
        request = next(request for request in asked if request.incident_key == pipeline.key)
        await pipeline.analyse(revision=7, request_id=request.request_id, summary="new")

    analyzer = asyncio.create_task(analyse())
    answer = await pipeline.api.post(f"/api/v1/incidents/{pipeline.id}/analyze")
    await analyzer

    if answer.status_code == 202:  # the played analyzer was slower than the second that it is given here
        answer = await pipeline.api.get(f"/api/v1/incidents/{pipeline.id}")
    assert answer.json()["summary"] == "new"


async def test_analysis_that_takes_too_long(pipeline: Pipeline) -> None:
    """Without an analysis in time it is a 202 with what is known."""
    answer = await pipeline.api.post(f"/api/v1/incidents/{pipeline.id}/analyze")

    assert (answer.status_code, answer.json()["analysis_completed"]) == (202, False)
    assert answer.json()["category"] == "other"


async def test_without_kafka_nothing_changes(pipeline: Pipeline, serve: Serve, settings: Settings) -> None:
    """503 with Retry-After, and the incident is as it was."""
    api = await serve(settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}))

    change = await api.patch(f"/api/v1/incidents/{pipeline.id}/status", json={"status": "resolved"})
    request = await api.post(f"/api/v1/incidents/{pipeline.id}/analyze")

    assert [(a.status_code, a.headers["retry-after"]) for a in (change, request)] == [(503, "5")] * 2
    assert "nothing was changed" in change.json()["detail"]
    assert (await pipeline.detail())["status"] == "open"


async def test_of_many_changes_at_once_none_is_lost(pipeline: Pipeline) -> None:
    """Without If-Match they take turns: each is in Kafka or refused by the rules, and the last one made is shown."""
    wanted = ["investigating", "resolved", "open", "investigating", "resolved", "open", "resolved", "investigating"]

    answers = await asyncio.gather(*(pipeline.patch(status) for status in wanted))

    made = await pipeline.changes()
    assert {answer.status_code for answer in answers} <= {200, 409}
    steps = ["open", *(change.to_status for change in made)]
    assert all(is_allowed(before, after) and before != after for before, after in pairwise(steps))
    done = [status for status, answer in zip(wanted, answers, strict=True) if answer.status_code == 200]
    repeated = len(done) - len(made)  # those that found the status that they wanted
    assert repeated >= 0
    assert set(steps[1:]) <= set(done)
    assert (await pipeline.detail())["status"] == steps[-1]


async def test_change_of_many_tells_what_became_of_each(pipeline: Pipeline) -> None:
    """207 where some cannot be changed, each with its own answer; what could be is in Kafka, with note and actor."""
    closed = f"{pipeline.key}-closed"
    await pipeline.publish(incident(closed, status="closed", partition=HOME))

    async def listed() -> int:
        found = (await pipeline.api.get("/api/v1/incidents?limit=1000")).json()
        return next((item["id"] for item in found if item["key"] == closed), 0)

    other = await eventually(listed, what="the other incident")
    body = {"ids": [pipeline.id, other, 99_999, pipeline.id], "status": "resolved", "note": "all at once"}
    answer = await pipeline.api.patch("/api/v1/incidents/status", json=body, headers={"X-Actor": "ada"})
    again = await pipeline.api.patch("/api/v1/incidents/status", json=body | {"ids": [pipeline.id]})

    (change,) = await pipeline.changes()
    assert (change.to_status, change.note, change.actor) == ("resolved", "all at once", "ada")
    assert (answer.status_code, answer.json()) == (207, {
        "changed": 1, "failed": 2, "results": [
            {"incident_id": pipeline.id, "status": 200, "new_status": "resolved"},
            {"incident_id": other, "status": 409,
             "detail": "The incident is closed, which is final; open a new one instead"},
            {"incident_id": 99_999, "status": 404, "detail": "There is no incident 99999"},
        ],
    })  # fmt: skip
    assert (again.status_code, again.json()["changed"], again.json()["failed"]) == (200, 1, 0)


async def test_change_of_many_leaves_what_was_changed_since_it_was_seen(pipeline: Pipeline) -> None:
    """412 for an incident that has another status than the one that the person chose it with; nothing is written."""
    body = {"ids": [pipeline.id], "status": "closed", "seen": {str(pipeline.id): "investigating"}}
    outrun = await pipeline.api.patch("/api/v1/incidents/status", json=body)
    refused = await pipeline.api.patch("/api/v1/incidents/status", json=body | {"seen": ["open"]})
    before = await pipeline.changes()
    made = await pipeline.api.patch("/api/v1/incidents/status", json=body | {"seen": {str(pipeline.id): "open"}})

    detail = "The incident is open by now; it was investigating when you chose it"
    assert outrun.json()["results"] == [{"incident_id": pipeline.id, "status": 412, "detail": detail}]
    assert (refused.status_code, refused.json()["detail"].partition(":")[0], before) == (422, "seen", [])
    assert (made.status_code, (await pipeline.detail())["status"]) == (200, "closed")


def _front_door(settings: Settings) -> FrontDoor:
    query = create_app(settings, analyze_seconds=0.01)
    explain, verify = (create(settings, httpx.ASGITransport(query)) for create in (create_explain, create_verify))
    return join(settings, gateway=create_gateway(settings), query=query, explain=explain, verify=verify)


# Which cursors and tags were given out, that two times are at most a day apart, that levels come in any case, that a
# body is what Content-Encoding says, how large it may be (413), and that GET takes "batch" for an event. Their
# tests are their own.
_WHAT_NO_SCHEMA_SAYS = """
[parameters]
"query.cursor" = ""
"header.if-match" = "*"
[checks]
negative_data_rejection.expected-statuses = ["400", "404", "405", "409", "412", "413", "415", "422"]
[[operations]]
include-path = [
  "/api/v1/services", "/api/v1/events", "/api/v1/events/batch", "/v1/logs",
  "/api/v1/ingest/logs", "/api/v1/ingest/alertmanager", "/api/v1/ingest/cloudevents",
]
checks.positive_data_acceptance.enabled = false
[[operations]]
include-path = "/api/v1/ingest/logs"
phases.examples.enabled = false
[[operations]]
include-path = "/api/v1/events/batch"
checks.allow_header_conformance.enabled = false
phases.examples.enabled = false  # NDJSON, which it cannot write; the gateway's own tests send them
"""


async def test_whatever_the_document_allows_is_answered_as_it_says(
    pipeline: Pipeline, serve: Serve, settings: Settings, tmp_path: Path
) -> None:
    """Schemathesis sends valid and invalid requests made from the OpenAPI document: no 5xx, nothing undocumented."""
    api = await serve(settings, make=_front_door)
    await eventually(lambda: _is_ready(api), what="Kafka behind the API")
    (tmp_path / "schemathesis.toml").write_text(_WHAT_NO_SCHEMA_SAYS)
    options = ["--seed=5", "--max-examples=8", "--generation-database=none", "--no-color", "--workers=1"]
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.base_url}/openapi.json", *options),
        *("--exclude-path=/api/v1/incidents/stream", "--exclude-path=/metrics", "--phases=examples,coverage,fuzzing"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    output, _ = await run.communicate()

    assert run.returncode == 0, output.decode()[:6_000]
    assert pipeline.id


async def test_a_correction_is_kept_beside_the_analysis(pipeline: Pipeline) -> None:
    """In Kafka before the answer; lists and filters show what was corrected, and no later analysis changes that."""
    await pipeline.analyse(revision=1, category="database_issue", severity="P2")

    async def analysed() -> bool:
        return await pipeline.shown() == ("database_issue", "P2")

    await eventually(analysed, what="the analysis")
    body = {"category": "network_issue", "severity": "P3", "note": "a switch"}
    answer = await pipeline.correct(body, **{"X-Actor": "ada"})
    (record,) = [r for r in map(_correction, await pipeline.read(CORRECTIONS)) if r.incident_key == pipeline.key]
    assert (record.category, record.severity, record.actor, record.note) == ("network_issue", "P3", "ada", "a switch")
    assert answer.json() == {
        "message": "Analysis corrected successfully",
        "incident_id": pipeline.id,
        "category": "network_issue",
        "severity": "P3",
    }
    await pipeline.analyse(revision=2, category="memory_issue", severity="P1", summary="newer")

    async def analysed_again() -> bool:
        return bool((await pipeline.detail())["summary"] == "newer")

    await eventually(analysed_again, what="the later analysis")
    detail = await pipeline.detail()
    assert await pipeline.shown() == ("network_issue", "P3")
    assert (detail["analysis"]["category"], detail["analysis"]["severity"]) == ("memory_issue", "P1")
    assert (detail["correction"]["actor"], detail["correction"]["note"]) == ("ada", "a switch")
    assert [(e["what"], e["reason"]) for e in detail["timeline"]][-1] == (
        "corrected",
        "category is network_issue and severity is P3",
    )
    found = (await pipeline.api.get("/api/v1/incidents?category=network_issue&severity=P3&limit=1000")).json()
    assert pipeline.key in [incident["key"] for incident in found]


def _correction(record: Any) -> Correction:
    return decode_correction(record.value)


async def test_corrections_survive_a_rebuild_of_the_view(pipeline: Pipeline, settings: Settings, rows: Rows) -> None:
    """They come from the topic, before the incident or after it; one that was taken back stays so."""
    await pipeline.correct({"severity": "P1"})
    await pipeline.correct({"category": "disk_issue"})
    assert await pipeline.shown() == ("disk_issue", "P1")
    await pipeline.correct({"severity": None})
    before = await pipeline.detail()
    await rows("TRUNCATE incidents, corrections, consumer_offsets")

    async with materializing(settings):

        async def rebuilt() -> bool:
            found = await rows(f"SELECT category FROM incidents WHERE key = '{pipeline.key}'")
            return found == [{"category": "disk_issue"}]

        await eventually(rebuilt, what="the view")
    after = await rows(f"SELECT category, severity, correction_id FROM incidents WHERE key = '{pipeline.key}'")
    newest = await rows(f"SELECT change_id FROM corrections WHERE incident_key = '{pipeline.key}' ORDER BY at DESC")
    assert [(row["category"], row["severity"]) for row in after] == [(before["category"], before["severity"])]
    assert (len(newest), newest[0]["change_id"]) == (3, after[0]["correction_id"])


async def test_two_who_correct_at_once_do_not_overlook_each_other(pipeline: Pipeline) -> None:
    """The ETag changes with a correction: whoever saw the old one is refused."""
    tag = (await pipeline.api.get(f"/api/v1/incidents/{pipeline.id}")).headers["etag"]
    first = await pipeline.correct({"severity": "P1"}, **{"If-Match": tag})
    second = await pipeline.correct({"severity": "P2"}, **{"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    third = await pipeline.correct({"severity": "P2"}, **{"If-Match": first.headers["etag"]})
    assert third.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "category or severity is required in the request body"),
        ([], 400, "category or severity is required in the request body"),
        ({"severity": "P0"}, 422, "severity: expected null or one of: P1, P2, P3"),
        ({"category": ["disk_issue"]}, 422, "category: expected null or one of: database_issue"),
        ({"severity": "P1", "note": 7}, 422, "note: expected a string of at most 4000 characters"),
    ],
)
async def test_what_corrects_nothing_is_told(pipeline: Pipeline, body: Any, status: int, detail: str) -> None:
    """In a sentence, and nothing is written."""
    answer = await pipeline.correct(body)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)
    assert (await pipeline.detail())["correction"] is None
