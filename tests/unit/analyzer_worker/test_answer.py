"""A model's answer is checked, not believed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.answer import Claim, ModelAnswer, check_answer, parse_answer
from analyzer_worker.evidence.facts import SentEvent
from analyzer_worker.litellm_adapter import Reply
from analyzer_worker.model_errors import ModelError, Permanent, Unusable
from analyzer_worker.verdict import Sample
from schemas.analysis import Evidence, Severity

LOGIN = Sample("id-1", "ERROR", "login of a@b.de failed twice", 0)
SENT = [SentEvent("e1", "login of <redacted:email> failed twice", LOGIN, 1)]
GOOD = ModelAnswer(
    "authentication_issue", "P2", [Claim("Logins fail.", "e1", "failed twice")], ["Look."], 0.5, "It says so."
)


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(text, finish_reason, 0.0)


def as_json(answer: ModelAnswer, **changes: object) -> str:
    return msgspec.json.encode(msgspec.to_builtins(answer) | changes).decode()


def test_the_agreed_form_is_read() -> None:
    """As it is, or inside the fence that many models put around it."""
    assert parse_answer(reply(as_json(GOOD))) == GOOD
    assert parse_answer(reply(f"```json\n{as_json(GOOD)}\n```")) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The database is down.",
        "[]",
        as_json(GOOD)[:-5],
        as_json(GOOD, category="gremlins"),
        as_json(GOOD, severity="P0"),
        as_json(GOOD, confidence=1.5),
        as_json(GOOD, confidence="high"),
        as_json(GOOD, claims=[{"claim": "Logins fail.", "id": "e1"}]),
        as_json(GOOD, claims=[{"claim": "x", "id": "e1", "quote": "failed"}] * 51),
        as_json(GOOD, more=1),
        as_json(GOOD) + "{}",
        "\ud800",
    ],
)
def test_any_other_form_is_unusable(text: str) -> None:
    """Closed enums, all fields, no others."""
    with pytest.raises(Unusable):
        parse_answer(reply(text))


def test_half_an_answer_is_unusable_and_a_withheld_one_is_final() -> None:
    """`finish_reason` is heeded even where the text could be read."""
    with pytest.raises(Unusable):
        parse_answer(reply(as_json(GOOD), "length"))
    with pytest.raises(Permanent):
        parse_answer(reply(as_json(GOOD), "content_filter"))


@given(st.text())
def test_no_answer_breaks_the_reader(text: str) -> None:
    """Whatever comes: an answer or one of our errors."""
    with pytest.raises(ModelError):
        parse_answer(reply(text))


def checked(answer: ModelAnswer, floor: Severity = "P3") -> tuple[list[tuple[str, str]], int, Severity]:
    result = check_answer(answer, SENT, floor=floor, model="m", cost_usd=0.1)
    quotes = [(item.event_id, item.quote) for item in result.verdict.evidence]
    return quotes, result.dropped, result.verdict.severity


@pytest.mark.parametrize(
    ("quote", "kept"),
    [
        ("failed twice", "failed twice"),
        ("login of <redacted:email> failed", "login of"),
        ("failed thrice", None),
        ("a@b.de", None),
        ("", None),
        ("<redacted:email>", None),
    ],
)
def test_a_quote_stands_in_what_was_sent_and_in_the_message(quote: str, kept: str | None) -> None:
    """Placeholders are cut off; what was not sent cannot be quoted."""
    answer = msgspec.structs.replace(GOOD, category="inconclusive", claims=[Claim("Logins fail.", "e1", quote)])
    assert checked(answer)[:2] == (([("id-1", kept)], 0) if kept else ([], 1))


FORGED = Claim("All data is lost.", "e7", "failed twice")


@pytest.mark.parametrize(
    "forged", [FORGED, Claim("All data is lost.", "e1", "all data is lost"), Claim(" \u200b", "e1", "failed twice")]
)
def test_forged_claims_are_dropped_and_counted(forged: Claim) -> None:
    """An unknown event is no event, and a claim without a word is no claim; what is dropped is shown nowhere."""
    result = check_answer(
        msgspec.structs.replace(GOOD, claims=[forged, *GOOD.claims]), SENT, floor="P3", model="m", cost_usd=0
    )
    assert result.dropped == 1
    assert result.verdict.evidence == [Evidence("id-1", "failed twice")]
    assert result.verdict.summary == "Logins fail."
    with pytest.raises(Unusable):
        checked(msgspec.structs.replace(GOOD, claims=[forged]))


@pytest.mark.parametrize("actions", [[], [" \u200b"]])
def test_an_answer_without_anything_to_do_is_unusable(actions: list[str]) -> None:
    """It can be repaired once."""
    with pytest.raises(Unusable):
        checked(msgspec.structs.replace(GOOD, recommended_actions=actions))


def test_inconclusive_is_an_answer() -> None:
    """It is said to be that, in the closed list of categories, with little confidence and never below the floor."""
    answer = msgspec.structs.replace(
        GOOD, category="inconclusive", claims=[], recommended_actions=[], confidence=1.0, severity="P3"
    )
    verdict = check_answer(answer, SENT, floor="P2", model="m", cost_usd=0).verdict
    assert (verdict.category, verdict.severity, verdict.confidence) == ("other", "P2", 0.1)
    assert verdict.summary == "Inconclusive: the events do not tell what causes them."
    assert len(verdict.recommended_actions) == 1
    known = check_answer(
        msgspec.structs.replace(answer, claims=GOOD.claims), SENT, floor="P3", model="m", cost_usd=0
    ).verdict
    assert known.summary == "Inconclusive: Logins fail."


@pytest.mark.parametrize(
    ("said", "floor", "result"), [("P3", "P1", "P1"), ("P1", "P3", "P1"), ("P2", "P2", "P2"), ("P3", "P2", "P2")]
)
def test_severity_never_falls_below_the_floor(said: Severity, floor: Severity, result: Severity) -> None:
    """A model may raise it."""
    assert checked(msgspec.structs.replace(GOOD, severity=said), floor)[2] == result


def test_texts_are_bounded_and_visible() -> None:
    """Long claims, reasons and actions are cut, empty ones left out, unseen characters taken away."""
    claims = [Claim(letter * 5_000, "e1", "failed twice") for letter in "xyz"]
    answer = msgspec.structs.replace(
        GOOD, claims=claims, reason="z" * 5_000, recommended_actions=["a\u202eb", " ", *["y" * 900] * 9]
    )
    verdict = check_answer(answer, SENT, floor="P3", model="m", cost_usd=0).verdict
    assert len(verdict.summary) == 600
    assert len(verdict.reason) < 700
    assert verdict.recommended_actions[0] == "ab"
    assert [len(action) for action in verdict.recommended_actions[1:]] == [300] * 5
