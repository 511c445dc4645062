"""Ports for servers on loopback."""

import socket

from deploy.brokers.ports import free_port, is_free


def test_free_port_can_be_listened_on() -> None:
    """A port that is called free is free."""
    assert is_free(free_port())


def test_port_with_a_listener_is_not_free() -> None:
    """A port is taken while somebody listens on it, and free again after."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_free_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    """A reconnecting client is never given the port of the server that it waits for."""
    assert all(15_000 <= free_port() < 32_768 for _ in range(20))
