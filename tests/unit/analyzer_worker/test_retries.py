"""When an incident whose model failed is asked about again."""

import msgspec
import pytest

from analyzer_worker.retries import Retries, delays_of, due_at
from schemas.analysis import Analysis, AnalysisStatus

SECOND = 1_000_000
DELAYS = delays_of("60, 300,1800")


def keys(retries: Retries, now: int, most: int) -> list[str]:
    return [key for key, _ in retries.take(now, most, {0})]


def analysis(key: str = "k", status: AnalysisStatus = "fallback", attempts: int = 1, at: int = 0) -> Analysis:
    return Analysis(key, 1, at, "other", "P3", "", [], 0.0, [], "rules", status, "", attempts=attempts)


@pytest.mark.parametrize(
    ("status", "attempts", "seconds"),
    [
        ("fallback", 1, 60),
        ("fallback", 2, 300),
        ("fallback", 3, 1_800),
        ("fallback", 4, None),
        ("fallback", 0, None),
        ("done", 1, None),
        ("pending", 1, None),
        ("skipped_budget", 1, None),
    ],
)
def test_each_failure_waits_longer_and_the_last_for_ever(
    status: AnalysisStatus, attempts: int, seconds: int | None
) -> None:
    """Only what the model failed at is asked again."""
    expected = None if seconds is None else (7 + seconds) * SECOND
    assert due_at(analysis(status=status, attempts=attempts, at=7 * SECOND), DELAYS) == expected


def test_keys_come_when_their_time_has_come_and_once() -> None:
    """In order of time, at most so many at once."""
    retries = Retries(DELAYS)
    for number, key in enumerate("cab"):
        retries.note(analysis(key, at=number * SECOND), 0)
    assert keys(retries, 59 * SECOND, 10) == []
    assert keys(retries, 61 * SECOND, 10) == ["c", "a"]
    assert keys(retries, 999 * SECOND, 10) == ["b"]
    assert keys(retries, 999 * SECOND, 10) == []
    retries.note(analysis("x"), 0)
    retries.note(analysis("y"), 0)
    assert [keys(retries, 60 * SECOND, 1), keys(retries, 60 * SECOND, 1)] == [["x"], ["y"]]


def test_a_newer_analysis_moves_or_ends_the_wait() -> None:
    """A success ends it; a second failure waits from there on."""
    retries = Retries(DELAYS)
    retries.note(analysis("a"), 0)
    retries.note(analysis("b"), 0)
    retries.note(analysis("a", "done"), 0)
    retries.note(msgspec.structs.replace(analysis("b", attempts=2), revision=10 * SECOND), 0)
    assert keys(retries, 309 * SECOND, 10) == []
    assert keys(retries, 310 * SECOND, 10) == ["b"]


def test_without_delays_nothing_is_asked_again() -> None:
    """LLM_RETRY_DELAYS may be empty."""
    retries = Retries(delays_of(""))
    retries.note(analysis(), 0)
    assert keys(retries, 10**18, 10) == []


def test_other_workers_incidents_are_left_to_them() -> None:
    """They come when their partition does; what is to be looked at now comes at once."""
    retries = Retries(DELAYS)
    retries.note(analysis("a"), 0)
    retries.note(analysis("b"), 1)
    retries.wake("c", 0, 5)
    assert retries.take(60 * SECOND, 10, {0}) == [("c", 0), ("a", 0)]
    assert retries.take(60 * SECOND, 10, {0, 1}) == [("b", 1)]
