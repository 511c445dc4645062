"""In-memory twins of the processor's outside: a log record, a state table and a way out to Kafka."""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.codec import decode_incident, decode_incident_events, encode
from schemas.incident import Incident
from schemas.topics import EVENTS, INCIDENT_EVENTS, INCIDENTS
from stream_processor.outgoing import Outgoing


class LogRecord(msgspec.Struct):
    """A record as a consumer gives it; `timestamp` in milliseconds."""

    offset: int
    value: bytes | None
    partition: int = 0
    topic: str = EVENTS
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def event_record(offset: int, *events: dict[str, object], partition: int = 0) -> LogRecord:
    """A record of one event, or of an array of them."""
    return LogRecord(offset, encode(events[0] if len(events) == 1 else list(events)), partition)


class MemoryRows:
    """A state table that can be made to fail, as a crash before its write would."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.fails = False

    def get(self, key: bytes) -> bytes | None:
        """The row of this key."""
        return self.rows.get(key)

    async def write(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows, or raise where told to."""
        del partition
        if self.fails and rows:
            raise ConnectionError("crashed before the state was written")
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


class MemoryPublisher:
    """Keeps what was published, and checks that one version of an incident has one content."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.versions: dict[tuple[str, int], bytes] = {}
        self.fails = False

    async def publish(self, owner: int, records: Sequence[Outgoing]) -> None:
        """Publish, or raise where told to."""
        del owner
        if self.fails:
            raise ConnectionError("crashed before the records were published")
        for record in records:
            self.records.append(record)
            if record.topic == INCIDENTS and record.value:
                incident = decode_incident(record.value)
                known = self.versions.setdefault((incident.key, incident.version), record.value)
                assert known == record.value, f"two contents of version {incident.version}"

    def to(self, topic: str) -> list[Outgoing]:
        """What was published to a topic."""
        return [record for record in self.records if record.topic == topic]

    def incidents(self) -> dict[str, Incident]:
        """The newest version of each incident."""
        newest: dict[str, Incident] = {}
        for record in self.to(INCIDENTS):
            incident = decode_incident(record.value or b"")
            if incident.key not in newest or incident.version > newest[incident.key].version:
                newest[incident.key] = incident
        return newest

    def incidents_by_version(self) -> dict[tuple[str, int], bytes]:
        """The newest version of each incident, as it was published."""
        newest = {(key, incident.version) for key, incident in self.incidents().items()}
        return {version: content for version, content in self.versions.items() if version in newest}

    def links(self, key: str) -> set[tuple[int, int]]:
        """The events that an incident was said to hold."""
        records = [decode_incident_events(record.value or b"") for record in self.to(INCIDENT_EVENTS)]
        return {(event.offset, event.index) for record in records if record.key == key for event in record.events}
