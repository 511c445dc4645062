"""What a rule is: which events qualify, how many within which window, and when an incident ends by itself."""

from typing import Final

import msgspec

from runtime.settings import Settings
from schemas.analysis import Severity
from schemas.event import Event
from schemas.levels import Level
from schemas.timestamps import MICROSECONDS
from stream_processor.matching import EVERY_EVENT, Match

DEFAULT_RULE: Final = "error-burst"
DEFAULT_LEVELS: Final[tuple[Level, ...]] = ("ERROR", "CRITICAL", "FATAL")


class CountRule(msgspec.Struct, frozen=True):
    """`threshold` qualifying events of one service within `window` open an incident. Durations are in microseconds.

    `quiet_period`: so long without a qualifying event ends an incident; 0: never. It is never shorter than the window,
    since events that may still add up to an incident are not silence. `match`: what qualifies, beyond the levels.
    """

    name: str
    levels: tuple[Level, ...]
    threshold: int
    window: int
    quiet_period: int
    severity_floor: Severity | None = None
    match: Match = EVERY_EVENT

    def __post_init__(self) -> None:
        """Hold the bounds that the algorithm relies on."""
        if self.threshold < 1 or self.window < 0 or self.quiet_period < 0:
            raise ValueError(f"rule {self.name}: threshold must be at least 1, window and quiet_period at least 0")
        if 0 < self.quiet_period < self.window:
            msgspec.structs.force_setattr(self, "quiet_period", self.window)

    def matches(self, event: Event) -> bool:
        """Whether `event` counts towards this rule."""
        return event.level in self.levels and (self.match is EVERY_EVENT or self.match.takes(event))

    def ends_at(self, alive_at: int) -> float:
        """The last event time that still belongs to an incident last alive at `alive_at`."""
        return alive_at + self.quiet_period if self.quiet_period else float("inf")

    def describe(self, service: str) -> str:
        """The sentence that tells why an incident of this rule opened."""
        levels = " or ".join(filter(None, (", ".join(self.levels[:-1]), self.levels[-1])))
        window = f"{self.window / MICROSECONDS:g} s"
        return f"{self.threshold} {levels} events of {service} within {window}{self.match.describe()}"


class RuleSet(msgspec.Struct, frozen=True):
    """The rules that are in force and the allowed lateness (microseconds) that they share.

    `levels`: those that some rule counts, found out once so that most events are done with one look.
    """

    rules: tuple[CountRule, ...]
    allowed_lateness: int
    levels: frozenset[Level] = frozenset()

    def __post_init__(self) -> None:
        """Collect the levels."""
        levels = frozenset(level for rule in self.rules for level in rule.levels)
        msgspec.structs.force_setattr(self, "levels", levels)

    def matching(self, event: Event) -> list[CountRule]:
        """The rules that count `event`."""
        return [rule for rule in self.rules if rule.matches(event)] if event.level in self.levels else []


def rules_from_settings(settings: Settings) -> RuleSet:
    """The default rule, as INCIDENT_THRESHOLD and INCIDENT_TIME_WINDOW have it."""
    rule = CountRule(
        DEFAULT_RULE,
        DEFAULT_LEVELS,
        settings.incident_threshold,
        settings.incident_time_window * MICROSECONDS,
        settings.incident_quiet_period * MICROSECONDS,
    )
    return RuleSet((rule,), settings.allowed_lateness * MICROSECONDS)
