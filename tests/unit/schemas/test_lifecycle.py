"""The life of an incident, step by step."""

import pytest

from schemas.lifecycle import ACTIVE, STATUSES, Status, is_allowed, refusal

_ALLOWED = {
    ("open", "investigating"),
    ("open", "resolved"),
    ("open", "closed"),
    ("investigating", "resolved"),
    ("investigating", "closed"),
    ("resolved", "closed"),
    ("resolved", "investigating"),
    ("resolved", "open"),
}


@pytest.mark.parametrize("present", STATUSES)
@pytest.mark.parametrize("wanted", STATUSES)
def test_steps_go_forwards_and_resolved_may_be_reopened(present: Status, wanted: Status) -> None:
    """Staying is always allowed; closed is final."""
    assert is_allowed(present, wanted) == (present == wanted or (present, wanted) in _ALLOWED)


def test_a_refusal_says_what_would_be_allowed() -> None:
    """A person reads it."""
    assert "may become resolved or closed" in refusal("investigating", "open")
    assert "final" in refusal("closed", "open")


def test_open_and_investigating_are_active() -> None:
    """They take in further events."""
    assert {"open", "investigating"} == ACTIVE
