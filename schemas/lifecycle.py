"""The life of an incident: open -> investigating -> resolved -> closed, and which steps are allowed (CONTRACT 5)."""

from typing import Final, Literal, get_args

Status = Literal["open", "investigating", "resolved", "closed"]

STATUSES: Final[tuple[Status, ...]] = get_args(Status)

ACTIVE: Final[frozenset[Status]] = frozenset({"open", "investigating"})
"""While an incident has one of these, qualifying events of its service add to it."""

_ALLOWED: Final[dict[Status, frozenset[Status]]] = {
    "open": frozenset({"investigating", "resolved", "closed"}),
    "investigating": frozenset({"resolved", "closed"}),
    "resolved": frozenset({"closed", "investigating", "open"}),
    "closed": frozenset(),
}


def is_allowed(present: Status, wanted: Status) -> bool:
    """Whether an incident may go from `present` to `wanted`; staying is always allowed and changes nothing."""
    return present == wanted or wanted in _ALLOWED[present]


def refusal(present: Status, wanted: Status) -> str:
    """The sentence that says why a step is not allowed and what is."""
    allowed = [status for status in STATUSES if status in _ALLOWED[present]]
    if not allowed:
        return f"The incident is {present}, which is final; open a new one instead"
    return f"An incident that is {present} cannot become {wanted}; it may become {' or '.join(allowed)}"
