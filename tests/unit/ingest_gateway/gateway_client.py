"""A gateway in memory, and a client to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastapi.testclient import TestClient
from httpx2 import Response

from ingest_gateway.app import create_app
from ingest_gateway.budget import Budget
from ingest_gateway.memory_log import MemoryEventLog
from runtime.settings import load_settings

EVENT: Final[dict[str, Any]] = {"service": "user-service", "level": "ERROR", "message": "pool exhausted"}
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


class Gateway:
    """The app over a log in memory."""

    def __init__(self, client: TestClient, log: MemoryEventLog, budget: Budget) -> None:
        self.client, self.log, self.budget = client, log, budget

    def send(self, body: bytes, *, to: str = "", media_type: str | None = JSON, **headers: str) -> Response:
        """POST `body` as it is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if media_type is not None:
            sent["content-type"] = media_type
        return self.client.post(f"/api/v1/events{to}", content=body, headers=sent)

    def send_event(self, **changes: Any) -> Response:
        """POST the usual event with some fields changed; one that is None is left out."""
        return self.send(json.dumps(event(**changes)).encode())

    def send_batch(self, *events: Any, **headers: str) -> Response:
        """POST events as a JSON array."""
        return self.send(json.dumps(events).encode(), to="/batch", **headers)

    @property
    def written(self) -> list[dict[str, Any]]:
        """Every event in the log, record by record."""
        records = [json.loads(value) for lane in self.log.partitions.values() for _, value in lane]
        return [event for record in records for event in (record if isinstance(record, list) else [record])]


def event(**changes: Any) -> dict[str, Any]:
    """The usual event with some fields changed; one that is None is left out."""
    return {name: value for name, value in (EVENT | changes).items() if value is not None}


@contextmanager
def running_gateway(**settings: Any) -> Iterator[Gateway]:
    """A started gateway."""
    log = MemoryEventLog()
    app = create_app(load_settings(_env_file=None, **settings), log)
    with TestClient(app) as client:
        yield Gateway(client, log, app.state.budget)
