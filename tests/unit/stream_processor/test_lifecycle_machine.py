"""Events, people, the clock and restarts in any order: what holds of every incident after every step."""

from collections import Counter, defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.event import Event
from schemas.incident import Incident
from schemas.levels import Level
from schemas.lifecycle import ACTIVE, STATUSES, Status, is_allowed
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect, fall_silent
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.log_clock import LogClock, Moment, Timeline
from stream_processor.rules import AbsenceRule, CountRule, PatternRule, RateRule, RatioRule, RuleSet
from stream_processor.state import ended_row, new_state, read_ended, read_state, state_rows

LATENESS = 40
QUIET = 60


class LifecycleMachine(RuleBasedStateMachine):
    """One service under rules of every kind, with everything that was published and written."""

    def __init__(self) -> None:
        super().__init__()
        self.state = new_state("checkout")
        self.rows: dict[bytes, bytes] = {}
        self.published: dict[str, Incident] = {}
        self.linked: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
        self.ledger: Counter[str] = Counter()
        self.time, self.clock, self.offset, self.changes, self.sent = 0, 10**9, 0, 0, 0
        self.asked: list[StatusChange] = []
        self.heard = self.sent_at = 0

    @initialize(threshold=st.integers(1, 3), window=st.integers(0, 20))
    def begin(self, threshold: int, window: int) -> None:
        self.in_force = RuleSet(
            (
                CountRule("burst", ("ERROR",), threshold, window * MICROSECONDS, QUIET * MICROSECONDS),
                CountRule("flood", ("ERROR", "FATAL"), threshold + 2, window * MICROSECONDS, 0),
                RateRule(
                    *("rate", ("ERROR",), 1, 10 * MICROSECONDS, QUIET * MICROSECONDS),
                    multiple=1.0,
                    floor=threshold,
                    baseline_windows=5,
                    learning_windows=1,
                ),
                RatioRule("ratio", ("ERROR",), 1, 10 * MICROSECONDS, QUIET * MICROSECONDS, share=0.4, minimum=2),
                AbsenceRule("absence", ("ERROR", "INFO"), threshold, QUIET * MICROSECONDS, 0),
                PatternRule(
                    *("new", ("FATAL",), threshold, 30 * MICROSECONDS, QUIET * MICROSECONDS),
                    learning_period=30 * MICROSECONDS,
                ),
            ),
            LATENESS * MICROSECONDS,
        )

    @rule(
        levels=st.lists(st.sampled_from(["ERROR", "FATAL", "INFO"]), min_size=1, max_size=5),
        step=st.integers(0, 25) | st.integers(50, 120),
        behind=st.integers(0, LATENESS + 5),
        words=st.lists(st.sampled_from("abcdefghij"), min_size=5, max_size=5),
    )
    def events_arrive(self, levels: list[Level], step: int, behind: int, words: list[str]) -> None:
        self.time += step
        self.clock += 1
        self.offset += 1
        at = max(0, self.time - behind) * MICROSECONDS
        arrivals = [
            Arrival(Event(f"e{self.offset}-{n}", "checkout", level, word, at + n), self.offset, n, self.clock)
            for n, (level, word) in enumerate(zip(levels, words, strict=False))
        ]
        self.sent += len(arrivals)
        self.sent_at = self.offset
        decisions = Decisions(0)
        detect(self.state, arrivals, self.in_force, decisions, self.timeline(min(step, 10)))
        self.keep(decisions)

    @rule(seconds=st.integers(1, QUIET))
    def nothing_but_ticks_is_heard(self, seconds: int) -> None:
        self.clock += 1
        self.offset += 1
        decisions = Decisions(0)
        fall_silent(self.state, self.in_force, self.timeline(seconds), decisions)
        self.keep(decisions)

    def timeline(self, seconds: int) -> Timeline:
        """The log's clock at the newest record, so many seconds after the one before."""
        self.heard += seconds * MICROSECONDS
        return Timeline(LogClock(), [Moment(self.offset, self.heard, self.clock)])

    @precondition(lambda self: self.published)
    @rule(which=st.integers(0, 20), to=st.sampled_from(STATUSES), data=st.data())
    def a_person_changes_the_status(self, which: int, to: Status, data: st.DataObject) -> None:
        incident = list(self.published.values())[which % len(self.published)]
        self.clock += 1
        self.changes += 1
        change = StatusChange(f"c{self.changes}", incident.key, "checkout", to, "ann", self.clock)
        rivals = [
            other
            for other in self.incidents()
            if other.rule == incident.rule and other.key != incident.key and other.status in ACTIVE
        ]
        reason = self.ask(change)
        may = incident.status != to and is_allowed(incident.status, to) and not incident.merged_into
        assert reason == ("applied" if may and not (to in ACTIVE and rivals) else "refused")
        assert self.published[incident.key].status == (to if reason == "applied" else incident.status)
        if data.draw(st.booleans(), label="delivered again"):
            assert self.ask(change) == "repeated"

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 20))
    def an_old_change_is_delivered_again(self, which: int) -> None:
        before = dict(self.published)
        assert self.ask(self.asked[which % len(self.asked)]) == "repeated"
        assert self.published == before

    @rule(seconds=st.integers(1, 2 * QUIET))
    def the_clock_goes_on(self, seconds: int) -> None:
        self.clock += seconds * MICROSECONDS
        decisions = Decisions(0)
        before = dict(self.published)
        assert fall_quiet_by_clock(self.state, self.in_force, self.clock, decisions) == bool(decisions.incidents())
        self.keep(decisions)
        for incident in decisions.incidents():
            assert (before[incident.key].status in ACTIVE, incident.status) == (True, "resolved")
            assert incident.rule not in ("flood", "absence"), "they have no quiet period"

    @rule()
    def the_processor_starts_anew(self) -> None:
        self.state = read_state("checkout", self.rows.get)

    @rule()
    def the_last_record_comes_again(self) -> None:
        before, decisions = dict(self.published), Decisions(0)
        again = Arrival(Event("again", "checkout", "ERROR", "x", self.time * MICROSECONDS), self.sent_at, 0, self.clock)
        if self.sent_at:
            detect(self.state, [again], self.in_force, decisions, self.timeline(0))
            self.keep(decisions)
        assert self.published == before

    @invariant()
    def one_incident_of_a_rule_is_active(self) -> None:
        active = Counter(incident.rule for incident in self.incidents() if incident.status in ACTIVE)
        assert all(count == 1 for count in active.values())

    @invariant()
    def links_equal_counts(self) -> None:
        links: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
        for key, places in self.linked.items():
            links[self.final(key)].update(places)
        for incident in self.incidents():
            assert links[incident.key].total() == incident.event_count
            assert max(links[incident.key].values()) == 1

    @invariant()
    def each_event_stands_under_one_incident_of_a_rule(self) -> None:
        for name in (each.name for each in self.in_force.rules):
            places = Counter[tuple[int, int]]()
            for key, linked in self.linked.items():
                if self.published[key].rule == name:
                    places.update(linked)
            assert max(places.values(), default=1) == 1

    @invariant()
    def the_timeline_chains(self) -> None:
        for incident in self.published.values():
            status: Status | None = None
            for entry in incident.timeline:
                if entry.from_status:
                    assert entry.from_status == status
                status = entry.to_status or status
            assert incident.timeline[0].what == "opened"
            assert status == incident.status

    @invariant()
    def the_ledger_adds_up(self) -> None:
        assert self.ledger.total() == self.sent

    def ask(self, change: StatusChange) -> str:
        self.asked.append(change)
        decisions = Decisions(0)
        ended = read_ended(change.incident_key, self.rows.get)
        reason = change_status(self.state, ended, change, self.in_force, decisions)
        self.keep(decisions, told=reason == "repeated")
        return reason

    def keep(self, decisions: Decisions, *, told: bool = False) -> None:
        """Write and publish what was decided, as the processor does. `told`: all of it was published before."""
        for row in decisions.ended_rows():
            self.write(ended_row(row))
        self.write(state_rows(self.state))
        self.ledger.update(decisions.ledger)
        for incident in decisions.incidents():
            known = self.published.get(incident.key)
            if known:
                assert incident.version > known.version or incident == known
                assert incident.event_count >= known.event_count or incident.merged_into
                assert incident.timeline[: len(known.timeline)] == known.timeline
                assert incident.updated_at >= known.updated_at
            self.published[incident.key] = incident
        for record in decisions.events(most=4):
            places = [(event.offset, event.index) for event in record.events]
            if told:
                assert all(place in self.linked[record.key] for place in places)
            else:
                self.linked[record.key].update(places)

    def write(self, rows: dict[bytes, bytes | None]) -> None:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def incidents(self) -> list[Incident]:
        return [incident for incident in self.published.values() if incident.merged_into is None]

    def final(self, key: str) -> str:
        while after := self.published[key].merged_into:
            key = after
        return key


LifecycleMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLifecycle = LifecycleMachine.TestCase
