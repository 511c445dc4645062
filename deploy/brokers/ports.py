"""Free and taken TCP ports on loopback."""

import random
import socket
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"

_LOWEST: Final = 15_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT: Final = 32_768
_ATTEMPTS: Final = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on, outside the range that the kernel gives to outgoing connections.

    Inside that range a client that reconnects to a stopped server can be given the server's own port, connects to
    itself and keeps the server from coming back.
    """
    highest = _first_ephemeral_port() - 1
    for _ in range(_ATTEMPTS):
        port = random.randint(_LOWEST, highest)  # noqa: S311 - spreads parallel callers; no secret
        if is_free(port):
            return port
    raise OSError(f"no free TCP port between {_LOWEST} and {highest}")


def _first_ephemeral_port() -> int:
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_DEFAULT
    return first if first > _LOWEST + _ATTEMPTS else _EPHEMERAL_DEFAULT
