"""Asks a broker, over a plain socket, whether it serves: no client library, no event loop."""

import socket
import struct
from typing import Final

from deploy.brokers.ports import LOOPBACK

_METADATA: Final = 3
_VERSION: Final = 1  # the oldest that Kafka 4 still speaks with "no topics" as an empty array
_CORRELATION: Final = 7
_HEADER: Final = struct.Struct(">hhih")
_INT32: Final = struct.Struct(">i")


def serves(port: int, timeout: float = 2.0) -> bool:
    """Whether a broker on loopback answers a metadata request that names at least one broker."""
    body = _HEADER.pack(_METADATA, _VERSION, _CORRELATION, -1) + _INT32.pack(0)
    try:
        with socket.create_connection((LOOPBACK, port), timeout) as connection:
            connection.sendall(_INT32.pack(len(body)) + body)
            answer = _receive(connection, _INT32.unpack(_receive(connection, 4))[0])
    except OSError:
        return False
    correlation, brokers = struct.unpack_from(">ii", answer)
    return bool(correlation == _CORRELATION and brokers > 0)


def _receive(connection: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the broker closed the connection")
        parts += part
    return parts
