"""The rules analyzer: a pure function from an incident and its sample events to a verdict. Needs no key and no network.

Every sample event gives each category the sum of the weights of its patterns found in the message, at most
`MAX_EVENT_SCORE`; a pattern counts once per event. The category with the greatest total over all samples wins.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from analyzer_worker.knowledge import Hit, Outage, knowledge
from analyzer_worker.phrases import Words, words_of
from analyzer_worker.severity import Rating, rate
from analyzer_worker.verdict import MAX_TEXT, Sample, Verdict
from analyzer_worker.wording import choose_evidence, reason_text, recommended_actions, summary_text
from schemas.analysis import RULES, Category
from schemas.incident import Incident

MAX_EVENT_SCORE: Final = 8.0
LEAST_SCORE: Final = 0.75
"""A mean score per event below this is no sign of anything."""
_STRONG: Final = 4.0
_ERROR_WORDS: Final = frozenset({"exception", "error", "panic", "fault"})


class Reading(msgspec.Struct, frozen=True):
    """What the patterns found in one message."""

    hits: list[Hit]
    outage: Outage | None
    exception_like: bool


class Ranking(msgspec.Struct, frozen=True):
    """The categories by score, the winner first, and what speaks for the winner."""

    category: Category
    confidence: float
    scores: list[tuple[Category, float]]


def analyze_by_rules(incident: Incident, samples: Sequence[Sample]) -> Verdict:
    """Classify `incident` by the text of its sample events."""
    readings = [read(sample.text) for sample in samples]
    ranking = rank(readings)
    winning = [[hit for hit in reading.hits if hit.category == ranking.category] for reading in readings]
    outage = next((reading.outage for reading in readings if reading.outage), None)
    levels = [sample.level for sample in samples]
    others = beside(readings, ranking.category, incident.threshold)
    rating: Rating = rate(ranking.category, winning, outage, levels, incident, others=others)
    patterns = by_support(winning)
    return Verdict(
        category=ranking.category,
        severity=rating.severity,
        summary=summary_text(incident, samples, ranking.category, patterns),
        recommended_actions=recommended_actions(ranking.category, patterns),
        confidence=ranking.confidence,
        evidence=choose_evidence(samples, winning),
        analyzed_by=RULES,
        reason=reason_text(ranking.scores, winning, samples, rating),
    )


@lru_cache(maxsize=1_024)
def read(text: str) -> Reading:
    """Find the patterns in one message; the messages of an incident repeat, so the last ones are remembered."""
    words = words_of(text[:MAX_TEXT])
    return Reading(knowledge().hits(words), knowledge().outage(words), _looks_like_exception(words))


def _looks_like_exception(words: Words) -> bool:
    """Whether an identifier such as `OrderStateException` or `FooError` stands in the text."""
    return any(words.parts[after - 1] in _ERROR_WORDS for _, after in words.wholes.values())


def rank(readings: Sequence[Reading]) -> Ranking:
    """Choose the category; where nothing speaks for one, an exception is `application_error`, the rest is `other`."""
    totals: dict[Category, float] = defaultdict(float)
    for reading in readings:
        for category, score in event_scores(reading.hits).items():
            totals[category] += score
    scores = sorted(totals.items(), key=lambda item: -item[1])
    if not scores or scores[0][1] < LEAST_SCORE * len(readings):
        exceptions = sum(reading.exception_like for reading in readings)
        fallback: Category = "application_error" if exceptions * 2 > len(readings) else "other"
        return Ranking(fallback, 0.2 if fallback == "application_error" else 0.1, scores)
    return Ranking(scores[0][0], confidence_of(scores, readings), scores)


def beside(readings: Sequence[Reading], winner: Category, least: int) -> list[tuple[Category, list[list[Hit]]]]:
    """The other categories that at least `least` events speak for strongly, with what speaks for each."""
    strong: dict[Category, list[list[Hit]]] = defaultdict(list)
    for reading in readings:
        for category, score in event_scores(reading.hits).items():
            if score >= _STRONG and category != winner:
                strong[category].append([hit for hit in reading.hits if hit.category == category])
    return [(category, hits) for category, hits in strong.items() if len(hits) >= least]


def event_scores(hits: Sequence[Hit]) -> dict[Category, float]:
    """How strongly one event speaks for each category."""
    weights: dict[Category, dict[int, float]] = defaultdict(dict)
    for hit in hits:
        weights[hit.category][id(hit.pattern)] = hit.pattern.weight
    return {category: min(sum(each.values()), MAX_EVENT_SCORE) for category, each in weights.items()}


def confidence_of(scores: Sequence[tuple[Category, float]], readings: Sequence[Reading]) -> float:
    """0.25 + 0.7 * strength * (0.6 * margin + 0.4 * coverage), each of the three between 0 and 1.

    margin: how far the winner is ahead, (first - second) / first. coverage: the share of samples that speak for the
    winner. strength: the winner's score per such sample, 4 being strong. So it lies between 0.25 and 0.95.
    """
    winner, first = scores[0]
    second = scores[1][1] if len(scores) > 1 else 0.0
    speaking = sum(any(hit.category == winner for hit in reading.hits) for reading in readings)
    strength = min(1.0, first / speaking / _STRONG)
    margin, coverage = (first - second) / first, speaking / len(readings)
    return round(0.25 + 0.7 * strength * (0.6 * margin + 0.4 * coverage), 2)


def by_support(winning: Sequence[Sequence[Hit]]) -> list[Hit]:
    """One hit of each pattern of the winning category, the one with the most weight over all samples first."""
    weights: Counter[int] = Counter()
    examples: dict[int, Hit] = {}
    for hits in winning:
        for hit in {id(hit.pattern): hit for hit in hits}.values():
            # Thousandths keep the counter whole.
            weights[id(hit.pattern)] += round(hit.pattern.weight * 1_000)
            examples.setdefault(id(hit.pattern), hit)
    return [examples[pattern] for pattern, _ in weights.most_common()]
