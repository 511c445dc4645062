"""Rules on trial: their incidents are marked, and nothing else of the detection is another."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import load_rules
from stream_processor.rule_watch import fingerprint_of
from stream_processor.rules import CountRule, RuleSet
from tests.unit.stream_processor.backtest.test_backtest_against_live import (
    EVERY_KIND,
    RULES,
    Event,
    events,
    from_blocks,
    lines,
)
from tests.unit.stream_processor.test_lifecycle_steps import Life


def on_trial(rules: RuleSet, *names: str) -> RuleSet:
    """The same rules, some of them on trial."""
    changed = (msgspec.structs.replace(rule, shadow=rule.name in names) for rule in rules.rules)
    return RuleSet(tuple(changed), rules.allowed_lateness)


@settings(max_examples=60, deadline=None)
@given(made=events())
def test_a_rule_on_trial_finds_what_it_finds_in_earnest(made: list[Event]) -> None:
    """And the rules beside it find what they found without it."""
    for rules, name in ((RULES, "burst"), (EVERY_KIND, "error-burst")):
        whole, shadow = (from_blocks(one, [b"".join(lines(made))]) for one in (rules, on_trial(rules, name)))
        assert shadow == whole
        alone = from_blocks(on_trial(rules, name).in_earnest(), [b"".join(lines(made))])
        assert alone.incidents == [one for one in whole.incidents if one.rule != name]


def burst(*, shadow: bool) -> RuleSet:
    rule = CountRule("burst", ("ERROR",), 2, 10_000_000, 100_000_000, shadow=shadow)
    return RuleSet((rule,), 10_000_000_000)


def test_its_incidents_are_marked_in_every_version() -> None:
    """From the first on, and after what people do to them."""
    life = Life(burst(shadow=True))
    life.hear(0, 1, 2)
    life.ask(life.incidents()[0].key, "resolved")
    [incident] = life.incidents()
    assert (incident.event_count, incident.status, incident.shadow) == (3, "resolved", True)


@pytest.mark.parametrize("times", [(3,), (3, 2)])
def test_an_active_incident_of_a_promoted_rule_counts_from_its_next_event_on(times: tuple[int, ...]) -> None:
    """In order or not; one that gets no more events stays as it was."""
    life = Life(burst(shadow=True))
    life.hear(0, 1)
    life.rules = burst(shadow=False)
    assert life.incidents()[0].shadow
    life.hear(*times)
    assert not life.incidents()[0].shadow


def test_an_incident_in_earnest_stays_one_when_its_rule_goes_on_trial() -> None:
    """People have been told of it."""
    life = Life(burst(shadow=False))
    life.hear(0, 1)
    life.rules = burst(shadow=True)
    life.hear(2)
    assert [incident.shadow for incident in life.incidents()] == [False]
    life.hear(1_000, 1_001)
    assert [incident.shadow for incident in life.incidents()] == [False, True]


def test_the_mark_is_a_field_of_rules_of_every_kind(tmp_path: Path) -> None:
    """True or false; putting a rule on trial is a change of the rules in force."""
    file = tmp_path / "rules.yaml"
    kinds = ["count, threshold: 2, window: 1m", "absence, window: 5m", "rate, multiple: 3, floor: 5"]
    kinds += ["ratio, share: 0.5, minimum: 10", "new-pattern"]
    written = [f"- {{name: r{place}, kind: {kind}, shadow: true}}" for place, kind in enumerate(kinds)]
    file.write_text("\n".join(["rules:", *written]))
    found = load_rules([file])
    assert [rule.shadow for rule in found.rules] == [True] * 5
    assert found.in_earnest().rules == ()
    assert fingerprint_of(found) != fingerprint_of(on_trial(found))

    file.write_text(file.read_text().replace("shadow: true", "shadow: perhaps", 1))
    with pytest.raises(InvalidFiles, match=r"rules\[0\].shadow: expected true or false; found 'perhaps'"):
        load_rules([file])
