"""Idempotency-Key, as draft-ietf-httpapi-idempotency-key-header-07 has it."""

import asyncio
import json

import pytest

from ingest_gateway import refusal
from ingest_gateway.accept import Answer
from ingest_gateway.event_log import NotWritten
from ingest_gateway.idempotency import MOST_KEY_BYTES, Idempotency
from tests.unit.ingest_gateway.gateway_client import EVENT, Gateway, event

BODY = json.dumps(EVENT).encode()


@pytest.mark.parametrize("to", ["", "/batch"])
def test_the_same_request_again_has_the_same_answer_and_is_written_once(gateway: Gateway, to: str) -> None:
    """Byte for byte."""
    body = b"[" + BODY + b"]" if to else BODY
    one, other = (gateway.send(body, to=to, idempotency_key="attempt-1") for _ in range(2))
    assert (one.status_code, one.content) == (other.status_code, other.content)
    assert one.status_code == 201
    assert len(gateway.written) == 1


def test_quotes_belong_to_the_form_and_not_to_the_key(gateway: Gateway) -> None:
    """A string of RFC 8941, which many senders write without them."""
    for key in ('"k-1"', "k-1"):
        assert gateway.send(BODY, idempotency_key=key).status_code == 201
    assert len(gateway.written) == 1


def test_a_key_that_was_used_for_another_request_is_422(gateway: Gateway) -> None:
    """With what to do; nothing is written. Another route is another matter."""
    gateway.send(BODY, idempotency_key="k")
    answer = gateway.send(json.dumps(event(message="another")).encode(), idempotency_key="k")
    assert answer.status_code == 422
    assert "give each request a key of its own" in answer.json()["detail"]
    assert gateway.send(b"[" + BODY + b"]", to="/batch", idempotency_key="k").status_code == 201
    assert len(gateway.written) == 2


def test_a_request_that_failed_may_be_sent_again_under_its_key(gateway: Gateway) -> None:
    """Whether it was the sender's fault or the broker's; mended, it is another request."""
    assert gateway.send(b"{}", idempotency_key="k").status_code == 422
    assert gateway.send(BODY, idempotency_key="k").status_code == 201
    gateway.log.failure = NotWritten("the broker cannot be reached")
    assert gateway.send(BODY, idempotency_key="k2").status_code == 503
    gateway.log.failure = None
    assert gateway.send(BODY, idempotency_key="k2").status_code == 201


def test_a_key_beyond_measure_is_400(gateway: Gateway) -> None:
    """Memory is bounded by it."""
    assert gateway.send(BODY, idempotency_key="k" * MOST_KEY_BYTES).status_code == 201
    assert gateway.send(BODY, idempotency_key="k" * (MOST_KEY_BYTES + 1)).status_code == 400


async def test_the_same_request_while_it_is_carried_out_is_409() -> None:
    """It is carried out once; afterwards it has its answer."""
    named, go_on = Idempotency(), asyncio.Event()
    done = 0

    async def carry_out() -> Answer:
        nonlocal done
        await go_on.wait()
        done += 1
        return Answer(201, b"{}")

    first = asyncio.create_task(named.once(b"k", b"f", carry_out))
    await asyncio.sleep(0)
    with pytest.raises(refusal.Refusal) as refused:
        await named.once(b"k", b"f", carry_out)
    assert refused.value.status == 409
    go_on.set()
    assert await first == await named.once(b"k", b"f", carry_out)
    assert done == 1


async def test_only_the_newest_keys_are_remembered() -> None:
    """The others are carried out again; nor is a long answer kept."""
    named, done = Idempotency(most=2), list[bytes]()

    async def ask(key: bytes, size: int = 2) -> None:
        async def carry_out() -> Answer:
            done.append(key)
            return Answer(207, b" " * size)

        await named.once(key, b"f", carry_out)

    for key in (b"a", b"b", b"c", b"c", b"b", b"a"):
        await ask(key)
    assert done == [b"a", b"b", b"c", b"a"]
    for _ in range(2):
        await ask(b"long", 5_000)
    assert done[4:] == [b"long", b"long"]
