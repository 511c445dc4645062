"""What an analyzer made of one case, and what of it can be checked without believing anyone."""

from collections.abc import Sequence

import msgspec

from analyzer_worker.evaluation.cases import Case
from analyzer_worker.verdict import Sample, Verdict


class Outcome(msgspec.Struct, frozen=True):
    """One analysis of one case; `verdict` is None where the analyzer gave nothing usable, and `failure` says why."""

    case: Case
    verdict: Verdict | None
    failure: str | None = None
    seconds: float = 0.0
    claims: int = 0
    """Quotes in the verdict."""
    supported: int = 0
    """Those of them that stand letter by letter in the event they name."""
    dropped: int = 0
    """Quotes that the analyzer's own check took out before."""
    sent: tuple[str, ...] = ()
    """Every text that was sent to a model, or that would have been."""


def outcome_of(
    case: Case, verdict: Verdict, samples: Sequence[Sample], *, seconds: float, dropped: int, sent: Sequence[str]
) -> Outcome:
    """The outcome of an analysis that came about."""
    texts = {sample.event_id: sample.text for sample in samples}
    supported = sum(bool(item.quote) and item.quote in texts.get(item.event_id, "") for item in verdict.evidence)
    return Outcome(case, verdict, None, seconds, len(verdict.evidence), supported, dropped, tuple(sent))
