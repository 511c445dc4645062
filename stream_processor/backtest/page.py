"""The report as one page that needs nothing else: figures, tables, and the incidents of each service in time."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from schemas.timestamps import MICROSECONDS, from_rfc3339, to_rfc3339
from stream_processor.backtest.sweep_pictures import pictures

_WIDTH: Final = 860
"""Units of the picture from the first event to the last."""
_LEAST: Final = 3.0
"""So wide is an incident at least, that it can be seen."""
_TICKS: Final = 4
_MOST_SERVICES: Final = 200

Fields = Mapping[str, Any]


def render(report: Fields) -> str:
    """The page of a report (`stream_processor.backtest.report`)."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    scale = _Scale(report)
    services = _services(report)
    return template.render(
        report=report,
        against=report["against"],
        comparison=report["comparison"],
        lanes=[_lane(report, service, scale) for service in services[:_MOST_SERVICES]],
        left_out=max(0, len(services) - _MOST_SERVICES),
        ticks=scale.ticks(),
        width=_WIDTH,
        sweep=report.get("sweep"),
        pictures=pictures(report["sweep"]) if "sweep" in report else None,
        moment=_moment,
    )


class _Scale:
    """From times to places in the picture."""

    def __init__(self, report: Fields) -> None:
        sides = [report, report["against"] or {"incidents": []}]
        incidents = [one for side in sides for one in side["incidents"]]
        source = report["source"]
        times = [time for time in (source["first_event_at"], source["last_event_at"]) if time]
        times += [one[name] for one in incidents for name in ("first_event_at", "last_event_at")]
        moments = [from_rfc3339(time) for time in times] or [0]
        self.start = min(moments)
        self.length = max(max(moments) - self.start, MICROSECONDS)

    def place(self, time: str) -> float:
        return (from_rfc3339(time) - self.start) / self.length * _WIDTH

    def ticks(self) -> list[tuple[float, str]]:
        steps = range(_TICKS + 1)
        return [(_WIDTH * n / _TICKS, _moment(to_rfc3339(self.start + self.length * n // _TICKS))) for n in steps]


def _services(report: Fields) -> list[str]:
    """Those with most incidents first."""
    counts: dict[str, int] = {}
    for side in (report, report["against"] or {"per_service": {}}):
        for service, count in side["per_service"].items():
            counts[service] = counts.get(service, 0) + count
    return sorted(counts, key=lambda service: (-counts[service], service))


def _lane(report: Fields, service: str, scale: _Scale) -> dict[str, Any]:
    other = report["against"]
    near = (miss for miss in report["near_misses"] if miss["service"] == service)
    return {
        "service": service,
        "bars": list(_bars(report["incidents"], service, scale)),
        "before": list(_bars(other["incidents"], service, scale)) if other else [],
        "near": [(scale.place(miss["first_event_at"]), miss) for miss in near],
    }


def _bars(incidents: Iterable[Fields], service: str, scale: _Scale) -> Iterable[dict[str, Any]]:
    for one in incidents:
        if one["service"] == service:
            start = scale.place(one["first_event_at"])
            width = max(_LEAST, scale.place(one["last_event_at"]) - start)
            yield {"x": round(start, 2), "width": round(width, 2), "incident": one}


def _moment(time: str) -> str:
    return f"{time[:10]} {time[11:19]}"
