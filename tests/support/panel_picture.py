"""The panels of a Grafana dashboard as one SVG, with what Prometheus answers to their queries."""

import json
import re
from collections.abc import Callable, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

WIDTH: Final = 1_200
_COLUMN: Final = WIDTH / 24
_ROW: Final = 22
_COLOURS: Final = ("#1f5fbf", "#b3261e", "#1a7f4b", "#9a6700", "#6f42c1", "#0b7285", "#c2255c", "#5c5f66")
_MOST_NAMED: Final = 3
_LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_UNITS: Final = {"s": " s", "cps": "/s", "reqps": "/s", "currencyUSD": " USD"}
_MEGABYTE: Final = 1_000_000


class Series(NamedTuple):
    """A line: its name, and pairs of time (seconds) and value."""

    name: str
    points: list[tuple[float, float]]


AskRange = Callable[[str], list[dict[str, Any]]]
"""Answers a query over the time shown, as Prometheus' `query_range` does."""


def picture(dashboard: Path, ask: AskRange) -> str:
    """All panels, each where it stands in the dashboard."""
    panels = json.loads(dashboard.read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * _ROW
    drawn = "".join(
        _panel(panel, [*chain(*(_series(each, ask) for each in panel.get("targets", [])))]) for panel in panels
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#f4f5f7"/>\n{drawn}</svg>\n'
    )


def _series(target: dict[str, Any], ask: AskRange) -> list[Series]:
    legend = str(target.get("legendFormat", ""))
    found = []
    for one in ask(target["expr"]):
        labels = one["metric"]
        name = _LABEL.sub(lambda match, labels=labels: labels.get(match[1], ""), legend)  # type: ignore[misc]
        points = [(float(at), float(value)) for at, value in one["values"] if value not in ("NaN", "+Inf")]
        found += [Series(name, points)] if points else []
    return found


def _panel(panel: dict[str, Any], series: Sequence[Series]) -> str:
    place = panel["gridPos"]
    x, y, width, height = place["x"] * _COLUMN, place["y"] * _ROW, place["w"] * _COLUMN - 8, place["h"] * _ROW - 8
    title = f'<text x="8" y="15" font-weight="bold" fill="#1f2328">{escape(panel["title"])}</text>'
    if panel["type"] == "row":
        return f'<g transform="translate({x + 4:.0f},{y + 4:.0f})">{title}</g>\n'
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    body = _numbers(series, unit) if panel["type"] == "stat" else _lines(series, unit, width, height)
    box = f'<rect width="{width:.0f}" height="{height}" rx="6" fill="#fff" stroke="#d0d7de"/>'
    return f'<g transform="translate({x + 4:.0f},{y + 4:.0f})">{box}{title}{body}</g>\n'


def _numbers(series: Sequence[Series], unit: str) -> str:
    return "".join(
        f'<text x="8" y="{34 + 15 * number}" fill="#57606a">{escape(one.name)} '
        f'<tspan font-weight="bold" fill="#1f2328">{_value(one.points[-1][1], unit)}</tspan></text>'
        for number, one in enumerate(series[:5])
    )


def _lines(series: Sequence[Series], unit: str, width: float, height: float) -> str:
    if not series:
        return '<text x="8" y="40" fill="#b3261e">no data</text>'
    times = [at for one in series for at, _ in one.points]
    top = max(value for one in series for _, value in one.points) or 1.0
    left, span, floor = min(times), max(max(times) - min(times), 1.0), height - 16 * _MOST_NAMED - 10

    def at(point: tuple[float, float]) -> str:
        return f"{8 + (point[0] - left) / span * (width - 16):.1f},{floor - point[1] / top * (floor - 40):.1f}"

    drawn = [f'<text x="8" y="32" fill="#57606a">{_value(top, unit)}</text>']
    for number, one in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn.append(
            f'<polyline points="{" ".join(map(at, one.points))}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        if number < _MOST_NAMED:
            more = f" (+{len(series) - _MOST_NAMED} more)" if number == _MOST_NAMED - 1 < len(series) - 1 else ""
            text = f"{one.name[:44]}: {_value(one.points[-1][1], unit)}{more}"
            drawn.append(f'<text x="8" y="{floor + 16 * (number + 1):.0f}" fill="{colour}">{escape(text)}</text>')
    return "".join(drawn)


def _value(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / _MEGABYTE:,.0f} MB"
    return f"{value:,.3g}{_UNITS.get(unit, '')}"
