"""What is told of each rule: plain data, times in microseconds of event time."""

import msgspec

from schemas.lifecycle import Status
from schemas.timestamps import EARLIEST
from stream_processor.explain.history import History, steps
from stream_processor.explain.replay import Replay
from stream_processor.explain.standing import Standing, standing
from stream_processor.ledger import Reason
from stream_processor.near_misses import NearMiss
from stream_processor.rules import Rule, RuleSet


class ActiveIncident(msgspec.Struct, frozen=True):
    """The incident that is active at the time asked about; `id` is None where the view does not know it."""

    key: str
    id: int | None
    status: Status
    event_count: int
    first_event_at: int
    last_event_at: int


class RuleReport(msgspec.Struct, frozen=True):
    """How one rule stands, how events ended for it, and what came or almost came of them."""

    rule: Rule
    standing: Standing
    reasons: dict[Reason, int]
    incident: ActiveIncident | None
    near_misses: list[NearMiss]


class Report(msgspec.Struct, frozen=True):
    """What the rules make of a history. `newest`: the newest event time in it."""

    history: History
    newest: int | None
    rules: list[RuleReport]


def explain(history: History, rules: RuleSet, *, is_past: bool) -> Report:
    """Run the detection over the history.

    Args:
        history: what is looked back at.
        rules: those in force.
        is_past: a time was asked about, so event time decides whether an incident is active; else the wall clock does.
    """
    replay = Replay(history.service, rules)
    replay.play(steps(history))
    if not is_past:
        replay.wait_until(history.at)
    newest = max((seen.event.timestamp for seen in history.events), default=None)
    return Report(history, newest, [_of_rule(rule, replay, history, is_past=is_past) for rule in rules.rules])


def _of_rule(rule: Rule, replay: Replay, history: History, *, is_past: bool) -> RuleReport:
    view, known = replay.views[rule.name], replay.state.rules.get(rule.name)
    start = max(EARLIEST, history.at - rule.window)
    sliding = Standing(view.count_within(start, history.at), rule.threshold, start, history.at, "")
    return RuleReport(
        rule,
        standing(rule, known.own if known else None, history.at) or sliding,
        dict(sorted(view.reasons.items())),
        _active(rule.name, replay, history, is_past=is_past),
        replay.near_misses(rule.name),
    )


def _active(rule: str, replay: Replay, history: History, *, is_past: bool) -> ActiveIncident | None:
    span = replay.active(rule, history.at if is_past else None)
    if span is None:
        return None
    numbers = {incident.key: incident.id for incident in history.incidents}
    return ActiveIncident(span.key, numbers.get(span.key), span.status, span.count, span.head[0].time, span.last)
