"""The HTTP API as the dashboard calls it; the one place where its answers and its silence are told apart."""

from typing import Any, Final, TypeVar

import httpx
import msgspec

from query_api.dashboard.records import Problem

TIMEOUT: Final = httpx.Timeout(10.0, connect=2.0)
"""Seconds. A page is worth no longer wait; a connection on one network needs far less than two."""
STREAM_TIMEOUT: Final = httpx.Timeout(45.0, connect=2.0, pool=2.0)
"""Seconds without a byte, keep-alive comments included, after which a stream is given up and opened again."""
LIMITS: Final = httpx.Limits(max_connections=50, max_keepalive_connections=10)
STREAM_LIMITS: Final = httpx.Limits(max_connections=500, max_keepalive_connections=0)

_NOT_FOUND: Final = 404

Answer = TypeVar("Answer")


class ApiAwayError(Exception):
    """The API gave no answer, or said that it cannot serve now; the text says which."""


class ApiRefusedError(Exception):
    """The API answered that the request cannot be served as it is (4xx).

    Args:
        status: the HTTP status of the API's answer.
        detail: the API's own sentence.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class ApiClient:
    """Sends requests and reads answers.

    Every method raises ApiAwayError where the API cannot serve, and ApiRefusedError where it refuses.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; gives an answer of success."""
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiAwayError(no_answer(error, self._client.base_url)) from error
        if answer.is_success:
            return answer
        detail = _detail(answer)
        if answer.is_client_error:
            raise ApiRefusedError(answer.status_code, detail)
        raise ApiAwayError(f"It answered {answer.status_code}: {detail}")

    async def get(self, path: str, shape: type[Answer], **params: Any) -> Answer:
        """Read what is at `path`."""
        return decode(await self.send("GET", path, params=params), shape)

    async def get_if_there(self, path: str, shape: type[Answer]) -> Answer | None:
        """Read what is at `path`; None where nothing is, or where this API does not serve it."""
        try:
            return await self.get(path, shape)
        except ApiRefusedError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def away(self) -> str | None:
        """None when the API answers, else a sentence that says why not."""
        try:
            await self.send("GET", "/health")
        except (ApiAwayError, ApiRefusedError) as error:
            return str(error)
        return None


def no_answer(error: httpx.HTTPError, url: httpx.URL) -> str:
    """The sentence for an API that gave no answer."""
    if isinstance(error, httpx.TimeoutException):
        return f"{url} did not answer in time."
    return f"No connection to {url} ({str(error) or type(error).__name__})."


def decode(answer: httpx.Response, shape: type[Answer]) -> Answer:
    """The body of an answer.

    Raises:
        ApiAwayError: where it has another shape.
    """
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiAwayError(f"It gave an answer that this dashboard cannot read: {error}") from error


def total_of(answer: httpx.Response, *, default: int) -> int:
    """How many there are on all pages together."""
    text = answer.headers.get("x-total-count", "")
    return int(text) if text.isdecimal() else default


def _detail(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = Problem()
    return problem.detail or problem.title or answer.reason_phrase or "no reason given"
