"""The topics: what must hold of them together."""

from schemas import topics


def test_every_named_topic_is_specified_once() -> None:
    """A topic that nobody makes is found at run time only."""
    names = {
        value
        for name, value in vars(topics).items()
        if isinstance(value, str) and value.startswith("ops.") and name.isupper()
    }
    specified = [spec.name for spec in topics.TOPICS]
    assert set(specified) == names
    assert len(specified) == len(set(specified))


def test_events_are_stamped_by_the_broker() -> None:
    """The time of receipt is the same in every replay."""
    (events,) = [spec for spec in topics.TOPICS if spec.name == topics.EVENTS]
    assert events.config["message.timestamp.type"] == "LogAppendTime"
    assert events.config["retention.ms"] == str(7 * 24 * 3600 * 1000)


def test_topics_whose_newest_record_stands_alone_are_compacted() -> None:
    """Incidents and analyses are kept for good."""
    compacted = {spec.name for spec in topics.TOPICS if spec.config["cleanup.policy"] == "compact"}
    assert {topics.INCIDENTS, topics.ANALYSES} <= compacted
