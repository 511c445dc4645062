"""Messages as words and vectors."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.routes.similar import requested
from query_api.similarity.search import resolution
from query_api.similarity.terms import DIMENSIONS, as_query, as_vector, terms_of
from runtime.problem import Problem


def likeness(one: list[str], other: list[str]) -> float:
    """The cosine of two vectors of length 1."""
    first, second = terms_of(one), terms_of(other)
    assert first
    assert second
    return sum(a * b for a, b in zip(first.embedding, second.embedding, strict=True))


def test_words_are_what_the_template_leaves() -> None:
    """Numbers, addresses and common words go; equal templates count once."""
    terms = terms_of(["Pool of db-1 exhausted: 50 of 50", "Pool of db-2 exhausted: 9 of 9", "<redacted:ip> x yes"])
    assert terms is not None
    assert terms.words == ["db", "exhausted", "pool", "yes"]


def test_like_messages_are_near_and_others_far() -> None:
    """Whatever the numbers in them are."""
    pool = ["connection pool exhausted: 50 of 50 in use, request 4711 waited 30000 ms"]
    assert likeness(pool, ["connection pool exhausted: 20 of 20 in use, request 1 waited 5 ms"]) > 0.99
    assert likeness(pool, ["connection pool exhausted"]) > 0.4
    assert abs(likeness(pool, ["certificate of mail.example.com has expired"])) < 0.3


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_has_terms_that_postgresql_reads(texts: list[str]) -> None:
    """A vector of length 1 and words without a quote; or nothing where no word is left."""
    terms = terms_of(texts)
    if terms is None:
        return
    assert len(terms.embedding) == DIMENSIONS
    assert math.isclose(sum(value * value for value in terms.embedding), 1, abs_tol=1e-3)
    assert re.fullmatch(r"\[(?:-?[\d.e-]+,){255}-?[\d.e-]+\]", as_vector(terms.embedding))
    assert "'" not in "".join(terms.words)
    assert as_query(terms.words).count("'") == 2 * len(terms.words)


def entry(at: int, to: str | None, actor: str = "system", note: str | None = None) -> dict[str, object]:
    return {"at": at, "actor": actor, "what": "status_changed", "reason": "by hand", "to_status": to, "note": note}


def test_what_resolved_an_incident_is_the_newest_note_of_a_person() -> None:
    """The system's end counts where no person said anything; what was reopened and is open has none."""
    closed = entry(3, "closed", "ada", None)
    noted = entry(2, "resolved", "ada", "raised the pool")
    told = resolution([entry(0, "open"), entry(1, "resolved", "system", "quiet"), noted, closed])
    assert told is not None
    assert (told["note"], told["actor"]) == ("raised the pool", "ada")
    quiet = resolution([entry(0, "open"), entry(1, "resolved")])
    assert quiet is not None
    assert (quiet["actor"], quiet["note"]) == ("system", None)
    assert resolution([entry(0, "open")]) is None


@pytest.mark.parametrize(
    "body", [None, [], {}, {"texts": []}, {"texts": ["x"] * 21}, {"texts": "x"}, {"texts": ["x"], "limit": 0}]
)
def test_a_request_in_another_form_is_refused(body: object) -> None:
    """With what it takes."""
    with pytest.raises(Problem) as refused:
        requested(body)
    assert refused.value.status == 422
    assert "give texts" in refused.value.detail
