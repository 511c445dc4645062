"""What every event log must do; run against memory in the unit tests and against real brokers in the integration tests.

A test class that inherits it gives two fixtures: `event_log`, started, and `read_back`, which gives all records of
`ops.events` of the given services as (partition, key, value), in the order of each partition.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from ingest_gateway.event_log import EventLog, Record
from schemas.placement import home_partition

Written = list[tuple[int, bytes, bytes]]
ReadBack = Callable[[int], Awaitable[Written]]
"""Called with the number of records that must be there at least; gives every record of the topic."""


class EventLogContract:
    """The suite."""

    partitions = 3

    async def test_what_is_published_is_in_the_log_when_publish_returns(
        self, event_log: EventLog, read_back: ReadBack
    ) -> None:
        """One record, with the service's name as key and its bytes as they were."""
        service, value = f"one-{uuid4()}", b'{"message": "\xc3\xa9"}'
        await event_log.publish([Record(service, value)])
        found = [(key, content) for _, key, content in await read_back(1) if key == service.encode()]
        assert found == [(service.encode(), value)]

    async def test_each_service_lies_at_its_home_partition(self, event_log: EventLog, read_back: ReadBack) -> None:
        """The placement is the one that every part of the pipeline computes."""
        services = [f"placed-{index}-{uuid4()}" for index in range(20)]
        await event_log.publish([Record(service, b"{}") for service in services])
        placed = {key.decode(): partition for partition, key, _ in await read_back(20)}
        assert {service: placed[service] for service in services} == {
            service: home_partition(service, self.partitions) for service in services
        }

    async def test_the_records_of_a_service_keep_their_order(self, event_log: EventLog, read_back: ReadBack) -> None:
        """Within one call and from one call to the next."""
        service = f"ordered-{uuid4()}"
        values = [b"%d" % index for index in range(200)]
        await event_log.publish([Record(service, value) for value in values[:100]])
        await event_log.publish([Record(service, value) for value in values[100:]])
        assert [value for _, key, value in await read_back(200) if key == service.encode()] == values

    async def test_publishing_from_many_tasks_writes_each_record_once(
        self, event_log: EventLog, read_back: ReadBack
    ) -> None:
        """Requests run side by side."""
        service = f"many-{uuid4()}"
        values = [b"%d" % index for index in range(500)]
        await asyncio.gather(*(event_log.publish([Record(service, value)]) for value in values))
        found = sorted(int(value) for _, key, value in await read_back(500) if key == service.encode())
        assert found == list(range(500))

    async def test_publishing_nothing_is_done_at_once(self, event_log: EventLog) -> None:
        """A batch whose events were all blank lines has no records."""
        await event_log.publish([])

    async def test_a_large_record_is_taken(self, event_log: EventLog, read_back: ReadBack) -> None:
        """A record may be larger than a batch usually is."""
        service, value = f"large-{uuid4()}", b'"' + b"x" * (2 * 1024 * 1024 - 20_000) + b'"'
        await event_log.publish([Record(service, value)])
        assert [value for _, key, value in await read_back(1) if key == service.encode()] == [value]

    async def test_the_check_passes_while_the_log_can_be_written(self, event_log: EventLog) -> None:
        """The readiness of the gateway is that of its log."""
        await event_log.publish([])
        assert await event_log.check() is None
