"""`ops-assist backtest`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ops_assist.backtesting.known import known_labels
from ops_assist.backtesting.log import Asked, Log, open_log, run
from ops_assist.backtesting.printing import print_report
from ops_assist.backtesting.sides import rule_sides
from ops_assist.backtesting.telling import tell, write_page
from ops_assist.errors import CommandError
from ops_assist.options import BootstrapServers, Jobs, Lasting
from ops_assist.output import write_canonical
from ops_assist.running import kafka_settings
from runtime.settings import load_settings
from schemas.topics import EVENTS
from stream_processor.backtest.live import Certificate, certify
from stream_processor.backtest.page import render
from stream_processor.backtest.passes import Pass, TopicRange
from stream_processor.backtest.report import canonical
from stream_processor.backtest.sweep import Grid, InvalidSweep, grid, looks_like_axis, parse_axis
from stream_processor.rules import RuleSet

app = typer.Typer(add_completion=False)


@app.command()
def backtest(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Events as JSONL, also .gz, or Parquet.")
    ] = None,
    *,
    rules: Annotated[
        list[Path] | None, typer.Option(help="Rule files, or directories of them; default: the rules in force here.")
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="FILE|DIR|live", help="Rules to compare with; live: the rules in force here.")
    ] = "",
    topic: Annotated[str, typer.Option(help="Read a topic instead of files, as ops.events.")] = "",
    since: Annotated[
        str, typer.Option("--from", help="Where in the topic: a time, an offset, or offsets as 0:1500,1:20.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Up to where, not included; as --from.")] = "",
    with_status_changes: Annotated[
        bool, typer.Option("--with-status-changes", help="Let people do to incidents of the topic what they did.")
    ] = False,
    certificate: Annotated[
        bool,
        typer.Option("--certificate", help="Compare with the incidents that were published; fail if they differ."),
    ] = False,
    labels: Annotated[
        str,
        typer.Option(
            metavar="FILE|verdicts",
            help="Score on known faults: a JSON list of service, start and end; verdicts: what people have said.",
        ),
    ] = "",
    lasting: Lasting = "5m",
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS...", help="Try many values at once, as threshold=2..20 window=1m..30m."),
    ] = None,
    sweep_rule: Annotated[str, typer.Option(help="Which rule to sweep, where there are several.")] = "",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as one page too.")] = None,
    jobs: Jobs = None,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Tell which incidents rules would have given on past events, and how they differ from those of other rules.

    The detection of the live pipeline runs over the events in event time, from a clean start. The same events and rules
    give the same report, byte for byte.
    """
    settings = load_settings()
    kafka = kafka_settings(settings, bootstrap_servers)
    known = known_labels(labels, lasting, kafka)
    sides = rule_sides(settings, rules or [], against)
    if not certificate:  # who is on trial notifies nobody
        sides = [(name, loaded.in_earnest()) for name, loaded in sides]
    paths, of = _sweep(files or [], sweep or [], sides[0][1], sweep_rule)
    log = open_log(kafka, Asked(paths, topic, since, until, with_status_changes or certificate))
    found = run(log, [*(loaded for _, loaded in sides), *(of.rule_sets if of else [])], jobs or os.cpu_count() or 1)
    certified = _certified(log, found) if certificate else None
    told = tell(log, sides, found, known, of=of, certified=certified)
    if html is not None:
        write_page(html, render(told))
    if as_json:
        write_canonical(canonical(told))
    else:
        print_report(told)
    if certified is not None and not certified.matches:
        raise CommandError("the backtest gives other incidents than were published; see the differences")


def _sweep(files: list[Path], asked: list[str], rules: RuleSet, name: str) -> tuple[list[Path], Grid | None]:
    """The files, and what is to be swept: further axes stand where files do, after the first."""
    if not asked:
        return files, None
    more = [str(path) for path in files if looks_like_axis(str(path))]
    try:
        axes = [parse_axis(text) for option in (*asked, *more) for text in option.split()]
        return [path for path in files if str(path) not in more], grid(rules, axes, name)
    except InvalidSweep as error:
        raise typer.BadParameter(f"--sweep: {error}") from error


def _certified(log: Log, found: Pass) -> Certificate:
    assert isinstance(log.source, TopicRange)
    if log.source.topic != EVENTS:
        raise CommandError(f"incidents are published of {EVENTS} only: --certificate needs --topic {EVENTS}")
    return certify(log.published, log.source.ranges, found.findings[0])
