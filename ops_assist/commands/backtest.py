"""`ops-assist backtest`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin, consumer, failures, partitions_of
from ops_assist.output import print_table, safe, write_canonical
from ops_assist.progress import progress_of
from ops_assist.running import kafka_settings
from runtime.settings import Settings, load_settings
from schemas.incident import Incident
from schemas.topics import EVENTS
from stream_processor.backtest.compare import compare
from stream_processor.backtest.files import UnreadableFile, check_files
from stream_processor.backtest.live import Certificate, certify, inputs_by_partition, read_incidents
from stream_processor.backtest.page import render
from stream_processor.backtest.passes import Files, Pass, TopicRange, run_pass
from stream_processor.backtest.report import RuleSetReport, Source, canonical, certificate_fields, report
from stream_processor.backtest.scores import InvalidLabels, Label, read_labels, score
from stream_processor.backtest.topic_range import Bound, InvalidBound, find_ranges, parse_bound
from stream_processor.durations import parse_duration
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import load_rules, rules_in_force
from stream_processor.rules import RuleSet

LIVE: Final = "live"
_SHOWN: Final = 50

app = typer.Typer(add_completion=False)


class Log(msgspec.Struct, frozen=True):
    """What is to be read, how large it is (bytes or offsets), and the incidents that its pipeline has published."""

    source: Files | TopicRange
    size: int
    published: list[Incident] = []


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
        Path | None, typer.Option(metavar="FILE", help="Score on known faults: a JSON list of service, start and end.")
    ] = None,
    lasting: Annotated[str, typer.Option(help="How long a fault lasts whose end is not given.")] = "5m",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as one page too.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes; default: one a core.")
    ] = None,
    bootstrap_servers: Annotated[str, typer.Option(help="The Kafka cluster; default: that of the settings.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Tell which incidents rules would have given on past events, and how they differ from those of other rules.

    The detection of the live pipeline runs over the events in event time, from a clean start. The same events and rules
    give the same report, byte for byte.
    """
    settings = load_settings()
    known = _labels(labels, lasting)
    sides = _sides(settings, rules or [], against)
    log = _log(
        kafka_settings(settings, bootstrap_servers),
        files or [],
        topic,
        _bound(since, "--from"),
        _bound(until, "--to"),
        needs_published=with_status_changes or certificate,
    )
    found = _run(log, [loaded for _, loaded in sides], jobs or os.cpu_count() or 1)
    certified = _certified(log, found) if certificate else None
    told = _report(log, sides, found, certified, known)
    if html is not None:
        _write(html, render(told))
    if as_json:
        write_canonical(canonical(told))
    else:
        _print(told, certified)
    if certified is not None and not certified.matches:
        raise CommandError("the backtest gives other incidents than were published; see the differences")


def _sides(settings: Settings, paths: list[Path], against: str) -> list[tuple[str, RuleSet]]:
    """The rules that are asked about and those they are compared with, each with where they are from."""
    try:
        sides = [(", ".join(path.name for path in paths), load_rules(paths))] if paths else [_in_force(settings)]
        if against == LIVE:
            sides.append(_in_force(settings))
        elif against:
            sides.append((Path(against).name, load_rules([Path(against)])))
    except InvalidFiles as invalid:
        for fault in invalid.faults:
            typer.echo(safe(fault), err=True)
        raise CommandError("the rules cannot be used; `ops-assist rules check` shows the same") from invalid
    return sides


def _in_force(settings: Settings) -> tuple[str, RuleSet]:
    return ("the default rule" if settings.rules is None else "RULES"), rules_in_force(settings)


def _labels(path: Path | None, lasting: str) -> list[Label] | None:
    duration = parse_duration(lasting)
    if duration is None:
        raise typer.BadParameter("--lasting takes a duration, as 90s, 5m or 1h30m")
    try:
        return None if path is None else read_labels(path, duration)
    except InvalidLabels as error:
        raise CommandError(str(error)) from error


def _bound(text: str, option: str) -> Bound | None:
    try:
        return parse_bound(text) if text else None
    except InvalidBound as error:
        raise typer.BadParameter(f"{option}: {error}") from error


def _log(
    settings: Settings,
    files: list[Path],
    topic: str,
    since: Bound | None,
    until: Bound | None,
    *,
    needs_published: bool,
) -> Log:
    if bool(files) == bool(topic):
        raise typer.BadParameter("give files of events, or --topic")
    if topic:
        return asyncio.run(_topic(settings, topic, since, until, needs_published=needs_published))
    if since or until or needs_published:
        raise typer.BadParameter("--from, --to, --with-status-changes and --certificate go with --topic")
    try:
        return Log(Files(files), check_files(files))
    except UnreadableFile as error:
        raise CommandError(str(error)) from error


async def _topic(
    settings: Settings, topic: str, since: Bound | None, until: Bound | None, *, needs_published: bool
) -> Log:
    async with admin(settings) as client:
        numbers = [place.partition for place in await partitions_of(client, topic)]
    async with consumer(settings) as reader:
        ranges = await find_ranges(reader, topic, numbers, since, until)
        published = await read_incidents(reader, numbers) if needs_published else []
    inputs = inputs_by_partition(published)
    source = TopicRange(settings, topic, len(numbers), ranges, inputs)
    return Log(source, sum(one.size for one in ranges), published)


def _run(log: Log, rules: list[RuleSet], jobs: int) -> Pass:
    settings = log.source.settings if isinstance(log.source, TopicRange) else None
    with progress_of("backtest", log.size) as advance, failures(settings):
        try:
            return run_pass(log.source, rules, jobs, advance)
        except UnreadableFile as error:
            raise CommandError(str(error)) from error


def _certified(log: Log, found: Pass) -> Certificate:
    assert isinstance(log.source, TopicRange)
    if log.source.topic != EVENTS:
        raise CommandError(f"incidents are published of {EVENTS} only: --certificate needs --topic {EVENTS}")
    return certify(log.published, log.source.ranges, found.findings[0])


def _report(
    log: Log,
    sides: list[tuple[str, RuleSet]],
    found: Pass,
    certified: Certificate | None,
    labels: list[Label] | None,
) -> dict[str, Any]:
    reports = [
        RuleSetReport(*side, findings, None if labels is None else score(findings.incidents, labels))
        for side, findings in zip(sides, found.findings, strict=True)
    ]
    chosen, against = reports[0], reports[1] if len(reports) > 1 else None
    comparison = compare(against.findings, chosen.findings) if against else None
    source = Source(_names(log.source), found.events, found.first, found.newest, _ranges(log.source), found.unreadable)
    more = {} if certified is None else {"certificate": certificate_fields(certified)}
    return report(source, chosen, against, comparison, **more)


def _names(source: Files | TopicRange) -> list[str]:
    return [source.topic] if isinstance(source, TopicRange) else [path.name for path in source.paths]


def _ranges(source: Files | TopicRange) -> list[dict[str, int]]:
    ranges = source.ranges if isinstance(source, TopicRange) else []
    return [{"partition": one.partition, "start": one.start, "end": one.end} for one in ranges]


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _print(told: dict[str, Any], certified: Certificate | None) -> None:
    _print_incidents(told["incidents"])
    sides = [told, *([told["against"]] if told["against"] else [])]
    columns = ("rules", "#incidents", "#a day", "#services", "#near misses", "#s to detect (median)", "#p90")
    print_table(columns, [_summary(side) for side in sides])
    if told["comparison"]:
        _print_comparison(told["comparison"])
    if told["scores"]:
        scored = (
            "rules",
            "#faults",
            "#found",
            "#incidents",
            "#in a fault",
            "#precision",
            "#recall",
            "#F1",
            "#median s",
        )
        print_table(scored, [[side["rules"]["from"], *side["scores"].values()] for side in sides])
    for one in told["source"]["unreadable"]:
        typer.echo(f"not an event: {one['line']}: {safe(one['why'])}", err=True)
    source = told["source"]
    ledger = ", ".join(f"{reason} {count:,}" for reason, count in told["ledger"].items())
    typer.echo(f"{source['events']:,} events from {source['first_event_at']} to {source['last_event_at']}: {ledger}")
    if certified is not None:
        typer.echo(
            f"certificate: {'match' if certified.matches else 'MISMATCH'}, {certified.incidents} published incidents"
            f" compared, {certified.older} began before the range"
        )
        _print_comparison(told["certificate"]["comparison"])
    typer.echo(f"sha256 {told['sha256']}")


def _print_incidents(incidents: list[dict[str, Any]]) -> None:
    columns = ("service", "rule", "#events", "first", "last", "#s to detect", "key")
    names = ("service", "rule", "event_count", "first_event_at", "last_event_at", "seconds_to_detect", "key")
    print_table(columns, [[one[name] for name in names] for one in incidents[:_SHOWN]])
    if len(incidents) > _SHOWN:
        typer.echo(f"... and {len(incidents) - _SHOWN:,} more; --json has all")


def _summary(side: dict[str, Any]) -> list[object]:
    count, days = len(side["incidents"]), max(1, len(side["per_day"]))
    waited = side["seconds_to_detect"] or {"median": "", "p90": ""}
    names = side["rules"]
    shown = f"{names['from']} ({', '.join(names['names'])})"
    per_day = f"{count / days:.1f}"
    near = len(side["near_misses"])
    return [shown, count, per_day, len(side["per_service"]), near, waited["median"], waited["p90"]]


def _print_comparison(found: dict[str, Any]) -> None:
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


def _changed(one: dict[str, Any], differences: list[str]) -> tuple[Any, Any, Any, Any, Any, Any]:
    count = str(one["event_count"])
    return "changed", one["service"], one["rule"], count, one["first_event_at"], "; ".join(differences)
