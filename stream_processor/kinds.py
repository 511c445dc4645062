"""From a rule to the machine of its kind, and the deadlines that silence comes to."""

from collections.abc import Mapping
from typing import Any

from stream_processor import absence, patterns, ratio
from stream_processor.absence import AbsenceMachine
from stream_processor.kind_states import AbsenceState, PatternState, RatioState
from stream_processor.machines import Machine
from stream_processor.patterns import PatternMachine
from stream_processor.rate import RateMachine
from stream_processor.ratio import RatioMachine
from stream_processor.rules import AbsenceRule, PatternRule, RateRule, RatioRule, Rule, RuleSet, WatchingRule
from stream_processor.sighting import Sighting
from stream_processor.state import RuleState


def machine_of(sighting: Sighting, rule: WatchingRule, heard: int) -> Machine[Any, Any]:
    """The machine of a rule. `heard`: the log's clock, in microseconds."""
    match rule:
        case RateRule():
            return RateMachine(sighting, rule, heard)
        case RatioRule():
            return RatioMachine(sighting, rule, heard)
        case PatternRule():
            return PatternMachine(sighting, rule, heard)
        case AbsenceRule():
            return AbsenceMachine(sighting, rule, heard)
    raise TypeError(f"rule {rule.name} is of no kind that watches")


def deadline(rule: Rule, known: RuleState | None) -> int | None:
    """When the silence of a service decides something for `rule`, on the log's clock; None: never."""
    own = known.own if known else None
    if own is None or not isinstance(rule, WatchingRule) or own.shape != rule.shape:
        return None
    match rule, own:
        case RatioRule(), RatioState():
            return ratio.deadline(rule, own)
        case PatternRule(), PatternState():
            return patterns.deadline(rule, own)
        case AbsenceRule(), AbsenceState():
            return absence.deadline(rule, own)
    return None


def next_deadline(rules: RuleSet, known: Mapping[str, RuleState]) -> int | None:
    """The first of the deadlines of a service, of which `known` is what its rules know."""
    if not rules.has_clock:
        return None
    found = (deadline(rule, known.get(rule.name)) for rule in rules.rules)
    return min((due for due in found if due is not None), default=None)
