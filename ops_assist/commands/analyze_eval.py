"""`ops-assist analyze-eval`."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress

from analyzer_worker.evaluation.analysts import Analyst, ModelAnalyst, RulesAnalyst
from analyzer_worker.evaluation.cases import Case, InvalidCases, bundled_cases, load_cases
from analyzer_worker.evaluation.picture import html, svg
from analyzer_worker.evaluation.report import Report, measure, some_of, trial_count
from analyzer_worker.evaluation.tables import as_text, time_line
from analyzer_worker.litellm_adapter import LiteLLM, model_name
from ops_assist.errors import CommandError
from ops_assist.output import console, print_json, safe
from runtime.settings import load_settings

app = typer.Typer(add_completion=False)

PICTURES: Final = (".svg", ".html")


class SplitChoice(StrEnum):
    """Which cases to take."""

    DEV = "dev"
    TEST = "test"
    ALL = "all"


class AnalyzerChoice(StrEnum):
    """Who is examined."""

    RULES = "rules"
    MODEL = "model"


@app.command()
def analyze_eval(
    *,
    analyzer: Annotated[
        AnalyzerChoice, typer.Option(help="rules, or the model of LLM_MODEL (keys and LLM_API_BASE as for the worker).")
    ] = AnalyzerChoice.RULES,
    split: Annotated[
        SplitChoice, typer.Option(help="Cases for writing patterns (dev), kept apart (test), or both.")
    ] = SplitChoice.ALL,
    cases: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Cases of your own, JSON Lines, instead of those of the package; repeatable."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many cases, from every category in turn.")] = None,
    trials: Annotated[bool, typer.Option(help="Also try hostile lines and lines with secrets.")] = True,
    misses: Annotated[
        bool, typer.Option("--misses", help="List the cases that were not found, with the reasons.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the confusion matrix: .svg, or .html with the table.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure an analyzer on labelled incidents: category, severity, claims, hostile lines, secrets, cost and time."""
    if picture and picture.suffix not in PICTURES:
        raise CommandError(f"--picture {picture}: the name must end in {' or '.join(PICTURES)}")
    chosen = _chosen(cases, split, limit)
    report = asyncio.run(_measured(_analyst(analyzer), chosen, with_trials=trials))
    table = as_text(report, with_misses=misses)
    if picture:
        _write(picture, svg(report) if picture.suffix == ".svg" else html(report, table))
    if as_json:
        print_json(report)
    else:
        typer.echo("\n".join(safe(line) for line in table.splitlines()))
        typer.echo(time_line(report))
    if not any(each.answered for each in report.scores.values()):
        raise CommandError(f"no usable answer from {report.analyzer}: {next(iter(report.failures))}")


def _chosen(files: Sequence[Path] | None, split: SplitChoice, limit: int | None) -> list[Case]:
    try:
        found = load_cases(files) if files else list(bundled_cases())
    except InvalidCases as invalid:
        for fault in invalid.faults[:-1]:
            typer.echo(safe(fault), err=True)
        raise CommandError(invalid.faults[-1]) from invalid
    if split is not SplitChoice.ALL:
        found = [case for case in found if case.split == split.value]
        if not found:
            raise CommandError(f"no case has the split {split}; --split all takes those without one")
    return found if limit is None else some_of(found, limit)


def _analyst(choice: AnalyzerChoice) -> Analyst:
    if choice is AnalyzerChoice.RULES:
        return RulesAnalyst()
    settings = load_settings()
    if not model_name(settings):
        raise CommandError("no model is set: LLM_MODEL (and LLM_API_BASE for a server of your own) or OPENAI_API_KEY")
    return ModelAnalyst(LiteLLM(settings), settings.llm_timeout)


async def _measured(analyst: Analyst, cases: Sequence[Case], *, with_trials: bool) -> Report:
    total = len(cases) + (trial_count() if with_trials else 0)
    screen = console(err=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(f"analysing with {safe(analyst.name)}", total=total)
        return await measure(analyst, cases, lambda: progress.advance(task), with_trials=with_trials)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
