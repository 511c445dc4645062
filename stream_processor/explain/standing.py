"""How near a rule of a watching kind is to an incident at a time: the count it looks at, and what it must come to."""

from math import ceil

import msgspec

from schemas.timestamps import to_rfc3339
from stream_processor.baseline import baseline, limit
from stream_processor.durations import format_duration
from stream_processor.kind_states import AbsenceState, OwnState, PatternState, RateState, RatioState
from stream_processor.rules import AbsenceRule, PatternRule, RateRule, RatioRule, Rule


class Standing(msgspec.Struct, frozen=True):
    """`count` of `threshold` (None: it cannot be told yet) from `start` to `end`, in microseconds of event time."""

    count: int
    threshold: int | None
    start: int
    end: int
    note: str


def standing(rule: Rule, own: OwnState | None, at: int) -> Standing | None:
    """Where `rule` stands at `at` with what it keeps of the service; None: it is of kind count, or has seen nothing."""
    match rule, own:
        case RateRule(), RateState():
            return _rate(rule, own, at)
        case RatioRule(), RatioState():
            return _ratio(rule, own, at)
        case AbsenceRule(), AbsenceState():
            return _absence(rule, own, at)
        case PatternRule(), PatternState():
            return _pattern(rule, own, at)
    return None


def _rate(rule: RateRule, own: RateState, at: int) -> Standing:
    number = at // rule.window
    known = own.open.get(number)
    count = own.counts.get(number, 0) - (known.settled if known else 0)
    first = number if own.first is None else own.first
    usual, most = baseline(rule, own.counts, first, number), limit(rule, own.counts, first, number)
    length = format_duration(rule.window)
    note = (
        f"more than {rule.multiple:g} x the baseline of {usual:g} in {length} and more than {rule.floor}"
        if usual is not None
        else f"still learning: {rule.learning_windows} windows of {length} must be known"
    )
    start = number * rule.window
    return Standing(count, None if most is None else int(most) + 1, start, start + rule.window, note)


def _ratio(rule: RatioRule, own: RatioState, at: int) -> Standing:
    number = at // rule.window
    window = own.open.get(number)
    total, count = (window.total, window.waiting.count) if window else (0, 0)
    start = number * rule.window
    note = f"{rule.share:.1%} of {total} events, of which there must be {rule.minimum}"
    return Standing(count, ceil(rule.share * max(total, rule.minimum)), start, start + rule.window, note)


def _absence(rule: AbsenceRule, own: AbsenceState, at: int) -> Standing:
    last = own.last.time if own.last else None
    heard = f"last heard at {to_rfc3339(last)}" if last is not None else "silent, and no longer missed"
    note = f"missed after {format_duration(rule.window)} of silence once it has sent {rule.threshold} events; {heard}"
    return Standing(own.count, rule.threshold, at if last is None else last, at, note)


def _pattern(rule: PatternRule, own: PatternState, at: int) -> Standing:
    fresh = [template for template in own.pending.values() if not template.is_over]
    count = max((template.waiting.count for template in fresh), default=0)
    note = f"{len(fresh)} templates may be new, {len(own.tail)} and those before them are known"
    return Standing(count, rule.threshold, at - rule.window, at, note)
