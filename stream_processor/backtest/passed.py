"""Events that no rule counts, gathered until their service is looked at: for many sets of rules at once.

Such an event moves the newest event time of its service and is counted, as late or not; nothing else. So a set of rules
need not see each of them: the greatest time is enough, and for the count those that may have been late.
"""

from collections.abc import Iterable

from stream_processor.backtest.rule_run import RuleRun
from stream_processor.ledger import Reason

_LONG_AGO = -(2**63)


class _Gathered:
    """Of one service, since it was looked at last. `late`: how many were late by the others; `times`: of the rest."""

    __slots__ = ("late", "least", "newest", "received_at", "times")

    def __init__(self) -> None:
        self.newest = _LONG_AGO
        self.received_at = 0
        self.least = -_LONG_AGO
        self.late = 0
        self.times: list[int] = []


class Passed:
    """Gathers what passes by sets of plain rules that have the same allowed lateness."""

    def __init__(self, runs: Iterable[RuleRun]) -> None:
        self._runs = list(runs)
        self._lateness = self._runs[0].rules.allowed_lateness
        self._gathered: dict[str, _Gathered] = {}

    @staticmethod
    def is_for(runs: Iterable[RuleRun]) -> bool:
        """Whether what passes by these can be gathered, and it is worth while."""
        rule_sets = [run.rules for run in runs]
        latenesses = {rules.allowed_lateness for rules in rule_sets}
        return len(rule_sets) > 2 and len(latenesses) == 1 and all(rules.is_plain for rules in rule_sets)  # noqa: PLR2004

    def add(self, service: str, time: int, received_at: int) -> None:
        """An event passes by (event time and time of receipt, in microseconds)."""
        gathered = self._gathered.get(service)
        if gathered is None:
            gathered = self._gathered[service] = _Gathered()
        if time < gathered.newest - self._lateness:
            gathered.late += 1
            return
        gathered.times.append(time)
        gathered.least = min(gathered.least, time)
        if time > gathered.newest:
            gathered.newest, gathered.received_at = time, received_at

    def tell(self, service: str) -> None:
        """The service is looked at next."""
        if gathered := self._gathered.pop(service, None):
            for run in self._runs:
                self._pass(run, service, gathered)

    def tell_all(self) -> None:
        """All are looked at next."""
        for service in list(self._gathered):
            self.tell(service)

    def _pass(self, run: RuleRun, service: str, gathered: _Gathered) -> None:
        oldest = run.newest(service) - self._lateness
        late = 0 if gathered.least >= oldest else sum(time < oldest for time in gathered.times)
        counts: dict[Reason, int] = {"late": gathered.late + late, "below_level": len(gathered.times) - late}
        run.pass_some(service, gathered.newest, gathered.received_at, counts)
