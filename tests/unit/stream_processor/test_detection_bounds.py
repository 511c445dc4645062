"""Detection at its very bounds: one event, one microsecond, one delivery more or less."""

import pytest

from schemas.event import Event
from schemas.incident import Incident
from schemas.levels import Level
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.rules import CountRule, RuleSet
from stream_processor.span import MAX_SAMPLES
from stream_processor.state import ServiceState, new_state
from stream_processor.tumbling import minute_counts


def rule(threshold: int = 2, window: int = 10, quiet: int = 100, name: str = "error-burst") -> CountRule:
    return CountRule(name, ("ERROR", "FATAL"), threshold, window * MICROSECONDS, quiet * MICROSECONDS)


def rules(*members: CountRule, lateness: int = 50) -> RuleSet:
    return RuleSet(members or (rule(),), lateness * MICROSECONDS)


class Service:
    """One service under some rules; `newest`: the newest version of each incident, `step`: the last decisions."""

    def __init__(self, in_force: RuleSet) -> None:
        self.state: ServiceState = new_state("checkout")
        self.rules = in_force
        self.offset = 0
        self.newest: dict[str, Incident] = {}

    def hear(self, *seconds: float, level: Level = "ERROR") -> list[str]:
        """Takes one record with an array of events in; gives how each ended."""
        arrivals = [self.arrival(second, index, level) for index, second in enumerate(seconds)]
        self.offset += 1
        return self.take(arrivals)

    def arrival(self, second: float, index: int, level: Level) -> Arrival:
        event = Event(f"{self.offset}-{index}", "checkout", level, "boom", round(second * MICROSECONDS))
        return Arrival(event, self.offset, index, (1_000_000 + self.offset) * MICROSECONDS)

    def take(self, arrivals: list[Arrival]) -> list[str]:
        self.step = Decisions(partition=3)
        detect(self.state, arrivals, self.rules, self.step)
        for incident in self.step.incidents():
            self.newest[incident.key] = incident
        return sorted(self.step.ledger.elements())

    def incidents(self) -> list[Incident]:
        return sorted(self.newest.values(), key=lambda incident: incident.first_event_at)


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_a_record_that_is_included_is_skipped(level: Level) -> None:
    """Delivered again, no event of it ends in a reason or a minute a second time, whatever its level."""
    service = Service(rules())
    arrivals = [service.arrival(second, index, level) for index, second in enumerate((1, 2, 3))]
    service.take(arrivals)
    before = minute_counts(service.state.minutes)

    assert service.take(arrivals) == []
    assert minute_counts(service.state.minutes) == before
    assert before[0].by_level == {level: 3}
    assert service.step.incidents() == []


def test_all_events_of_an_array_count() -> None:
    """They share an offset; the one before them does not hide them."""
    assert Service(rules(rule(threshold=3))).hear(1, 2, 3) == ["opened", "qualified", "qualified"]


def test_an_event_at_the_end_of_the_quiet_period_and_of_the_lateness_attaches() -> None:
    """Last event at 5, quiet for 100, lateness 50: at newest 155 an event at 105 still belongs to the incident."""
    service = Service(rules())
    service.hear(0, 5)

    service.hear(155, level="INFO")

    assert service.incidents()[0].status == "open"
    assert service.hear(105) == ["attached"]
    assert service.incidents()[0].event_count == 3


def test_one_microsecond_later_the_incident_has_ended() -> None:
    """No event can come any more that would belong to it: it is resolved and leaves the service's row."""
    service = Service(rules())
    service.hear(0, 5)

    service.hear(155.000001, level="INFO")

    (incident,) = service.incidents()
    assert (incident.status, incident.timeline[-1].what) == ("resolved", "quiet")
    assert incident.timeline[-1].reason == "no qualifying event for 100 s after 1970-01-01T00:00:05.000000Z"
    assert [row.span.key for row in service.step.ended_rows()] == [incident.key]
    assert service.state.rules["error-burst"].spans == []


def test_a_newer_incident_resolves_the_one_before_it_at_once() -> None:
    """Within the lateness the older one may still grow, but people see one active incident."""
    service = Service(rules(lateness=10_000))
    service.hear(0, 5)

    assert service.hear(200, 201) == ["opened", "qualified"]

    older, newer = service.incidents()
    assert (older.status, older.timeline[-1].what, newer.status) == ("resolved", "quiet", "open")
    assert newer.previous_key == older.key
    assert {incident.key for incident in service.step.incidents()} == {older.key, newer.key}


def test_an_event_for_an_older_incident_adds_to_it_and_leaves_it_resolved() -> None:
    """It grows by the late event; the active one stays the only one."""
    service = Service(rules(lateness=10_000))
    service.hear(0, 5)
    service.hear(200, 201)

    assert service.hear(90) == ["attached"]

    older, newer = service.incidents()
    assert [(i.status, i.event_count) for i in (older, newer)] == [("resolved", 3), ("open", 2)]
    assert [entry.what for entry in older.timeline] == ["opened", "quiet"]


def test_an_event_between_two_incidents_makes_them_one() -> None:
    """The later goes into the earlier, which takes its events, its status and its link to what follows."""
    service = Service(rules(lateness=10_000))
    service.hear(0, 5)
    service.hear(200, 201)

    service.hear(103)

    first, second = service.incidents()
    assert (first.event_count, first.last_event_at, first.status) == (5, 201 * MICROSECONDS, "open")
    assert (second.merged_into, second.status, second.timeline[-1].what) == (first.key, "closed", "merged")
    service.hear(400, 401)
    assert service.incidents()[-1].previous_key == first.key


@pytest.mark.parametrize(("second", "opens"), [(10, True), (10.000001, False)])
def test_the_window_holds_both_its_ends(second: float, opens: bool) -> None:  # noqa: FBT001 - a case of the table
    """Exactly the window apart: together. A microsecond more: not."""
    service = Service(rules())

    service.hear(0, second)

    assert bool(service.incidents()) == opens


@pytest.mark.parametrize(("second", "attached"), [(105, True), (105.000001, False)])
def test_the_quiet_period_holds_its_end(second: float, attached: bool) -> None:  # noqa: FBT001 - a case of the table
    """An event exactly the quiet period after the last belongs to the incident."""
    service = Service(rules())
    service.hear(0, 5)

    assert service.hear(second) == ["attached" if attached else "qualified"]


@pytest.mark.parametrize(("second", "reason"), [(50, "qualified"), (49.999999, "late")])
def test_the_allowed_lateness_holds_its_end(second: float, reason: str) -> None:
    """Exactly as late as is allowed counts; later is set aside."""
    service = Service(rules())
    service.hear(100)

    assert service.hear(second) == [reason]
    assert [arrival.event.timestamp / MICROSECONDS for arrival in service.step.late] == [second] * (reason == "late")


def test_a_loose_event_is_kept_as_long_as_a_window_can_reach_it() -> None:
    """With newest 60 and lateness 50, an event may still come at 10: its window reaches back to 0."""
    service = Service(rules())
    service.hear(0)
    service.hear(60, level="INFO")

    assert service.hear(10) == ["opened"]
    assert service.incidents()[0].lateness == 50 * MICROSECONDS
    assert service.incidents()[0].reason == "2 ERROR or FATAL events of checkout within 10 s"
    assert service.incidents()[0].timeline[0].reason.endswith("within 10 s, completed 50 s late")


def test_an_incident_on_time_is_not_called_late() -> None:
    """Its lateness is 0, also for the first event a service ever sent, and its timeline does not speak of it."""
    service = Service(rules(rule(threshold=1)))

    service.hear(7)

    (incident,) = service.incidents()
    assert (incident.lateness, incident.timeline[0].reason) == (0, "1 ERROR or FATAL events of checkout within 10 s")


def test_a_record_tells_all_that_a_reader_needs() -> None:
    """Who, what, when, why, where the events lie, and what the service did in those minutes."""
    service = Service(rules())
    service.hear(0, level="INFO")

    service.hear(5, 3)

    (incident,) = service.incidents()
    assert (incident.version, incident.status, incident.partition, incident.event_count) == (1, "open", 3, 2)
    assert (incident.first_event_at, incident.last_event_at) == (3 * MICROSECONDS, 5 * MICROSECONDS)
    assert incident.created_at == incident.updated_at == (1_000_001) * MICROSECONDS
    assert [(sample.offset, sample.index) for sample in incident.samples] == [(1, 1), (1, 0)]
    assert [(entry.minute, entry.by_level) for entry in incident.minutes] == [(0, {"INFO": 1, "ERROR": 2})]
    assert (incident.threshold, incident.window, incident.previous_key) == (2, 10 * MICROSECONDS, None)
    (opened,) = incident.timeline
    assert (opened.what, opened.actor, opened.from_status, opened.to_status) == ("opened", "system", None, "open")


def test_the_first_twenty_events_are_samples() -> None:
    """Whether they opened the incident or came after."""
    service = Service(rules(rule(threshold=15)))

    service.hear(*range(9))
    service.hear(*range(9))
    service.hear(*range(9))

    (incident,) = service.incidents()
    assert incident.event_count == 27
    assert len(incident.samples) == MAX_SAMPLES
    assert len({(sample.offset, sample.index) for sample in incident.samples}) == MAX_SAMPLES


def test_each_event_counts_one_version() -> None:
    """Whatever the batch: two open, three add, the version says four."""
    service = Service(rules())

    service.hear(0, 1, 2, 3, 4)

    assert service.incidents()[0].version == 4
    assert service.step.opened == {"error-burst": 1}


def test_rules_see_the_same_event_each_for_itself() -> None:
    """One rule opens while the other still counts; the event ends in the stronger of the two reasons."""
    service = Service(rules(rule(threshold=3, name="slow"), rule(threshold=2, name="fast")))

    assert service.hear(0, 1) == ["opened", "qualified"]
    assert service.hear(2) == ["opened"]
    assert service.hear(3) == ["attached"]

    assert {incident.rule: incident.event_count for incident in service.incidents()} == {"slow": 4, "fast": 4}


def test_without_a_quiet_period_an_incident_goes_on_for_ever() -> None:
    """A year later an error still adds to it."""
    service = Service(rules(rule(quiet=0)))
    service.hear(0, 1)

    assert service.hear(365 * 86_400) == ["attached"]
    assert service.incidents()[0].status == "open"


def test_ids_are_known_for_the_lateness_and_the_window() -> None:
    """Thirty ids later a repeat is still recognised while its time is not late."""
    service = Service(rules(rule(threshold=100)))
    first = service.arrival(10, 0, "ERROR")
    service.take([first])
    for _ in range(30):
        service.offset += 1
        service.take([service.arrival(60, 0, "ERROR")])

    again = Arrival(first.event, service.offset + 1, 0, first.received_at)

    assert service.take([again]) == ["duplicate"]


def test_of_three_incidents_a_late_event_joins_the_two_that_it_lies_between() -> None:
    """The third is out of its reach and stays what it was."""
    service = Service(rules(lateness=10_000))
    service.hear(0, 1)
    service.hear(200, 201)
    service.hear(400, 401)

    service.hear(101)

    first, second, third = service.incidents()
    assert (first.event_count, first.last_event_at, second.merged_into) == (5, 201 * MICROSECONDS, first.key)
    assert (third.event_count, third.status, third.merged_into) == (2, "open", None)
    assert [span.key for span in service.state.rules["error-burst"].spans] == [first.key, third.key]


def test_a_late_event_brings_in_the_loose_one_at_the_end_of_the_quiet_period() -> None:
    """An error at 201 belonged to nothing; one at 101 makes it the last of the incident, exactly 100 s later."""
    service = Service(rules(lateness=10_000))
    service.hear(0, 1)
    assert service.hear(201) == ["qualified"]

    assert service.hear(101) == ["attached"]

    (incident,) = service.incidents()
    assert (incident.event_count, incident.last_event_at) == (4, 201 * MICROSECONDS)
    assert service.state.rules["error-burst"].loose == []


def test_a_lone_event_before_an_incident_waits_for_another() -> None:
    """Too far before the opening it only qualifies; a second one beside it moves the opening to both."""
    service = Service(rules(lateness=10_000))
    service.hear(100, 101)

    assert service.hear(60) == ["qualified"]
    assert service.incidents()[0].event_count == 2
    assert service.hear(55) == ["attached"]

    (incident,) = service.incidents()
    assert (incident.event_count, incident.first_event_at) == (4, 55 * MICROSECONDS)


def test_an_event_within_the_head_is_part_of_it() -> None:
    """10, 18 and 20 open; 12 makes 10, 12 and 18 the head: 3 fills a window with 10 and 12, and with nothing else."""
    service = Service(rules(rule(threshold=3)))

    assert [service.hear(second) for second in (10, 18, 20, 12, 3)][2:] == [["opened"], ["attached"], ["attached"]]

    (incident,) = service.incidents()
    assert (incident.event_count, incident.first_event_at) == (5, 3 * MICROSECONDS)
