"""What a rule is: which events it looks at, what opens an incident, and when the incident ends by itself."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import ClassVar, Final, Literal

import msgspec

from runtime.settings import Settings
from schemas.analysis import Severity
from schemas.event import Event
from schemas.levels import LEVELS, Level
from schemas.timestamps import MICROSECONDS
from stream_processor.matching import EVERY_EVENT, Match

Kind = Literal["count", "rate", "ratio", "absence", "new-pattern"]

DEFAULT_RULE: Final = "error-burst"
DEFAULT_LEVELS: Final[tuple[Level, ...]] = ("ERROR", "CRITICAL", "FATAL")
_NO_RULES: Final[list["Rule"]] = []
DAY: Final = 86_400 * MICROSECONDS
MOST_OPEN_WINDOWS: Final = 120
"""Tumbling windows that may be within the allowed lateness: each is counted on its own."""

PROMPT_LATENESS: Final = 30 * MICROSECONDS
"""The allowed lateness of a rule that waits for its watermark and names none of its own, in microseconds."""


class Rule(msgspec.Struct, frozen=True):
    """What rules of all kinds have. Durations are in microseconds.

    `quiet_period`: so long without a qualifying event ends an incident; 0: never. It is never shorter than the window,
    since events that may still add up to an incident are not silence. `match`: what qualifies, beyond the levels.
    `allowed_lateness`: how far behind the newest event time of its service an event may come; None: the rule set's.
    `shadow`: on trial: its incidents are recorded and notify nobody.
    """

    name: str
    levels: tuple[Level, ...]
    threshold: int
    window: int
    quiet_period: int
    severity_floor: Severity | None = None
    match: Match = EVERY_EVENT
    allowed_lateness: int | None = None
    shadow: bool = False

    kind: ClassVar[Kind]
    waits: ClassVar[bool] = False
    """Whether an incident waits for the watermark, rather than being opened at once and amended."""
    remembers: ClassVar[bool] = True
    """Whether it must not count the same id twice."""

    def __post_init__(self) -> None:
        """Hold the bounds that the algorithm relies on."""
        if self.threshold < 1 or self.window < 0 or self.quiet_period < 0:
            raise ValueError(f"rule {self.name}: threshold must be at least 1, window and quiet_period at least 0")
        if 0 < self.quiet_period < self.window:
            msgspec.structs.force_setattr(self, "quiet_period", self.window)

    @property
    def lateness(self) -> int:
        """The allowed lateness; 0 where neither the rule nor its set names one."""
        return self.allowed_lateness or 0

    @property
    def most_lateness(self) -> int:
        """The greatest allowed lateness that the rule can do with."""
        return DAY

    @property
    def chain(self) -> "CountRule":
        """The count rule by which qualifying events become incidents."""
        raise NotImplementedError

    def matches(self, event: Event) -> bool:
        """Whether `event` counts towards this rule."""
        return event.level in self.levels and (self.match is EVERY_EVENT or self.match.takes(event))

    def ends_at(self, alive_at: int) -> float:
        """The last event time that still belongs to an incident last alive at `alive_at`."""
        return alive_at + self.quiet_period if self.quiet_period else float("inf")

    def settled(self, watermark: int) -> int:
        """The event time before which nothing can come to qualify any more."""
        return watermark

    def describe_levels(self) -> str:
        """Its levels as part of a sentence."""
        return " or ".join(filter(None, (", ".join(self.levels[:-1]), self.levels[-1])))


class CountRule(Rule, frozen=True):
    """`threshold` qualifying events of one service within `window` open an incident."""

    kind: ClassVar[Kind] = "count"

    @property
    def chain(self) -> "CountRule":
        """Itself."""
        return self

    def describe(self, service: str) -> str:
        """The sentence that tells why an incident of this rule opened."""
        window = f"{self.window / MICROSECONDS:g} s"
        return f"{self.threshold} {self.describe_levels()} events of {service} within {window}{self.match.describe()}"


class WatchingRule(Rule, frozen=True):
    """A rule that decides which events qualify by more than the event itself; each that does is in an incident.

    `shape` tells whether what was kept for it can still be used after its file has changed.
    """

    shape: int = 0
    merging: CountRule | None = None

    def __post_init__(self) -> None:
        """Find out once what is asked for with every event."""
        super().__post_init__()
        essence = repr((self.kind, self.levels, self.window, self.match))
        shape = int.from_bytes(blake2b(essence.encode("utf-8", "surrogatepass"), digest_size=7).digest(), "little")
        msgspec.structs.force_setattr(self, "shape", shape)
        merging = CountRule(self.name, self.levels, 1, 0, self.quiet_period)
        msgspec.structs.force_setattr(self, "merging", merging)

    @property
    def chain(self) -> CountRule:
        """One qualifying event is an incident, and one within its quiet period adds to it."""
        assert self.merging is not None
        return self.merging

    def covers(self, service: str) -> bool:
        """Whether it looks at all events of `service`, to know the service."""
        return self.match is EVERY_EVENT or self.match.names(service)


class RateRule(WatchingRule, frozen=True, kw_only=True):
    """More qualifying events in a tumbling window than `multiple` times the service's own baseline, and than `floor`.

    The baseline is the median of the last `baseline_windows` windows; there is none before `learning_windows` of them.
    """

    kind: ClassVar[Kind] = "rate"
    multiple: float
    floor: int
    baseline_windows: int = 60
    learning_windows: int = 10

    @property
    def most_lateness(self) -> int:
        """So much that the windows within it can be counted."""
        return min(DAY, MOST_OPEN_WINDOWS * self.window)

    def settled(self, watermark: int) -> int:
        """The start of the first window that can still take events."""
        return watermark // self.window * self.window


class RatioRule(WatchingRule, frozen=True, kw_only=True):
    """At least `share` (above 0, up to 1) of a tumbling window's events qualify, and there are `minimum` in all.

    All events count that meet the match, whatever their level.
    """

    kind: ClassVar[Kind] = "ratio"
    waits: ClassVar[bool] = True
    share: float
    minimum: int

    def matches(self, event: Event) -> bool:
        """Whether `event` counts, as one of all or as one that qualifies."""
        return self.match is EVERY_EVENT or self.match.takes(event)

    @property
    def most_lateness(self) -> int:
        """So much that the windows within it can be counted."""
        return min(DAY, MOST_OPEN_WINDOWS * self.window)

    def settled(self, watermark: int) -> int:
        """The start of the first window that is not decided on."""
        return watermark // self.window * self.window


class AbsenceRule(WatchingRule, frozen=True):
    """A service that has sent `threshold` events sends none for `window` on the log's clock.

    A repeat is a sign of life too, so that no ids of all that is heard need be remembered.
    """

    kind: ClassVar[Kind] = "absence"
    remembers: ClassVar[bool] = False

    def covers(self, service: str) -> bool:  # noqa: ARG002 - other kinds ask
        """What it looks at is what matches."""
        return False


class PatternRule(WatchingRule, frozen=True, kw_only=True):
    """`threshold` events with a message template that the service has never sent before, within `window` of the first.

    For the first `learning_period` of a service's event time every template is known.
    """

    kind: ClassVar[Kind] = "new-pattern"
    waits: ClassVar[bool] = True
    learning_period: int

    @property
    def most_lateness(self) -> int:
        """All events of a template that wait for its first one to be final lie within its window."""
        return min(DAY, self.window, self.learning_period)

    def settled(self, watermark: int) -> int:
        """Where the last template begins that may still fill its threshold, at the earliest."""
        return watermark - self.window


def _by_level(rules: Sequence[Rule]) -> dict[Level, list[Rule]] | None:
    if not all(isinstance(rule, CountRule) and rule.match is EVERY_EVENT for rule in rules):
        return None
    return {level: [rule for rule in rules if level in rule.levels] for level in LEVELS}


class RuleSet(msgspec.Struct, frozen=True):
    """The rules that are in force and the greatest allowed lateness (microseconds) among them.

    What is asked for with every event is found out once. `levels`: those that some rule counts; `seen_levels`: those
    that some rule looks at; `is_plain`: all rules are of kind count and share their lateness; `longest_window`: of a
    rule of kind count; `has_clock`: some rule decides by the log's clock;
    `by_level`: which count a level, where all are of kind count and look at nothing else.
    """

    rules: tuple[Rule, ...]
    allowed_lateness: int
    levels: frozenset[Level] = frozenset()
    seen_levels: frozenset[Level] = frozenset()
    is_plain: bool = True
    longest_window: int = 0
    has_clock: bool = False
    by_level: dict[Level, list[Rule]] | None = None

    def __post_init__(self) -> None:
        """Give each rule its lateness and collect what all of them need."""
        rules = tuple(self._with_lateness(rule) for rule in self.rules)
        latenesses = {rule.lateness for rule in rules}
        counting = [rule for rule in rules if isinstance(rule, CountRule)]
        levels = frozenset(level for rule in rules for level in rule.levels)
        sees_all = any(isinstance(rule, RatioRule) for rule in rules)
        for name, value in {
            "rules": rules,
            "allowed_lateness": max(latenesses, default=self.allowed_lateness),
            "levels": levels,
            "seen_levels": frozenset(LEVELS) if sees_all else levels,
            "is_plain": len(counting) == len(rules) and len(latenesses) <= 1,
            "longest_window": max((rule.window for rule in counting), default=0),
            "has_clock": any(isinstance(rule, RatioRule | AbsenceRule | PatternRule) for rule in rules),
            "by_level": _by_level(rules),
        }.items():
            msgspec.structs.force_setattr(self, name, value)

    def in_earnest(self) -> "RuleSet":
        """Without the rules that are on trial."""
        return RuleSet(tuple(rule for rule in self.rules if not rule.shadow), self.allowed_lateness)

    def matching(self, event: Event) -> list[Rule]:
        """The rules that count `event`."""
        if self.by_level is not None:
            return self.by_level.get(event.level, _NO_RULES)
        return [rule for rule in self.rules if rule.matches(event)] if event.level in self.seen_levels else []

    def remembers(self, matching: Sequence[Rule]) -> bool:
        """Whether an event that these rules count must count once."""
        return self.is_plain or any(rule.remembers for rule in matching)

    def _with_lateness(self, rule: Rule) -> Rule:
        if rule.allowed_lateness is not None:
            return rule
        lateness = min(PROMPT_LATENESS, rule.most_lateness) if rule.waits else self.allowed_lateness
        return msgspec.structs.replace(rule, allowed_lateness=lateness)


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
