"""Figures from outcomes. Pure.

Accuracy counts a case without a verdict as wrong. The F1 of a category is 2TP / (2TP + FP + FN); macro-F1 is the mean
over the categories that occur in the cases, each counting the same (Sokolova and Lapalme 2009, table 3: M-averaging of
one-class F1).
"""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from analyzer_worker.evaluation.outcomes import Outcome
from schemas.analysis import CATEGORIES, SEVERITIES, Category, Severity

NO_ANSWER: Final = "no answer"


class CategoryScore(msgspec.Struct, frozen=True):
    """One category: how many cases it has, and precision, recall and F1, each between 0 and 1."""

    category: Category
    cases: int
    precision: float
    recall: float
    f1: float


class Score(msgspec.Struct, frozen=True):
    """The figures of one analyzer on some cases; shares lie between 0 and 1."""

    cases: int
    answered: int
    accuracy: float
    macro_f1: float
    severity_exact: float
    severity_within_one: float
    severity_too_low: float
    claims: int
    claims_supported: int
    claims_dropped: int
    cost_usd: float
    categories: list[CategoryScore]
    confusion: dict[str, dict[str, int]]
    """Expected category, then what was found instead or rightly; zero counts are left out."""


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of one analysis."""

    median_ms: float
    p95_ms: float
    greatest_ms: float


def score(outcomes: Sequence[Outcome]) -> Score:
    """The figures of some outcomes."""
    pairs = [(outcome.case.category, _found(outcome)) for outcome in outcomes]
    categories = [_category_score(category, pairs) for category in CATEGORIES if any(p[0] == category for p in pairs)]
    steps = [_steps(outcome) for outcome in outcomes]
    return Score(
        cases=len(outcomes),
        answered=sum(outcome.verdict is not None for outcome in outcomes),
        accuracy=_share(sum(expected == found for expected, found in pairs), len(pairs)),
        macro_f1=_share(sum(each.f1 for each in categories), len(categories)),
        severity_exact=_share(steps.count(0), len(steps)),
        severity_within_one=_share(sum(step is not None and abs(step) <= 1 for step in steps), len(steps)),
        severity_too_low=_share(sum(step is not None and step > 0 for step in steps), len(steps)),
        claims=sum(outcome.claims for outcome in outcomes),
        claims_supported=sum(outcome.supported for outcome in outcomes),
        claims_dropped=sum(outcome.dropped for outcome in outcomes),
        cost_usd=sum(outcome.verdict.cost_usd for outcome in outcomes if outcome.verdict),
        categories=categories,
        confusion=_confusion(pairs),
    )


def timing(outcomes: Sequence[Outcome]) -> Timing:
    """How long the analyses took."""
    times = sorted(outcome.seconds * 1_000 for outcome in outcomes) or [0.0]
    p95 = times[min(len(times) - 1, len(times) * 95 // 100)]
    return Timing(round(median(times), 2), round(p95, 2), round(times[-1], 2))


def severity_steps(expected: Severity, found: Severity) -> int:
    """How many steps `found` is milder than `expected`; below 0: more severe."""
    return SEVERITIES.index(found) - SEVERITIES.index(expected)


def _steps(outcome: Outcome) -> int | None:
    return severity_steps(outcome.case.severity, outcome.verdict.severity) if outcome.verdict else None


def _found(outcome: Outcome) -> str:
    return outcome.verdict.category if outcome.verdict else NO_ANSWER


def _category_score(category: Category, pairs: Sequence[tuple[str, str]]) -> CategoryScore:
    right = sum(expected == found == category for expected, found in pairs)
    cases = sum(expected == category for expected, _ in pairs)
    named = sum(found == category for _, found in pairs)
    return CategoryScore(category, cases, _share(right, named), _share(right, cases), _share(2 * right, cases + named))


def _share(part: float, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts = Counter(pairs)
    columns = (*CATEGORIES, NO_ANSWER)
    rows = [category for category in CATEGORIES if any(expected == category for expected, _ in pairs)]
    return {row: {column: counts[row, column] for column in columns if counts[row, column]} for row in rows}
