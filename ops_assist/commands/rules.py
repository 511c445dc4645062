"""`ops-assist rules`."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ops_assist import promoting
from ops_assist.backtesting.known import known_labels
from ops_assist.backtesting.log import Asked, open_log, run
from ops_assist.backtesting.printing import print_report
from ops_assist.backtesting.sides import unusable
from ops_assist.backtesting.telling import tell, write_page
from ops_assist.errors import CommandError
from ops_assist.options import BootstrapServers, Jobs, Lasting
from ops_assist.output import print_json, print_table, safe, write_canonical
from ops_assist.promoting import Promotion
from ops_assist.running import kafka_settings
from runtime.settings import load_settings
from schemas.topics import EVENTS
from stream_processor.backtest.page import render
from stream_processor.backtest.report import canonical
from stream_processor.durations import format_duration
from stream_processor.faults import Fault, InvalidFiles
from stream_processor.rule_files import load_rules
from stream_processor.rules import AbsenceRule, PatternRule, RateRule, RatioRule, Rule, RuleSet
from stream_processor.scenario_files import load_scenarios
from stream_processor.scenario_results import Verdict, judge

app = typer.Typer(add_completion=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def root() -> None:
    """Check rule files and test the rules in them; needs no running pipeline."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Rule files, or directories of them.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check rule files, which together make one set of rules; show the rules, or all that is wrong with them."""
    try:
        rules = load_rules(paths)
    except InvalidFiles as invalid:
        if as_json:
            print_json({"valid": False, "errors": invalid.faults, "rules": []})
        else:
            _say_faults(invalid.faults)
        raise typer.Exit(1) from invalid
    if as_json:
        lateness = format_duration(rules.allowed_lateness)
        shown = [_rule_fields(rule) for rule in rules.rules]
        print_json({"valid": True, "errors": [], "allowed_lateness": lateness, "rules": shown})
    else:
        _print_rules(rules)


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="The rule on trial: it has shadow: true.")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Events to compare on; default: --topic.")
    ] = None,
    *,
    replaces: Annotated[str, typer.Option(help="The rule that it takes the place of, or none.")] = "",
    rules: Annotated[Path | None, typer.Option(help="A rule file or a directory; default: RULES.")] = None,
    topic: Annotated[str, typer.Option(help="The topic to compare on; default: ops.events.")] = "",
    since: Annotated[str, typer.Option("--from", help="Where in the topic: a time or an offset.")] = "",
    until: Annotated[str, typer.Option("--to", help="Up to where, not included; as --from.")] = "",
    labels: Annotated[str, typer.Option(metavar="FILE|verdicts", help="Score both, as `backtest` does.")] = "",
    lasting: Lasting = "5m",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison as one page too.")] = None,
    jobs: Jobs = None,
    bootstrap_servers: BootstrapServers = "",
    yes: Annotated[
        bool, typer.Option("--yes", "--write", help="Write the rule file; else nothing is changed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a rule on trial with the one that it would replace, on past events; with --yes, put it in its place."""
    settings = load_settings()
    path = rules or settings.rules
    if path is None:
        raise CommandError("say with --rules, or RULES, where the rules are")
    try:
        loaded = load_rules([path])
    except InvalidFiles as invalid:
        raise unusable(invalid) from invalid
    promotion = promoting.find(loaded, name, replaces)
    kafka = kafka_settings(settings, bootstrap_servers)
    known = known_labels(labels, lasting, kafka)
    log = open_log(kafka, Asked(files or [], topic or ("" if files else EVENTS), since, until))
    sides = _sides(loaded, promotion)
    found = run(log, [one for _, one in sides], jobs or os.cpu_count() or 1)
    told = tell(log, sides, found, known)
    if html is not None:
        write_page(html, render(told))
    if as_json:
        write_canonical(canonical(told))
    else:
        print_report(told)
    _carry_out(path, promotion, yes=yes)


def _sides(rules: RuleSet, promotion: Promotion) -> list[tuple[str, RuleSet]]:
    """Each rule alone, since the others do the same on both sides; under one name, so that like incidents are alike."""
    rule, replaced = promotion.rule, promotion.replaced
    sides = [(f"{rule.name} (on trial)", msgspec.structs.replace(rule, name=replaced.name) if replaced else rule)]
    if replaced:
        sides.append((replaced.name, replaced))
    return [(name, RuleSet((rule,), rules.allowed_lateness)) for name, rule in sides]


def _carry_out(path: Path, promotion: Promotion, *, yes: bool) -> None:
    gone = f" and rule {promotion.replaced.name} removed" if promotion.replaced else ""
    if yes:
        written = ", ".join(map(str, promoting.write([path], promotion)))
        typer.echo(f"{written}: rule {promotion.rule.name} is in earnest now{gone}", err=True)
    else:
        typer.echo(f"nothing is changed; with --yes rule {promotion.rule.name} is in earnest{gone}", err=True)


@app.command("test")
def run_scenarios(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Play the scenarios of files into the detection and compare the incidents with those that are expected."""
    verdicts: list[Verdict] = []
    faults: list[Fault] = []
    for file in files:
        try:
            loaded = load_scenarios(file)
        except InvalidFiles as invalid:
            faults += [fault for fault in invalid.faults if fault not in faults]
        else:
            verdicts += [judge(loaded.file, scenario, loaded.rules) for scenario in loaded.scenarios]
    failed = sum(not verdict.passed for verdict in verdicts)
    if as_json:
        print_json({"passed": not faults and not failed, "errors": faults, "scenarios": verdicts})
    else:
        _print_verdicts(verdicts)
        _say_faults(faults)
        typer.echo(f"{len(verdicts) - failed} passed, {failed} failed, {len(faults)} errors")
    if faults or failed:
        raise typer.Exit(1)


def _print_rules(rules: RuleSet) -> None:
    columns = ("name", "kind", "opens at", "#window", "#quiet period", "#lateness", "severity floor", "levels", "match")
    rows = [
        (
            *(rule.name, rule.kind, _opens_at(rule), format_duration(rule.window), _quiet_period(rule)),
            *(format_duration(rule.lateness), rule.severity_floor, ", ".join(rule.levels), _conditions(rule)),
        )
        for rule in rules.rules
    ]
    print_table(columns, rows)
    typer.echo(f"{len(rules.rules)} rules, allowed lateness {format_duration(rules.allowed_lateness)}")


def _rule_fields(rule: Rule) -> dict[str, object]:
    shared = {
        "name": rule.name,
        "kind": rule.kind,
        "window": format_duration(rule.window),
        "allowed_lateness": format_duration(rule.lateness),
        "severity_floor": rule.severity_floor,
        "levels": rule.levels,
        "match": rule.match,
    }
    return shared | _own_fields(rule)


def _own_fields(rule: Rule) -> dict[str, object]:
    """The fields that rules of other kinds may not have."""
    match rule:
        case RateRule():
            own: dict[str, object] = {
                "multiple": rule.multiple,
                "floor": rule.floor,
                "baseline_windows": rule.baseline_windows,
                "learning_windows": rule.learning_windows,
            }
        case RatioRule():
            own = {"share": rule.share, "minimum": rule.minimum}
        case AbsenceRule():
            return {"threshold": rule.threshold}
        case PatternRule():
            own = {"threshold": rule.threshold, "learning_period": format_duration(rule.learning_period)}
        case _:
            own = {"threshold": rule.threshold}
    return own | {"quiet_period": _quiet_period(rule)}


def _opens_at(rule: Rule) -> str:
    match rule:
        case RateRule():
            return f"over {rule.multiple:g} x baseline and {rule.floor} events"
        case RatioRule():
            return f"{rule.share:.4g} of at least {rule.minimum} events"
        case AbsenceRule():
            return f"silence after {rule.threshold} events"
        case PatternRule():
            return f"{rule.threshold} of a new template"
    return f"{rule.threshold} events"


def _quiet_period(rule: Rule) -> str:
    return format_duration(rule.quiet_period) if rule.quiet_period else "never"


def _conditions(rule: Rule) -> str:
    match = rule.match
    said = [f"service {' or '.join(match.services)}"] if match.services else []
    if match.not_services:
        said.append(f"not service {' or '.join(match.not_services)}")
    said += [f"{name} = {' or '.join(map(str, values))}" for name, values in match.attributes]
    if match.message is not None:
        said.append(f"message /{match.message}/")
    return "; ".join(said)


def _print_verdicts(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        result = "ok    " if verdict.passed else "FAILED"
        typer.echo(f"{result} {safe(f'{verdict.file}:{verdict.line}: {verdict.scenario}')}")
        for line in verdict.differences:
            typer.echo(f"         {safe(line)}")
    if not all(verdict.passed for verdict in verdicts):
        typer.echo("(- expected, + found, ! could not be done)")


def _say_faults(faults: list[Fault]) -> None:
    for fault in faults:
        typer.echo(safe(fault), err=True)
