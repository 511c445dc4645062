"""Every error answer of the gateway, each with the reason it is counted by."""

from typing import Any, Final

from runtime.problem import Problem
from schemas.event import FieldError

BUFFER_FULL: Final = "buffer_full"
IN_PROGRESS: Final = "in_progress"
INVALID: Final = "invalid"
MALFORMED: Final = "malformed"
MEDIA_TYPE: Final = "media_type"
OUTCOME_UNKNOWN: Final = "outcome_unknown"
TIMEOUT: Final = "timeout"
TOO_LARGE: Final = "too_large"
UNAVAILABLE: Final = "unavailable"


class Refusal(Problem):
    """An error answer; `reason` is its label in the metrics, `events` how many events it counts for there."""

    def __init__(self, status: int, reason: str, detail: str, *, events: int = 1, **members: Any) -> None:
        super().__init__(status, detail, **members)
        self.reason, self.events = reason, events


def malformed(detail: str) -> Refusal:
    """400: what was sent cannot be read at all."""
    return Refusal(400, MALFORMED, detail)


def too_large(detail: str) -> Refusal:
    """413: more than the gateway or a record takes."""
    return Refusal(413, TOO_LARGE, detail)


def unsupported(detail: str, **headers: str) -> Refusal:
    """415: a media type, charset or encoding that the gateway does not read."""
    return Refusal(415, MEDIA_TYPE, detail, headers=headers)


def invalid(detail: str, **members: Any) -> Refusal:
    """422: it can be read, but breaks the rules of an event."""
    return Refusal(422, INVALID, detail, **members)


def unavailable(reason: str, detail: str, retry_after: int, **members: Any) -> Refusal:
    """503 with Retry-After in seconds."""
    return Refusal(503, reason, detail, headers={"Retry-After": str(retry_after)}, **members)


def as_members(errors: list[FieldError]) -> list[dict[str, str]]:
    """Field errors as they stand in `errors` of an answer."""
    return [{"field": error.field, "message": error.message} for error in errors]


def sentence(errors: list[FieldError]) -> str:
    """Field errors as one sentence."""
    return "; ".join(f"{error.field} {error.message}".strip() for error in errors)
