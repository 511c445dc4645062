"""Syslog messages as events: RFC 5424, and as a best effort the lines that RFC 3164 describes.

The service is the APP-NAME, the level the severity's. A message that nobody can read is an event as well, of the host
that sent it: there is no answer in this protocol that could refuse it. The protocol has no ids; each message gets one
of its own when it is read, so a message that its sender repeats counts again.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from ingest_gateway.formats.fields import SYSLOG_LEVELS, as_message, attributes_of, cut, time_of
from schemas.event import MAX_FUTURE, MAX_SERVICE, Event, WireEvent, to_event
from schemas.levels import fold_level
from schemas.timestamps import to_micros

Form = Literal["rfc5424", "rfc3164", "unparsed"]

_HIGHEST_PRIORITY: Final = 191
_UNSAID: Final = 13
"""The priority of a message that names none: user-level, notice (RFC 3164 section 4.3.3)."""
_SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""By number (RFC 5424 table 1), under the names that syslog.conf uses."""

_PRIORITY: Final = re.compile(r"<(0|[1-9]\d{0,2})>", re.ASCII)
_HEADER: Final = re.compile(r"[1-9]\d{0,2} (\S+) (\S+) (\S+) (\S+) (\S+) ", re.ASCII)
_NAME: Final = r'[^\s=\]"]+'
_QUOTED: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_ELEMENT: Final = re.compile(rf"\[({_NAME})((?: +{_NAME}={_QUOTED})*) *\]", re.DOTALL)
_PARAMETER: Final = re.compile(rf"({_NAME})={_QUOTED}", re.DOTALL)
_ESCAPE: Final = re.compile(r'\\(["\\\]])')
_TIME_3164: Final = re.compile(
    r"((?:[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?)|(?:\d{4}-\d\d-\d\dT\S+)) +", re.ASCII
)
_TAG: Final = re.compile(r"([^\s\[\]:<>]{1,100})(?:\[([^\]\s]{0,40})\]:?|:)(?=\s|$)")
_HOST: Final = re.compile(r"(\S*[^\s:\]]) ")


class Message(msgspec.Struct, frozen=True):
    """A message as an event, and how it could be read."""

    event: Event
    form: Form


class _Parts(msgspec.Struct):
    """What a message says; empty: it does not."""

    text: str
    time: str = ""
    host: str = ""
    app: str = ""
    process: str = ""
    kind: str = ""
    data: list[tuple[str, Any]] = []


def read_message(octets: bytes, sender: str, event_id: str, received_at: int, *, is_cut: bool = False) -> Message:
    """The event of one message; there is always one.

    Args:
        octets: the message without its framing.
        sender: the address of who sent it, for a message that names no host.
        event_id: the id that the event gets.
        received_at: microseconds since the epoch: the time of an event that names none that can be used.
        is_cut: whether the message was longer.
    """
    raw = octets.decode("utf-8", "backslashreplace")
    form, priority, parts = _parts(raw)
    moment = _usable_time(parts.time, received_at)
    facility, severity = divmod(priority, 8)
    known: list[tuple[str, Any]] = [
        ("facility", _FACILITIES[facility]),
        ("severity", _SEVERITIES[severity]),
        ("procid", parts.process or None),
        ("msgid", parts.kind or None),
        ("unread_timestamp", None if moment or not parts.time else parts.time),
        ("syslog_form", None if form == "rfc5424" else form),
        ("is_cut", is_cut or None),
    ]
    wire = WireEvent(
        service=cut(parts.app.strip() or parts.host.strip() or sender, MAX_SERVICE),
        level=SYSLOG_LEVELS[severity],
        message=as_message(parts.text, raw if raw.strip() else "(empty)"),
        timestamp=moment,
        attributes=attributes_of([*known, *parts.data]),
        host=parts.host or sender,
    )
    return Message(to_event(wire, default_id=event_id, received_at=received_at), form)


def _parts(raw: str) -> tuple[Form, int, _Parts]:
    found = _PRIORITY.match(raw)
    if found is None or (priority := int(found[1])) > _HIGHEST_PRIORITY:
        return "unparsed", _UNSAID, _Parts(raw)
    parts = _rfc5424(raw, found.end())
    return ("rfc5424", priority, parts) if parts else ("rfc3164", priority, _rfc3164(raw[found.end() :]))


def _rfc5424(raw: str, start: int) -> _Parts | None:
    header = _HEADER.match(raw, start)
    if header is None:
        return None
    time, host, app, process, kind = ("" if part == "-" else part for part in header.groups())
    data, end = _structured_data(raw, header.end())
    if end < 0:
        return None
    text = raw[end:].removeprefix(" ")
    # rsyslog puts a space before what it took from an RFC 3164 line; behind a BOM (section 6.4) all is the message.
    text = _ended(text[1:]) if text.startswith("\ufeff") else _trimmed(text)
    return _Parts(text, time, host, app, process, kind, data)


def _structured_data(raw: str, start: int) -> tuple[list[tuple[str, Any]], int]:
    """Parameters as `SD-ID.name`, and where they end; -1: there is no structured data."""
    if raw.startswith("-", start):
        return [], start + 1
    data: list[tuple[str, Any]] = []
    end = start
    while (element := _ELEMENT.match(raw, end)) is not None:
        data += _parameters(element[1], element[2])
        end = element.end()
    return data, end if end > start else -1


def _parameters(element: str, text: str) -> Iterator[tuple[str, Any]]:
    """A name that stands again, as `ip` in `origin` may, gets a number."""
    if not text:
        yield element, True
    seen: dict[str, int] = {}
    for name, value in _PARAMETER.findall(text):
        seen[name] = count = seen.get(name, 0) + 1
        yield f"{element}.{name}" + (f".{count}" if count > 1 else ""), _ESCAPE.sub(r"\1", value)


def _rfc3164(rest: str) -> _Parts:
    """TIMESTAMP HOSTNAME TAG[PID]: CONTENT, of which senders leave out any."""
    time = _TIME_3164.match(rest)
    at = time.end() if time else 0
    said = time[1] if time else ""
    host = "" if time is None or _TAG.match(rest, at) else _host(rest, at)
    tag = _TAG.match(rest, at + len(host) + 1 if host else at)
    if tag is None or fold_level(tag[1]):  # such a word before a colon begins a sentence: "error: no route"
        return _Parts(_trimmed(rest[at + len(host) :]), said, host)
    return _Parts(_trimmed(rest[tag.end() :]), said, host, tag[1], tag[2] or "")


def _host(rest: str, at: int) -> str:
    found = _HOST.match(rest, at)
    return found[1] if found else ""


def _trimmed(text: str) -> str:
    """Without the space that stands before a content, and the end of its line."""
    return _ended(text.removeprefix(" "))


def _ended(text: str) -> str:
    return text.rstrip("\r\n\0")


def _usable_time(text: str, received_at: int) -> datetime | None:
    """RFC 3339, not ahead of us; a time without year and zone could be off by hours, and would be taken for late."""
    moment = time_of(text) if text else None
    return moment if moment and to_micros(moment) <= received_at + MAX_FUTURE else None
