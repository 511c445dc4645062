"""One set of rules over one log, in memory: the decisions of `Partition`, as the live processor takes them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from stream_processor.backtest.findings import Findings, Found, found
from stream_processor.backtest.inputs import Input
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import pass_by, take_in
from stream_processor.kind_states import RateState
from stream_processor.ledger import Reason
from stream_processor.log_clock import LogClock
from stream_processor.near_misses import NearMiss, NearMisses
from stream_processor.partition import Partition
from stream_processor.rate import near_misses
from stream_processor.rules import CountRule, RateRule, RuleSet
from stream_processor.sorting import Record
from stream_processor.span import Item, Span
from stream_processor.state import EndedRow, RuleState, ServiceState, new_state

_TIDY_EVERY: Final = 64


TookIn = Callable[[str, list[tuple[int, int]]], None]
"""Told the key of an incident and the places of events that it takes in, by offset and index."""


PassBy = Callable[[str, int, int], None]
"""Takes an event that no rule counts: its service, event time and time of receipt (in microseconds)."""


class _Watched(Decisions):
    """Decisions that nobody publishes: of the events that incidents take in, only near misses want to know."""

    def __init__(self, partition: int, near: NearMisses, took_in: TookIn | None) -> None:
        super().__init__(partition)
        self._near = near
        self._took_in = took_in

    def took_in(self, service: str, rule: str, span: Span, items: list[Item]) -> None:
        """No event of an incident is a near miss."""
        if service in self._near:
            self._near.took_in(service, rule, ((item.offset, item.index) for item in items))
        if self._took_in is not None:
            self._took_in(span.key, [(item.offset, item.index) for item in items])

    def left_loose(self, service: str, rule: CountRule, loose: Sequence[Item], item: Item) -> None:
        """It may have filled a window nearly."""
        self._near.note(service, rule, loose, item)


class RuleRun:
    """Rules over one partition of a log.

    Args:
        rules: the rules.
        number: which partition.
        inputs: what came between events, in order; incidents that have ended are kept for it.
        took_in: told which events incidents take in.
    """

    def __init__(
        self, rules: RuleSet, number: int = 0, inputs: Sequence[Input] = (), took_in: TookIn | None = None
    ) -> None:
        self.rules = rules
        self.ledger: Counter[Reason] = Counter()
        self._told = took_in
        self._inputs = list(reversed(inputs))
        self._wanted = {one.change.incident_key for one in inputs if one.change}
        self._states: dict[str, ServiceState] = {}
        self._open: dict[str, tuple[str, str, Span]] = {}
        self._done: dict[str, Found | None] = {}
        self._ended: dict[str, EndedRow] = {}
        self._near = NearMisses()
        self._near_passed: list[NearMiss] = []
        self._merged: dict[str, str] = {}
        self._partition = Partition(number, self._state, self._rules_of, LogClock(), self._new_decisions)
        self._single = self._new_decisions(number)
        self._turns = 0

    def take(self, records: Sequence[Record], here: Mapping[str, list[Arrival]]) -> None:
        """Decide on consecutive records of the log, whose events are `here`, by service."""
        self._keep_single()
        if not self._inputs:
            self._take(records, here)
            return
        for some in _cut(records, self._inputs):
            offsets = range(some[0].offset, some[-1].offset + 1)
            self.come_to(offsets.start)
            self._take(some, _within(here, offsets))

    def take_one(self, arrival: Arrival) -> None:
        """Decide by plain rules on one event; `take` is due at the end of some of them."""
        decisions = self._single
        decisions.ledger[take_in(self._state(arrival.event.service), arrival, self.rules, decisions)] += 1

    def passer(self) -> PassBy:
        """The same for events that no rule counts, as their level tells, until the next `take`."""
        states, rules, decisions, ledger = self._states, self.rules, self._single, self._single.ledger

        def pass_one(service: str, time: int, received_at: int) -> None:
            state = states.get(service)
            if state is None:
                state = states[service] = new_state(service)
            if state.newest < time < state.due:  # the usual case of `pass_by`
                state.newest = time
                ledger["below_level"] += 1
            else:
                ledger[pass_by(state, time, received_at, rules, decisions)] += 1

        return pass_one

    def newest(self, service: str) -> int:
        """The newest event time of a service, in microseconds."""
        return self._state(service).newest

    def pass_some(self, service: str, newest: int, received_at: int, counts: Mapping[Reason, int]) -> None:
        """The same for several of one service: their newest event time, its receipt, and how they end."""
        pass_by(self._state(service), newest, received_at, self.rules, self._single)
        self._single.ledger.update(counts)

    def come_to(self, offset: int) -> None:
        """Decide on what came before the record at `offset`."""
        while self._inputs and self._inputs[-1].after < offset:
            self._take_input(self._inputs.pop())

    def findings(self) -> Findings:
        """What there is at the end of the log; what came after its last record is decided too."""
        self._keep_single()
        while self._inputs:
            self._take_input(self._inputs.pop())
        standing = [found(*one) for one in self._open.values() if one[2].merged_into is None]
        ended = [one for one in self._done.values() if one is not None]
        near = [*self._near.found(), *self._near_passed, *self._near_open()]
        return Findings([*ended, *standing], near, dict(self.ledger))

    def _state(self, service: str) -> ServiceState:
        state = self._states.get(service)
        if state is None:
            state = self._states[service] = new_state(service)
        return state

    def _new_decisions(self, number: int) -> Decisions:
        return _Watched(number, self._near, self._told)

    def merged(self) -> dict[str, str]:
        """The incidents that late events showed to be part of others, and of which."""
        return dict(self._merged)

    def _take(self, records: Sequence[Record], here: Mapping[str, list[Arrival]]) -> None:
        for step in self._partition.take_events(records, here, self.rules):
            self._keep(step.decisions)

    def _take_input(self, one: Input) -> None:
        if one.change is None:
            if step := self._partition.fall_quiet(one.service, one.at, self.rules):
                self._keep(step.decisions)
                self._partition.listen(step.states, self.rules)
            return
        _, step = self._partition.take_change(one.change, self._ended.get(one.change.incident_key), self.rules)
        self._keep(step.decisions)
        self._partition.listen(step.states, self.rules)

    def _keep_single(self) -> None:
        self._keep(self._single)
        self._single = self._new_decisions(self._partition.number)
        self._turns += 1
        if self._turns % _TIDY_EVERY == 0:
            for state in self._states.values():  # nobody writes their rows
                state.ids.take_rows()
                state.take_template_rows()

    def _keep(self, decisions: Decisions) -> None:
        self.ledger.update(decisions.ledger)
        self._near_passed += decisions.near
        for service, rule, span in decisions.spans():
            self._done.pop(span.key, None)
            self._open[span.key] = (service, rule, span)
        for row in decisions.ended_rows():
            self._put_away(row)
        for _, _, span in decisions.spans():
            if span.merged_into is not None:
                self._open.pop(span.key, None)
                self._merged[span.key] = span.merged_into

    def _put_away(self, row: EndedRow) -> None:
        """Events no longer change an incident: what is told of it is enough, unless people will change it."""
        key = row.span.key
        if self._wanted and key in self._wanted:
            self._ended[key] = row
        self._open.pop(key, None)
        self._done[key] = None if row.span.merged_into else found(row.service, row.rule, row.span)

    def _rules_of(self, service: str) -> Mapping[str, RuleState] | None:
        state = self._states.get(service)
        return None if state is None else state.rules

    def _near_open(self) -> Iterator[NearMiss]:
        """Windows of rate rules that have not ended and are near their limit."""
        rules = [rule for rule in self.rules.rules if isinstance(rule, RateRule)]
        for state in self._states.values() if rules else ():
            for rule in rules:
                known = state.rules.get(rule.name)
                if known is not None and isinstance(known.own, RateState):
                    yield from near_misses(state.service, rule, known.own)


def _cut(records: Sequence[Record], inputs: Sequence[Input]) -> Iterable[Sequence[Record]]:
    """The records in runs between which something came; `inputs` are in reverse order."""
    places = {one.after for one in inputs if records and records[0].offset <= one.after < records[-1].offset}
    start = 0
    for end, record in enumerate(records, 1):
        later = records[end].offset if end < len(records) else None
        if later is None or any(record.offset <= place < later for place in places):
            yield records[start:end]
            start = end


def _within(here: Mapping[str, list[Arrival]], offsets: range) -> dict[str, list[Arrival]]:
    kept = ((service, [one for one in arrivals if one.offset in offsets]) for service, arrivals in here.items())
    return {service: arrivals for service, arrivals in kept if arrivals}
