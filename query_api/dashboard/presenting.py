"""How values look to people: times, counts and words; and text from outside, made inert."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

SEVERITY_WORDS: Final = {"P1": "critical", "P2": "high", "P3": "medium"}

ANALYSIS_WORDS: Final = {
    "pending": "pending",
    "done": "done",
    "fallback": "by rules (the model did not answer)",
    "skipped_budget": "by rules (the model's budget is spent)",
}

CHANGE_WORDS: Final = {
    "opened": "opened the incident",
    "status_changed": "changed the status",
    "status_refused": "asked for a status that could not be had",
    "quiet": "resolved it: the service was quiet",
    "stirred": "made it active again: an event came from within the quiet period",
    "merged": "joined it to the one before",
    "heard": "resolved it: the service sends again",
    "corrected": "corrected the analysis",
    "judged": "judged it",
    "silent": "noted that the service fell silent again",
}

VERDICT_WORDS: Final = {
    "true_positive": "something was wrong",
    "noise": "noise, nothing was wrong",
    "missed": "something was wrong, and people knew before",
}

STEP_WORDS: Final = {
    "open": "Reopen",
    "investigating": "Start investigation",
    "resolved": "Resolve",
    "closed": "Close for good",
}
"""What buttons say that lead to a status."""

REASON_WORDS: Final = {
    "opened": "opened an incident",
    "attached": "added to an incident",
    "qualified": "counted by a rule, not (yet) part of an incident",
    "below_level": "below the level that rules count",
    "no_rule": "matched no rule",
    "duplicate": "came again under the same id",
    "late": "later than allowed",
    "dead_lettered": "could not be read",
    "canary": "sent by the pipeline to itself, to see whether an incident comes of it",
    "rekeyed": "sent on to the service's own partition",
}
"""What became of events, by the reasons of the processor's ledger."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_JUST_NOW: Final = 5  # seconds

# C0 and C1 controls but for tab and line feed, soft hyphens, the bidi controls, tag characters, which spell a text that
# nobody sees, and lone surrogates, which UTF-8 cannot carry.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)


def inert(value: Any) -> Any:
    """Make characters visible that could hide or reorder text; escaping for HTML comes after this.

    Jinja calls it on every value that a template prints, so that no place can forget it.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNSEEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", value.replace("\r\n", "\n"))
    return value


def age(moment: datetime, now: datetime) -> str:
    """How long ago `moment` was, in its greatest unit; the page's script says it in the same words."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return "just now"
    size, unit = next(item for item in _UNITS if abs(seconds) >= item[0])
    amount = f"{int(abs(seconds) // size)} {unit}"
    return f"{amount} ago" if seconds > 0 else f"in {amount}"


def utc(moment: datetime) -> str:
    """To the second, in UTC: `2026-01-02 03:04:05 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(moment: datetime) -> str:
    """The time of day in UTC: `03:04`."""
    return moment.astimezone(UTC).strftime("%H:%M")


def number(value: float) -> str:
    """With a comma between thousands."""
    return f"{value:,}"


def machine_time(moment: datetime) -> str:
    """For `<time datetime>`: to the millisecond, which is as fine as browsers read."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """A length of time in words: `5 minutes`, `90 seconds`."""
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _counted(seconds / size, word)
    return _counted(seconds, "second")


def service_url(service: str) -> str:
    """The address of a service's own page."""
    return f"/services/{quote(service, safe='')}"


def words(name: str) -> str:
    """A name of a closed vocabulary as people write it: `database_issue` becomes `database issue`."""
    return name.replace("_", " ")


def _counted(amount: float, word: str) -> str:
    return f"{amount:g} {word}" if amount == 1 else f"{amount:g} {word}s"
