"""Blindness: which canaries are missing, for how long, and at which step the chain has stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.sight import OPENED, SENT, Blindness, Latency, Process, Seen, Stage, as_answer, blindness, explained

NOW = 1_700_000_000.0
INTERVAL = 60


def gauge(name: str, value: float, partition: str = "") -> str:
    label = f'{{partition="{partition}"}}' if partition else ""
    return f"# HELP {name} x\n# TYPE {name} gauge\n{name}{label} {value}\n"


def seen(**newest: float) -> Seen:
    """Partitions with the age in seconds of the newest incident of each one's canary."""
    found = {int(name.removeprefix("p")): NOW - age for name, age in newest.items()}
    return Seen(tuple(found), found)


def test_who_misses_three_in_a_row_is_blind() -> None:
    """Two may be late; the partitions that are blind are named, and the longest wait."""
    assert blindness(seen(p0=180, p1=59), NOW - 9_000, INTERVAL, NOW) is None
    blind = blindness(seen(p0=181, p1=59, p2=240.5), NOW - 9_000, INTERVAL, NOW)

    assert blind is not None
    assert (blind.partitions, blind.seconds) == ((0, 2), 240.5)
    assert blind.reason == "No incident of the canary has become visible for 4.0 min in partitions 0, 2"


def test_nobody_is_blind_who_has_just_begun_to_look() -> None:
    """After a start there is as much time as between two incidents; then even an empty view is blind."""
    assert blindness(Seen(), NOW - 180, INTERVAL, NOW) is None
    assert blindness(Seen((0, 1)), NOW - 180, INTERVAL, NOW) is None
    assert blindness(Seen(), NOW - 181, INTERVAL, NOW) is not None
    assert blindness(Seen((0, 1), {0: NOW}), NOW - 181, INTERVAL, NOW) == Blindness(
        (1,), 181.0, reason="No incident of the canary has become visible for 3.0 min in partition 1"
    )


@pytest.mark.parametrize(
    ("sent", "opened", "stage"),
    [
        (None, None, "gateway"),
        (181, 5, "gateway"),
        (5, None, "detection"),
        (5, 181, "detection"),
        (5, 5, "view"),
    ],
)
def test_the_first_step_that_does_nothing_is_named(sent: float | None, opened: float | None, stage: Stage) -> None:
    """With what its services say they lack."""
    processes = [
        Process("api", {"broker": "no broker"}, "" if sent is None else gauge(SENT, NOW - sent)),
        Process(
            "stream_processor", {"kafka": "not assigned"}, "" if opened is None else gauge(OPENED, NOW - opened, "2")
        ),
        Process("materializer", {"postgresql": "no database"}),
        Process("analyzer_worker", {"kafka": "no matter"}),
    ]
    lacks = {"gateway": "api: no broker", "detection": "stream_processor: not assigned", "view": "materializer: no"}

    found = explained(Blindness((2,), 200.0, reason="None came"), processes, INTERVAL, NOW)

    assert found.stopped_at == stage
    assert found.reason.startswith("None came: ")
    assert [name for name, text in lacks.items() if text in found.reason] == [stage]


def test_one_gateway_and_one_worker_that_go_on_are_enough() -> None:
    """Of several processes the newest counts, for each partition."""
    processes = [
        Process("api", metrics=gauge(SENT, NOW - 900)),
        Process("api", metrics=gauge(SENT, NOW - 5)),
        Process("stream_processor", metrics=gauge(OPENED, NOW - 900, "0") + gauge(OPENED, NOW - 900, "1")),
        Process("stream_processor", metrics=gauge(OPENED, NOW - 5, "0")),
    ]

    assert explained(Blindness((0,), 200.0), processes, INTERVAL, NOW).stopped_at == "view"
    assert explained(Blindness((0, 1), 200.0), processes, INTERVAL, NOW).stopped_at == "detection"


@given(ages=st.dictionaries(st.integers(0, 5), st.floats(0, 400), min_size=1), since=st.floats(0, 400))
def test_blindness_is_what_counting_by_hand_gives(ages: dict[int, float], since: float) -> None:
    """Each partition by its newest incident, or the beginning of the watch where that is later."""
    found = blindness(Seen((0, 1, 2, 3, 4, 5), {n: NOW - age for n, age in ages.items()}), NOW - since, INTERVAL, NOW)
    late = [n for n in range(6) if NOW - max(NOW - ages.get(n, NOW), NOW - since) > 180]

    assert (list(found.partitions) if found else []) == late


def test_where_nobody_looks_the_answer_says_so() -> None:
    """`blind` is null, not false; latencies are told all the same."""
    latency = Latency(3, 0.1, 0.2, 0.3)

    answer = as_answer(Seen(incidents=latency), None, 0, None)

    assert (answer["blind"], answer["incidents"]["p95"], answer["canary"]["p95"]) == (None, 0.2, None)
