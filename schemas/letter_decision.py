"""What a person did with a record of the dead letters or of the late events: the record of `ops.dlq-decisions`."""

from typing import Literal

import msgspec


class LetterDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision on the record at `topic`/`partition`/`offset`, which is its key too; `at` is in microseconds."""

    topic: str
    partition: int
    offset: int
    action: Literal["retried", "dropped"]
    actor: str
    at: int
    note: str = ""

    @property
    def key(self) -> str:
        """The place of the record that it is about: the newest decision of a place counts."""
        return f"{self.topic}/{self.partition}/{self.offset}"
