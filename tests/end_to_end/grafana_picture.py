"""`python -m tests.end_to_end.grafana_picture`: draws the Grafana dashboard from real data, where no Grafana runs.

A pipeline works for two minutes; Prometheus, with the configuration that ships, scrapes it; each query of the dashboard
is asked of it and drawn where its panel stands, into docs/images/grafana.svg.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from deploy.postgres import EmbeddedPostgres
from tests.end_to_end.test_prometheus_scrapes import SERVICES, configuration, make_all_sorts_happen
from tests.support.brokers import APACHE_KAFKA, make_broker
from tests.support.dashboards import DASHBOARDS
from tests.support.databases import Databases
from tests.support.openai_server import KEY, running_server
from tests.support.panel_picture import picture
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.prometheus import Prometheus, running_prometheus

IMAGE: Final = Path(__file__).parents[2] / "docs" / "images" / "grafana.svg"
SECONDS: Final = 120


def main() -> None:
    """Run, look and draw."""
    with tempfile.TemporaryDirectory() as directory, running_server() as model:
        folder = Path(directory)
        broker, postgres = make_broker(APACHE_KAFKA, folder / "kafka"), EmbeddedPostgres(folder / "postgres", fast=True)
        broker.start()
        postgres.start()
        try:
            environment = {"LLM_MODEL": "openai/gpt-4o-mini", "LLM_API_BASE": model.url, "OPENAI_API_KEY": KEY}
            with running_pipeline(
                broker,
                Databases(postgres).create(),
                folder / "services",
                *SERVICES.values(),
                CANARY_INTERVAL="5",
                **environment,
            ) as running:
                draw(running, folder)
        finally:
            postgres.stop()
            broker.stop()


def draw(pipeline: Pipeline, folder: Path) -> None:
    """Work and be scraped, then draw what Prometheus has seen."""
    make_all_sorts_happen(pipeline)
    with running_prometheus(configuration(pipeline, folder), folder) as prometheus:
        end = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < end:
            number += 1
            work(pipeline, number)
            time.sleep(0.5)  # the pace of the load, not a wait
        IMAGE.write_text(picture(DASHBOARDS[0], lambda query: answered(prometheus, query)))
    sys.stdout.write(f"{IMAGE}: {IMAGE.stat().st_size:,} bytes\n")


def work(pipeline: Pipeline, number: int) -> None:
    """Some everyday events, and now and then a burst of errors that makes an incident."""
    events = [{"service": f"shop-{each}", "level": "INFO", "message": "order placed"} for each in range(number % 17)]
    if number % 20 == 0:
        burst = {"service": f"service-{number}", "level": "ERROR", "message": f"pool exhausted, password=p{number}"}
        events += [burst] * 6
    pipeline.http.post("/api/v1/events/batch", json=events)
    pipeline.http.get("/api/v1/incidents")


def answered(prometheus: Prometheus, query: str) -> list[dict[str, Any]]:
    """The series of a query over the time of the run."""
    for name, value in {"$__rate_interval": "15s", "$__range": f"{SECONDS}s"}.items():
        query = query.replace(name, value)
    now = time.time()
    asked = {"query": query, "start": str(now - SECONDS), "end": str(now), "step": "2"}
    answer = prometheus.http.post("/api/v1/query_range", data=asked).json()
    assert answer["status"] == "success", f"{query}: {answer.get('error')}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


if __name__ == "__main__":
    main()
