"""Syslog messages as events: RFC 5424's own examples, what rsyslog forwards, and whatever else comes."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_gateway.formats.syslog import Message, read_message
from schemas.timestamps import from_rfc3339, to_rfc3339

NOW = from_rfc3339("2026-11-24T19:00:00Z")
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).filter("-".__ne__)
SD_NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='=]"'), min_size=1, max_size=20
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
DATA = st.dictionaries(SD_NAMES.map("{}@32473".format), st.dictionaries(SD_NAMES, TEXTS, max_size=4), max_size=4)


def _read(octets: bytes | str, **options: Any) -> Message:
    value = octets if isinstance(octets, bytes) else octets.encode()
    return read_message(value, "10.0.0.7", "an id", NOW, **options)


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed on pts/8",
            ("su", "CRITICAL", "'su root' failed on pts/8", "2003-10-11T22:14:15.003000Z", "mymachine.example.com"),
        ),
        (
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
            ("myproc", "INFO", "%% It's time to make the do-nuts.", "2003-08-24T12:14:15.000003Z", "192.0.2.1"),
        ),
    ],
)  # fmt: skip
def test_the_examples_of_rfc_5424(octets: str, expected: tuple[str, ...]) -> None:
    """Section 6.5, examples 1 and 2: service, level, message, time and host."""
    event, form = _read(octets).event, _read(octets).form
    assert (event.service, event.level, event.message, to_rfc3339(event.timestamp), event.host) == expected
    assert (event.id, form) == ("an id", "rfc5424")


def test_structured_data_becomes_attributes() -> None:
    """Section 6.5, examples 3 and 4: each parameter under its element's name; no message but that."""
    raw = (
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
        '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]'
    )
    event = _read(raw).event
    assert event.attributes == {
        "facility": "local4",
        "severity": "notice",
        "msgid": "ID47",
        "exampleSDID@32473.iut": "3",
        "exampleSDID@32473.eventSource": "Application",
        "exampleSDID@32473.eventID": "1011",
        "examplePriority@32473.class": "high",
    }
    assert event.message == raw
    assert _read(f"{raw} An application event").event.message == "An application event"


def test_a_parameter_that_stands_again_is_kept_too() -> None:
    """As `ip` of the element `origin` may (section 7.2)."""
    attributes = _read('<13>1 - - - - - [origin ip="192.0.2.1" ip="192.0.2.2"][seen] x').event.attributes or {}
    assert (attributes["origin.ip"], attributes["origin.ip.2"], attributes["seen"]) == ("192.0.2.1", "192.0.2.2", True)


@given(st.integers(0, 191), st.tuples(NAMES, NAMES, NAMES, NAMES), DATA, TEXTS)
def test_what_is_written_by_the_rules_is_read_back(
    priority: int, names: tuple[str, str, str, str], data: dict[str, dict[str, str]], text: str
) -> None:
    """Names, escaped values and message; nothing of one gets into another."""
    host, app, process, kind = names
    elements = [
        f"[{element}" + "".join(f' {name}="{_escaped(value)}"' for name, value in parameters.items()) + "]"
        for element, parameters in data.items()
    ]
    raw = f"<{priority}>1 2026-11-24T18:59:59.5Z {host} {app} {process} {kind} {''.join(elements) or '-'} \ufeff{text}"
    read = _read(raw)
    event = read.event
    assert (read.form, event.service, event.host) == ("rfc5424", app, host)
    assert event.message == (text.rstrip("\r\n\0") if text.rstrip("\r\n\0").strip() else raw)
    expected: dict[str, Any] = {"facility": event.attributes and event.attributes["facility"]}
    for element, parameters in data.items():
        for name, value in (parameters or {"": ""}).items():
            expected.setdefault(f"{element}.{name}" if parameters else element, value if parameters else True)
    assert {name: (event.attributes or {}).get(name) for name in expected} == expected


@given(st.binary(max_size=120))
@example(b'<13>1 - - - - - [a b="' + b"\\" * 90)
@example(b"<13>1 " + b"- " * 5 + b"[a" + b' b=""' * 20)
def test_everything_becomes_an_event(octets: bytes) -> None:
    """Nothing is dropped and nothing raises, whatever the octets are."""
    event = _read(octets).event
    assert 1 <= len(event.service) <= 100
    assert event.message
    assert event.host


@pytest.mark.parametrize("severity", range(8))
def test_the_severity_is_the_level(severity: int) -> None:
    """RFC 5424 table 2, whatever the facility."""
    levels = ["FATAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG"]
    assert [_read(f"<{facility * 8 + severity}>1 - - a - - - x").event.level for facility in range(24)] == (
        [levels[severity]] * 24
    )


@pytest.mark.parametrize(
    ("line", "service", "host", "message"),
    [
        # rsyslog's RSYSLOG_ForwardFormat, what omfwd sends unless told otherwise
        ("<11>2026-11-24T18:59:00.123456+00:00 web-3 shop[77]: it broke", "shop", "web-3", "it broke"),
        ("<11>2026-11-24T18:59:00.123456+00:00 web-3 shop[77] it broke", "shop", "web-3", "it broke"),
        # its RSYSLOG_TraditionalForwardFormat, and RFC 3164's own examples
        ("<11>Nov 24 18:59:00 web-3 shop: it broke", "shop", "web-3", "it broke"),
        ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "su", "mymachine", "'su root' failed"),
        ("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "10.0.0.99", "10.0.0.99", "Use the BFG!"),
        # logger, SysLogHandler
        ("<11>Nov 24 18:59:00 shop[77]: it broke", "shop", "10.0.0.7", "it broke"),
        ("<11>shop: it broke\0", "shop", "10.0.0.7", "it broke"),
        ("<11>it broke", "10.0.0.7", "10.0.0.7", "it broke"),
        ("<11>error: no route to host", "10.0.0.7", "10.0.0.7", "error: no route to host"),
        ("<34>Oct 11 22:14:15 fe80::1 su: failed", "su", "fe80::1", "failed"),
    ],
)  # fmt: skip
def test_lines_of_rfc_3164_are_read_as_far_as_they_can_be(line: str, service: str, host: str, message: str) -> None:
    """Service, host and message; which parts there are is the sender's matter."""
    read = _read(line)
    assert (read.event.service, read.event.host, read.event.message) == (service, host, message)
    assert read.form == "rfc3164"
    assert read.event.level in ("ERROR", "CRITICAL", "INFO")


def test_a_time_without_year_and_zone_is_not_guessed() -> None:
    """It could be off by hours, and would count as late; the text is kept."""
    event = _read("<11>Nov 24 18:59:00 web-3 shop: it broke").event
    assert event.timestamp == NOW
    assert (event.attributes or {})["unread_timestamp"] == "Nov 24 18:59:00"
    in_full = _read("<11>2026-11-24T18:59:00.5+00:00 web-3 shop: it broke").event
    assert to_rfc3339(in_full.timestamp) == "2026-11-24T18:59:00.500000Z"


@pytest.mark.parametrize("time", ["2026-11-24T20:00:00Z", "yesterday", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_cannot_be_used_costs_no_event(time: str) -> None:
    """A clock an hour ahead: the event happened when it came, and says what its sender said."""
    event = _read(f"<11>1 {time} web-3 shop - - - it broke").event
    assert (event.timestamp, (event.attributes or {})["unread_timestamp"]) == (NOW, time)


@pytest.mark.parametrize("octets", [b"hello", b"<192>1 - - - - - - x", b"<>x", b"<007>x", b"\xff\xfe"])
def test_what_nobody_can_read_is_kept_as_it_is(octets: bytes) -> None:
    """An event of the host that sent it, user-level notice as RFC 3164 section 4.3.3 says, with every octet."""
    read = _read(octets)
    assert (read.form, read.event.service, read.event.level) == ("unparsed", "10.0.0.7", "INFO")
    assert read.event.message == octets.decode("utf-8", "backslashreplace")
    assert (read.event.attributes or {})["syslog_form"] == "unparsed"


def test_a_message_that_was_cut_says_so() -> None:
    """In an attribute, and at its end where it is longer than an event's message may be."""
    event = _read(b"<11>1 - - shop - - - " + b"x" * 60_000, is_cut=True).event
    assert (event.attributes or {})["is_cut"] is True
    assert len(event.message) == 32_768
    assert event.message.endswith("(cut)")
