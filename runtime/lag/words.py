"""Rates and spans of lag in words, the same on every screen. "?" is what nobody can tell."""

from typing import Final

_MILLISECOND: Final = 0.001
_MINUTE: Final = 60
_HOUR: Final = 3_600


def span_in_words(seconds: float | None) -> str:
    """`43 ms`, `4.2 s`, `3.5 min`, `1.2 h`."""
    if seconds is None:
        return "?"
    if _MILLISECOND <= seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE:.1f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def rate_in_words(rate: float | None) -> str:
    """Records a second, `1,204.5`."""
    return "?" if rate is None else f"{rate:,.1f}"
