"""Which minutes a request for services is about, and how a service is shown."""

from datetime import UTC, datetime, timedelta

import pytest

from query_api.answers import SERVICE, ServiceAnswer
from query_api.models import ServiceRow
from query_api.paging import Page
from query_api.service_rates import MAX_SERVICE_MINUTES, ServiceFilter, Span, service_filter, service_view, span_of
from runtime.problem import Problem

NOW = datetime(2026, 3, 1, 12, 30, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def asked(since: datetime | None = None, until: datetime | None = None) -> ServiceFilter:
    """A request for a span."""
    return ServiceFilter((), "active", since, until)


def test_default_span_is_the_last_hour() -> None:
    """Sixty whole minutes, the one that is under way included."""
    span = span_of(asked(), Page(0, 100), NOW)

    assert span == Span(datetime(2026, 3, 1, 11, 31, tzinfo=UTC), datetime(2026, 3, 1, 12, 31, tzinfo=UTC))


def test_span_is_widened_to_whole_minutes() -> None:
    """A minute that is asked for in part is given whole; a whole one brings no other along."""
    start = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    assert span_of(asked(NOW, NOW + MINUTE), Page(0, 1), NOW) == Span(
        NOW.replace(second=0), NOW.replace(minute=32, second=0)
    )
    assert span_of(asked(start, start + MINUTE), Page(0, 1), NOW) == Span(start, start + MINUTE)


@pytest.mark.parametrize(
    ("since", "until", "limit", "says"),
    [
        (NOW, NOW - MINUTE, 1, "before until"),
        (NOW - timedelta(hours=25), NOW, 1, "at most 24 hours"),
        (NOW.replace(second=0) - timedelta(hours=10), NOW.replace(second=0), 101, "at most 100 services"),
    ],
)
def test_unbounded_looks_are_refused(since: datetime, until: datetime, limit: int, says: str) -> None:
    """Nobody can make the database read more than its share; the sentence says what is possible."""
    with pytest.raises(Problem) as refused:
        span_of(asked(since, until), Page(0, limit), NOW)

    assert refused.value.status == 422
    assert says in refused.value.detail


def test_longest_look_is_allowed() -> None:
    """The bound itself is within the bounds."""
    start = NOW.replace(second=0)
    span_of(asked(start - timedelta(hours=10), start), Page(0, MAX_SERVICE_MINUTES // 600), NOW)


def test_too_many_names_are_refused() -> None:
    """A list of names is as bounded as a page."""
    with pytest.raises(Problem, match="at most 200"):
        service_filter(service=["x"] * 201)


def test_service_is_shown_as_documented() -> None:
    """The view makes exactly what the OpenAPI document promises; totals are sums of the minutes."""
    row = ServiceRow(service="cart", first_event_at=NOW, last_event_at=NOW)
    active = [{"id": 3, "rule": "error-burst", "severity": "P1", "status": "open"}]

    shown = service_view(row, [(NOW, {"ERROR": 2}), (NOW + MINUTE, {"ERROR": 1, "INFO": 5})], active)

    assert set(shown) == set(ServiceAnswer.model_fields) == set(SERVICE)
    ServiceAnswer.model_validate(shown)
    ServiceAnswer.model_validate(SERVICE)
    assert shown["by_level"] == {"ERROR": 3, "INFO": 5}
    assert shown["minutes"][1] == {"minute": "2026-03-01T12:31:20.000000Z", "by_level": {"ERROR": 1, "INFO": 5}}
