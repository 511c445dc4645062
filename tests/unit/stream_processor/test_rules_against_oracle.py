"""Several rules at once give what each of them would give alone over the events that it matches."""

from collections import defaultdict
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.levels import Level
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.matching import Match
from stream_processor.rules import CountRule, RuleSet
from stream_processor.state import ServiceState, new_state
from tests.support.oracle import incidents_of

LEVELS: tuple[Level, ...] = get_args(Level)
QUIET = 120

levels = st.sampled_from(LEVELS)
sent = st.builds(
    lambda service, level, message, region, second: (service, level, message, region, second),
    st.sampled_from(["checkout", "payment", "payment-canary"]),
    levels,
    st.sampled_from(["timed out", "boom"]),
    st.sampled_from(["eu-1", "us-1", None]),
    st.integers(0, 400),
)
rules = st.builds(
    lambda number, levels, threshold, window, services, excluded, region, message: CountRule(
        f"rule-{number}",
        tuple(sorted(levels)),
        threshold,
        window * MICROSECONDS,
        QUIET * MICROSECONDS,
        match=Match(services, excluded, (("region", region),) if region else (), message),
    ),
    st.integers(0, 3),
    st.sets(levels, min_size=1),
    st.integers(1, 4),
    st.integers(0, 60),
    st.sampled_from([(), ("payment*",), ("checkout", "payment")]),
    st.sampled_from([(), ("*-canary",)]),
    st.sampled_from([None, ("eu-1",), ("eu-1", "us-1")]),
    st.sampled_from([None, "time.*out"]),
)


def counts(rule: CountRule, event: tuple[str, Level, str, str | None, int]) -> bool:
    """By hand, without globs or patterns, whether an event qualifies."""
    service, level, message, region, _ = event
    match = rule.match
    included = not match.services or service in match.services or ("payment*" in match.services and service[0] == "p")
    excluded = bool(match.not_services) and service.endswith("-canary")
    in_region = not match.attributes or region in match.attributes[0][1]
    return level in rule.levels and included and not excluded and in_region and (not match.message or "out" in message)


@settings(max_examples=150, deadline=None)
@given(history=st.lists(sent, max_size=60), chosen=st.lists(rules, max_size=4, unique_by=lambda rule: rule.name))
def test_rules_do_not_disturb_each_other(
    history: list[tuple[str, Level, str, str | None, int]], chosen: list[CountRule]
) -> None:
    """The same incidents, counts and times as one rule alone, counted by hand; and one reason for each event."""
    in_force = RuleSet(tuple(chosen), 400 * MICROSECONDS)
    states: dict[str, ServiceState] = {}
    decisions = Decisions(0)
    for offset, (service, level, message, region, second) in enumerate(history):
        attributes = None if region is None else {"region": region}
        event = Event(f"e{offset}", service, level, message, second * MICROSECONDS, attributes)  # type: ignore[arg-type]
        state = states.setdefault(service, new_state(service))
        detect(state, [Arrival(event, offset, 0, 0)], in_force, decisions)

    found = defaultdict(list)
    for incident in decisions.incidents():
        if not incident.merged_into:
            times = (incident.first_event_at / MICROSECONDS, incident.last_event_at / MICROSECONDS)
            found[incident.rule].append((incident.service, incident.event_count, *times))
    for rule in chosen:
        counted = [(service, "ERROR", float(s)) for service, _, _, _, s in filter(lambda e: counts(rule, e), history)]
        expected = incidents_of(counted, rule.threshold, rule.window / MICROSECONDS, QUIET)
        assert sorted(found[rule.name]) == expected

    assert decisions.ledger.total() == len(history)
    of_some_level = [event for event in history if any(event[1] in rule.levels for rule in chosen)]
    assert decisions.ledger["below_level"] == len(history) - len(of_some_level)
    assert decisions.ledger["no_rule"] == sum(not any(counts(rule, e) for rule in chosen) for e in of_some_level)
