"""How times, lengths and hostile characters look."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from query_api.dashboard.list_query import ListQuery
from query_api.dashboard.presenting import age, duration, inert, machine_time, utc

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-4.9, "just now"),
        (5, "5 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_400, "1 d ago"),
        (-120, "in 2 min"),
    ],
)
def test_age_is_in_its_greatest_unit(seconds: float, text: str) -> None:
    """An age is one number and one unit; the future is told as such."""
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_times_are_utc() -> None:
    """People and machines read UTC, whatever offset a time came with."""
    moment = datetime.fromisoformat("2026-03-01T14:00:00.123456+02:00")

    assert utc(moment) == "2026-03-01 12:00:00 UTC"
    assert machine_time(moment) == "2026-03-01T12:00:00.123Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(300, "5 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second"), (7_200, "2 hours"), (86_400, "1 day")],
)
def test_duration_is_in_words(seconds: float, text: str) -> None:
    """A length of time is in the greatest unit that divides it."""
    assert duration(seconds) == text


@given(st.text(st.characters(exclude_categories=())))
def test_inert_text_is_sendable_and_stable(text: str) -> None:
    """Whatever the text, the result encodes as UTF-8, hides nothing, and is not changed a second time."""
    shown = inert(text)

    shown.encode()
    assert not any(mark in shown for mark in "\x00\x1b\u202e\u200b\u2066\ufeff")
    assert inert(shown) == shown


def test_inert_leaves_markup_and_other_values() -> None:
    """What a template made itself, and what is no text, passes."""
    markup = Markup("<b>\u200b</b>")

    assert inert(markup) is markup
    assert inert(7) == 7


@pytest.mark.parametrize("page", ["", "0", "-1", "x", "²", "9" * 30])
def test_page_that_is_no_page_is_the_first(page: str) -> None:
    """A mistyped page number is page 1."""
    assert ListQuery.from_params({"page": page}).page == 1


def test_address_of_a_changed_filter_starts_at_the_first_page() -> None:
    """Links keep the other filters, and leave the page number behind unless it is what they change."""
    query = ListQuery.from_params({"status": "open", "q": " a&b ", "page": "3"})

    assert query.url(status="closed") == "/?status=closed&q=a%26b"
    assert query.url(page=4) == "/?status=open&q=a%26b&page=4"
    assert query.api_params() == {"status_filter": "open", "q": "a&b", "limit": 50, "skip": 100}
    assert query.count_params() == {"q": "a&b"}
