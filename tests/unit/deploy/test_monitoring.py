"""Alerts, their tests, their runbooks, dashboards and Prometheus' targets agree with the code and with each other."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from runtime import metrics
from tests.support.dashboards import DASHBOARDS, DEPLOY, alerts, metrics_in, panel_queries

ROOT: Final = DEPLOY.parent
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
OF_THE_LIBRARY: Final = ("process_",)


def known() -> set[str]:
    """The names of every series that the code can expose."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    found = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    return {metric._name + suffix for metric in found for suffix in suffixes[str(metric._type)]}


QUERIES: Final = {
    **{alert["alert"]: alert["expr"] for alert in alerts()},
    **{title: query for dashboard in DASHBOARDS for title, query in panel_queries(dashboard).items()},
}


@pytest.mark.parametrize("title", QUERIES)
def test_every_metric_asked_for_exists(title: str) -> None:
    """A metric that was renamed leaves no alert that never fires and no panel that stays empty."""
    ours = {name for name in metrics_in(QUERIES[title]) if not name.startswith(OF_THE_LIBRARY)}

    assert ours - known() == set()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_every_alert_leads_to_its_runbook(alert: dict[str, Any]) -> None:
    """The page says what it means, how to look and what to do."""
    page = ROOT / alert["annotations"]["runbook_url"]

    assert page == RUNBOOKS / f"{alert['alert']}.md"
    text = page.read_text()
    assert text.startswith(f"# {alert['alert']}\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["What it means", "How to look", "What to do"]
    assert alert["labels"]["severity"] in ("page", "ticket")


def test_every_runbook_has_its_alert_and_stands_in_the_list() -> None:
    """No page of an alert that is gone; the list names each with how it is reported."""
    names = {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)

    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"} == names.keys()
    assert dict(listed) == names


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    """And no case is of an alert that is gone."""
    cases = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yml").read_text())["tests"]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    firing = {check["alertname"] for check in checks if check.get("exp_alerts")}

    assert firing == {check["alertname"] for check in checks} == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_ask_the_provisioned_datasource(dashboard: Path) -> None:
    """By its uid; panels do not lie on each other, and their ids differ."""
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    panels = json.loads(dashboard.read_text())["panels"]
    asked = {target["datasource"]["uid"] for panel in panels for target in panel.get("targets", [])}
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert asked == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_prometheus_scrapes_every_service_of_the_compose_file() -> None:
    """Each long-running process of ours, where its health check asks it too."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    expected = {
        f"{name}:{re.search(r':([0-9]+)/readyz', ' '.join(service['healthcheck']['test']))[1]}"  # type: ignore[index]
        for name, service in services.items()
        if service["image"].startswith("ops-assist:") and "healthcheck" in service
    }
    [job] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]

    assert {target for group in job["static_configs"] for target in group["targets"]} == expected
    assert all(group["targets"][0].startswith(f"{group['labels']['service']}:") for group in job["static_configs"])
