"""What the records of one partition of `ops.events` decide, with no clock, Kafka or table: live and in backtests alike.

Whoever carries decisions out takes one `Step` after the other: the next is decided only when the one before is done.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from schemas.status_change import StatusChange
from stream_processor.canary import CANARY_RULES, as_received
from stream_processor.decisions import Arrival, Decisions, StatusReason
from stream_processor.detection import detect, fall_silent
from stream_processor.kinds import next_deadline
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.log_clock import Deadlines, LogClock, Timeline, has_pulse
from stream_processor.rules import RuleSet
from stream_processor.sorting import Record
from stream_processor.state import EndedRow, RuleState, ServiceState

MOST_SILENT: Final = 1_000
"""Services whose silence is decided on in one step, which keeps memory and records small when all fall silent."""


class Step(NamedTuple):
    """Decisions, and the states that include them."""

    decisions: Decisions
    states: Sequence[ServiceState]


class Partition:
    """The detection over one partition.

    Args:
        number: which partition.
        state_of: the state of a service.
        rules_of: what the rules know of a service, without its whole state; None: the service was never heard of.
        clock: the log's clock after the last record that was decided on.
        new_decisions: makes what collects the decisions of a step.
        by_pulse: whether the canary's records alone move the log's clock on, once there are some.
    """

    def __init__(
        self,
        number: int,
        state_of: Callable[[str], ServiceState],
        rules_of: Callable[[str], Mapping[str, RuleState] | None],
        clock: LogClock,
        new_decisions: Callable[[int], Decisions] = Decisions,
        *,
        by_pulse: bool = True,
    ) -> None:
        self.number = number
        self.clock = clock
        self.deadlines = Deadlines()
        self._state_of = state_of
        self._rules_of = rules_of
        self._new_decisions = new_decisions
        self._by_pulse = by_pulse

    def take_events(
        self, records: Sequence[Record], here: Mapping[str, list[Arrival]], rules: RuleSet
    ) -> Iterator[Step]:
        """Decide on consecutive records, whose events are `here`, and on the silence until the last of them."""
        clock, timeline = self._read_clock(records, rules)
        decisions = self._new_decisions(self.number)
        states = [self._detect(service, arrivals, rules, decisions, timeline) for service, arrivals in here.items()]
        yield Step(decisions, states)
        self.listen(states, rules)
        if timeline is not None:
            yield from self._take_silence(timeline, rules)
        self.clock = clock

    def take_canary(self, here: Mapping[str, list[Arrival]]) -> Step:
        """Decide on the canary's events, by its own rule; nothing else follows from them."""
        decisions = self._new_decisions(self.number)
        bursts = {service: as_received(arrivals) for service, arrivals in here.items()}
        states = [self._detect(service, own, CANARY_RULES, decisions, None) for service, own in bursts.items() if own]
        return Step(decisions, states)

    def take_change(self, change: StatusChange, ended: EndedRow | None, rules: RuleSet) -> tuple[StatusReason, Step]:
        """Apply a person's change. `ended`: the incident's own row, if it has one."""
        decisions, state = self._new_decisions(self.number), self._state_of(change.service)
        reason = change_status(state, ended, change, rules, decisions, after=self._place_of(state))
        return reason, Step(decisions, [state])

    def fall_quiet(self, service: str, now: int, rules: RuleSet, since: int = 0) -> Step | None:
        """Resolve incidents of a service that heard nothing for their quiet period, as of `now` (microseconds).

        `since`: silence before it counts for nothing, because what was sent may not have been heard.
        """
        decisions, state = self._new_decisions(self.number), self._state_of(service)
        changed = fall_quiet_by_clock(state, rules, now, decisions, after=self._place_of(state), since=since)
        return Step(decisions, [state]) if changed else None

    def listen(self, states: Sequence[ServiceState], rules: RuleSet) -> None:
        """Note whose silence decides something, after their states have changed."""
        for state in states:
            self.deadlines.put(state.service, next_deadline(rules, state.rules))

    def _read_clock(self, records: Sequence[Record], rules: RuleSet) -> tuple[LogClock, Timeline | None]:
        """The clock after these records; that between them only where rules look at it."""
        if not rules.has_clock and not (self._by_pulse and has_pulse(records)):
            return self.clock, None
        clock, timeline = self.clock.read(records, by_pulse=self._by_pulse)
        return clock, timeline if rules.has_clock else None

    def _detect(
        self, service: str, arrivals: list[Arrival], rules: RuleSet, decisions: Decisions, timeline: Timeline | None
    ) -> ServiceState:
        state = self._state_of(service)
        detect(state, arrivals, rules, decisions, timeline)
        return state

    def _place_of(self, state: ServiceState) -> int:
        """The offset of the last record that may have decided something for a service."""
        return max(state.offset, self.clock.offset)

    def _take_silence(self, timeline: Timeline, rules: RuleSet) -> Iterator[Step]:
        """Decide on services whose deadline has come without an event of theirs."""
        silent = self._silent(timeline.heard, rules)
        for start in range(0, len(silent), MOST_SILENT):
            decisions = self._new_decisions(self.number)
            states = [self._state_of(service) for service in silent[start : start + MOST_SILENT]]
            for state in states:
                fall_silent(state, rules, timeline, decisions)
            yield Step(decisions, states)
            self.listen(states, rules)

    def _silent(self, heard: int, rules: RuleSet) -> list[str]:
        """The services whose deadline has come; those that were heard meanwhile have a later one."""
        silent = []
        for service in self.deadlines.take(heard):
            known = self._rules_of(service)
            due = None if known is None else next_deadline(rules, known)
            if due is not None and due <= heard:
                silent.append(service)
            else:
                self.deadlines.put(service, due)
        return silent
