"""Rules of the watching kinds at their very bounds: one event, one microsecond, one window more or less."""

import msgspec
import pytest

from schemas.event import Event
from schemas.incident import Incident
from schemas.levels import Level
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS
from stream_processor import patterns
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.kind_states import MOST_KEPT, PatternState, RateState
from stream_processor.lifecycle import change_status
from stream_processor.log_clock import LogClock, Moment, Timeline
from stream_processor.matching import Match
from stream_processor.near_misses import NearMiss
from stream_processor.rate import near_misses
from stream_processor.rules import AbsenceRule, CountRule, PatternRule, RateRule, RatioRule, Rule, RuleSet
from stream_processor.seen_templates import SeenTemplates
from stream_processor.state import new_state

ERRORS: tuple[Level, ...] = ("ERROR",)
SECOND = MICROSECONDS
RATE = RateRule(
    *("rate", ERRORS, 1, 10 * SECOND, 100 * SECOND),
    multiple=2.0,
    floor=3,
    baseline_windows=4,
    learning_windows=2,
    allowed_lateness=10 * SECOND,
)
RATIO = RatioRule("ratio", ERRORS, 1, 10 * SECOND, 100 * SECOND, share=0.5, minimum=4, allowed_lateness=5 * SECOND)
NEW = PatternRule(
    *("new", ERRORS, 2, 10 * SECOND, 100 * SECOND), learning_period=60 * SECOND, allowed_lateness=5 * SECOND
)
ABSENCE = AbsenceRule("absence", ERRORS, 2, 30 * SECOND, 0)


class Service:
    """One service under some rules; `newest`: the newest version of each incident, `step`: the last decisions."""

    def __init__(self, *rules: Rule, lateness: int = 50) -> None:
        self.state = new_state("checkout")
        self.in_force(*rules, lateness=lateness)
        self.offset = self.heard = 0
        self.newest: dict[str, Incident] = {}

    def in_force(self, *rules: Rule, lateness: int = 50) -> None:
        self.rules = RuleSet(rules, lateness * SECOND)

    def hear(self, *seconds: float, level: Level = "ERROR", message: str = "boom") -> list[str]:
        """One record with an event at each of these times; gives how each ended."""
        self.offset += 1
        arrivals = [
            Arrival(
                Event(f"{self.offset}-{n}", "checkout", level, message, round(second * SECOND)),
                self.offset,
                n,
                self.offset,
            )
            for n, second in enumerate(seconds)
        ]
        return self.take(arrivals)

    def tick(self, seconds: float) -> None:
        self.offset += 1
        self.heard += round(seconds * SECOND)
        self.take([])

    def take(self, arrivals: list[Arrival]) -> list[str]:
        self.step = Decisions(0)
        timeline = Timeline(LogClock(), [Moment(self.offset, self.heard, self.offset)])
        detect(self.state, arrivals, self.rules, self.step, timeline)
        self.keep()
        return sorted(self.step.ledger.elements())

    def keep(self) -> None:
        self.newest |= {incident.key: incident for incident in self.step.incidents()}

    def resolve(self, incident: Incident) -> None:
        self.step = Decisions(0)
        made = StatusChange(f"c{self.offset}", incident.key, "checkout", "resolved", "ann", 0)
        assert change_status(self.state, None, made, self.rules, self.step) == "applied"
        self.keep()

    def spans(self) -> list[tuple[int, float, float]]:
        found = [(i.event_count, i.first_event_at / SECOND, i.last_event_at / SECOND) for i in self.newest.values()]
        return sorted(found, key=lambda span: span[1])


def rated(lateness: int = 10) -> Service:
    """Two errors in each of the windows from 0 to 40, so that the limit of later ones is four."""
    service = Service(msgspec.structs.replace(RATE, allowed_lateness=lateness * SECOND))
    for window in range(4):
        service.hear(window * 10, window * 10 + 1)
    return service


def test_a_rate_is_passed_by_one_more_than_the_multiple() -> None:
    """Two a window and a multiple of two: four are usual, the fifth opens with all five, at once."""
    service = rated()

    assert service.hear(50, 51, 52, 53) == ["qualified"] * 4
    assert service.spans() == []
    assert service.hear(54) == ["opened"]
    assert service.hear(59.999999) == ["attached"]

    (incident,) = service.newest.values()
    assert service.spans() == [(6, 50, 59.999999)]
    assert (incident.threshold, incident.window, incident.lateness) == (5, 10 * SECOND, 0)
    assert incident.reason == (
        "5 ERROR events of checkout in the 10s from 1970-01-01T00:00:50Z, above 2 x its baseline of 2 in 10s "
        "and the floor of 3"
    )
    assert [(sample.offset, sample.index) for sample in incident.samples] == [
        (5, 0),
        (5, 1),
        (5, 2),
        (5, 3),
        (6, 0),
        (7, 0),
    ]


def test_the_floor_holds_where_the_baseline_is_low() -> None:
    """Nothing is usual: three are the floor, the fourth is too many."""
    service = Service(RATE)
    for second in range(0, 50, 10):
        service.hear(second, level="INFO")

    assert service.hear(50, 51, 52) == ["qualified"] * 3
    assert service.hear(53) == ["opened"]


def test_the_next_window_counts_anew_and_joins_the_incident() -> None:
    """What is usual there does not qualify; what is too much is part of the incident until it has been quiet."""
    service = rated()
    service.hear(50, 51, 52, 53, 54)

    assert service.hear(60, 61) == ["qualified", "qualified"]
    assert service.spans() == [(5, 50, 54)]


@pytest.mark.parametrize(("windows", "opens"), [(2, False), (3, True)])
def test_nothing_is_judged_before_enough_windows_are_known(windows: int, opens: bool) -> None:  # noqa: FBT001 - a case of the table
    """Two are asked for; the one that ends within the allowed lateness is not known yet."""
    service = Service(RATE)
    for window in range(windows):
        service.hear(window * 10, level="INFO")

    service.hear(*(windows * 10 + n for n in range(4)))

    assert bool(service.spans()) == opens


def test_a_late_event_raises_the_baseline_of_later_windows_only() -> None:
    """What is within the lateness of a window's beginning is not asked for its limit."""
    service = rated()
    service.hear(50, level="INFO")
    service.hear(*[45] * 9)
    assert service.spans() == [(9, 45, 45)]

    assert service.hear(50, 51, 52, 53, 54)[0] == "attached"
    assert service.spans() == [(14, 45, 54)]


def test_the_median_takes_no_notice_of_an_earlier_incident() -> None:
    """One window of a hundred among four leaves the limit where it was."""
    service = rated(lateness=0)
    service.hear(*[40] * 100)
    service.hear(50, 51, 60, 61, 70, 71)

    service.hear(*(80 + n for n in range(5)))

    assert service.spans() == [(105, 40, 84)]


def test_more_events_than_are_kept_are_counted() -> None:
    """A thousand fill a window of which 64 are kept: the count and the times are exact."""
    service = Service(msgspec.structs.replace(RATE, floor=1_000))
    for second in range(0, 50, 10):
        service.hear(second, level="INFO")

    for n in range(1_000):
        service.hear(50 + n / 101)
    assert service.hear(50.5) == ["opened"]

    assert service.spans() == [(1_001, 50, round((50 + 999 / 101) * SECOND) / SECOND)]
    own = service.state.rules["rate"].own
    assert isinstance(own, RateState)
    assert sum(len(window.waiting.items) for window in own.open.values()) <= MOST_KEPT


def test_a_rate_that_a_person_settled_takes_as_many_new_events() -> None:
    """Resolved with six in the window: four more are usual, the fifth opens another incident."""
    service = rated()
    service.hear(50, 51, 52, 53, 54, 55)
    service.resolve(next(iter(service.newest.values())))

    assert service.hear(56, 57, 58, 59) == ["qualified"] * 4
    assert service.hear(59.5) == ["opened"]

    first, second = sorted(service.newest.values(), key=lambda incident: incident.first_event_at)
    assert (first.event_count, first.status, second.event_count, second.previous_key) == (6, "resolved", 5, first.key)


def test_counts_go_when_no_baseline_asks_for_them() -> None:
    """An hour of errors leaves the windows of the baseline and of the lateness, no more."""
    service = Service(RATE)
    for second in range(0, 3_600, 5):
        service.hear(second)

    own = service.state.rules["rate"].own
    assert isinstance(own, RateState)
    assert len(own.counts) <= RATE.baseline_windows + 4
    assert len(own.open) <= 2


@pytest.mark.parametrize(("infos", "opens"), [(2, True), (3, False)])
def test_a_share_is_reached_exactly(infos: int, opens: bool) -> None:  # noqa: FBT001 - a case of the table
    """Two of four are half; two of five are not."""
    service = Service(RATIO)
    service.hear(*range(infos), level="INFO")
    service.hear(3, 9.999999)

    service.hear(15, level="INFO")

    assert service.spans() == ([(2, 3, 9.999999)] if opens else [])


def test_a_share_waits_for_its_watermark() -> None:
    """A microsecond before it the window may still change, and does; then it is closed to what comes."""
    service = Service(RATIO)
    service.hear(0, 1, 2, 3)
    service.hear(14.999999, level="INFO")
    assert service.spans() == []
    service.hear(*[9.999999] * 4, level="INFO")

    service.hear(15, level="INFO")
    (incident,) = service.newest.values()
    assert service.spans() == [(4, 0, 3)]
    assert incident.reason == (
        "4 of 8 events of checkout (50.0%) were ERROR in the 10s from 1970-01-01T00:00:00Z, "
        "at least 50.0% of at least 4"
    )
    assert service.hear(9.999999) == ["late"]
    assert [arrival.event.timestamp / SECOND for arrival in service.step.late] == [9.999999]


def test_a_share_of_too_few_is_none() -> None:
    """Three events, all of them errors, where four are the minimum."""
    service = Service(RATIO)
    service.hear(0, 1, 2)
    service.hear(30, level="INFO")

    assert service.spans() == []


def test_events_that_are_only_one_of_all_keep_their_reason_and_count_once() -> None:
    """An INFO event of a ratio rule is below its level; sent twice it is a duplicate."""
    service = Service(RATIO)
    assert service.hear(0, 1, level="INFO") == ["below_level", "below_level"]
    again = Arrival(Event("1-0", "checkout", "INFO", "boom", 0), 9, 0, 9)
    assert service.take([again]) == ["duplicate"]


def test_an_event_is_late_for_one_rule_and_counts_for_another() -> None:
    """Twenty seconds behind: too late for the ratio, in time for the count, and not set aside."""
    count = CountRule("count", ERRORS, 1, 10 * SECOND, 100 * SECOND)
    service = Service(RATIO, count)
    service.hear(60, level="INFO")

    assert service.hear(40) == ["opened"]
    assert service.step.late == []
    assert service.rules.allowed_lateness == 50 * SECOND
    assert service.hear(9.9) == ["late"]


@pytest.mark.parametrize(("second", "opens"), [(60, False), (60.000001, True)])
def test_what_comes_within_the_learning_period_is_known(second: float, opens: bool) -> None:  # noqa: FBT001 - a case of the table
    """The last moment of it still teaches."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(second, second, message="disk 7 is gone")

    service.hear(100, level="INFO")

    assert service.spans() == ([(2, second, second)] if opens else [])


def test_a_new_template_is_one_whatever_its_numbers_and_told_in_the_reason() -> None:
    """Two events with other numbers fill the threshold; the template is known from then on."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(70, message="disk 7 of 10.0.0.7 is gone")
    service.hear(80, message="disk 8 of 10.0.0.8 is gone")

    (incident,) = service.newest.values()
    assert service.spans() == [(2, 70, 80)]
    assert incident.reason == (
        "2 ERROR events of checkout within 10s from 1970-01-01T00:01:10Z with a message that it never sent before: "
        "disk <num> of <ip> is gone"
    )
    assert service.hear(80.000001, message="disk 8 of 10.0.0.8 is gone") == ["qualified"]
    service.hear(300, level="INFO")
    assert service.hear(301, 302, message="disk 9 of 10.0.0.9 is gone") == ["qualified", "qualified"]
    assert service.spans() == [(2, 70, 80)]


def test_a_template_that_turns_out_to_be_known_opens_nothing() -> None:
    """An event from within the learning period comes out of order before its first one is final."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(61, 62, message="disk 7 is gone")
    service.hear(59, message="disk 7 is gone")
    service.hear(100, level="INFO")

    assert service.spans() == []


def test_too_many_new_templates_are_not_judged_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """More at once than are kept are taken for known; more than are remembered are not judged at all."""
    monkeypatch.setattr(patterns, "MOST_PENDING", 2)
    service = Service(NEW)
    service.hear(0, level="INFO")
    for word in ("one", "two", "three"):
        service.hear(70, 70, message=word)
    assert service.step.unjudged == {("new", "too many new at once"): 1}
    service.hear(100, level="INFO")
    assert service.spans() == [(4, 70, 70)]

    monkeypatch.setattr(patterns, "MOST_TEMPLATES", 3)
    service.hear(200, 200, message="four")
    assert service.step.unjudged == {("new", "too many templates"): 2}
    service.hear(300, level="INFO")
    assert service.spans() == [(4, 70, 70)]


def test_silence_decides_at_its_deadline_and_not_before() -> None:
    """Absence after 30 s, the template after its lateness of 5 s, the window after 15 s: each to the microsecond."""
    for rule, wait in ((ABSENCE, 30), (NEW, 5), (RATIO, 15)):
        service = Service(rule)
        service.hear(0, 1, level="INFO", message="fine")
        service.hear(70, 70.5, 71, 72, message="disk is gone")
        service.tick(wait - 0.000001)
        assert service.spans() == [], rule.kind
        service.tick(0.000001)
        assert len(service.spans()) == 1, rule.kind
        assert service.state.offset == service.offset - 1, "what the tick decided is in the row; its record is not"
        service.tick(1_000)
        assert len(service.spans()) == 1


def test_what_silence_has_decided_on_is_closed_to_the_microsecond() -> None:
    """Before the end of the last window, or the last first event, an event is late; at it, it counts."""
    ratio = Service(RATIO)
    ratio.hear(1, 2, 3, 12)
    ratio.tick(15)
    assert ratio.spans() == []
    assert (ratio.hear(19.999999), ratio.hear(20)) == (["late"], ["qualified"])

    new = Service(NEW)
    new.hear(0, level="INFO")
    new.hear(70, 70.5, message="disk is gone")
    new.hear(72, 73, message="fan is gone")
    new.tick(5)
    assert new.spans() == [(4, 70, 73)], "both are decided on, and one incident within the quiet period"
    assert (new.hear(71.999999), new.hear(72)) == (["late"], ["qualified"])


def test_an_incident_does_not_end_before_a_window_that_may_join_it() -> None:
    """Its quiet period has passed by the watermark, but events from within it wait in a window that is not over."""
    rate = Service(msgspec.structs.replace(RATE, quiet_period=10 * SECOND))
    for window in range(4):
        rate.hear(window * 10, window * 10 + 1)
    rate.hear(50, 51, 52, 53, 54)
    rate.hear(60, 61)
    rate.hear(76, level="INFO")
    rate.hear(67, 68, 69)
    assert rate.spans() == [(10, 50, 69)]

    ratio = Service(msgspec.structs.replace(RATIO, quiet_period=10 * SECOND))
    ratio.hear(6, 7, 8, 9)
    ratio.hear(11, 12, 13, 14)
    ratio.hear(24.5, level="INFO")
    ratio.hear(25, level="INFO")
    assert ratio.spans() == [(8, 6, 14)]


def test_an_incident_does_not_end_before_a_template_that_may_join_it() -> None:
    """One event of the second template waits, from within the quiet period; the second fills its threshold."""
    service = Service(msgspec.structs.replace(NEW, quiet_period=10 * SECOND))
    service.hear(0, level="INFO")
    service.hear(70, 71, message="disk is gone")
    service.hear(79, message="fan is gone")
    service.hear(87, level="INFO")
    service.hear(88, message="fan is gone")

    assert service.spans() == [(4, 70, 88)]


def test_the_window_of_a_template_holds_its_end() -> None:
    """Ten seconds after its first event, as late as is allowed: still in it."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(70, message="disk is gone")
    service.hear(85, level="INFO")

    assert service.hear(80, message="disk is gone") == ["opened"]
    assert service.spans() == [(2, 70, 80)]


def test_a_template_that_a_person_has_seen_is_not_new_any_more() -> None:
    """Resolved, its incident is not opened again by what follows within the window; another template opens one."""
    service = Service(msgspec.structs.replace(NEW, threshold=1))
    service.hear(0, level="INFO")
    service.hear(70, message="disk is gone")
    service.hear(76, level="INFO")
    service.resolve(next(iter(service.newest.values())))

    assert service.hear(77, 78, message="disk is gone") == ["qualified", "qualified"]
    service.hear(79, message="fan is gone")
    service.hear(90, level="INFO")
    assert service.spans() == [(1, 70, 70), (1, 79, 79)]


def test_a_deadline_of_a_rule_that_has_become_another_is_none() -> None:
    """The silence was that of other levels: the rule listens anew."""
    service = Service(ABSENCE)
    service.hear(0, 1)
    service.in_force(msgspec.structs.replace(ABSENCE, levels=("ERROR", "FATAL")))

    service.tick(100)

    assert service.spans() == []


def test_the_first_event_of_a_template_is_the_earliest_not_the_first_to_come() -> None:
    """At 75 and, out of order, at 72: its window goes to 82, and what comes after that is not in it."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(75, message="disk is gone")
    service.hear(72, message="disk is gone")
    service.hear(82.000001, message="disk is gone")

    assert service.spans() == [(2, 72, 75)]


def test_near_misses_are_told_when_a_window_has_passed() -> None:
    """Four of the five that a rate takes, forty percent where fifty are asked for; no more and no less."""
    rate = rated()
    rate.hear(50, 51, 52, 53)
    own = rate.state.rules["rate"].own
    assert isinstance(own, RateState)
    miss = NearMiss("rate", "checkout", 4, 50 * SECOND, 53 * SECOND)
    assert near_misses("checkout", RATE, own) == [miss]
    rate.hear(69.999999, level="INFO")
    assert rate.step.near == []
    rate.hear(70, level="INFO")
    assert rate.step.near == [miss]
    assert near_misses("checkout", RATE, own) == []

    for errors, others, is_near in ((4, 6, True), (4, 7, False), (5, 5, False)):
        ratio = Service(RATIO)
        ratio.hear(*range(errors))
        ratio.hear(*[5] * others, level="INFO")
        ratio.hear(15, level="INFO")
        told = [NearMiss("ratio", "checkout", errors, 0, (errors - 1) * SECOND)]
        assert ratio.step.near == (told if is_near else [])


def test_an_event_of_the_record_that_ends_the_silence_comes_after_it() -> None:
    """The clock has passed the deadline at that record: the incident opens and is resolved by its event."""
    service = Service(ABSENCE)
    service.hear(0, 1)
    service.heard += 30 * SECOND

    assert service.hear(31) == ["qualified"]

    (incident,) = service.newest.values()
    assert [change.what for change in incident.timeline] == ["opened", "heard"]
    assert service.step.opened == {"absence": 1}


def test_a_repeat_is_a_sign_of_life_and_no_id_of_it_is_remembered() -> None:
    """A service that sends ten thousand events is as small as one that sends two."""
    service = Service(ABSENCE)
    once = Arrival(Event("same", "checkout", "ERROR", "beat", 0), 1, 0, 1)
    assert service.take([once, msgspec.structs.replace(once, index=1)]) == ["qualified", "qualified"]
    assert len(service.state.ids) == 0

    service.offset = 1
    service.tick(30)
    assert len(service.spans()) == 1


@pytest.mark.parametrize(
    "other",
    [
        CountRule("same", ERRORS, 3, 10 * SECOND, 100 * SECOND),
        msgspec.structs.replace(RATE, name="same"),
        msgspec.structs.replace(RATIO, name="same"),
        msgspec.structs.replace(NEW, name="same"),
        msgspec.structs.replace(ABSENCE, name="same"),
        msgspec.structs.replace(RATE, name="same", window=20 * SECOND),
        msgspec.structs.replace(NEW, name="same", levels=("ERROR", "FATAL")),
        msgspec.structs.replace(RATIO, name="same", match=Match(services=("check*",))),
    ],
)
@pytest.mark.parametrize("rule", [CountRule("same", ERRORS, 2, 10 * SECOND, 100 * SECOND), RATE, RATIO, NEW, ABSENCE])
def test_a_rule_may_become_another_under_its_name(rule: Rule, other: Rule) -> None:
    """What the old one kept is dropped, its incidents stay, and the new one begins as on a new service."""
    service = Service(msgspec.structs.replace(rule, name="same"))
    for second in range(0, 100, 5):
        service.hear(second, second + 1, message=f"word {'x' * second}")
    before = dict(service.newest)

    service.in_force(other)
    service.tick(40)
    for second in range(200, 300, 5):
        service.hear(second, second + 1, message=f"word {'y' * second}")
        service.tick(5)

    fresh = Service(other)
    fresh.tick(0)
    for second in range(200, 300, 5):
        fresh.hear(second, second + 1, message=f"word {'y' * second}")
        fresh.tick(5)
    assert before.keys() <= service.newest.keys()
    if getattr(rule, "shape", rule.kind) != getattr(other, "shape", other.kind):
        new = [incident for key, incident in service.newest.items() if key not in before]
        assert [i.first_event_at for i in new] == [i.first_event_at for i in fresh.newest.values()]


def test_a_template_learnt_for_other_levels_is_learnt_anew() -> None:
    """A rule that looks at more levels would find all of them new: it goes to school again."""
    service = Service(NEW)
    service.hear(0, level="INFO")
    service.hear(50, message="known")
    own = service.state.rules["new"].own
    assert isinstance(own, PatternState)
    assert len(SeenTemplates(own, lambda _: None)) == 1

    service.in_force(msgspec.structs.replace(NEW, levels=("WARNING", "ERROR")))
    service.hear(200, 201, level="WARNING", message="slow")
    service.hear(300, level="INFO")

    assert service.spans() == []
