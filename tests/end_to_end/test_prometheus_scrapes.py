"""A real Prometheus beside a running pipeline: its configuration finds every service, and no query asks for nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
import yaml
from confluent_kafka import Producer

from deploy.brokers.base import Broker
from schemas.topics import EVENTS, INCIDENTS
from tests.support.dashboards import DASHBOARDS, alerts, labels_asked, metrics_in, panel_queries
from tests.support.databases import Databases
from tests.support.openai_server import KEY, running_server
from tests.support.pipeline import ANALYZER, DASHBOARD, FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.ports import free_port
from tests.support.prometheus import FOLDER, Prometheus, running_prometheus
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache_kafka

SERVICES: Final = {
    "front_door": FRONT_DOOR,
    "stream_processor": PROCESSOR,
    "analyzer_worker": ANALYZER,
    "materializer": MATERIALIZER,
    "dashboard": DASHBOARD,
}
GRAFANA_VARIABLES: Final = {"$__rate_interval": "30s", "$__range": "5m"}


@pytest.fixture(scope="module")
def pipeline(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Every service, with a model that answers, and a query API that the analyzer does not find."""
    with (
        running_server() as model,
        running_pipeline(
            broker,
            databases.create(),
            tmp_path_factory.mktemp("state dir"),
            *(service for service in SERVICES.values() if service != ANALYZER),
            LLM_MODEL="openai/gpt-4o-mini",
            LLM_API_BASE=model.url,
            OPENAI_API_KEY=KEY,
        ) as running,
    ):
        running.environment["API_URL"] = f"http://127.0.0.1:{free_port()}"
        running.start(ANALYZER)
        running.wait_ready(ANALYZER)
        yield running


@pytest.fixture(scope="module")
def prometheus(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the configuration that ships, but for the addresses and the pace, after all sorts happened."""
    folder = tmp_path_factory.mktemp("prometheus")
    make_all_sorts_happen(pipeline)
    with running_prometheus(configuration(pipeline, folder), folder) as running:
        yield running


def test_every_service_is_found(prometheus: Prometheus) -> None:
    """Each target of the configuration answers, under the name that alerts and dashboards go by."""
    up = wait_until(lambda: prometheus.query('up{job="ops-assist"} == 1')[4:] and prometheus.query("up"), what="all up")

    assert {series["metric"]["service"] for series in up} == set(SERVICES)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_every_query_of_the_dashboard_gives_data(prometheus: Prometheus, dashboard: Path) -> None:
    """No panel stays empty where what it shows has happened."""
    queries = {title: with_variables(query) for title, query in panel_queries(dashboard).items()}
    assert len(queries) > 30

    empty = prometheus.still_without_data(queries.values(), within=45)

    assert [title for title, query in queries.items() if query in empty] == []


def test_every_alert_reads_what_is_there(prometheus: Prometheus) -> None:
    """Each metric of an alert exists, with the labels that the alert asks it for; and Prometheus evaluates each."""
    selectors = {selector for alert in alerts() for selector in selectors_in(alert["expr"])}
    assert len(selectors) > 20

    assert prometheus.still_without_data(selectors, within=30) == set()
    wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), what="all rules evaluated")
    assert {rule["name"] for rule in prometheus.rules()} == {alert["alert"] for alert in alerts()}
    assert prometheus.query('ALERTS{alertname="ServiceDown"}') == []


def configuration(pipeline: Pipeline, folder: Path) -> Path:
    """The configuration of docker-compose.yml, for the ports of this pipeline."""
    shipped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(FOLDER / name) for name in shipped["rule_files"]]
    for target in shipped["scrape_configs"][0]["static_configs"]:
        port = pipeline.ports[SERVICES[target["labels"]["service"]]]
        target["targets"] = [f"127.0.0.1:{port}"]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(shipped))
    return path


def make_all_sorts_happen(pipeline: Pipeline) -> None:
    """An incident with a secret in it, an event that is refused, records that nobody can read, a person at work."""
    for number in range(6):
        line = {"service": "shop", "level": "ERROR", "message": f"login failed, password=hunter{number}"}
        assert pipeline.http.post("/api/v1/events", json=line).status_code == 201
    assert pipeline.http.post("/api/v1/events", json={"service": "shop"}).status_code == 422
    write(pipeline, EVENTS, b"{")
    write(pipeline, EVENTS, json.dumps({"service": "cart", "level": "INFO", "message": "is this my place?"}).encode())
    write(pipeline, INCIDENTS, b"{")
    [incident] = wait_until(lambda: pipeline.incidents(service="shop"), what="the incident")
    changed = pipeline.http.patch(f"/api/v1/incidents/{incident['id']}/status", json={"status": "investigating"})
    assert changed.status_code == 200, changed.text
    httpx.get(f"http://127.0.0.1:{pipeline.ports[DASHBOARD]}/incidents", timeout=30)


def write(pipeline: Pipeline, topic: str, value: bytes) -> None:
    """A record in each partition of a topic."""
    producer = Producer({"bootstrap.servers": pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    for partition in range(3):
        producer.produce(topic, value, b"a key", partition)
    assert producer.flush(20) == 0


def with_variables(query: str) -> str:
    """The query as Grafana sends it."""
    for name, value in GRAFANA_VARIABLES.items():
        query = query.replace(name, value)
    return query


def selectors_in(expression: str) -> set[str]:
    """A query for each metric that an expression reads and each label that it asks of it: `metric{label!=""}`."""
    found = {f'{metric}{{{label}!=""}}' for metric, label in labels_asked(expression)}
    return found | metrics_in(expression)
