"""`ops-assist incidents`."""

import asyncio
import getpass
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ops_assist import exporting, missing
from ops_assist.corrected_cases import corrected_cases
from ops_assist.http_api import HttpApi
from ops_assist.options import BootstrapServers
from ops_assist.output import print_fields, print_json, print_table
from ops_assist.running import api_url, kafka_settings
from runtime.settings import load_settings

_PATH: Final = "/api/v1/incidents"
_LIST: Final = ("id", "service", "category", "severity", "status", "event_count", "last_event_at", "summary")
_DETAIL: Final = (
    *("id", "key", "service", "rule", "status", "severity", "category", "summary", "analysis_status", "shadow"),
    *("event_count", "first_event_at", "last_event_at", "created_at", "updated_at", "previous_incident_id", "verdict"),
)

Url = Annotated[str, typer.Option(help="The HTTP API; default: API_URL, else this machine.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def root(context: typer.Context) -> None:
    """List, show and work incidents; without a command, the newest are listed."""
    if context.invoked_subcommand is None:
        list_incidents()


@app.command("list")
def list_incidents(
    *,
    status: Annotated[str, typer.Option(help="open, investigating, resolved or closed.")] = "",
    service: Annotated[str, typer.Option(help="Only of this service.")] = "",
    severity: Annotated[str, typer.Option(help="P1, P2 or P3.")] = "",
    category: Annotated[str, typer.Option(help="As memory_issue.")] = "",
    text: Annotated[str, typer.Option("--text", "-q", help="Only with this text.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    shadow: Annotated[bool, typer.Option("--shadow", help="Those of rules on trial instead.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List incidents, newest first."""
    wanted = {"status_filter": status, "service": service, "severity": severity, "category": category, "q": text}
    answer = _api(url).get(_PATH, **wanted, limit=limit, **({"shadow": "true"} if shadow else {}))
    incidents = answer.json()
    if as_json:
        print_json(incidents)
        return
    print_table([f"#{name}" if name in ("id", "event_count") else name for name in _LIST], map(_row, incidents))
    typer.echo(f"{len(incidents)} of {answer.headers.get('X-Total-Count', len(incidents))} incidents")


@app.command()
def show(
    incident: Annotated[int, typer.Argument(help="The incident's id.")], *, url: Url = "", as_json: AsJson = False
) -> None:
    """Show one incident with its actions, timeline and newest events."""
    found = _api(url).get(f"{_PATH}/{incident}").json()
    if as_json:
        print_json(found)
        return
    print_fields((name, found.get(name)) for name in _DETAIL)
    _print_list("recommended actions", found.get("recommended_actions") or [])
    _print_list("timeline", [_change(change) for change in found.get("timeline") or []])
    events = found.get("events") or []
    _print_list("events", [f"{event['timestamp']} {event['level']} {event['message']}" for event in events])


@app.command("set")
def set_status(
    incident: Annotated[int, typer.Argument(help="The incident's id.")],
    status: Annotated[str, typer.Argument(help="open, investigating, resolved or closed.")],
    *,
    note: Annotated[str, typer.Option(help="Why; kept in the timeline.")] = "",
    verdict: Annotated[str, typer.Option(help="What it was: true_positive, noise or missed (known before).")] = "",
    actor: Annotated[str, typer.Option(help="Who does it; default: your user name.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Set the status of an incident."""
    more = {"note": note, "verdict": verdict}
    body = {"status": status} | {name: value for name, value in more.items() if value}
    answer = _api(url).patch(f"{_PATH}/{incident}/status", body, {"X-Actor": actor or getpass.getuser()}).json()
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"incident {answer['incident_id']} is {answer['new_status']}")


@app.command()
def missed(
    *,
    service: Annotated[str, typer.Option(help="What was in trouble.")] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="When it began, as 2026-11-20T09:15:00Z.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="When it was over; default: five minutes later.")] = "",
    note: Annotated[str, typer.Option(help="What it was.")] = "",
    forget: Annotated[str, typer.Option(metavar="ID", help="Take one back.")] = "",
    actor: Annotated[str, typer.Option(help="Who does it; default: your user name.")] = "",
    bootstrap_servers: BootstrapServers = "",
    as_json: AsJson = False,
) -> None:
    """Record trouble that no incident told of, for `backtest --labels verdicts`; without options, list what was."""
    settings = kafka_settings(load_settings(), bootstrap_servers)
    if forget:
        asyncio.run(missing.forget(settings, forget))
        typer.echo(f"{forget} is forgotten")
    elif service or at:
        found = missing.missed_incident(service, at, until, actor or getpass.getuser(), note)
        asyncio.run(missing.record(settings, found))
        print_json(missing.fields(found)) if as_json else typer.echo(f"{found.id} is recorded")
    else:
        listed = [missing.fields(one) for one in asyncio.run(missing.recorded(settings))]
        columns = ("id", "service", "start", "end", "actor", "note")
        print_json(listed) if as_json else print_table(columns, [[one[name] for name in columns] for one in listed])


@app.command()
def correct(
    incident: Annotated[int, typer.Argument(help="The incident's id.")],
    *,
    category: Annotated[str, typer.Option(help="As network_issue; `none` takes a correction back.")] = "",
    severity: Annotated[str, typer.Option(help="P1, P2 or P3; `none` takes a correction back.")] = "",
    note: Annotated[str, typer.Option(help="What it really was.")] = "",
    actor: Annotated[str, typer.Option(help="Who does it; default: your user name.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Correct category and severity of an incident's analysis."""
    named = {"category": category, "severity": severity}
    body: dict[str, Any] = {name: None if value == "none" else value for name, value in named.items() if value}
    noted = {"note": note} if note else {}
    headers = {"X-Actor": actor or getpass.getuser()}
    answer = _api(url).patch(f"{_PATH}/{incident}/analysis", body | noted, headers).json()
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"incident {answer['incident_id']} is {answer['category']}, {answer['severity']}")


@app.command("export-corrections")
def export_corrections(
    file: Annotated[str, typer.Argument(help="Where to write; - is stdout.")] = "-", *, url: Url = ""
) -> None:
    """Write the incidents that people corrected as redacted cases for analyze-eval, one a line."""
    lines = corrected_cases(_api(url))
    count = 0
    with nullcontext(sys.stdout) if file == "-" else Path(file).open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(f"{line}\n")
            count += 1
    typer.echo(f"{count} cases", err=True)


@app.command("export-test")
def export_test(
    incident: Annotated[int, typer.Argument(help="The incident's id.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: incident-ID.test.yaml.")] = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Write a scenario for `rules test` from an incident, without secrets; it is played once before it is kept."""
    settings, api = load_settings(), _api(url)
    path = output or Path(f"incident-{incident}.test.yaml")
    events = exporting.export(api, api.get(f"{_PATH}/{incident}").json(), settings, path)
    if as_json:
        print_json({"file": str(path), "events": events})
    else:
        typer.echo(f"{path}: {events} events; `ops-assist rules test {path}` plays them")


def _api(url: str) -> HttpApi:
    return HttpApi(api_url(load_settings(), url))


def _row(incident: dict[str, Any]) -> list[Any]:
    return [incident.get(name) for name in _LIST]


def _change(change: dict[str, Any]) -> str:
    words = [change.get(name) for name in ("time", "actor", "what", "from", "to", "verdict", "note")]
    return " ".join(str(word) for word in words if word)


def _print_list(title: str, lines: list[str]) -> None:
    if lines:
        typer.echo(f"\n{title}:")
        print_fields(("-", line) for line in lines)
