"""`ops-assist explain`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from ops_assist.http_api import HttpApi
from ops_assist.output import print_json, print_table, safe
from ops_assist.running import api_url
from runtime.settings import load_settings

_COLUMNS = ("rule", "kind", "#count", "window", "reasons", "looks at", "incident", "near misses")

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    service: Annotated[str, typer.Argument(help="The service's name.")],
    *,
    at: Annotated[str, typer.Option(help="Event time to look at, as 2026-11-20T09:20:00Z; default: now.")] = "",
    url: Annotated[str, typer.Option(help="The HTTP API; default: API_URL, else this machine.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell by rule why there is an incident of a service, or none.

    The detection runs once more over what the service has sent: how many events count towards each threshold, how the
    others ended, the incident that is active, and what almost was one.
    """
    path = f"/api/v1/services/{quote(service, safe='')}/explain"
    found = HttpApi(api_url(load_settings(), url)).get(path, at=at).json()
    if as_json:
        print_json(found)
        return
    typer.echo(f"{safe(found['service'])} at {found['at']}")
    print_table(_COLUMNS, map(_row, found["rules"]))
    left_out = ", older ones were left out" if found["cut"] else ""
    newest = found["newest_event_at"] or "none"
    typer.echo(f"{found['events']} events looked at since {found['since']}{left_out}; the newest: {newest}")


def _row(rule: dict[str, Any]) -> list[str]:
    window = rule["window"]
    return [
        rule["rule"],
        rule["kind"],
        f"{rule['count']} of {'?' if rule['threshold'] is None else rule['threshold']}",
        f"{window['start']} to {window['end']}",
        ", ".join(f"{reason} {count}" for reason, count in rule["reasons"].items()),
        safe(rule["note"]),
        _incident(rule["incident"]),
        "; ".join(f"{miss['count']} from {miss['first']} to {miss['last']}" for miss in rule["near_misses"]),
    ]


def _incident(incident: dict[str, Any] | None) -> str:
    if incident is None:
        return "none"
    name = incident["key"] if incident["id"] is None else incident["id"]
    return f"{name}, {incident['status']}, {incident['event_count']} events"
