"""One HTTP connection to the gateway, by the standard library: what an application has anyway, and what logs nothing.

An HTTP library that logs, or is instrumented to, would feed the handler that uses it.
"""

import gzip
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from ops_assist.client.answers import Answer
from ops_assist.client.backoff import parse_retry_after
from ops_assist.client.outbox import Item

PATH: Final = "/api/v1/events/batch"
_GZIP_FROM: Final = 4 * 1024
_MAX_ANSWER: Final = 8 * 1024 * 1024
_STALE: Final = (ConnectionResetError, BrokenPipeError)  # http.client's RemoteDisconnected is one


class Transport:
    """Posts batches to the gateway at `url`, one at a time, over a connection that it keeps.

    Args:
        url: `http://` or `https://`, with a path where the gateway lies behind one.
        headers: sent with every request, as credentials for a proxy.
        timeout: seconds for the connection, and for each wait for data.

    Raises:
        ValueError: `url` is no such address.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"url must be an address such as http://localhost:8000, not {url!r}")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("url takes no credentials, query or fragment; credentials go into headers")
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
        self.url = url
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + PATH
        self._headers = {"User-Agent": "ops-assist-client", **(headers or {}), "Content-Type": "application/x-ndjson"}
        self._timeout = timeout
        self._connection: HTTPConnection | None = None
        self._sending = threading.Lock()
        self._aborted = False

    def post(self, items: Sequence[Item]) -> Answer:
        """The answer to a batch; an answer without status where none came. Never raises."""
        body = b"\n".join(item.line for item in items)
        headers = self._headers
        if len(body) >= _GZIP_FROM:
            body, headers = gzip.compress(body, 1, mtime=0), headers | {"Content-Encoding": "gzip"}
        with self._sending:
            try:
                return self._post(body, headers)
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                return Answer(0, reason=f"{self.url}: {str(error) or type(error).__name__}")

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        kept = self._connection is not None
        try:
            return self._converse(body, headers)
        except _STALE:
            self.close()
            if not kept or self._aborted:
                raise
        return self._converse(body, headers)  # the server had closed a connection that nobody used

    def _converse(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._kind(self._host, self._port, timeout=self._timeout)
            self._connection.connect()
        with suppress(*_STALE):  # who refuses a large body may hang up while it is sent; the answer is there to read
            self._connection.request("POST", self._path, body, dict(headers))
        response = self._connection.getresponse()
        content = response.read(_MAX_ANSWER)
        if response.will_close or not response.isclosed():
            self.close()
        return _answer(response, content)

    def abort(self) -> None:
        """End a request that is under way, from another thread, for good."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Let go of a connection that belongs to the parent process, in a forked child."""
        self._sending = threading.Lock()
        self.close()  # closes the child's descriptor alone: nothing is said on the wire


def _answer(response: HTTPResponse, content: bytes) -> Answer:
    after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    return Answer(response.status, content, after, response.reason)
