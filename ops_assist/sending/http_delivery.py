"""Batches over HTTP: tried again, with the same ids, for as long as the gateway says that it cannot now."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import httpx

from ops_assist.errors import CommandError
from ops_assist.sending.outgoing import Outgoing
from ops_assist.sending.tally import Tally

PATH: Final = "/api/v1/events/batch"
_AGAIN: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 10.0


class HttpDelivery:
    """Delivers to the gateway at `url`; gives up when one batch has failed for `patience` seconds."""

    def __init__(self, client: httpx.AsyncClient, url: str, tally: Tally, *, patience: float) -> None:
        self._client, self._url, self._tally, self._patience = client, url + PATH, tally, patience

    async def __call__(self, batch: Sequence[Outgoing]) -> None:
        """Deliver one batch and count what became of it.

        Raises:
            CommandError: the gateway did not take it in time; its events are lost unless the run is repeated.
        """
        answer = await self._post_until_answered(batch)
        if answer.status_code == _TOO_LARGE and len(batch) > 1:
            half = len(batch) // 2
            await self(batch[:half])
            await self(batch[half:])
            return
        self._count(batch, answer)

    async def _post_until_answered(self, batch: Sequence[Outgoing]) -> httpx.Response:
        body = b"\n".join(event.value for event in batch)
        deadline, wait = time.monotonic() + self._patience, _FIRST_WAIT
        while True:
            answer = await self._post(body)
            if isinstance(answer, httpx.Response) and answer.status_code not in _AGAIN:
                return answer
            pause = _retry_after(answer, wait)
            if time.monotonic() + pause > deadline:
                raise CommandError(f"{self._url} did not take events for {self._patience:g} s: {_why(answer)}")
            self._tally.retries += 1
            await asyncio.sleep(pause)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _post(self, body: bytes) -> httpx.Response | httpx.TransportError:
        try:
            return await self._client.post(self._url, content=body, headers={"Content-Type": "application/x-ndjson"})
        except httpx.TransportError as error:
            return error

    def _count(self, batch: Sequence[Outgoing], answer: httpx.Response) -> None:
        body = _json(answer)
        rejected = body.get("rejected")
        if answer.is_success:
            self._tally.accepted += int(body.get("accepted", 0))
        elif not isinstance(rejected, list):
            reason = f"{answer.status_code} {body.get('detail') or answer.reason_phrase}"
            self._tally.reject_all([event.origin for event in batch], reason)
            return
        for item in rejected or []:
            self._tally.reject(batch[item["index"]].origin, _errors(item.get("errors", [])))


def _retry_after(answer: httpx.Response | httpx.TransportError, default: float) -> float:
    """The seconds that the gateway asks for, else `default`; never longer than ten."""
    header = answer.headers.get("retry-after", "") if isinstance(answer, httpx.Response) else ""
    return min(float(header), _LONGEST_WAIT) if header.isdecimal() else default


def _why(answer: httpx.Response | httpx.TransportError) -> str:
    if isinstance(answer, httpx.Response):
        return f"{answer.status_code} {_json(answer).get('detail') or answer.reason_phrase}"
    return str(answer) or type(answer).__name__


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _errors(errors: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{error.get('field', '')}: {error.get('message', '')}".removeprefix(": ") for error in errors)
