"""What a round feeds in, from a seed: the same records in the same order for the calm run and for the stormy one.

Explicit ids and timestamps make incident keys comparable, and one way in for each service keeps its order: its home
partition, one wrong partition, a wrong partition shared with others, or one HTTP client.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from schemas.placement import home_partition

PARTITIONS: Final = 4
SERVICES: Final = 200
LATENESS: Final = 600.0

_START: Final = datetime(2025, 3, 3, tzinfo=UTC).timestamp()
_CLOCKS_DIFFER: Final = 6 * 3600.0
_BURSTS: Final = 4
_QUALIFYING: Final = ("ERROR", "ERROR", "CRITICAL", "FATAL")
_OTHER: Final = ("INFO", "INFO", "WARNING", "DEBUG")
_TROUBLES: Final = (
    "connection pool exhausted: timeout after 30000 ms",
    "java.lang.OutOfMemoryError: Java heap space",
    "upstream timed out (110) while reading response header",
    "no space left on device",
    "401 Unauthorized: token expired",
)
_JUNK: Final = (
    '{{"service": "{service}", "level": "ERROR", "mess{token}',
    '{{"service": "{service}", "level": "LOUD", "message": "{token}"}}',
    '{{"level": "ERROR", "message": "{token}"}}',
    '"{token}"',
)

Event = dict[str, Any]


class Fed(NamedTuple):
    """One record for Kafka, or, where `partition` is None, one batch for the gateway."""

    partition: int | None
    key: str | None
    value: str


class Workload(NamedTuple):
    """Two halves of records, and what must come of them."""

    seed: int
    halves: tuple[list[Fed], list[Fed]]
    events: int
    junk: frozenset[str]

    @property
    def prefix(self) -> str:
        """What the names of its services start with."""
        return f"chaos-{self.seed}-"


def make_workload(seed: int, services: int = SERVICES) -> Workload:
    """The workload of this seed."""
    chance = random.Random(seed)
    lanes = list(_lanes(chance, [f"chaos-{seed}-{number}" for number in range(services)]))
    junk = [_junk(chance, seed, number) for number in range(services // 4)]
    first, second = ([lane[: len(lane) // 2] for lane in lanes], [lane[len(lane) // 2 :] for lane in lanes])
    halves = tuple(
        _shuffled_together(chance, [*half, *([letter] for letter in letters)])
        for half, letters in ((first, junk[::2]), (second, junk[1::2]))
    )
    events = sum(len(_events_in(fed)) for lane in lanes for fed in lane)
    return Workload(seed, (halves[0], halves[1]), events, frozenset(letter.value for letter in junk))


def twice(chance: random.Random, fed: list[Fed], share: float) -> list[Fed]:
    """The same records with a share of them delivered a second time, at once or a little later."""
    places = [(float(place), record) for place, record in enumerate(fed)]
    again = [(place + chance.expovariate(0.1), record) for place, record in places if chance.random() < share]
    return [record for _, record in sorted([*places, *again], key=lambda placed: placed[0])]


def _lanes(chance: random.Random, services: list[str]) -> Iterator[list[Fed]]:
    """For each service, or group of services that share records, its records in order."""
    left = list(services)
    while left:
        way = chance.random()
        if way < 0.1 and len(left) >= 3:
            group = [left.pop() for _ in range(3)]
            yield _packed(chance, _merged(chance, group), chance.randrange(PARTITIONS), None)
            continue
        service = left.pop()
        events = _arrivals(chance, service)
        home = home_partition(service, PARTITIONS)
        if way < 0.25:
            wrong = (home + chance.randrange(1, PARTITIONS)) % PARTITIONS
            yield _packed(chance, events, wrong, chance.choice([None, "another key"]))
        elif way < 0.45:
            yield _packed(chance, events, None, None)
        else:
            yield _packed(chance, events, home, service)


def _arrivals(chance: random.Random, service: str) -> list[Event]:
    """A service's events in order of arrival: bursts, gaps of every length, delays within the lateness and beyond."""
    now = _START + chance.uniform(-_CLOCKS_DIFFER, _CLOCKS_DIFFER)
    trouble = chance.choice(_TROUBLES)
    placed: list[tuple[float, Event]] = []
    for _ in range(_BURSTS):
        now += chance.choice([40, 250, 600, 2_000, 3_590, 3_610, 9_000])
        pace = chance.choice([5, 40, 75, 150])
        for _ in range(chance.randint(3, 9)):
            now += chance.choice([0, pace, chance.uniform(0, 2 * pace)])
            level = chance.choice(_OTHER if chance.random() < 0.15 else _QUALIFYING)
            number = len(placed)
            event = {
                "id": f"{service}-{number}",
                "service": service,
                "level": level,
                "message": f"{trouble} #{number}",
                "timestamp": datetime.fromtimestamp(round(now, 3), UTC).isoformat(),
            }
            placed.append((now + _delay(chance), event))
    return [event for _, event in sorted(placed, key=lambda pair: pair[0])]


def _delay(chance: random.Random) -> float:
    """Seconds by which an event is overtaken."""
    luck = chance.random()
    if luck < 0.02:
        return chance.uniform(LATENESS, 4 * LATENESS)
    return chance.uniform(0, LATENESS) if luck < 0.3 else 0.0


def _merged(chance: random.Random, services: list[str]) -> list[Event]:
    return _shuffled_together(chance, [_arrivals(chance, service) for service in services])


def _packed(chance: random.Random, events: list[Event], partition: int | None, key: str | None) -> list[Fed]:
    """Records of one to five events."""
    records = []
    left = list(events)
    while left:
        size = chance.choice([1, 1, 1, 2, 5])
        pack, left = left[:size], left[size:]
        alone = len(pack) == 1 and partition is not None
        records.append(Fed(partition, key, json.dumps(pack[0] if alone else pack)))
    return records


def _junk(chance: random.Random, seed: int, number: int) -> Fed:
    text = chance.choice(_JUNK).format(service=f"chaos-{seed}-0", token=f"junk {seed} {number}")
    return Fed(chance.randrange(PARTITIONS), None, text)


def _shuffled_together(chance: random.Random, lanes: list[list[Any]]) -> list[Any]:
    """All lanes as one, in a random order that keeps the order of each."""
    turns = [number for number, lane in enumerate(lanes) for _ in lane]
    chance.shuffle(turns)
    takers = [iter(lane) for lane in lanes]
    return [next(takers[number]) for number in turns]


def _events_in(fed: Fed) -> list[Event]:
    content = json.loads(fed.value)
    return content if isinstance(content, list) else [content]
