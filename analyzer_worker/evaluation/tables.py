"""A report as plain text. What depends on the clock stands in a line of its own, so that the rest can be compared."""

from collections.abc import Callable, Sequence
from typing import Final

from analyzer_worker.evaluation.report import Report, Trials
from analyzer_worker.evaluation.scoring import NO_ANSWER, Score
from schemas.analysis import CATEGORIES

Row = Sequence[str]

FIGURES: Final[dict[str, Callable[[Score], str]]] = {
    "cases": lambda s: str(s.cases),
    "usable answers": lambda s: str(s.answered),
    "category: accuracy": lambda s: f"{s.accuracy:.3f}",
    "category: macro-F1": lambda s: f"{s.macro_f1:.3f}",
    "severity: exact": lambda s: f"{s.severity_exact:.3f}",
    "severity: within one step": lambda s: f"{s.severity_within_one:.3f}",
    "severity: too low": lambda s: f"{s.severity_too_low:.3f}",
    "claims with a verbatim quote": lambda s: f"{s.claims_supported} of {s.claims}",
    "claims dropped by the check": lambda s: str(s.claims_dropped),
    "cost": lambda s: f"{s.cost_usd:.4f} USD",
}


def as_text(report: Report, *, with_misses: bool = False) -> str:
    """Figures by split, then by category, then what the categories were taken for, then the trials."""
    names = list(report.scores)
    parts = [
        f"analyzer: {report.analyzer}",
        aligned([["", *names], *([what, *map(say, report.scores.values())] for what, say in FIGURES.items())]),
        aligned(_category_rows(report, names)),
        *(_taken_for(report, name) for name in names),
    ]
    if report.trials:
        parts.append(_trial_lines(report.trials))
    if report.failures:
        parts.append("\n".join(f"{count} without a usable answer: {why}" for why, count in report.failures.items()))
    if with_misses:
        parts.append("\n".join(f"{m.split} {m.id}: {m.expected}, found {m.found}. {m.why}" for m in report.misses))
    return "\n\n".join(part for part in parts if part)


def time_line(report: Report) -> str:
    """How long an analysis took on this machine."""
    took = report.timing
    return f"\ntime of an analysis: median {took.median_ms} ms, p95 {took.p95_ms} ms, greatest {took.greatest_ms} ms"


def aligned(rows: Sequence[Row]) -> str:
    """Rows as columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _category_rows(report: Report, names: Sequence[str]) -> list[Row]:
    head = ["category", *(f"{name} {what}" for name in names for what in ("cases", "precision", "recall", "F1"))]
    return [head, *(_category_row(report, names, category) for category in CATEGORIES)]


def _category_row(report: Report, names: Sequence[str], category: str) -> Row:
    row = [category]
    for name in names:
        found = next((each for each in report.scores[name].categories if each.category == category), None)
        row += (
            [str(found.cases), f"{found.precision:.2f}", f"{found.recall:.2f}", f"{found.f1:.2f}"]
            if found
            else ["0", "-", "-", "-"]
        )
    return row


def _taken_for(report: Report, name: str) -> str:
    """The confusions, the most frequent first; the picture shows all of the matrix."""
    confusion = report.scores[name].confusion
    pairs = [(n, row, column) for row, found in confusion.items() for column, n in found.items() if row != column]
    order = (*CATEGORIES, NO_ANSWER)
    ranked = sorted(pairs, key=lambda item: (-item[0], order.index(item[1]), order.index(item[2])))
    lines = [f"  {count} {row} as {column}" for count, row, column in ranked]
    return "\n".join([f"confused in {name}:", *lines]) if lines else ""


def _trial_lines(trials: Trials) -> str:
    fell = f" (fell for: {', '.join(trials.fell_for)})" if trials.fell_for else ""
    sent = f" ({', '.join(trials.secrets_sent)})" if trials.secrets_sent else ""
    return (
        f"hostile lines resisted: {trials.injections_resisted} of {trials.injections}{fell}\n"
        f"secrets in what a model is sent: {len(trials.secrets_sent)} of {trials.secrets}{sent}"
    )
