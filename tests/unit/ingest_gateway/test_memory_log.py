"""The event log in memory keeps the contract of every event log."""

import pytest

from ingest_gateway.event_log import EventLog, NotWritten, OutcomeUnknown, Record
from ingest_gateway.memory_log import MemoryEventLog
from tests.unit.ingest_gateway.event_log_contract import EventLogContract, ReadBack, Written


class TestMemoryEventLog(EventLogContract):
    """The suite on memory."""

    @pytest.fixture
    def event_log(self) -> EventLog:
        """A log with as many partitions as the suite expects."""
        return MemoryEventLog(partitions=self.partitions)

    @pytest.fixture
    def read_back(self, event_log: MemoryEventLog) -> ReadBack:
        """All that was appended."""

        async def read(_: int) -> Written:
            return [(partition, key, value) for partition, lane in event_log.partitions.items() for key, value in lane]

        return read


async def test_a_failure_that_is_certain_writes_nothing() -> None:
    """`NotWritten` is kept to the letter."""
    log = MemoryEventLog()
    log.failure = NotWritten("away")
    with pytest.raises(NotWritten):
        await log.publish([Record("a", b"{}")])
    assert not log.partitions
    assert await log.check() == "away"


async def test_a_failure_that_is_uncertain_may_write_all_the_same() -> None:
    """`OutcomeUnknown` is the case that a sender must be able to repeat."""
    log = MemoryEventLog()
    log.failure = OutcomeUnknown("silence")
    with pytest.raises(OutcomeUnknown):
        await log.publish([Record("a", b"{}")])
    assert sum(len(lane) for lane in log.partitions.values()) == 1
