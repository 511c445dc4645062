"""Each step of an incident's life, with all that its record must say of it."""

import msgspec
import pytest

from schemas.event import Event
from schemas.incident import Change, Incident
from schemas.lifecycle import Status
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS
from schemas.verdict import Verdict
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.rules import CountRule, RuleSet
from stream_processor.state import EndedRow, new_state

QUIET = 100 * MICROSECONDS
RULES = RuleSet(
    tuple(CountRule(name, ("ERROR",), 2, 10 * MICROSECONDS, QUIET) for name in ("burst", "other")),
    10_000 * MICROSECONDS,
)
START = 10**15
"""The wall clock at which the first record is received; every record takes a second."""


class Life:
    """One service under two like rules; of the incidents, those of the rule `burst` are looked at."""

    def __init__(self, rules: RuleSet = RULES) -> None:
        self.rules = rules
        self.state = new_state("checkout")
        self.newest: dict[str, Incident] = {}
        self.ended: dict[str, EndedRow] = {}
        self.records = 0

    def hear(self, *seconds: int) -> None:
        for second in seconds:
            self.records += 1
            event = Event(f"e{self.records}", "checkout", "ERROR", "x", second * MICROSECONDS)
            received_at = START + self.records * MICROSECONDS
            self.step = Decisions(0)
            detect(self.state, [Arrival(event, self.records, 0, received_at)], self.rules, self.step)
            self.keep()

    def ask(self, key: str, to: Status, at: int = START + 10**9, verdict: Verdict | None = None) -> str:
        change = StatusChange(f"c-{to}-{at}", key, "checkout", to, "ann", at, "why not", verdict)
        self.step = Decisions(0)
        reason = change_status(self.state, self.ended.get(key), change, self.rules, self.step)
        self.keep()
        return reason

    def wait(self, until: int) -> bool:
        self.step = Decisions(0)
        changed = fall_quiet_by_clock(self.state, self.rules, until, self.step)
        self.keep()
        return changed

    def keep(self) -> None:
        self.newest |= {incident.key: incident for incident in self.step.incidents() if incident.rule == "burst"}
        self.ended |= {row.span.key: row for row in self.step.ended_rows()}

    def incidents(self) -> list[Incident]:
        return list(self.newest.values())


def test_a_verdict_comes_with_a_status_or_after_it() -> None:
    """Given on closing, it stands in that entry; given later, in one of its own; neither changes anything else."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "closed", START + 1, "noise")
    first = life.incidents()[0]
    assert life.ask(key, "closed", START + 2, "true_positive") == "applied"
    second = life.incidents()[0]

    assert (first.timeline[-1].what, first.timeline[-1].verdict) == ("status_changed", "noise")
    entry = Change(START + 2, "ann", "judged", "ann judged it", None, None, "why not", f"c-closed-{START + 2}")
    assert second.timeline[:-1] == first.timeline
    assert second.timeline[-1] == msgspec.structs.replace(entry, verdict="true_positive")
    assert second.status == "closed"
    assert life.ask(key, "closed", START + 2, "true_positive") == "repeated"
    assert life.ask(key, "open", START + 3, "noise") == "refused"
    assert life.incidents()[0].timeline[-1].verdict is None


def test_nobody_knows_an_incident_of_another_service() -> None:
    """The change is counted as such and nothing is published."""
    life = Life()

    assert life.ask("no such key", "resolved") == "unknown_incident"
    assert life.step.incidents() == []


def test_an_applied_change_is_told_with_who_and_why() -> None:
    """The timeline has all that the person said, and the time is theirs."""
    life = Life()
    life.hear(0, 1)

    assert life.ask(life.incidents()[0].key, "resolved", START + 77) == "applied"

    (incident,) = life.incidents()
    assert incident.timeline[-1] == Change(
        START + 77, "ann", "status_changed", "ann set it", "open", "resolved", "why not", f"c-resolved-{START + 77}"
    )
    assert (incident.version, incident.updated_at) == (2, START + 2 * MICROSECONDS)


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("closed", "it is closed already"),
        ("open", "The incident is closed, which is final; open a new one instead"),
        ("resolved", "The incident is closed, which is final; open a new one instead"),
    ],
)
def test_a_refused_change_is_told_with_the_reason(to: Status, reason: str) -> None:
    """So that whoever asked sees what came of it; the status stays."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "closed")

    assert life.ask(key, to, START + 10**10) == "refused"

    (incident,) = life.incidents()
    assert incident.status == "closed"
    assert incident.timeline[-1] == Change(
        START + 10**10, "ann", "status_refused", reason, None, None, "why not", f"c-{to}-{START + 10**10}"
    )
    assert life.ended[key].span.timeline[-1].reason == reason


def test_a_step_backwards_is_refused_with_what_is_possible() -> None:
    """From investigating there is no way back to open."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "investigating")

    assert life.ask(key, "open", START + 10**10) == "refused"

    reason = "An incident that is investigating cannot become open; it may become resolved or closed"
    assert life.incidents()[0].timeline[-1].reason == reason
    assert life.ended == {}, "the service's row holds it still"


def test_investigating_does_not_prolong_an_incident() -> None:
    """Only a reopening starts the quiet period anew: taking on what is open leaves it as it is."""
    life = Life()
    life.hear(0, 1)

    life.ask(life.incidents()[0].key, "investigating")

    span = life.state.rules["burst"].spans[0]
    assert (span.kept_alive_at, span.heard_at) == (0, START + 2 * MICROSECONDS)


def test_the_other_rules_incident_is_left_alone() -> None:
    """Resolving and reopening one rule's incident changes no other's state."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    other = life.state.rules["other"].spans[0]
    before = other.version

    life.ask(key, "resolved")
    life.hear(2, 3)
    life.ask(life.incidents()[1].key, "resolved")

    assert (other.version, other.status) == (before + 2, "open")
    assert {(row.service, row.rule) for row in life.ended.values()} == {("checkout", "burst")}
    life.ask(key, "open", START + 10**10)
    life.hear(4)
    assert life.newest[key].event_count == 3
    assert life.state.rules["burst"].spans[0].key == key


def test_a_reopened_incident_takes_in_what_came_meanwhile_and_the_next_links_to_it() -> None:
    """Loose events within its reach become its own, and are told as such."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "resolved")
    life.hear(50)

    life.ask(key, "investigating", START + 10**10)

    assert (life.newest[key].event_count, life.newest[key].last_event_at) == (3, 50 * MICROSECONDS)
    (taken,) = life.step.events(most=10)
    assert (taken.key, [event.timestamp for event in taken.events]) == (key, [50 * MICROSECONDS])
    life.hear(200, 201)
    newer = life.incidents()[-1]
    assert (newer.previous_key, life.newest[key].status) == (key, "resolved")


def test_reopening_puts_what_events_may_still_change_into_rows_of_their_own() -> None:
    """Incidents of the past that the service's row held leave it for good, and can still be asked for."""
    life = Life()
    life.hear(0, 1, 200, 201)
    first, second = life.incidents()
    life.ask(second.key, "resolved")
    assert set(life.ended) == {first.key, second.key}
    assert {(row.service, row.rule) for row in life.ended.values()} == {("checkout", "burst")}

    life.ended.clear()
    life.hear(400, 401, 600, 601)
    life.ask(life.incidents()[-1].key, "resolved", START + 10**10)
    assert len(life.ended) == 2
    assert life.ask(first.key, "closed", START + 10**11) == "unknown_incident", "its row was forgotten by this test"


def test_the_clock_resolves_after_the_quiet_period_and_not_at_it() -> None:
    """At exactly the quiet period nothing happens; a microsecond later the incident is resolved, once."""
    life = Life()
    life.hear(0, 1)
    heard = START + 2 * MICROSECONDS

    assert not life.wait(heard + QUIET)
    assert life.wait(heard + QUIET + 1)
    assert not life.wait(heard + QUIET + 2)

    (incident,) = life.incidents()
    assert (incident.status, incident.updated_at, incident.version) == ("resolved", heard + QUIET + 1, 2)
    reason = "no qualifying event for 100 s after 1970-01-01T00:00:01.000000Z"
    assert incident.timeline[-1] == Change(heard + QUIET + 1, "system", "quiet", reason, "open", "resolved")


@pytest.mark.parametrize("taken_on", [False, True])
def test_an_incident_comes_back_as_it_was_when_it_is_stirred(taken_on: bool) -> None:  # noqa: FBT001 - a case
    """Open or under investigation, as before the clock resolved it."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    if taken_on:
        life.ask(key, "investigating", START)
    life.wait(START + 10**12)

    life.hear(2)

    incident = life.newest[key]
    assert incident.status == ("investigating" if taken_on else "open")
    reason = "an event from within its quiet period arrived"
    assert incident.timeline[-1] == Change(
        START + 3 * MICROSECONDS, "system", "stirred", reason, "resolved", incident.status
    )


def test_a_merged_incident_is_told_on_both_sides() -> None:
    """The earlier takes all that the later was; the later says into which it went, and is closed."""
    life = Life()
    life.hear(0, 1, 150, 151)
    first, second = life.incidents()
    life.ask(second.key, "investigating", START)

    life.hear(80)

    one, gone = life.newest[first.key], life.newest[second.key]
    at = START + 5 * MICROSECONDS
    reason = f"late events closed the gap between {first.key} and {second.key}"
    assert (one.event_count, one.last_event_at, one.status) == (5, 151 * MICROSECONDS, "investigating")
    assert one.timeline[-1] == Change(at, "system", "merged", reason, "resolved", "investigating")
    assert gone.timeline[-1] == Change(at, "system", "merged", reason, "investigating", "closed")
    assert (gone.merged_into, gone.updated_at, one.updated_at) == (first.key, at, at)
    assert not life.wait(at + QUIET)
    assert life.wait(at + QUIET + 1)


def test_a_merged_incident_that_the_clock_had_resolved_can_be_stirred() -> None:
    """What the later incident was when it fell quiet passes to the one that took it in."""
    life = Life()
    life.hear(0, 1, 150, 151)
    first, second = life.incidents()
    life.wait(START + 10**12)
    assert life.newest[second.key].status == "resolved"

    life.hear(80)
    merged = life.newest[first.key].timeline[-1]
    assert (merged.what, merged.from_status, merged.to_status) == ("merged", None, None), "both were resolved"
    life.hear(152)

    assert life.newest[first.key].status == "open"
    assert [row for row in life.state.rules["burst"].spans if row.is_active and row.quiet_from] == []


def test_a_reopened_incident_takes_in_at_once_what_came_meanwhile_where_its_rule_is_the_only_one() -> None:
    """It does not wait for the next event."""
    life = Life(RuleSet(RULES.rules[:1], RULES.allowed_lateness))
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "resolved")
    life.hear(3)

    life.ask(key, "open")

    assert life.incidents()[0].event_count == 3


def test_the_next_incident_links_to_a_reopened_one_that_events_can_no_longer_change() -> None:
    """Also when its row has left the service's by then."""
    life = Life()
    life.hear(0, 1)
    key = life.incidents()[0].key
    life.ask(key, "resolved")
    life.ask(key, "open")

    life.hear(20_000, 20_001)

    _, second = life.incidents()
    assert key in life.ended
    assert second.previous_key == key
