"""The HTTP API as commands see it: its answers, or one line about what went wrong."""

from typing import Any, Final

import httpx

from ops_assist.errors import CommandError

_SECONDS: Final = 30.0


class HttpApi:
    """Calls to one address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET; parameters that are None or empty are left out."""
        wanted = {name: value for name, value in parameters.items() if value not in (None, "")}
        return self._call("GET", path, params=wanted)

    def patch(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        """PATCH with a JSON body."""
        return self._call("PATCH", path, json=body, headers=headers)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = httpx.request(method, f"{self._url}{path}", timeout=_SECONDS, **options)
        except httpx.InvalidURL as error:
            raise CommandError(f"{self._url} is no address: {error}") from error
        except httpx.TransportError as error:
            raise CommandError(
                f"no HTTP API at {self._url}: {error}; is the pipeline running (ops-assist up)?"
            ) from error
        if answer.is_error:
            raise CommandError(f"{answer.status_code} {_detail(answer)}")
        return answer


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
