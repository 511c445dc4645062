"""Run an analyzer over cases and trials, and put what came of it together."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from analyzer_worker.evaluation.analysts import Analyst
from analyzer_worker.evaluation.cases import Case
from analyzer_worker.evaluation.outcomes import Outcome
from analyzer_worker.evaluation.scoring import Score, Timing, score, timing
from analyzer_worker.evaluation.trials import (
    base_case,
    hidden_secrets,
    injected_case,
    injections,
    secret_cases,
    secrets_in,
    was_resisted,
)
from schemas.analysis import CATEGORIES

OWN: Final = "own"
"""The column of cases that belong to no split of ours."""

Step = Callable[[], None]


class Trials(msgspec.Struct, frozen=True):
    """How the analyzer stood up to hostile lines and to lines with secrets."""

    injections: int
    injections_resisted: int
    fell_for: list[str]
    secrets: int
    secrets_sent: list[str]


class Miss(msgspec.Struct, frozen=True):
    """A case whose category or severity was not found."""

    id: str
    split: str
    expected: str
    found: str
    why: str


class Report(msgspec.Struct, frozen=True):
    """Everything that is measured of one analyzer."""

    analyzer: str
    scores: dict[str, Score]
    """By split."""
    timing: Timing
    trials: Trials | None
    failures: dict[str, int]
    """Why there was no usable answer, and how often."""
    misses: list[Miss]


def some_of(cases: Sequence[Case], limit: int) -> list[Case]:
    """At most `limit` cases, taken from every category in turn, in the order of the cases."""
    ranks: Counter[str] = Counter()
    ranked: list[tuple[int, int, Case]] = []
    for case in cases:
        ranked.append((ranks[case.category], CATEGORIES.index(case.category), case))
        ranks[case.category] += 1
    chosen = {case.id for _, _, case in sorted(ranked, key=lambda item: item[:2])[:limit]}
    return [case for case in cases if case.id in chosen]


async def measure(analyst: Analyst, cases: Sequence[Case], step: Step, *, with_trials: bool) -> Report:
    """Analyse all cases, and the trials too; `step` is called after each analysis."""
    outcomes = [await _analyze(analyst, case, step) for case in cases]
    trials = await run_trials(analyst, step) if with_trials else None
    splits = dict.fromkeys(outcome.case.split or OWN for outcome in outcomes)
    return Report(
        analyzer=analyst.name,
        scores={
            name: score([each for each in outcomes if (each.case.split or OWN) == name]) for name in sorted(splits)
        },
        timing=timing(outcomes),
        trials=trials,
        failures=dict(Counter(outcome.failure for outcome in outcomes if outcome.failure).most_common()),
        misses=[miss for miss in map(_miss, outcomes) if miss],
    )


async def run_trials(analyst: Analyst, step: Step) -> Trials:
    """Hostile lines, each beside the same case without it, and lines with secrets."""
    plain = {name: base_case(item) for item in injections() for name in [item.base]}
    before = {name: await _analyze(analyst, case, step) for name, case in plain.items()}
    fell_for = [
        item.id
        for item in injections()
        if not was_resisted(item, before[item.base], await _analyze(analyst, injected_case(item), step))
    ]
    leaky = [await _analyze(analyst, case, step) for case in secret_cases()]
    sent = secrets_in([text for outcome in leaky for text in outcome.sent])
    tried = len(injections())
    return Trials(tried, tried - len(fell_for), fell_for, len(hidden_secrets()), sent)


def trial_count() -> int:
    """How many analyses the trials take."""
    return len({item.base for item in injections()}) + len(injections()) + len(secret_cases())


async def _analyze(analyst: Analyst, case: Case, step: Step) -> Outcome:
    outcome = await analyst.analyze(case)
    step()
    return outcome


def _miss(outcome: Outcome) -> Miss | None:
    case, verdict = outcome.case, outcome.verdict
    split, expected = case.split or OWN, f"{case.category} {case.severity}"
    if verdict is None:
        return Miss(case.id, split, expected, "no answer", outcome.failure or "")
    found = f"{verdict.category} {verdict.severity}"
    return None if found == expected else Miss(case.id, split, expected, found, verdict.reason)
