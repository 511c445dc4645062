"""One trace through all four services, from a producer's own span to the analysis and the view, and their logs."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from deploy.brokers.base import Broker
from schemas.placement import home_partition
from schemas.topics import ANALYSES, EVENTS, INCIDENTS
from tests.support.brokers import EMBEDDED
from tests.support.databases import Databases
from tests.support.openai_server import running_server
from tests.support.otlp_receiver import Collector, SeenSpan, collector
from tests.support.pipeline import ANALYZER, FRONT_DOOR, MATERIALIZER, PROCESSOR, SERVICES, Pipeline, running_pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize(
    "broker", [pytest.param(EMBEDDED, marks=pytest.mark.embedded_broker)], indirect=True, scope="module"
)

ROOT = Path(__file__).parents[2]
SECRET_TEXT = "the vault of mrs finch does not open"


class Traced(msgspec.Struct, frozen=True):
    """A pipeline that sends its traces to a collector."""

    pipeline: Pipeline
    collector: Collector


@pytest.fixture(scope="module")
def traced(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """The whole pipeline with a model, exporting quickly and logging all."""
    settings = {"OTEL_BSP_SCHEDULE_DELAY": "200", "LOG_LEVEL": "DEBUG", "LLM_MODEL": "openai/test-model"}
    with collector() as seen, running_server() as model:
        where = {"OTEL_EXPORTER_OTLP_ENDPOINT": seen.url, "LLM_API_BASE": model.url}
        state_dir = tmp_path_factory.mktemp("traces")
        with running_pipeline(broker, databases.create(), state_dir, **settings, **where) as running:
            yield Traced(running, seen)
            seen.silence.clear()  # a collector that hangs: the pipeline's end asserts that nobody waits for it
            running.http.post("/api/v1/events/batch", json=errors("last-words"))


def errors(service: str) -> list[dict[str, str]]:
    return [{"service": service, "level": "ERROR", "message": SECRET_TEXT} for _ in range(5)]


def test_one_trace_leads_from_the_request_to_the_analysis_and_the_view(traced: Traced) -> None:
    """Each span names the one before it as its parent, batches are linked, and the logs say where the records lie."""
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = {"traceparent": f"00-{trace}-{caller}-01", "tracestate": "shop=7", "X-Request-ID": "req-17"}
    seen = traced.collector

    answer = traced.pipeline.http.post("/api/v1/events/batch", json=errors("checkout"), headers=headers)
    assert answer.status_code == 201, answer.text
    shown = wait_until(lambda: seen.find("query_api", f"process {ANALYSES}", trace), timeout=120, what="the analysis")
    chat = only(wait_until(lambda: seen.find("analyzer_worker", "chat test-model", trace), timeout=60, what="a call"))
    model = only(wait_until(lambda: seen.find("analyzer_worker", "analyze by model", trace), timeout=60, what="model"))

    request = only(seen.find("ingest_gateway", "POST /api/v1/events/batch", trace))
    sent = only(seen.find("ingest_gateway", f"send {EVENTS}", trace))
    batch = only(seen.find("stream_processor", f"process {EVENTS}", trace))
    opened = only(seen.find("stream_processor", f"send {INCIDENTS}", trace))
    rules = only(seen.find("analyzer_worker", f"process {INCIDENTS}", trace))
    view = only(seen.find("query_api", f"process {INCIDENTS}", trace))
    parents = [span.parent_id for span in (request, sent, batch, opened, rules, view, model, chat)]
    assert parents == [
        caller, request.span_id, sent.span_id, sent.span_id, *[opened.span_id] * 3, model.span_id,
    ]  # fmt: skip
    assert {span.parent_id for span in shown} <= {rules.span_id, model.span_id}
    kinds = [span.kind for span in (request, sent, batch, opened, rules, view, model, chat)]
    assert kinds == ["server", "producer", "consumer", "producer", "consumer", "consumer", "internal", "client"]
    assert batch.links == [(trace, sent.span_id)]
    assert opened.links == [(trace, batch.span_id)]
    assert (trace, opened.span_id) in {
        link for commit in seen.find("query_api", "commit view") for link in commit.links
    }
    assert {span.service for span in seen.spans(trace)} == {
        "front_door", "stream_processor", "analyzer_worker", "materializer",
    }  # fmt: skip
    assert not any(span.is_error for span in seen.spans(trace))
    assert request.attributes["http.response.status_code"] == 201
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.usage.output_tokens"] == 100
    assert not any(SECRET_TEXT.encode() in body for body in seen.bodies)
    lines = [line_of(traced.pipeline, *wanted, trace) for wanted in LINES]
    place = (EVENTS, int(batch.attributes["messaging.destination.partition.id"]))
    assert [(line["topic"], line["partition"]) for line in lines[:2]] == [place, place]
    assert lines[0]["offset"] == lines[1]["offset"]
    assert lines[2]["topic"] == INCIDENTS
    assert lines[2]["offset"] == view.attributes["messaging.kafka.offset"]


LINES = (
    (FRONT_DOOR, "record_written"),
    (PROCESSOR, "incident_opened"),
    (ANALYZER, "analysis_published"),
    (MATERIALIZER, "record_committed"),
)


def test_a_raw_producers_own_trace_reaches_the_incident_from_the_wrong_partition(traced: Traced) -> None:
    """The trace of the event that crossed the threshold is continued; a header that is garbage is no trace."""
    service = "warehouse"
    traces = [f"{number:032x}" for number in range(0xA0, 0xA5)]
    headers = [f"00-{trace}-{'c' * 16}-01" for trace in traces]
    headers[1] = "00-what-is-this-01"
    producer = Producer({"bootstrap.servers": traced.pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    partitions = len(producer.list_topics(EVENTS, timeout=30).topics[EVENTS].partitions)
    partition = (home_partition(service, partitions) + 1) % partitions
    for event, header in zip(errors(service), headers, strict=True):
        producer.produce(EVENTS, json.dumps(event), partition=partition, headers={"traceparent": header})
    assert producer.flush(30) == 0

    seen = traced.collector
    (opened,) = wait_until(
        lambda: [s for s in seen.find("stream_processor", f"send {INCIDENTS}") if about(s, service)],
        timeout=60,
        what="the incident",
    )

    assert (opened.trace_id, opened.parent_id) == (traces[-1], "c" * 16)
    wait_until(lambda: seen.find("query_api", f"process {INCIDENTS}", traces[-1]), timeout=60, what="its view")
    assert line_of(traced.pipeline, PROCESSOR, "incident_opened", traces[-1])["incident"]
    assert not [s for s in seen.spans() if "what-is-this" in s.trace_id]


def test_a_garbage_traceparent_over_http_is_as_if_there_were_none(traced: Traced) -> None:
    """The request is taken, and its span begins a trace."""
    answer = traced.pipeline.http.post(
        "/api/v1/events", json=errors("billing")[0], headers={"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}
    )

    assert answer.status_code == 201
    span = only(wait_until(lambda: traced.collector.find("ingest_gateway", "POST /api/v1/events"), what="its span"))
    assert span.parent_id == ""
    assert span.trace_id != "0" * 32


def test_a_status_change_goes_the_same_way(traced: Traced) -> None:
    """From the request of a person through the processor to the view."""
    trace = "1" * 32
    (incident,) = wait_until(lambda: traced.pipeline.incidents(service="checkout"), timeout=60, what="the incident")
    answer = traced.pipeline.http.patch(
        f"/api/v1/incidents/{incident['id']}/status",
        json={"status": "investigating"},
        headers={"traceparent": f"00-{trace}-{'2' * 16}-01"},
    )

    assert answer.status_code == 200
    seen = traced.collector
    request = only(wait_until(lambda: seen.spans(trace) and seen.find("query_api", PATCH, trace), what="the request"))
    view = wait_until(lambda: seen.find("query_api", f"process {INCIDENTS}", trace), timeout=60, what="the view")
    assert {span.parent_id for span in view} == {request.span_id}
    assert line_of(traced.pipeline, PROCESSOR, "status_change", trace)["offset"] >= 0


@pytest.mark.parametrize("service", SERVICES)
def test_every_metric_that_a_service_answers_stands_in_the_page(traced: Traced, service: str) -> None:
    """But for those of the client library itself."""
    text = httpx.get(f"http://127.0.0.1:{traced.pipeline.ports[service]}/metrics").text
    answered = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    of_ours = {
        name for name in answered if not name.startswith(("process_", "python_")) and not name.endswith("_created")
    }
    assert of_ours
    assert of_ours <= set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


PATCH = "PATCH /api/v1/incidents/{incident_id}/status"


def only(found: Sequence[SeenSpan]) -> SeenSpan:
    (span,) = found
    return span


def about(span: SeenSpan, service: str) -> bool:
    return bool(span.attributes["ops.incident.service"] == service)


def line_of(pipeline: Pipeline, service: str, event: str, trace_id: str) -> dict[str, Any]:
    """The first line of a service's log about an event of a trace; it says where the record lies."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in pipeline.log_of(service).splitlines() if line.startswith("{")]
        return [line for line in lines if (line["event"], line.get("trace_id")) == (event, trace_id)]

    line = wait_until(found, timeout=30, what=f"{event} of {service}")[0]
    assert line.keys() >= {"trace_id", "span_id", "topic", "partition", "offset"}, line
    return line
