"""The topics as they shall be: as `schemas.topics` has them, or as the file of TOPICS_FILE changes that."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import yaml

from runtime.settings import Settings
from schemas.topics import TOPICS, TopicSpec

MIN_IN_SYNC: Final = "min.insync.replicas"
ENOUGH_FOR_TWO: Final = 3
"""Replicas from which on two must have a record before it is acknowledged."""
_FIXED: Final = ("cleanup.policy", "message.timestamp.type", MIN_IN_SYNC)
"""What the pipeline relies on: no file may change it."""
_TOP: Final = ("partitions", "replication", "topics")
_MOST: Final = {"partitions": 10_000, "replication": 32_767}


class InvalidTopicFile(ValueError):  # noqa: N818 - reads as what it is
    """A file of topics that cannot be used; each line of the text is file:line: what is wrong."""


class Declaration(msgspec.Struct, frozen=True):
    """How many partitions and replicas topics are made with, and each topic with all its settings."""

    partitions: int
    replication: int
    topics: tuple[TopicSpec, ...]


def declared_topics(settings: Settings) -> Declaration:
    """The declaration of these settings.

    Raises:
        InvalidTopicFile: TOPICS_FILE cannot be read, or holds what no topic of the pipeline may be.
    """
    file = _read(settings.topics_file) if settings.topics_file else _File()
    replication = file.numbers.get("replication", settings.topic_replication_factor)
    # With three replicas one broker may be away and what is acknowledged still lies on two.
    safe = {MIN_IN_SYNC: "2" if replication >= ENOUGH_FOR_TWO else "1"}
    topics = tuple(
        msgspec.structs.replace(topic, config=topic.config | file.topics.get(topic.name, {}) | safe) for topic in TOPICS
    )
    return Declaration(file.numbers.get("partitions", settings.topic_partitions), replication, topics)


def as_yaml(declaration: Declaration) -> str:
    """The declaration as a file that `declared_topics` reads; settings that no file may change are left out."""
    topics = {
        topic.name: {name: value for name, value in topic.config.items() if name not in _FIXED}
        for topic in declaration.topics
    }
    content = {"partitions": declaration.partitions, "replication": declaration.replication, "topics": topics}
    return yaml.safe_dump(content, sort_keys=False)


class _File:
    """What a file says, and what is wrong with it."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.topics: dict[str, dict[str, str]] = {}
        self.faults: list[tuple[int, str]] = []

    def take(self, root: yaml.Node) -> None:
        for line, name, value in self._pairs(root, "the file"):
            if name == "topics":
                for at, topic, settings in self._pairs(value, "topics"):
                    self._take_topic(at, topic, settings)
            elif name in _MOST:
                self._take_number(line, name, value)
            else:
                self._wrong(line, f"{name} is none of {', '.join(_TOP)}")

    def _take_number(self, line: int, name: str, value: yaml.Node) -> None:
        text = value.value if isinstance(value, yaml.ScalarNode) else ""
        if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST[name]:
            self.numbers[name] = int(text)
        else:
            self._wrong(line, f"{name} takes a whole number from 1 to {_MOST[name]:,}")

    def _take_topic(self, line: int, topic: str, settings: yaml.Node) -> None:
        if topic not in {spec.name for spec in TOPICS}:
            self._wrong(line, f"{topic} is no topic of the pipeline")
            return
        for at, name, value in self._pairs(settings, topic):
            if name in _FIXED:
                self._wrong(at, f"{name} of {topic} cannot be changed: the pipeline relies on it")
            elif not isinstance(value, yaml.ScalarNode) or not value.value:
                self._wrong(at, f"{name} of {topic} takes one value")
            else:
                self.topics.setdefault(topic, {})[name] = value.value

    def _pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[int, str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node.start_mark.line, f"{what} takes a mapping")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                self._wrong(key.start_mark.line, f"{name} is there twice")
            seen.add(name)
            yield key.start_mark.line, name, value

    def _wrong(self, line: int, what: str) -> None:
        self.faults.append((line + 1, what))


def _read(path: Path) -> _File:
    file = _File()
    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTopicFile(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidTopicFile(f"{path}:{mark.line + 1 if mark else 1}: {getattr(error, 'problem', error)}") from error
    if root is not None:
        file.take(root)
    if file.faults:
        raise InvalidTopicFile("\n".join(f"{path}:{line}: {what}" for line, what in file.faults))
    return file
