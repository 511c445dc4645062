"""Which messages an incident is made of: templates with counts, and events that show each of them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from analyzer_worker.evidence.facts import SentEvent, TemplateFacts
from analyzer_worker.evidence.outgoing import cut, sent_length
from analyzer_worker.verdict import Sample
from schemas.levels import LEVELS
from schemas.template import template_of
from schemas.timestamps import MICROSECONDS

MAX_TEMPLATES: Final = 20
GRAVE_PLACES: Final = 5
"""Places kept for the gravest templates, however rare they are."""
MAX_TEMPLATE: Final = 200
EVENTS_EACH: Final = 2
MAX_EVENT: Final = 1_000
MAX_EVENTS: Final = 12_000
"""Characters of all events' texts together."""
MIN_EVENT: Final = 40
# Braces in place of angle brackets, which would be escaped and cost six characters each.
_MASK: Final = re.compile(r"<([a-z_:]{1,32})>")


class Group(msgspec.Struct):
    """The events that were read of one template, in the order of event time."""

    template: str
    events: list[tuple[Sample, str]]
    weight: int = 0
    """How many of the events that speak for all have it."""

    @property
    def gravity(self) -> int:
        """The gravest level among its events."""
        return max(LEVELS.index(sample.level) for sample, _ in self.events)


def group_events(read: Sequence[tuple[Sample, str]], counted: Mapping[str, int]) -> list[Group]:
    """The groups, the most frequent first.

    Args:
        read: every event that was read with its outgoing text, in the order of event time.
        counted: by event id, those that speak for all.
    """
    groups: dict[str, Group] = {}
    for sample, text in read:
        template = template_of(text)
        group = groups.setdefault(template, Group(template, []))
        group.events.append((sample, text))
        group.weight += counted.get(sample.event_id, 0)
    return sorted(groups.values(), key=lambda group: (-group.weight, group.events[0][0].timestamp, group.template))


def shown(groups: Sequence[Group]) -> list[Group]:
    """The most frequent groups, and the gravest of the others; in the order of `groups`."""
    if len(groups) <= MAX_TEMPLATES:
        return list(groups)
    frequent = MAX_TEMPLATES - GRAVE_PLACES
    grave = sorted(range(frequent, len(groups)), key=lambda place: (-groups[place].gravity, place))[:GRAVE_PLACES]
    return [*groups[:frequent], *(groups[place] for place in sorted(grave))]


def send_events(groups: Sequence[Group], start: int) -> dict[str, list[SentEvent]]:
    """The first and the last event of each group by its template, as far as there is room; rarer ones may have none.

    Equal texts go once; first events of all groups come before any last one. `start`: when the incident's first event
    was, in microseconds.
    """
    sent: dict[str, list[SentEvent]] = {group.template: [] for group in groups}
    room, number = MAX_EVENTS, 0
    for turn in range(EVENTS_EACH):
        for group in groups:
            chosen = _nth(group, turn)
            if chosen is None or room < MIN_EVENT:
                continue
            sample, text = chosen
            number += 1
            times = sum(other == text for _, other in group.events)
            event = SentEvent(f"e{number}", cut(text, room), sample, times, _after(sample, start))
            sent[group.template].append(event)
            room -= sent_length(event.text)
    return sent


def _nth(group: Group, turn: int) -> tuple[Sample, str] | None:
    """The first event, then the last one if it reads differently."""
    if turn == 0:
        return group.events[0]
    last = group.events[-1]
    return None if last[1] == group.events[0][1] else last


def template_facts(group: Group, sent: Sequence[SentEvent], scale: float, start: int) -> TemplateFacts:
    """What is said of a group; `scale`: how many events each counted one stands for."""
    levels = Counter(sample.level for sample, _ in group.events)
    return TemplateFacts(
        template=cut(_MASK.sub(r"{\1}", group.template), MAX_TEMPLATE),
        count=max(1, round(group.weight * scale)),
        first_after=_after(group.events[0][0], start),
        last_after=_after(group.events[-1][0], start),
        levels={level: levels[level] for level in LEVELS if level in levels},
        events=[event.id for event in sent],
    )


def _after(sample: Sample, start: int) -> float:
    return round((sample.timestamp - start) / MICROSECONDS, 1)
