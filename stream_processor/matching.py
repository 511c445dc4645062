"""Which events a rule looks at, beyond their level: pure, and linear in the length of what is matched.

Patterns are RE2's (https://github.com/google/re2/wiki/Syntax): an automaton without backtracking, so that neither a
rule nor a message can make the detection slow.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
import re2

from schemas.event import Event

AttributeValue = str | int | float | bool

_MEMORY: Final = 1 << 20
"""Bytes that one compiled pattern may take; a pattern that needs more is refused."""


class InvalidPattern(ValueError):  # noqa: N818 - reads as what it is
    """A regular expression that RE2 does not take; the text says why."""


class Match(msgspec.Struct, frozen=True):
    """Conditions on an event; all that are given must hold.

    `services`, `not_services`: globs over the whole name; at least one of the former (none given: every service) and
    none of the latter. `attributes`: each attribute has one of its values. `message`: an RE2 pattern found anywhere.
    """

    services: tuple[str, ...] = ()
    not_services: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[AttributeValue, ...]], ...] = ()
    message: str | None = None

    def takes(self, event: Event) -> bool:
        """Whether `event` meets the conditions; what is cheapest is asked first."""
        return (
            (not self.attributes or self._has_attributes(event))
            and self.names(event.service)
            and (self.message is None or _is_found(self.message, event.message))
        )

    def names(self, service: str) -> bool:
        """Whether the conditions on the name of `service` hold."""
        return (not self.services or _is_named(self.services, service)) and not (
            self.not_services and _is_named(self.not_services, service)
        )

    def describe(self) -> str:
        """The conditions on attributes and message as the end of a sentence; empty where there are none."""
        said = [f"{name} = {' or '.join(map(str, values))}" for name, values in self.attributes]
        if self.message is not None:
            said.append(f"message matching /{self.message}/")
        return f", with {' and '.join(said)}" if said else ""

    def _has_attributes(self, event: Event) -> bool:
        present = event.attributes
        return present is not None and all(
            name in present and any(_is_same(present[name], value) for value in values)
            for name, values in self.attributes
        )


EVERY_EVENT: Final = Match()
"""No condition at all."""


def check_pattern(pattern: str) -> None:
    """Raise `InvalidPattern` where `pattern` cannot be used."""
    _compiled(pattern)


def _is_found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text.encode("utf-8", "surrogatepass")) is not None


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # it would write to stderr past the log
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        raise InvalidPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error


@lru_cache(maxsize=16_384)
def _is_named(globs: tuple[str, ...], service: str) -> bool:
    """Whether one of `globs` describes the whole of `service`: `*` is any text, `?` one character."""
    return _is_found(rf"(?s)\A(?:{'|'.join(map(_glob_pattern, globs))})\z", service)


def _glob_pattern(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character) or re2.escape(character) for character in glob)


def _is_same(one: AttributeValue, other: AttributeValue) -> bool:
    """Equal as JSON values are: 500 is 500.0, but 1 is not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
