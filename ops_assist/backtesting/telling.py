"""From the findings of a pass to its report, and the page of it."""

from pathlib import Path
from typing import Any

from ops_assist.backtesting.log import Log, source_of
from ops_assist.errors import CommandError
from stream_processor.backtest.compare import compare
from stream_processor.backtest.findings import Findings
from stream_processor.backtest.labels import Labels
from stream_processor.backtest.live import Certificate
from stream_processor.backtest.passes import Pass
from stream_processor.backtest.report import RuleSetReport, certificate_fields, report, sweep_fields
from stream_processor.backtest.scores import score
from stream_processor.backtest.sweep import Grid, days_between, outcome
from stream_processor.rules import RuleSet


def tell(
    log: Log,
    sides: list[tuple[str, RuleSet]],
    found: Pass,
    labels: Labels | None,
    *,
    of: Grid | None = None,
    certified: Certificate | None = None,
) -> dict[str, Any]:
    """The report of a pass: the findings of the sides first, then those of the grid."""
    reports = [_side(side, one, labels) for side, one in zip(sides, found.findings[: len(sides)], strict=True)]
    chosen, against = reports[0], reports[1] if len(reports) > 1 else None
    comparison = compare(against.findings, chosen.findings) if against else None
    more = {} if certified is None else {"certificate": certificate_fields(certified)}
    if of is not None:
        days = days_between(found.first, found.newest)
        more["sweep"] = sweep_fields(outcome(of, found.findings[len(sides) :], days, labels))
    return report(source_of(log, found), chosen, against, comparison, **more)


def _side(side: tuple[str, RuleSet], findings: Findings, labels: Labels | None) -> RuleSetReport:
    return RuleSetReport(*side, findings, None if labels is None else score(findings.incidents, labels))


def write_page(path: Path, page: str) -> None:
    """Write a report as a page."""
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
