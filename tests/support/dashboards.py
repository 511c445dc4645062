"""The queries of the Grafana dashboards and of the alerts, as text that Prometheus takes."""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DASHBOARDS: Final = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_WORDS: Final = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b")
_OURS: Final = ("ops_", "kafka_", "process_")
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")
_MATCHER: Final = re.compile(r'([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"')


def panel_queries(dashboard: Path) -> dict[str, str]:
    """Each query of a dashboard, by the titles of its panel and its letter there."""
    panels: list[dict[str, Any]] = json.loads(dashboard.read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", [])
    }


def alerts() -> list[dict[str, Any]]:
    """Every alert, in the order of the file."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics that a query reads, those of Prometheus itself left out."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return {word for word in _WORDS.findall(bare) if word.startswith(_OURS)}


def labels_asked(expression: str) -> set[tuple[str, str]]:
    """Each metric of a query with each label that it is chosen by."""
    return {
        (metric, label) for metric, matchers in _SELECTOR.findall(expression) for label in _MATCHER.findall(matchers)
    }
