"""What would make the topics as they are declared, and what is refused."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.topic_plan import Found, Step, plan
from runtime.settings import load_settings
from runtime.topic_file import MIN_IN_SYNC, Declaration, InvalidTopicFile, as_yaml, declared_topics
from schemas.topics import ANALYSES, EVENTS, INCIDENTS, MISSED_INCIDENTS


def declaration(text: str = "", directory: Path | None = None, **settings: object) -> Declaration:
    """As the services read it."""
    if directory is not None:
        (directory / "topics.yaml").write_text(text)
        settings["topics_file"] = directory / "topics.yaml"
    return declared_topics(load_settings(_env_file=None, **settings))


def as_declared(wanted: Declaration) -> dict[str, Found]:
    """A cluster without drift."""
    return {topic.name: Found(wanted.partitions, wanted.replication, topic.config) for topic in wanted.topics}


def changed(found: dict[str, Found], name: str, **fields: object) -> dict[str, Found]:
    """The same with one topic changed."""
    return found | {name: msgspec.structs.replace(found[name], **fields)}


def test_an_empty_cluster_gets_every_topic() -> None:
    """With all its settings."""
    wanted = declaration()
    steps = plan(wanted, {}, 1)
    assert [(step.kind, step.topic) for step in steps] == [("create", topic.name) for topic in wanted.topics]
    assert [step.changes for step in steps] == [topic.config for topic in wanted.topics]


@given(st.data())
def test_what_is_altered_as_planned_has_no_drift_left(data: st.DataObject) -> None:
    """Whatever settings differ, and no step where none does; topics that are none of ours are left out."""
    wanted = declaration()
    found = as_declared(wanted) | {"else": Found(1, 1, {})}
    for topic in wanted.topics:
        wrong = data.draw(st.dictionaries(st.sampled_from(sorted(topic.config)), st.just("wrong"), max_size=2))
        found = changed(found, topic.name, config=topic.config | wrong)
    steps = plan(wanted, found, 1)
    assert {step.kind for step in steps} <= {"alter"}
    for step in steps:
        assert set(step.changes) == {n for n, v in found[step.topic].config.items() if v == "wrong"}
        found = changed(found, step.topic, config=dict(found[step.topic].config) | step.changes)
    assert plan(wanted, found, 1) == []


@pytest.mark.parametrize("name", [EVENTS, INCIDENTS])
def test_another_number_of_partitions_is_refused_as_it_would_break_key_placement(name: str) -> None:
    """Neither more nor fewer, and it says what to do."""
    wanted = declaration()
    for partitions in (3, 12):
        steps = plan(wanted, changed(as_declared(wanted), name, partitions=partitions), 1)
        assert ("refused", name) in {(step.kind, step.topic) for step in steps}
        assert all(step.kind == "refused" and "docs/state.md" in step.text for step in steps)


def test_a_topic_that_is_read_whole_may_have_any_number_of_partitions() -> None:
    """Nobody looks for a service's partition there."""
    wanted = declaration()
    assert plan(wanted, changed(as_declared(wanted), MISSED_INCIDENTS, partitions=1), 1) == []


def test_a_missing_topic_gets_the_partitions_of_the_events_that_are_there() -> None:
    """Not those of the setting."""
    wanted = declaration()
    found = {name: msgspec.structs.replace(one, partitions=3) for name, one in as_declared(wanted).items()}
    del found[ANALYSES]
    texts = {step.topic: step.text for step in plan(wanted, found, 1)}
    assert texts[ANALYSES] == "with 3 partitions and 1 replicas"


def test_two_of_three_replicas_must_have_a_record_and_one_of_fewer() -> None:
    """A topic of one replica would take nothing if two had to."""
    wanted = declaration(topic_replication_factor=3)
    assert {topic.config[MIN_IN_SYNC] for topic in wanted.topics} == {"2"}
    assert {topic.config[MIN_IN_SYNC] for topic in declaration(topic_replication_factor=2).topics} == {"1"}
    alone = Found(6, 1, dict(wanted.topics[0].config) | {MIN_IN_SYNC: "1"})
    (step,) = plan(wanted, as_declared(wanted) | {EVENTS: alone}, 3)
    assert (step.kind, step.topic) == ("refused", EVENTS)
    assert "kafka-reassign-partitions.sh" in step.text


def test_more_replicas_than_brokers_are_refused() -> None:
    """Kafka would refuse each one by one."""
    steps = plan(declaration(topic_replication_factor=3), {}, 2)
    assert {step.kind for step in steps} == {"refused"}


def test_a_topic_that_is_named_like_ours_is_told_of_and_left() -> None:
    """It may be a typing error, or another's."""
    wanted = declaration()
    found = as_declared(wanted) | {"ops.event": Found(1, 1, {}), "other": Found(1, 1, {})}
    assert plan(wanted, found, 1) == [Step("unknown", "ops.event", "is not declared; it is left as it is")]


def test_a_file_changes_what_it_names_and_what_is_printed_reads_the_same(tmp_path: Path) -> None:
    """`topics declared` is a file to begin with."""
    text = "partitions: 12\nreplication: 3\ntopics:\n  ops.events: {retention.ms: 1000, segment.ms: 500}\n"
    changed_by_file = declaration(text, tmp_path)
    (events,) = (topic for topic in changed_by_file.topics if topic.name == EVENTS)
    assert (changed_by_file.partitions, changed_by_file.replication) == (12, 3)
    assert (events.config["retention.ms"], events.config["segment.ms"]) == ("1000", "500")
    assert declaration(as_yaml(changed_by_file), tmp_path) == changed_by_file


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("partitions: 0", "topics.yaml:1: partitions takes a whole number from 1 to 10,000"),
        ("\nbrokers: 3", "topics.yaml:2: brokers is none of partitions, replication, topics"),
        ("topics:\n  ops.event: {}", "topics.yaml:2: ops.event is no topic of the pipeline"),
        ("topics:\n  ops.incidents:\n    cleanup.policy: delete", "topics.yaml:3: cleanup.policy of ops.incidents"),
        ("topics:\n  ops.events:\n    retention.ms: [1]", "topics.yaml:3: retention.ms of ops.events takes one value"),
        ("topics: 7", "topics.yaml:1: topics takes a mapping"),
        ("partitions: 1\npartitions: 2", "topics.yaml:2: partitions is there twice"),
        ("a: [", "topics.yaml:1: "),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_line(text: str, fault: str, tmp_path: Path) -> None:
    """With what is wrong there."""
    with pytest.raises(InvalidTopicFile) as refused:
        declaration(text, tmp_path)
    assert fault in str(refused.value)
