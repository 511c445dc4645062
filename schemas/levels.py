"""Log levels: the six that the pipeline knows and the aliases folded into them."""

from typing import Final, Literal, get_args

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)

# EMERG, ALERT and PANIC are syslog's most severe words (RFC 5424, table 2): the system is unusable.
ALIASES: Final[dict[str, Level]] = {
    "TRACE": "DEBUG",
    "NOTICE": "INFO",
    "WARN": "WARNING",
    "ERR": "ERROR",
    "SEVERE": "ERROR",
    "ALERT": "CRITICAL",
    "EMERG": "FATAL",
    "PANIC": "FATAL",
}

_FOLD: Final[dict[str, Level]] = {level: level for level in LEVELS} | ALIASES


def fold_level(text: str) -> Level | None:
    """The level that `text` names in any case, or None where it names none."""
    return _FOLD.get(text) or _FOLD.get(text.strip().upper())
