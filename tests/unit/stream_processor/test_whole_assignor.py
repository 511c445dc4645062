"""After an outage the leader of the group may not know all topics: it must not assign the rest."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.assignor.partition_assignor import PartitionAssignor

from schemas.topics import DETECTION_CHANGELOG, EVENTS, INCIDENT_STATUS
from stream_processor import assignor
from stream_processor.assignor import WholeAssignor

TOPICS = {EVENTS, INCIDENT_STATUS, DETECTION_CHANGELOG}
SUBSCRIPTIONS = {"worker": sorted(TOPICS)}


def knowing(*topics: str) -> Any:
    """What a client knows of a cluster."""
    return SimpleNamespace(partitions_for_topic=lambda topic: {0, 1} if topic in topics else None)


def test_plain_faust_assigns_what_is_left() -> None:
    """With no topic known, each worker gets nothing, and waits for ever."""
    assert PartitionAssignor._get_copartitioned_groups(TOPICS, knowing(), SUBSCRIPTIONS) == {}


@pytest.mark.parametrize("known", [(), (EVENTS,), (EVENTS, INCIDENT_STATUS)])
def test_no_topic_is_left_out(known: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends, and is started again by its supervisor."""

    def ended(reason: str, **context: Any) -> None:
        raise SystemExit(f"{reason} {context}")

    monkeypatch.setattr(assignor, "exit_now", ended)

    with pytest.raises(SystemExit, match=DETECTION_CHANGELOG):
        WholeAssignor._get_copartitioned_groups(TOPICS, knowing(*known), SUBSCRIPTIONS)


def test_all_topics_go_together() -> None:
    """One group: what belongs together is assigned together."""
    groups = WholeAssignor._get_copartitioned_groups(TOPICS, knowing(*TOPICS), SUBSCRIPTIONS)

    assert [set(map(frozenset, sets)) for sets in groups.values()] == [{frozenset(TOPICS)}]
