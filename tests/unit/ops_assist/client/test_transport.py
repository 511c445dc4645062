"""The connection to the gateway, on real sockets."""

import gzip
import socket
import threading
from collections.abc import Iterator

import pytest

from ops_assist.client.shape import make_item
from ops_assist.client.transport import Transport
from tests.support.ports import free_port
from tests.unit.ops_assist.client.faulty_gateway import Fault, FaultyGateway


@pytest.fixture
def transport(gateway: FaultyGateway) -> Iterator[Transport]:
    """One to the gateway."""
    made = Transport(gateway.url, {"Authorization": "Bearer abc"}, timeout=5)
    yield made
    made.close()


def test_small_batches_go_as_they_are_and_large_ones_packed(gateway: FaultyGateway, transport: Transport) -> None:
    """Gzip, the same bytes each time."""
    one, many = [make_item("a", "INFO", "one")], [make_item("a", "INFO", "x" * 100) for _ in range(50)]
    assert [transport.post(items).status for items in (one, many, many)] == [201, 201, 201]
    small, large, again = gateway.requests
    assert (small.body, small.path) == (one[0].line, "/api/v1/events/batch")
    assert small.headers["authorization"] == "Bearer abc"
    assert gzip.decompress(large.body) == b"\n".join(item.line for item in many)
    assert large.body == again.body
    assert len(gateway.written) == 101


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(
    gateway: FaultyGateway, transport: Transport
) -> None:
    """Uvicorn closes one that was idle for 5 s; the request goes over a new one at once."""
    gateway.hangs_up_after_answering = True
    for number in range(3):
        assert transport.post([make_item("a", "INFO", str(number))]).status == 201
    assert gateway.messages == ["0", "1", "2"]


def test_an_answer_before_the_body_was_read_is_read(gateway: FaultyGateway, transport: Transport) -> None:
    """A proxy that finds a body too large answers and hangs up while it is still sent."""
    gateway.faults.append(Fault(413, before_reading=True))
    answer = transport.post([make_item("a", "INFO", "x" * 30_000) for _ in range(100)])
    assert answer.status in {0, 413}  # the kernel may throw the answer away with the connection
    assert transport.post([make_item("a", "INFO", "next")]).status == 201


def test_whatever_is_wrong_with_the_network_is_an_answer_without_status(gateway: FaultyGateway) -> None:
    """It never raises."""
    item = make_item("a", "INFO", "x")
    refused = Transport(f"http://127.0.0.1:{free_port()}").post([item])
    assert refused.status == 0
    assert "refused" in refused.reason
    gateway.faults.append(Fault())
    assert Transport(gateway.url).post([item]).status == 0
    assert Transport(gateway.url, {"Bad\nName": "x"}).post([item]).status == 0


def test_a_server_that_never_answers_is_given_up_after_the_timeout(gateway: FaultyGateway) -> None:
    """Its events are kept: perhaps they were written, and then their ids say so."""
    gateway.silence.clear()
    assert "timed out" in Transport(gateway.url, timeout=0.05).post([make_item("a", "INFO", "x")]).reason


def test_a_server_that_speaks_another_protocol_is_an_answer_without_status() -> None:
    """As an SSH server would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_greet, args=(server,))
        thread.start()
        answer = Transport(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5).post([make_item("a", "INFO", "x")])
        thread.join()
    assert (answer.status, "SSH" in answer.reason) == (0, True)


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        connection.recv(65_536)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match="http://localhost:8000"):
        Transport(url)


@pytest.mark.parametrize("url", ["http://me:secret@localhost", "http://localhost/?a=b", "http://localhost/#a"])
def test_what_an_address_cannot_carry_is_refused_at_once(url: str) -> None:
    """A password would stand in every line about an outage, so the error does not repeat it."""
    with pytest.raises(ValueError, match="go into headers") as refused:
        Transport(url)
    assert "secret" not in str(refused.value)


def test_a_gateway_behind_a_path_is_reached(gateway: FaultyGateway) -> None:
    """As a reverse proxy serves it."""
    transport = Transport(f"{gateway.url}/ops/")
    assert transport.post([make_item("a", "INFO", "x")]).status == 201
    assert gateway.requests[0].path == "/ops/api/v1/events/batch"
    transport.close()
