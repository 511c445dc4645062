"""The order of effects: decide, publish, write the state, and only then is an input done.

Events are decided again in the same way after a crash, so what they cause is published first and the state that says so
is written after: a repeat publishes the same versions. A status change and the wall clock come between events at a
place that no replay would find again, so there the state is written first, and the record is published again when the
change is delivered again or the state is recovered.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from runtime import metrics
from runtime.logging import about
from runtime.trace_context import context_of, current, headers_of, under
from schemas.codec import decode_status_change, encode
from schemas.placement import home_partition
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS
from schemas.topics import CANARY, EVENTS, INCIDENT_EVENTS, INCIDENT_STATUS, INCIDENTS, Header
from stream_processor.dead_letter_limit import Limit, Recent, TooManyDeadLetters
from stream_processor.decisions import Decisions
from stream_processor.kinds import next_deadline
from stream_processor.log_clock import TICK, Deadlines
from stream_processor.outgoing import Outgoing
from stream_processor.partition import Partition, Step
from stream_processor.rules import RuleSet
from stream_processor.sorting import Record, Sorted, late_letter, rekeyed, sort_records
from stream_processor.state import (
    NEVER,
    RuleState,
    ServiceState,
    clock_row,
    decode_ended,
    decode_service,
    ended_row,
    is_ended_key,
    is_service_key,
    read_clock,
    read_ended,
    read_state,
    service_key,
    state_rows,
)
from stream_processor.traces import BatchTraces, Contexts

log = structlog.get_logger(__name__)

_CACHED_SERVICES: Final = 20_000
_MOST_EVENTS: Final = 5_000
"""Events named in one record of `ops.incident-events`, which keeps it well under 1 MiB."""
_NO_TRACE: Final[Contexts] = {}
NO_LIMIT: Final = Limit()
_KEPT_CLOSED: Final = 7 * 24 * 3600 * MICROSECONDS
"""A closed incident may be asked about again only by a redelivery, which does not take a week."""


class Rows(Protocol):
    """The state table."""

    def get(self, key: bytes) -> bytes | None:
        """The row of this key."""

    async def write(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows (None: delete) in order; returns once the changelog has them."""


class Publisher(Protocol):
    """The way out to Kafka."""

    async def publish(self, owner: int, records: Sequence[Outgoing]) -> None:
        """Publish records on behalf of partition `owner`, in order; returns once all in-sync replicas have them."""


class Processor:
    """Takes batches of records and carries out what the pure functions decide."""

    def __init__(
        self,
        rules: RuleSet,
        rows: Rows,
        publisher: Publisher,
        partitions: int,
        *,
        limit: Limit = NO_LIMIT,
        by_pulse: bool = True,
    ) -> None:
        """See `Partition` for `by_pulse`."""
        self._rules = rules
        self._by_pulse = by_pulse
        self._rows = rows
        self._publisher = publisher
        self._partitions = partitions
        self._cache: OrderedDict[str, ServiceState] = OrderedDict()
        self._active: dict[int, set[str]] = {}
        self._unsaid: dict[int, Decisions] = {}
        self._stale: dict[int, list[bytes]] = {}
        self._known: dict[int, Partition] = {}
        self._recent = Recent(limit)
        self.stopped = ""
        """Why it takes nothing more; empty while it does."""

    def use_rules(self, rules: RuleSet, rows_of: Callable[[int], Mapping[bytes, bytes]]) -> None:
        """Decide by `rules` from now on; state belongs to the names of rules, so that of the others stays.

        `rows_of`: the rows of a partition, for the deadlines that the new rules set.
        """
        self._rules = rules
        for state in self._cache.values():
            state.due = NEVER
        for partition in list(self._known):
            self.listen(partition, rows_of(partition))

    async def take_events(self, partition: int, records: Sequence[Record]) -> None:
        """Decide on records of one partition of `ops.events`; returns when their effects and the state are durable.

        Raises:
            TooManyDeadLetters: too large a share of the last records cannot be read; nothing was done with these.
        """
        traces = BatchTraces(partition, records)
        with traces.processing():
            await self._take_events(partition, records, traces)

    async def _take_events(self, partition: int, records: Sequence[Record], traces: BatchTraces) -> None:
        found = sort_records(records, self._partitions)
        self._check_dead_letters(found, partition, records)
        state = self._partition(partition)
        clock = state.clock
        before = [*rekeyed(found, self._partitions), *(dead.letter for dead in found.dead)]
        for step in state.take_events(records, found.here, self._rules):
            with traces.publishing(step.decisions) as contexts:
                told = _outgoing(step.decisions, contexts)
                await self._publisher.publish(partition, [*before, *self._late(step), *told])
            await self._write(partition, step)
            before = []
            _count(step.decisions)
            traces.tell(step.decisions)
        await self._take_canary(partition, found)
        if state.clock is not clock:
            await self._rows.write(partition, clock_row(partition, state.clock))
        _count_others(found)

    def _check_dead_letters(self, found: Sorted, partition: int, records: Sequence[Record]) -> None:
        if why := self._recent.take(found.outcomes):
            self.stopped = why
            metrics.DEAD_LETTER_STOP.set(1)
            log.critical(
                "stopped_by_dead_letters",
                why=why,
                latest=next((dict(dead.letter.headers)[Header.DETAIL].decode() for dead in found.dead), ""),
                partition=partition,
                offset=records[0].offset,
                to_do="see `ops-assist dlq counts`; mend what writes or reads, then restart: reading goes on at this"
                " offset and nothing is lost. To let them pass: DLQ_STOP_SHARE=0",
            )
            raise TooManyDeadLetters(why)

    def wants_tick(self, partition: int) -> bool:
        """Whether the silence of some service would decide something: then the log's clock must not stand still."""
        known = self._known.get(partition)
        if known is None or (self._by_pulse and known.clock.pulse_at is not None):
            return False  # the canary's records move it on
        return bool(known.deadlines)

    async def tick(self, partition: int) -> None:
        """Write a record that holds no event, so that the log's clock goes on while nobody sends."""
        await self._publisher.publish(partition, [Outgoing(EVENTS, partition, None, TICK)])

    async def take_status_changes(self, partition: int, records: Sequence[Record]) -> None:
        """Apply people's changes of one partition of `ops.incident-status`, each durable before it is published."""
        for record in records:
            with about(record.topic, partition, record.offset), under(context_of(record.headers)):
                try:
                    change = decode_status_change(record.value or b"")
                except (msgspec.DecodeError, ValueError) as error:
                    log.warning("status_change_unreadable", error=str(error))
                    metrics.STATUS_CHANGES.labels("unreadable").inc()
                    continue
                await self._take_status_change(partition, change, record)

    async def watch_quiet(self, partition: int, now: int) -> None:
        """Resolve incidents that heard nothing for their quiet period, as of `now` (microseconds).

        None while the pipeline is behind or blind, and such a time counts for no silence.
        """
        known = self._partition(partition)
        since = known.clock.hears_since(now) if self._by_pulse else 0
        if since is None:
            return
        for service in list(self._active.get(partition, ())):
            if step := known.fall_quiet(service, now, self._rules, since):
                await self._write(partition, step)
                await self._publisher.publish(partition, _outgoing(step.decisions))

    async def clean_up(self, partition: int) -> None:
        """After a recovery: publish what an earlier worker may have left unsaid, let long closed incidents go."""
        await self._publisher.publish(partition, _outgoing(self._unsaid.pop(partition, Decisions(partition))))
        await self._rows.write(partition, dict.fromkeys(self._stale.pop(partition, ())))

    def recovered(self, partition: int, rows: Mapping[bytes, bytes], now: int) -> None:
        """The state of a partition was read back, as of `now` (microseconds); `clean_up` is due."""
        self.revoked([partition])
        decisions = Decisions(partition)
        active = self._active.setdefault(partition, set())
        for row in (decode_service(value) for key, value in rows.items() if is_service_key(key)):
            for rule, known in row.rules.items():
                for span in known.spans:
                    if span.is_active:
                        active.add(row.service)
                    if span.quiet_from:
                        decisions.changed(row.service, rule, span)
        self.listen(partition, rows)
        self._unsaid[partition] = decisions
        self._stale[partition] = _closed_before(rows, now - _KEPT_CLOSED)

    def listen(self, partition: int, rows: Mapping[bytes, bytes]) -> None:
        """Find out whose silence decides something: after a recovery, and when other rules have come into force."""
        kept = (decode_service(value) for key, value in rows.items() if is_service_key(key) and self._rules.has_clock)
        due = ((next_deadline(self._rules, row.rules), row.service) for row in kept)
        heard = ((moment, service) for moment, service in due if moment is not None)
        self._partition(partition).deadlines = Deadlines(heard)

    def revoked(self, partitions: Iterable[int]) -> None:
        """Another worker has these partitions: forget their state."""
        for partition in partitions:
            self._active.pop(partition, None)
            self._unsaid.pop(partition, None)
            self._stale.pop(partition, None)
            self._known.pop(partition, None)
            for service in [s for s in self._cache if home_partition(s, self._partitions) == partition]:
                del self._cache[service]

    async def _take_canary(self, partition: int, found: Sorted) -> None:
        """The canary's incidents go to a topic of their own, which forgets them, and leave no rows behind."""
        if not found.canary:
            return
        step = self._partition(partition).take_canary(found.canary)
        found_here = ((incident.key.encode(), encode(incident)) for incident in step.decisions.incidents())
        await self._publisher.publish(partition, [Outgoing(CANARY, partition, *one) for one in found_here])
        for state in step.states:
            await self._rows.write(partition, state_rows(state))
        if step.decisions.opened:
            metrics.CANARY_OPENED.labels(str(partition)).set_to_current_time()
        metrics.EVENTS_PROCESSED.labels("canary").inc(sum(map(len, found.canary.values())))

    async def _take_status_change(self, partition: int, change: StatusChange, record: Record) -> None:
        home = home_partition(change.service, self._partitions)
        if home != partition:
            moved = Outgoing(INCIDENT_STATUS, home, change.service.encode(), record.value, headers_of(current()))
            await self._publisher.publish(partition, [moved])
            return
        ended = read_ended(change.incident_key, self._rows.get)
        reason, step = self._partition(partition).take_change(change, ended, self._rules)
        await self._write(partition, step)
        context = current()
        contexts = {change.incident_key: context} if context else {}
        await self._publisher.publish(partition, _outgoing(step.decisions, contexts))
        metrics.STATUS_CHANGES.labels(reason).inc()
        log.info("status_change", incident=change.incident_key, to=change.to_status, actor=change.actor, reason=reason)

    def _late(self, step: Step) -> list[Outgoing]:
        decisions = step.decisions
        return [late_letter(a, decisions.partition, self._state(a.event.service).newest) for a in decisions.late]

    def _partition(self, number: int) -> Partition:
        known = self._known.get(number)
        if known is None:
            clock = read_clock(number, self._rows.get)
            known = self._known[number] = Partition(number, self._state, self._rules_of, clock, by_pulse=self._by_pulse)
        return known

    def _rules_of(self, service: str) -> Mapping[str, RuleState] | None:
        """What the rules know of a service, told by its row alone where it was not used lately."""
        state = self._cache.get(service)
        if state is not None:
            return state.rules
        row = self._rows.get(service_key(service))
        return None if row is None else decode_service(row).rules

    def _state(self, service: str) -> ServiceState:
        state = self._cache.get(service)
        if state is None:
            state = self._cache[service] = read_state(service, self._rows.get)
        self._cache.move_to_end(service)
        return state

    async def _write(self, partition: int, step: Step) -> None:
        rows: dict[bytes, bytes | None] = {}
        for ended in step.decisions.ended_rows():
            rows |= ended_row(ended)
        for state in step.states:
            rows |= state_rows(state)
        await self._rows.write(partition, rows)
        self._partition(partition).listen(step.states, self._rules)
        active = self._active.setdefault(partition, set())
        for state in step.states:
            is_active = any(span.is_active for known in state.rules.values() for span in known.spans)
            (active.add if is_active else active.discard)(state.service)
        while len(self._cache) > _CACHED_SERVICES:
            self._cache.popitem(last=False)


def _closed_before(rows: Mapping[bytes, bytes], moment: int) -> list[bytes]:
    ended = ((key, decode_ended(value).span) for key, value in rows.items() if is_ended_key(key))
    return [key for key, span in ended if span.status == "closed" and span.updated_at < moment]


def _outgoing(decisions: Decisions, contexts: Contexts = _NO_TRACE) -> list[Outgoing]:
    """`contexts`: what the records of incidents carry, by their keys."""
    partition = decisions.partition
    events = [Outgoing(INCIDENT_EVENTS, partition, r.key.encode(), encode(r)) for r in decisions.events(_MOST_EVENTS)]
    incidents = [
        Outgoing(INCIDENTS, partition, i.key.encode(), encode(i), headers_of(contexts.get(i.key)))
        for i in decisions.incidents()
    ]
    return [*events, *incidents]


def _count(decisions: Decisions) -> None:
    for reason, count in decisions.ledger.items():
        metrics.EVENTS_PROCESSED.labels(reason).inc(count)
    for (rule, why), count in decisions.unjudged.items():
        metrics.EVENTS_UNJUDGED.labels(rule, why).inc(count)
    for rule, count in decisions.opened.items():
        metrics.INCIDENTS_OPENED.labels(rule).inc(count)
        log.info("incidents_opened", rule=rule, count=count, partition=decisions.partition)
    metrics.INCIDENT_VERSIONS.inc(len(decisions.incidents()))


def _count_others(found: Sorted) -> None:
    """Count what is none of this partition's events."""
    for fault, _, count in found.dead:
        metrics.EVENTS_PROCESSED.labels("dead_lettered").inc(count)
        metrics.RECORDS_DEAD_LETTERED.labels(fault).inc(count)
    moved = sum(len(events) for events in found.elsewhere.values())
    if moved:
        metrics.EVENTS_PROCESSED.labels("rekeyed").inc(moved)
        metrics.RECORDS_REKEYED.inc(moved)
