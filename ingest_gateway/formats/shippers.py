"""Records of log shippers as events: Fluent Bit, Vector, Logstash, Filebeat and others that send JSON.

Each field is looked for under the names that shippers and loggers give it, in the order of `NAMES`; what is left
becomes attributes. Sources: Fluent Bit's output http, Vector's sink http, the Elastic Common Schema, GELF 1.1,
journald's export fields, and the default keys of pino and zap.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from ingest_gateway import refusal
from ingest_gateway.event_ids import IdFor
from ingest_gateway.formats.fields import SYSLOG_LEVELS, as_message, as_text, attributes_of, parse_json, time_of
from ingest_gateway.reading import Batch, check_count, collect
from schemas.event import MAX_ID, Event, FieldError, InvalidEvent, WireEvent, to_event
from schemas.levels import Level, fold_level
from schemas.timestamps import MICROSECONDS, to_datetime

NO_SERVICE: Final = "unknown_service"

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "service": (
        "service.name", "service", "service_name", "app.name", "app", "application",
        "kubernetes.labels.app.kubernetes.io/name", "kubernetes.labels.app", "kubernetes.container_name",
        "kubernetes.container.name", "container_name", "container.name", "programname", "appname", "app_name",
        "SYSLOG_IDENTIFIER", "ident", "tag", "fluentbit_tag",
    ),
    "level": (
        "level", "log.level", "severity", "severity_text", "severity_label", "loglevel", "lvl", "levelname",
        "log.syslog.severity.name", "syslog_severity", "syslogseverity-text", "PRIORITY", "priority",
    ),
    "message": ("message", "log", "msg", "MESSAGE", "short_message", "event.original", "full_message", "body"),
    "timestamp": ("@timestamp", "timestamp", "time", "date", "ts", "datetime", "eventTime"),
    "id": ("id", "event.id", "event_id", "_id"),
    "trace_id": ("trace_id", "trace.id", "traceId", "trace"),
    "span_id": ("span_id", "span.id", "spanId"),
    "host": ("host.name", "hostname", "host", "kubernetes.host", "_HOSTNAME", "agent.hostname", "source"),
    "environment": ("environment", "env", "service.environment", "deployment.environment"),
}  # fmt: skip
_PINO: Final[dict[int, Level]] = {10: "DEBUG", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "FATAL"}
_MORE_LEVELS: Final[dict[str, Level]] = {
    "INFORMATION": "INFO", "INFORMATIONAL": "INFO", "VERBOSE": "DEBUG", "CRIT": "CRITICAL", "EMERGENCY": "FATAL",
    "DPANIC": "CRITICAL", "ERROR_": "ERROR", "I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL", "D": "DEBUG",
}  # fmt: skip
_DEEPEST: Final = 4
"""Levels of objects within objects whose members are told apart."""
_SCALES: Final = ((1e11, MICROSECONDS), (1e14, 1_000), (1e17, 1), (1e20, 1e-3))
"""A number that is a time: below each bound it counts units of so many microseconds: s, ms, us, ns."""


def read_records(body: bytes, service: str | None, id_for: IdFor, received_at: int) -> Batch:
    """The events of a body: one JSON object, an array of them, or one a line.

    Args:
        body: the body of the request.
        service: what names the service of records that do not.
        id_for: gives the id of a record that brought none, by its index.
        received_at: microseconds since the epoch.

    Raises:
        Refusal: 400 where the body is no JSON, 413 where it holds too many.
    """
    records = list(_records(body))
    return collect(
        lambda index=index, record=record: _event(record, service, id_for(index), received_at)  # type: ignore[misc]
        for index, record in enumerate(records)
    )


def _records(body: bytes) -> Iterator[Any]:
    if body.lstrip()[:1] == b"[":
        values = parse_json(body)
        check_count(len(values))
        yield from values
        return
    count = 0
    for number, line in enumerate(BytesIO(body), 1):
        if line.strip():
            count += 1
            check_count(count)
            yield _Broken(number) if (value := _line(line)) is None else value
    if count == 0:
        raise refusal.malformed("The body is empty; send a JSON object, an array of them, or one a line")


class _Broken:
    """A line that is no JSON."""

    def __init__(self, number: int) -> None:
        self.number = number


def _line(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _event(record: Any, service: str | None, default_id: str, received_at: int) -> Event:
    if isinstance(record, _Broken):
        raise InvalidEvent([FieldError("", f"line {record.number} is not valid JSON")])
    if not isinstance(record, dict):
        raise InvalidEvent([FieldError("", "expected a JSON object")])
    flat = dict(_flat(record))
    found = {field: _first(flat, names, field) for field, names in NAMES.items()}
    taken = {name for name in found.values() if name is not None}
    values: dict[str, Any] = {field: flat[name] for field, name in found.items() if name is not None}
    moment = _moment(values.get("timestamp"))
    unread = values.get("timestamp") if moment is None else None
    rest = [(name, value) for name, value in flat.items() if name not in taken]
    wire = WireEvent(
        service=_text(values, "service") or service or NO_SERVICE,
        level=_level(values.get("level")),
        message=as_message(as_text(values.get("message", "")), as_text(record)),
        timestamp=moment,
        id=event_id if 1 <= len(event_id := _text(values, "id") or "") <= MAX_ID else None,
        attributes=attributes_of([("unread_timestamp", unread), *rest]),
        trace_id=_text(values, "trace_id"),
        span_id=_text(values, "span_id"),
        host=_text(values, "host"),
        environment=_text(values, "environment"),
    )
    return to_event(wire, default_id=default_id, received_at=received_at)


def _flat(record: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Objects within objects as names with dots, a few levels down."""
    for name, value in record.items():
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _first(flat: Mapping[str, Any], names: tuple[str, ...], field: str) -> str | None:
    """The first of some names that has a value which may stand for a field."""
    plain = (str, int, float) if field in ("timestamp", "level", "message") else (str,)
    return next((name for name in names if isinstance(flat.get(name), plain) and flat[name] != ""), None)


def _text(values: Mapping[str, Any], field: str) -> str | None:
    return str(values[field]).strip() or None if field in values else None


def _level(said: Any) -> Level:
    """The level of a word or a number; INFO where nothing is said that can be read."""
    if isinstance(said, str) and said.strip().isdigit():
        said = int(said)
    if isinstance(said, int | float):
        number = int(said) if said == said and abs(said) < _SCALES[0][0] else -1  # noqa: PLR0124 - not a NaN
        return SYSLOG_LEVELS[number] if 0 <= number < len(SYSLOG_LEVELS) else _PINO.get(number // 10 * 10, "INFO")
    word = str(said or "")
    return fold_level(word) or _MORE_LEVELS.get(word.strip().upper(), "INFO")


def _moment(said: Any) -> datetime | None:
    """A time that is written as RFC 3339 or a number since the epoch; a text without an offset is taken for UTC."""
    try:
        if isinstance(said, int | float):
            return next((to_datetime(int(said * unit)) for bound, unit in _SCALES if 0 <= said < bound), None)
    except (ValueError, OverflowError):
        return None
    return time_of(str(said or ""))
