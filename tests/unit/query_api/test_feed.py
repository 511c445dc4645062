"""The Atom feed: well formed whatever logs hold, with all that RFC 4287 wants of a feed and its entries."""

from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from query_api.feed import atom_feed
from query_api.models import IncidentRow
from schemas.timestamps import to_datetime

ATOM = "{http://www.w3.org/2005/Atom}"
URL = "http://ops.example/api/v1/incidents/feed?severity=P1"
AT = to_datetime(1_700_000_000_000_000)


def _row(**changes: Any) -> IncidentRow:
    fields: dict[str, Any] = {
        "id": 7, "key": "k1", "service": "checkout", "status": "open", "severity": "P1", "category": "database_issue",
        "summary": "pool exhausted", "recommended_actions": ["restart", "look"],
        "event_count": 5, "first_event_at": AT, "last_event_at": AT, "created_at": AT,
        "updated_at": to_datetime(1_700_000_060_000_000),
    }  # fmt: skip
    return IncidentRow(**(fields | changes))


def _parsed(*rows: IncidentRow) -> ET.Element:
    return ET.fromstring(atom_feed(rows, URL, "http://ops.example"))


def test_an_incident_is_an_entry_under_its_stable_key() -> None:
    """A reader knows it again when it changes, and after the view was made anew."""
    entry = _parsed(_row()).find(f"{ATOM}entry")
    assert entry is not None
    told = {name: entry.findtext(f"{ATOM}{name}") for name in ("id", "title", "published", "updated", "content")}
    assert told == {
        "id": "urn:ops-assist:incident:k1",
        "title": "P1 checkout: pool exhausted",
        "published": "2023-11-14T22:13:20Z",
        "updated": "2023-11-14T22:14:20Z",
        "content": "open, 5 events from 2023-11-14T22:13:20Z to 2023-11-14T22:13:20Z.\n1. restart\n2. look",
    }
    link = entry.find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == "http://ops.example/api/v1/incidents/7"
    assert [each.get("term") for each in entry.findall(f"{ATOM}category")] == ["open", "P1", "database_issue"]


def test_a_feed_names_itself_its_author_and_its_newest_change() -> None:
    """Also where there is no incident."""
    for rows, updated in (((), "1970-01-01T00:00:00Z"), ((_row(),), "2023-11-14T22:14:20Z")):
        feed = _parsed(*rows)
        assert feed.findtext(f"{ATOM}id") == URL
        assert feed.findtext(f"{ATOM}updated") == updated
        assert feed.findtext(f"{ATOM}author/{ATOM}name") == "Ops-Assist"


@given(st.text(), st.text())
def test_any_text_makes_a_well_formed_feed(summary: str, service: str) -> None:
    """Markup, control characters and half surrogate pairs of logs end in no element of their own."""
    feed = _parsed(_row(summary=summary, service=service))
    assert [child.tag for child in feed].count(f"{ATOM}entry") == 1
