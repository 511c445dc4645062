"""Text that PostgreSQL can hold: it takes every character but NUL, and no half of a surrogate pair."""

from typing import Any, Final

_NUL: Final = "\0"
_ESCAPED_NUL: Final = b"\\u0000"
REPLACEMENT: Final = "\ufffd"


def clean(text: str) -> str:
    """`text` with U+FFFD in place of what PostgreSQL refuses."""
    if _NUL in text:
        text = text.replace(_NUL, REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def may_hold_nul(json: bytes) -> bool:
    """Whether a JSON document can have a NUL in one of its strings; sure when it says no."""
    return _ESCAPED_NUL in json


def clean_deep(value: Any) -> Any:
    """A decoded JSON value with every string in it cleaned, names included."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_deep(item) for item in value]
    if isinstance(value, dict):
        return {clean_deep(name): clean_deep(item) for name, item in value.items()}
    return value
