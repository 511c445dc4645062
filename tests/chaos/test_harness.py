"""The harness itself: equal seeds give equal records, and no difference escapes the comparison."""

import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.chaos.outcome import Outcome, differences
from tests.chaos.workload import make_workload, twice

INCIDENT: dict[str, Any] = {"event_count": 5, "timeline": [{"what": "opened"}], "events": ["a", "b"]}
CALM = Outcome({"k": INCIDENT}, frozenset("ab"), frozenset("b"), frozenset(["junk"]))


def test_a_seed_stands_for_its_records() -> None:
    """Both runs are fed the same, and other seeds something else."""
    assert make_workload(7) == make_workload(7)
    assert make_workload(7).halves != make_workload(8).halves


def test_each_service_comes_in_one_way() -> None:
    """Else its order, and with it the keys of its incidents, would be a matter of luck."""
    ways: dict[str, set[int | None]] = defaultdict(set)
    workload = make_workload(7)
    for fed in (*workload.halves[0], *workload.halves[1]):
        if fed.value not in workload.junk:
            content = json.loads(fed.value)
            for event in content if isinstance(content, list) else [content]:
                ways[event["service"]].add(fed.partition)
    assert len(ways) == 200
    assert all(len(partitions) == 1 for partitions in ways.values())
    assert len(Counter(partition for [partition] in ways.values())) == 5


def test_some_records_come_twice_and_none_is_lost() -> None:
    """The first deliveries keep their order."""
    records = make_workload(7).halves[0]
    doubled = twice(random.Random(1), records, 0.3)
    assert list(dict.fromkeys(doubled)) == list(dict.fromkeys(records))
    assert 1.2 < len(doubled) / len(records) < 1.4


@pytest.mark.parametrize(
    "stormy",
    [
        pytest.param(CALM._replace(events=frozenset("a")), id="an event is missing"),
        pytest.param(CALM._replace(events=frozenset("abc")), id="an event came from nowhere"),
        pytest.param(CALM._replace(late=frozenset()), id="a late event is missing"),
        pytest.param(CALM._replace(dead=frozenset()), id="a dead letter is missing"),
        pytest.param(CALM._replace(incidents={}), id="an incident is missing"),
        pytest.param(CALM._replace(incidents={"k": INCIDENT, "l": INCIDENT}), id="an incident is new"),
        pytest.param(CALM._replace(incidents={"k": INCIDENT | {"event_count": 6}}), id="a count"),
        pytest.param(CALM._replace(incidents={"k": INCIDENT | {"events": ["a", "a"]}}), id="an event under it twice"),
        pytest.param(CALM._replace(incidents={"k": INCIDENT | {"timeline": []}}), id="a timeline"),
    ],
)
def test_a_difference_is_told(stormy: Outcome) -> None:
    """One line for each."""
    assert len(differences(CALM, stormy, CALM.dead)) == 1


def test_equal_outcomes_do_not_differ() -> None:
    """Nor does it matter what else lies in the dead letters."""
    assert not differences(CALM, CALM._replace(dead=frozenset(["junk", "of another round"])), CALM.dead)
