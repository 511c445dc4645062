"""The sentences and quotes of the rules analyzer. Quotes are verbatim; what surrounds them is ours."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from analyzer_worker.knowledge import Hit, knowledge
from analyzer_worker.severity import Rating
from analyzer_worker.verdict import Sample
from schemas.analysis import Category, Evidence
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS

MAX_QUOTE: Final = 200
MAX_EVIDENCE: Final = 5
MAX_ACTIONS: Final = 6
_MINUTE: Final = 60
_HOUR: Final = 3_600


def summary_text(incident: Incident, samples: Sequence[Sample], category: Category, patterns: Sequence[Hit]) -> str:
    """One or two sentences: the service, what happens, how many in which time, and the most frequent message."""
    title = knowledge().categories[category].title
    says = next((hit.pattern.says for hit in patterns if hit.pattern.says), None)
    what = f"{title}: {says}" if says else title
    first = f"{incident.service} has {what}, {incident.event_count} events {duration_text(incident)}."
    common = Counter(sample.text for sample in samples).most_common(1)
    return f"{first} Most frequent message: “{one_line(common[0][0])}”." if common else first


def duration_text(incident: Incident) -> str:
    """How long the incident has lasted, in event time."""
    seconds = (incident.last_event_at - incident.first_event_at) / MICROSECONDS
    if seconds < 1:
        return "within a second"
    if seconds < 2 * _MINUTE:
        return f"in {seconds:.0f} s"
    return f"in {seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"in {seconds / _HOUR:.0f} h"


def one_line(text: str) -> str:
    """The beginning of a message on one line."""
    line = " ".join(text[:MAX_QUOTE].split())
    return line if len(text) <= MAX_QUOTE else line[: MAX_QUOTE - 1] + "…"


def recommended_actions(category: Category, patterns: Sequence[Hit]) -> list[str]:
    """What the patterns found advise, those with most support first, then what the category advises."""
    special = [action for hit in patterns for action in hit.pattern.actions]
    own = knowledge().categories[category].actions
    return list(dict.fromkeys([*special[: MAX_ACTIONS - 2], *own]))[:MAX_ACTIONS]


def choose_evidence(samples: Sequence[Sample], winning: Sequence[Sequence[Hit]]) -> list[Evidence]:
    """Quotes of the events that speak most strongly, different texts before repeated ones."""
    ranked = sorted(
        zip(samples, winning, strict=True), key=lambda pair: -max((hit.pattern.weight for hit in pair[1]), default=0)
    )
    distinct = {sample.text: (sample, hits) for sample, hits in reversed(ranked)}
    chosen = [pair for pair in ranked if distinct[pair[0].text][0] is pair[0]][:MAX_EVIDENCE]
    return [Evidence(sample.event_id, quote_of(sample.text, hits)) for sample, hits in chosen if sample.text]


def quote_of(text: str, hits: Sequence[Hit]) -> str:
    """At most `MAX_QUOTE` characters of `text`, verbatim, around its strongest hit."""
    if len(text) <= MAX_QUOTE or not hits:
        return text[:MAX_QUOTE]
    strongest = max(hits, key=lambda hit: hit.pattern.weight)
    before = max(0, (MAX_QUOTE - (strongest.end - strongest.start)) // 2)
    start = max(0, min(strongest.start - before, len(text) - MAX_QUOTE))
    return text[start : start + MAX_QUOTE]


def reason_text(
    scores: Sequence[tuple[Category, float]],
    winning: Sequence[Sequence[Hit]],
    samples: Sequence[Sample],
    rating: Rating,
) -> str:
    """Why this category and this severity."""
    return f"{_category_reason(scores, winning, samples)} Severity {rating.severity}: {rating.why}."


def _category_reason(
    scores: Sequence[tuple[Category, float]], winning: Sequence[Sequence[Hit]], samples: Sequence[Sample]
) -> str:
    if not samples:
        return "The text of the events is no longer kept, so nothing could be classified."
    phrases: Counter[str] = Counter()
    for sample, hits in zip(samples, winning, strict=True):
        # In the order of the text: a set would order equal counts differently in every process.
        phrases.update(dict.fromkeys(one_line(sample.text[hit.start : hit.end]).lower() for hit in hits).keys())
    if not phrases:
        return f"No known pattern in {len(samples)} sampled events."
    found = ", ".join(f"“{phrase}” in {count}" for phrase, count in phrases.most_common(3))
    winner, *others = (f"{category} {score:g}" for category, score in scores)
    second = f"second {others[0]}" if others else "nothing speaks for another category"
    return f"Found {found} of {len(samples)} sampled events: {winner}, {second}."
