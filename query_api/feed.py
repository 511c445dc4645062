"""Incidents as an Atom feed (RFC 4287), for whoever reads feeds."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from query_api.models import IncidentRow

MEDIA_TYPE: Final = "application/atom+xml"

_NAMESPACE: Final = "http://www.w3.org/2005/Atom"
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document can hold (section 2.2), escaped or not."""


def atom_feed(rows: Sequence[IncidentRow], own_url: str, origin: str) -> bytes:
    """The feed of some incidents, newest first.

    Args:
        rows: the incidents.
        own_url: the address of the feed, which names it.
        origin: the beginning of the addresses of incidents.
    """
    feed = Element("feed", xmlns=_NAMESPACE)
    _text(feed, "id", own_url)
    _text(feed, "title", "Incidents")
    _text(feed, "updated", _moment(max((row.updated_at for row in rows), default=datetime(1970, 1, 1, tzinfo=UTC))))
    SubElement(feed, "link", rel="self", href=_valid(own_url))
    _text(SubElement(feed, "author"), "name", "Ops-Assist")
    for row in rows:
        _entry(SubElement(feed, "entry"), row, origin)
    written: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(entry: Element, row: IncidentRow, origin: str) -> None:
    _text(entry, "id", f"urn:ops-assist:incident:{row.key}")
    _text(entry, "title", f"{row.severity} {row.service}: {row.summary}")
    _text(entry, "published", _moment(row.created_at))
    _text(entry, "updated", _moment(row.updated_at))
    SubElement(entry, "link", rel="alternate", type="application/json", href=f"{origin}/api/v1/incidents/{row.id}")
    for term in (row.status, row.severity, row.category):
        SubElement(entry, "category", term=_valid(term))
    steps = "".join(f"\n{number}. {step}" for number, step in enumerate(row.recommended_actions, 1))
    counted = f"{row.event_count} events from {_moment(row.first_event_at)} to {_moment(row.last_event_at)}"
    _text(entry, "content", f"{row.status}, {counted}.{steps}", type="text")


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = _valid(text)


def _valid(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
