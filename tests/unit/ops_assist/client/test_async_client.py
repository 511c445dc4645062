"""The client for asyncio: it waits for room where asked to, and blocks the loop never."""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ops_assist.client import AsyncClient, Limits
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.unit.ops_assist.client.faulty_gateway import Fault, FaultyGateway


async def _until(condition: Callable[[], object]) -> None:
    async def holds() -> bool:
        return bool(condition())

    await eventually(holds)


async def test_what_is_sent_is_in_the_log_when_the_block_ends(gateway: FaultyGateway) -> None:
    """With what was said of it."""
    async with AsyncClient("checkout", gateway.url, environment="test", host="web-3") as client:
        event_id = await client.send(
            "err",
            "payment failed",
            timestamp=datetime(2023, 1, 29, 9, 42, 22, tzinfo=timezone(timedelta(hours=1))),
            trace_id="abc",
            span_id="def",
            attributes={"order": {"id": 17}},
        )
        assert client.try_send("INFO", "of another", service=" cart ")
    first, second = gateway.written
    assert first == {
        "id": event_id,
        "service": "checkout",
        "level": "ERROR",
        "message": "payment failed",
        "timestamp": "2023-01-29T08:42:22.000000Z",
        "trace_id": "abc",
        "span_id": "def",
        "host": "web-3",
        "environment": "test",
        "attributes": {"order.id": 17},
    }
    assert second["service"] == "cart"


async def test_events_of_a_service_keep_their_order_through_failures(gateway: FaultyGateway) -> None:
    """Many senders, small batches, a gateway that refuses and hangs up: all of it, once by id, each sender in order."""
    gateway.faults += [Fault(503), Fault(), Fault(taken=True)]
    limits = Limits(max_events=20, batch_events=10, linger=0)
    async with AsyncClient("checkout", gateway.url, limits=limits) as client:

        async def send(name: str) -> None:
            for number in range(40):
                await client.send("INFO", str(number), attributes={"of": name})

        await asyncio.gather(*(send(name) for name in "abc"))
        assert await client.flush(30)
        assert (client.stats.delivered, client.stats.dropped) == (120, 0)
    once = {event["id"]: event for event in gateway.written}.values()
    for name in "abc":
        own = [event["message"] for event in once if event["attributes"]["of"] == name]
        assert own == [str(number) for number in range(40)]


async def test_send_waits_for_room_and_try_send_does_not(gateway: FaultyGateway) -> None:
    """The one is back-pressure, the other drops what is no error."""
    gateway.silence.clear()
    async with AsyncClient("checkout", gateway.url, limits=Limits(max_events=3, batch_events=1, linger=0)) as client:
        for number in range(3):
            await client.send("INFO", str(number))
        await _until(lambda: gateway.requests)
        waiting = [asyncio.create_task(client.send("INFO", str(number))) for number in (3, 4)]
        await asyncio.sleep(0)
        assert client.try_send("INFO", "dropped") is None
        assert client.try_send("ERROR", "kept") is not None
        assert not any(task.done() for task in waiting)
        gateway.silence.set()
        await asyncio.gather(*waiting)
        assert client.stats.dropped == 2
    assert [message for message in gateway.messages if "dropped," not in message] == ["0", "2", "kept", "3", "4"]


async def test_the_loop_runs_on_while_a_gateway_does_not_answer(gateway: FaultyGateway) -> None:
    """10,000 turns of the loop and as many events pass during one request."""
    gateway.silence.clear()
    limits = Limits(max_events=100, linger=0)
    async with AsyncClient("checkout", gateway.url, limits=limits, exit_timeout=0.05) as client:
        await client.send("INFO", "first")
        await _until(lambda: gateway.requests)
        for number in range(10_000):
            client.try_send("INFO", str(number))
            await asyncio.sleep(0)
        assert len(gateway.requests) == 1
        assert (client.stats.delivered, client.stats.held, client.stats.dropped) == (0, 100, 9_901)


async def test_a_flush_has_an_end(gateway: FaultyGateway) -> None:
    """False where the time is up, and the events stay queued."""
    gateway.silence.clear()
    async with AsyncClient("checkout", gateway.url) as client:
        assert await client.flush()
        await client.send("INFO", "held")
        assert not await client.flush(0.05)
        gateway.silence.set()
        assert await client.flush(20)
    assert gateway.messages == ["held"]


async def test_an_end_without_a_gateway_is_bounded_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """What could not be sent is named, and no thread stays."""
    url = f"http://127.0.0.1:{free_port()}"
    async with AsyncClient("checkout", url, exit_timeout=0.05) as client:
        await client.send("ERROR", "nobody hears")
    assert "1 events were not taken by the gateway within 0.05 s" in caplog.text
    await _until(lambda: not any("ops-assist-client" in thread.name for thread in threading.enumerate()))


async def test_an_end_amid_a_request_cuts_it(gateway: FaultyGateway) -> None:
    """And whoever waits for room learns that none will come."""
    gateway.silence.clear()
    limits = Limits(max_events=1, linger=0)
    async with AsyncClient("checkout", gateway.url, limits=limits, timeout=60, exit_timeout=0.05) as client:
        await client.send("INFO", "held")
        await _until(lambda: gateway.requests)
        waiting = asyncio.create_task(client.send("INFO", "no room"))
    with pytest.raises(RuntimeError, match="async with"):
        await waiting
    await _until(lambda: not any("ops-assist-client" in thread.name for thread in threading.enumerate()))


async def test_what_the_gateway_would_refuse_is_refused_at_the_call(gateway: FaultyGateway) -> None:
    """With what to do about it."""
    async with AsyncClient("checkout", gateway.url) as client:
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("loud", {}, "level"),
            ("INFO", {"service": ""}, "1 to 100"),
            ("INFO", {"timestamp": datetime.now(UTC).replace(tzinfo=None)}, "offset"),
        ]
        for level, details, message in wrong:
            with pytest.raises(ValueError, match=message):
                client.try_send(level, "x", **details)
        assert client.stats.offered == 0


async def test_it_is_used_within_its_block_and_once() -> None:
    """Before and after, nobody would send."""
    client = AsyncClient("checkout", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RuntimeError, match="async with"):
        client.try_send("INFO", "x")
    async with client:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await client.send("INFO", "x")
    with pytest.raises(RuntimeError, match="another"):
        await client.__aenter__()


async def test_a_retry_sends_the_same_ids(gateway: FaultyGateway) -> None:
    """So that it counts once."""
    gateway.faults += [Fault(503)]
    async with AsyncClient("checkout", gateway.url, limits=Limits(linger=0)) as client:
        event_id = await client.send("INFO", "x")
        assert await client.flush(20)
    assert [json.loads(request.body)["id"] for request in gateway.requests] == [event_id, event_id]
