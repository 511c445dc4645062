"""What is answered when the log fails: never a 2xx, never a silent write, and always a way to send it again."""

import json
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from ingest_gateway.budget import Share
from ingest_gateway.event_log import NotWritten, OutcomeUnknown
from tests.unit.ingest_gateway.gateway_client import EVENT, NDJSON, Gateway, event

_AWAY = NotWritten("the broker cannot be reached", retry_after=3)
_SILENT = OutcomeUnknown("the broker did not acknowledge within 5 s", retry_after=4)


def test_a_broker_that_is_away_is_503_and_nothing_was_written(gateway: Gateway) -> None:
    """With the reason and the time to wait."""
    gateway.log.failure = _AWAY
    answer = gateway.send_event()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Nothing was written: the broker cannot be reached; send it again"
    assert not gateway.written


def test_a_broker_that_is_silent_is_503_and_gives_the_id_to_send_again_with(gateway: Gateway) -> None:
    """The event may have been written, so that its repetition must be recognisable."""
    gateway.log.failure = _SILENT
    answer = gateway.send_event()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "4"
    assert "may have been written" in answer.json()["detail"]
    gateway.log.failure = None
    assert gateway.send_event(id=answer.json()["id"]).status_code == 201
    first, second = gateway.written
    assert first["id"] == second["id"] == answer.json()["id"]


def test_a_silent_broker_gives_the_ids_of_a_batch_by_index(gateway: Gateway) -> None:
    """Null where the event was rejected, so that they can be put back into the request as they are."""
    gateway.log.failure = _SILENT
    answer = gateway.send_batch(event(), event(level="LOUD"), event(id="mine"))
    assert answer.status_code == 503
    first, second, third = answer.json()["ids"]
    assert UUID(first).version == 7
    assert (second, third) == (None, "mine")
    assert {written["id"] for written in gateway.written} == {first, "mine"}


@pytest.mark.parametrize("to", ["", "/batch"])
def test_under_the_same_idempotency_key_the_same_body_has_the_same_ids(gateway: Gateway, to: str) -> None:
    """A sender that keeps no ids names its attempt, sends it again as it is, and it counts once."""
    body = json.dumps([EVENT, EVENT] if to else EVENT).encode()
    gateway.log.failure = _SILENT
    gateway.send(body, to=to, idempotency_key="attempt-1")
    gateway.log.failure = None
    gateway.send(body, to=to, idempotency_key="attempt-1")
    ids = [written["id"] for written in gateway.written]
    half = len(ids) // 2
    assert ids[:half] == ids[half:]
    assert len(set(ids)) == half
    assert {UUID(each).version for each in ids} == {8}


def test_an_id_of_the_sender_stands_above_the_idempotency_key(gateway: Gateway) -> None:
    """What the producer says about its own event is taken."""
    assert gateway.send(json.dumps(event(id="7")).encode(), idempotency_key="k").json()["id"] == "7"


def test_a_full_buffer_is_503_at_once(gateway: Gateway) -> None:
    """The bytes of all requests under way are bounded."""
    with Share(gateway.budget) as others:
        others.take(gateway.budget.limit - 10)
        answer = gateway.send_event()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "buffer is full" in answer.json()["detail"]
    assert not gateway.written
    assert gateway.send_event().status_code == 201


@pytest.mark.parametrize(
    ("body", "to"), [(b"{}", ""), (json.dumps(EVENT).encode(), ""), (b"[]", "/batch"), (b"[5]", "/batch"), (b"x", "")]
)
def test_every_answer_gives_its_bytes_back(gateway: Gateway, body: bytes, to: str) -> None:
    """A leak would end in a gateway that refuses everything."""
    gateway.send(body, to=to)
    assert gateway.budget.held == 0


def test_an_unready_log_shows_in_readyz_alone(gateway: Gateway) -> None:
    """The process is healthy, but should be sent nothing."""
    gateway.log.failure = _AWAY
    ready = gateway.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == {"broker": "the broker cannot be reached"}
    assert gateway.client.get("/health").status_code == 200
    gateway.log.failure = None
    assert gateway.client.get("/readyz").status_code == 200


def _metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_accepted_and_refused_events_are_counted(gateway: Gateway) -> None:
    """Each by its route, and the refused by their reason."""

    def counts() -> dict[str, Any]:
        accepted, refused = "ops_gateway_events_accepted_total", "ops_gateway_events_refused_total"
        batch = "/api/v1/events/batch"
        return {
            "accepted": _metric(accepted, route=batch),
            "rejected": _metric(refused, route=batch, reason="invalid"),
            "malformed": _metric(refused, route=batch, reason="malformed"),
        }

    before = counts()
    gateway.send(b'{"service": 1}\nx\n' + json.dumps(EVENT).encode(), to="/batch", media_type=NDJSON)
    gateway.send(b"[", to="/batch")
    gateway.send(b"[1, 2]", to="/batch")
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {"accepted": 1, "rejected": 4, "malformed": 1}
