"""What an answer of the gateway means for the events of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

_TAKEN: Final = frozenset({201, 207})
_TOO_LARGE: Final = 413
_UNREADABLE: Final = frozenset({400, 422})
_MAX_RETRY_AFTER: Final = 60.0
_MAX_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came. `status` is 0 where none came; `reason` says then why."""

    status: int
    body: bytes = b""
    retry_after: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The fate of every event is known: those in `rejected`, by index, were refused with a reason, the others taken."""

    rejected: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smaller:
    """Refused as a whole for what it holds: send its halves, so that one bad event holds up no other."""

    reason: str


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again as it was, in `after` seconds at the earliest (None: when the backoff says)."""

    reason: str
    after: float | None = None


Verdict = Settled | Smaller | Again


def judge(answer: Answer, size: int) -> Verdict:
    """What to do with a request of `size` events that was answered so.

    Only a gateway's own words settle events: the 200 or 400 of some proxy's page says nothing of them. Whatever is not
    about the events themselves (no answer, 404, 401, 429, any 5xx) can be mended by somebody, so the events are kept.
    """
    body = _object(answer.body)
    rejected = _rejected(body.get("rejected"), size)
    if answer.status in _TAKEN and body.get("accepted") == size - len(rejected):
        return Settled(rejected)
    if _is_about_the_events(answer, body):
        reason = _reason(answer, body)
        if len(rejected) == size:
            return Settled(rejected)
        return Smaller(reason) if size > 1 else Settled({0: reason})
    after = None if answer.retry_after is None else min(answer.retry_after, _MAX_RETRY_AFTER)
    return Again(_reason(answer, body), after)


def _is_about_the_events(answer: Answer, body: Mapping[str, Any]) -> bool:
    """A proxy may call a body too large as well; that it cannot be read is the gateway's to say."""
    return answer.status == _TOO_LARGE or (answer.status in _UNREADABLE and isinstance(body.get("detail"), str))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _rejected(value: object, size: int) -> dict[int, str]:
    """Reasons by index; what names no event of the request counts for nothing."""
    if not isinstance(value, list):
        return {}
    found = {}
    for item in value:
        index = item.get("index") if isinstance(item, dict) else None
        if isinstance(index, int) and 0 <= index < size:
            found[index] = _sentence(item.get("errors"))
    return found


def _sentence(errors: object) -> str:
    if not isinstance(errors, list):
        return "no reason was given"
    parts = [f"{item.get('field', '')} {item.get('message', '')}".strip() for item in errors if isinstance(item, dict)]
    return "; ".join(parts)[:_MAX_REASON] or "no reason was given"


def _reason(answer: Answer, body: Mapping[str, Any]) -> str:
    if not answer.status:
        return answer.reason
    detail = body.get("detail")
    if not isinstance(detail, str):
        detail = answer.reason or "not an answer of the gateway"
    return f"{answer.status} {detail}"[:_MAX_REASON]
