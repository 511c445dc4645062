"""What an application says, as an event that the gateway takes: cut to its bounds, flat, and readable as JSON."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ops_assist.client.outbox import Item
from schemas.event import MAX_ATTRIBUTES, MAX_MESSAGE, MAX_SERVICE, Attributes
from schemas.identity import uuid7
from schemas.levels import Level, fold_level
from schemas.timestamps import to_rfc3339

MAX_TEXT: Final = 4_096
"""Characters of an attribute's text."""

MAX_STACKTRACE: Final = 16_384
"""Characters of a stack trace; of a longer one the end is kept, where the exception stands."""

_MAX_NAME: Final = 256
_DEEPEST: Final = 4
_LARGEST: Final = 2**63 - 1
_CUT: Final = "..."
_URGENT: Final = frozenset({"ERROR", "CRITICAL", "FATAL"})

_encode: Final = msgspec.json.Encoder().encode


def service_name(text: str) -> str:
    """A service's name, trimmed.

    Raises:
        ValueError: it is empty or longer than the gateway takes.
    """
    name = clean(text, MAX_SERVICE + 1).strip()
    if not 1 <= len(name) <= MAX_SERVICE:
        raise ValueError(f"service must be a name of 1 to {MAX_SERVICE} characters, not {text!r}")
    return name


def known_level(text: str) -> Level:
    """The level that a text names.

    Raises:
        ValueError: it names none.
    """
    level = fold_level(text)
    if level is None:
        raise ValueError(f"level must be DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL, not {text!r}")
    return level


def make_item(
    service: str,
    level: Level,
    message: str,
    *,
    micros: int | None = None,
    attributes: Mapping[str, object] | None = None,
    **context: str | None,
) -> Item:
    """An event with an id of its own.

    Args:
        service: a name that `service_name` gave.
        level: one of the six.
        message: anything; an empty one is named so, as the gateway wants at least a character.
        micros: when it happened, in microseconds since the epoch; default: now.
        attributes: anything; see `flat`.
        context: `trace_id`, `span_id`, `host`, `environment`, where they are known.
    """
    event_id = uuid7()
    fields: dict[str, Any] = {
        "id": event_id,
        "service": service,
        "level": level,
        "message": clean(message, MAX_MESSAGE) or "(no message)",
        "timestamp": to_rfc3339(time.time_ns() // 1_000 if micros is None else micros),
    }
    fields |= {name: clean(value, _MAX_NAME) for name, value in context.items() if value}
    if attributes:
        fields["attributes"] = flat(attributes)
    return Item(event_id, service, level in _URGENT, _encode(fields))


def flat(attributes: Mapping[str, object]) -> Attributes:
    """Attributes as an event has them: strings, numbers and booleans, at most 64, those that come first.

    Mappings within become names with dots, lists and what else there is become text, None is left out.
    """
    found: Attributes = {}
    for name, value in _leaves("", attributes.items(), _DEEPEST):
        if len(found) == MAX_ATTRIBUTES and name not in found:
            break
        found[name] = value
    return found


def _leaves(
    prefix: str, items: Iterable[tuple[object, object]], depth: int
) -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in items:
        name = prefix + text_of(key)
        if isinstance(value, Mapping) and depth > 1 and value:
            yield from _leaves(f"{name}.", value.items(), depth - 1)
        elif value is not None and name:
            yield clean(name, _MAX_NAME), _scalar(name, value)


def _scalar(name: str, value: object) -> str | int | float | bool:
    if type(value) is bool or (type(value) is int and -_LARGEST <= value <= _LARGEST):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if name == "exception.stacktrace":
        return clean_end(text_of(value), MAX_STACKTRACE)
    return clean(text_of(value), MAX_TEXT)


def text_of(value: object) -> str:
    """The text of anything; an object whose own text fails is told by its type."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the application's objects may raise whatever they like
        return f"<{type(value).__name__}: its text failed with {type(error).__name__}>"


def clean(text: str, longest: int) -> str:
    """Text that can be written as UTF-8 (half surrogate pairs become `?`), its end cut off where it is too long."""
    if len(text) > longest:
        text = text[: longest - len(_CUT)] + _CUT
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def clean_end(text: str, longest: int) -> str:
    """The same with its beginning cut off."""
    if len(text) > longest:
        text = _CUT + text[len(_CUT) - longest :]
    return clean(text, longest)
