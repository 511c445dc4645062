"""Feeding records in their order, over Kafka and over HTTP, through every outage."""

import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from schemas.topics import EVENTS
from tests.chaos.topic_access import PATIENCE, Writer
from tests.chaos.workload import Fed
from tests.support.pipeline import Pipeline

CHUNKS: Final = 60
"""Steps in which a half is fed: disturbances begin between them."""


class Pace:
    """Lets feeders go on step by step; `released` counts the steps that may be fed."""

    def __init__(self) -> None:
        self.released = 0
        self._changed = threading.Condition()

    def release(self, steps: int) -> None:
        """Let the feeders come to this step."""
        with self._changed:
            self.released = max(self.released, steps)
            self._changed.notify_all()

    def wait_for(self, step: int) -> None:
        """Wait until this step is released."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.released > step, timeout=10 * PATIENCE), "no one sets the pace"


def feed(pipeline: Pipeline, records: list[Fed], pace: Pace) -> None:
    """Feed all records; returns when each was acknowledged."""
    straight = [record for record in records if record.partition is not None]
    over_http = [record for record in records if record.partition is None]
    with ThreadPoolExecutor(2) as threads:
        feeders = [
            threads.submit(_to_kafka, pipeline, straight, pace),
            threads.submit(_over_http, pipeline, over_http, pace),
        ]
        for feeder in feeders:
            feeder.result()


def _to_kafka(pipeline: Pipeline, records: list[Fed], pace: Pace) -> None:
    writer = Writer(pipeline)
    for step, chunk in enumerate(_chunks(records)):
        pace.wait_for(step)
        for record in chunk:
            assert record.partition is not None
            writer.write(EVENTS, record.partition, record.key, record.value)
        writer.flush()


def _over_http(pipeline: Pipeline, records: list[Fed], pace: Pace) -> None:
    """As a client does that sends a batch again until it is acknowledged."""
    with httpx.Client(timeout=20) as client:
        for step, chunk in enumerate(_chunks(records)):
            pace.wait_for(step)
            if chunk:
                _post([event for record in chunk for event in json.loads(record.value)], client, pipeline)


def _post(events: list[object], client: httpx.Client, pipeline: Pipeline) -> None:
    """To one front door, and where it does not take it to the next."""
    deadline, doors = time.monotonic() + PATIENCE, itertools.count()
    while time.monotonic() < deadline:
        urls = pipeline.front_doors()
        try:
            answer = client.post(f"{urls[next(doors) % len(urls)]}/api/v1/events/batch", json=events)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == 201:
            assert answer.json()["accepted"] == len(events)
            return
        assert answer.status_code == 503, answer.text
        time.sleep(0.1)
    raise AssertionError(f"not acknowledged within {PATIENCE:g} s")


def _chunks(records: list[Fed]) -> Iterator[Iterable[Fed]]:
    for step in range(CHUNKS):
        yield records[len(records) * step // CHUNKS : len(records) * (step + 1) // CHUNKS]
