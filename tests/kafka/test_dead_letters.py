"""Dead letters on a real broker: detection stops before all become some, loses nothing, and they are worked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from runtime.settings import Settings
from schemas.codec import encode
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, INCIDENTS
from tests.support.pipeline import PROCESSOR, Pipeline
from tests.support.topics import end_offset, producer, read
from tests.support.waiting import eventually, wait_until

WINDOW: Final = 20
SERVICE: Final = "checkout"
HOME: Final = home_partition(SERVICE, 3)
ERROR: Final = {"service": SERVICE, "level": "ERROR", "message": "x"}


@pytest.fixture(scope="module")
def pipeline(broker: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The processor alone; no command here needs a database."""
    state = tmp_path_factory.mktemp("state dir")
    running = Pipeline(broker, "", state, DLQ_STOP_SHARE="0.9", DLQ_STOP_WINDOW=str(WINDOW))
    try:
        yield running
    finally:
        running.stop()


async def send(settings: Settings, values: list[bytes]) -> None:
    """One record each, at the service's home."""
    async with producer(settings) as client:
        for value in values:
            await client.send_and_wait(EVENTS, value, partition=HOME, headers=[("trace", b"abc")])


def reasons(pipeline: Pipeline) -> dict[str, str]:
    """Why the processor is not ready."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{pipeline.ports[PROCESSOR]}/readyz")
    except httpx.TransportError:
        return {}
    found: dict[str, str] = answer.json()["reasons"]
    return found


def dlq(pipeline: Pipeline, *arguments: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(pipeline.command("dlq", *arguments, "--json"))


@pytest.mark.apache_kafka
async def test_detection_stops_before_all_is_a_dead_letter_and_goes_on_with_nothing_lost(
    pipeline: Pipeline, kafka_settings: Settings
) -> None:
    """Fewer letters than the window, no commit past them; let through, all are letters and the incident opens."""
    junk, errors = [b"junk"] * (2 * WINDOW), [encode(ERROR | {"id": f"e{n}"}) for n in range(4)]
    await send(kafka_settings, [*junk, *errors])
    pipeline.start(PROCESSOR)
    wait_until(lambda: "dead letters" in reasons(pipeline), timeout=60, what="detection stopped")
    assert "stopped_by_dead_letters" in pipeline.log_of(PROCESSOR)
    assert await end_offset(kafka_settings, EVENTS_DLQ, HOME) < WINDOW
    assert await end_offset(kafka_settings, INCIDENTS, HOME) == 0
    pipeline.end(PROCESSOR)  # it leaves as it should, though it stands still

    pipeline.environment["DLQ_STOP_SHARE"] = "0"
    pipeline.start(PROCESSOR)
    pipeline.wait_ready(PROCESSOR)

    async def through() -> bool:
        return await end_offset(kafka_settings, EVENTS_DLQ, HOME) >= 2 * WINDOW

    await eventually(through, what="every junk record a dead letter")
    assert await end_offset(kafka_settings, EVENTS_DLQ, HOME) == 2 * WINDOW


@pytest.mark.apache_kafka
async def test_letters_are_shown_retried_once_and_dropped(
    pipeline: Pipeline, kafka_settings: Settings, tmp_path: Path
) -> None:
    """The corrected fifth error opens the incident; what was dealt with is open no more, for whoever looks."""
    place = f"{HOME}/0"
    assert dlq(pipeline, "counts") == [{"reason": "unreadable", "open": 2 * WINDOW, "retried": 0, "dropped": 0}]
    shown = dlq(pipeline, "show", place)
    assert (shown["value"], shown["origin"], shown["headers"]) == ("junk", f"{EVENTS}/{HOME}/0", {"trace": "abc"})
    with pytest.raises(AssertionError, match="still unreadable"):
        pipeline.command("dlq", "retry", "--reason", "unreadable", "--yes")

    corrected = tmp_path / "corrected.json"
    corrected.write_bytes(encode(ERROR))
    assert dlq(pipeline, "retry", place, "--value", str(corrected), "--actor", "ann")["retried"] == 1
    (first, *_) = await read(kafka_settings, INCIDENTS, 1, partition=HOME)
    assert json.loads(first.value or b"")["event_count"] == 5
    with pytest.raises(AssertionError, match="was retried by ann already"):
        pipeline.command("dlq", "retry", place)

    assert dlq(pipeline, "drop", "--all", "--yes", "--note", "a test of a producer")["dropped"] == 2 * WINDOW - 1
    assert dlq(pipeline, "list") == []
    assert dlq(pipeline, "counts") == [{"reason": "unreadable", "open": 0, "retried": 1, "dropped": 2 * WINDOW - 1}]
    with pytest.raises(AssertionError, match="late events would be late again"):
        pipeline.command("dlq", "retry", "--topic", "late", "--all")
