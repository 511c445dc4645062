"""A report of a backtest as tables for people."""

from typing import Any, Final

import typer

from ops_assist.output import print_table, safe

_SHOWN: Final = 50
_SCORED: Final = (
    *("rules", "#faults", "#found", "#incidents", "#in a fault", "#unjudged", "#precision", "#recall", "#F1"),
    "#median s",
)


def print_report(told: dict[str, Any]) -> None:
    """The whole report."""
    _print_incidents(told["incidents"])
    sides = [told, *([told["against"]] if told["against"] else [])]
    columns = ("rules", "#incidents", "#a day", "#services", "#near misses", "#s to detect (median)", "#p90")
    print_table(columns, [_summary(side) for side in sides])
    if told["comparison"]:
        print_comparison(told["comparison"])
    if told["scores"]:
        print_table(_SCORED, [[side["rules"]["from"], *side["scores"].values()] for side in sides])
    if "sweep" in told:
        _print_sweep(told["sweep"])
    for one in told["source"]["unreadable"]:
        typer.echo(f"not an event: {one['line']}: {safe(one['why'])}", err=True)
    source = told["source"]
    ledger = ", ".join(f"{reason} {count:,}" for reason, count in told["ledger"].items())
    typer.echo(f"{source['events']:,} events from {source['first_event_at']} to {source['last_event_at']}: {ledger}")
    if "certificate" in told:
        _print_certificate(told["certificate"])
    typer.echo(f"sha256 {told['sha256']}")


def print_comparison(found: dict[str, Any]) -> None:
    """What was added, lost and changed."""
    counts = [f"{len(found[name]):,} {name}" for name in ("added", "lost", "changed")]
    typer.echo(f"{', '.join(counts)}, {found['same']:,} the same")
    rows = [
        (what, one["service"], one["rule"], one["event_count"], one["first_event_at"], one["why"])
        for what in ("added", "lost")
        for one in found[what][:_SHOWN]
    ]
    rows += [_changed(one["after"], one["differences"]) for one in found["changed"][:_SHOWN]]
    if rows:
        print_table(("", "service", "rule", "#events", "first", "why"), rows)


def _print_certificate(found: dict[str, Any]) -> None:
    typer.echo(
        f"certificate: {'match' if found['matches'] else 'MISMATCH'}, {found['incidents']} published incidents"
        f" compared, {found['older']} began before the range"
    )
    print_comparison(found["comparison"])


def _print_incidents(incidents: list[dict[str, Any]]) -> None:
    columns = ("service", "rule", "#events", "first", "last", "#s to detect", "key")
    names = ("service", "rule", "event_count", "first_event_at", "last_event_at", "seconds_to_detect", "key")
    print_table(columns, [[one[name] for name in names] for one in incidents[:_SHOWN]])
    if len(incidents) > _SHOWN:
        typer.echo(f"... and {len(incidents) - _SHOWN:,} more; --json has all")


def _summary(side: dict[str, Any]) -> list[object]:
    waited = side["seconds_to_detect"] or {"median": "", "p90": ""}
    names = side["rules"]
    shown = f"{names['from']} ({', '.join(names['names'])})"
    counts = [len(side["incidents"]), f"{side['incidents_a_day']:.1f}", len(side["per_service"])]
    return [shown, *counts, len(side["near_misses"]), waited["median"], waited["p90"]]


def _changed(one: dict[str, Any], differences: list[str]) -> tuple[Any, Any, Any, Any, Any, Any]:
    count = str(one["event_count"])
    return "changed", one["service"], one["rule"], count, one["first_event_at"], "; ".join(differences)


def _print_sweep(sweep: dict[str, Any]) -> None:
    """One row for each value of the first axis, one column for each of the second."""
    rows, columns = (sweep["axes"] + [{"name": "", "values": [""]}])[:2]
    cells = iter(sweep["cells"])
    has_labels = any(cell["scores"] for cell in sweep["cells"])
    what = "precision / recall / incidents a day" if has_labels else "incidents a day"
    typer.echo(f"rule {sweep['rule']}, {what}:")
    head = f"{rows['name']} \\ {columns['name']}" if columns["name"] else rows["name"]
    table = [[value, *(_cell(next(cells)) for _ in columns["values"])] for value in rows["values"]]
    print_table((f"#{head}", *(f"#{value}" for value in columns["values"])), table)
    knee = sweep["knee"]
    if knee is None:
        typer.echo("no knee without labels: nothing tells what fewer incidents lose")
    else:
        typer.echo(f"knee: {', '.join(f'{name}={value}' for name, value in knee['values'].items())}: {_cell(knee)}")


def _cell(cell: dict[str, Any]) -> str:
    shown = f"{cell['incidents_a_day']:.1f}"
    if not cell["scores"]:
        return shown
    shares = [cell["scores"][name] for name in ("precision", "recall")]
    return " / ".join([*("-" if share is None else f"{share:.2f}" for share in shares), shown])
