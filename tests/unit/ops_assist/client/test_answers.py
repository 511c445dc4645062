"""What an answer means for the events of a request."""

import json

import pytest

from ops_assist.client.answers import Again, Answer, Settled, Smaller, judge


def _answer(status: int, body: object, retry_after: float | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), retry_after)


def test_201_settles_all() -> None:
    """The gateway says how many it wrote."""
    assert judge(_answer(201, {"accepted": 3, "rejected": []}), 3) == Settled()


def test_207_settles_some_as_rejected() -> None:
    """Each with its reason; sending it again would change nothing."""
    rejected = [{"index": 1, "errors": [{"field": "level", "message": "is required"}]}]
    assert judge(_answer(207, {"accepted": 2, "rejected": rejected}), 3) == Settled({1: "level is required"})


def test_422_that_names_every_event_settles_them() -> None:
    """None was written, and none ever would be."""
    body = {"detail": "no event was accepted", "rejected": [{"index": 0, "errors": []}, {"index": 1}]}
    assert judge(_answer(422, body), 2) == Settled({0: "no reason was given", 1: "no reason was given"})


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_refused_as_a_whole_is_halved_down_to_the_event_at_fault(status: int) -> None:
    """One bad event must not take the others with it, nor hold them up."""
    answer = _answer(status, {"detail": "cannot be taken"})
    assert judge(answer, 2) == Smaller(f"{status} cannot be taken")
    assert judge(answer, 1) == Settled({0: f"{status} cannot be taken"})


def test_a_proxy_may_call_a_body_too_large() -> None:
    """Nginx's 413 is a page in HTML."""
    assert judge(Answer(413, b"<html>", reason="Request Entity Too Large"), 5) == Smaller(
        "413 Request Entity Too Large"
    )


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 405, 408, 415, 429, 500, 502, 503, 504])
def test_what_is_not_about_the_events_keeps_them(status: int) -> None:
    """Somebody can mend it, and then the same bytes are taken."""
    assert isinstance(judge(_answer(status, {"detail": "not now"}), 3), Again)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Welcome to nginx"),
        Answer(201, b""),
        Answer(201, b"[]"),
        Answer(201, b"\xff"),
        Answer(201, b"[" * 100_000),
        _answer(201, {"accepted": 2, "rejected": []}),
        _answer(207, {"accepted": 2, "rejected": [{"index": 3}]}),
        _answer(207, {"accepted": 2, "rejected": [{"index": -1}]}),
        _answer(400, {"message": "plain HTTP request was sent to HTTPS port"}),
        _answer(422, {"detail": [{"loc": ["body"], "msg": "another application's answer"}]}),
    ],
    ids=lambda answer: repr(answer.body[:30]),
)
def test_only_the_gateways_own_words_settle_events(answer: Answer) -> None:
    """The wrong server, or one that counts otherwise, has acknowledged nothing."""
    assert isinstance(judge(answer, 3), Again)


def test_the_gateways_wish_to_wait_is_heard() -> None:
    """Up to a minute: a header must not silence a client for a day."""
    assert judge(_answer(503, {"detail": "full"}, retry_after=2.0), 1) == Again("503 full", 2.0)
    assert judge(_answer(429, {"detail": "slow down"}, retry_after=86_400.0), 1) == Again("429 slow down", 60.0)
