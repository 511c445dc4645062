"""The rules of RULES for who asks now and then: read again when files have changed, the last good ones meanwhile."""

import asyncio

from runtime.problem import Problem
from runtime.settings import Settings
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import rules_in_force
from stream_processor.rule_watch import digest_of
from stream_processor.rules import RuleSet


class RulesOnDemand:
    """What the processor has in force, a look at the files later or earlier."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._digest: str | None = None
        self._rules: RuleSet | None = None

    def get(self) -> RuleSet:
        """The rules; for a thread, since it reads files.

        Raises:
            InvalidFiles: the files cannot be used, and there are no earlier rules to fall back on.
        """
        digest = "" if self._settings.rules is None else digest_of(self._settings.rules)
        if self._rules is None or digest != self._digest:
            try:
                self._rules, self._digest = rules_in_force(self._settings), digest
            except InvalidFiles:
                if self._rules is None:
                    raise
        return self._rules


async def rules_or_problem(rules: RulesOnDemand) -> RuleSet:
    """The rules, for a route.

    Raises:
        Problem: 503, the files cannot be used.
    """
    try:
        return await asyncio.to_thread(rules.get)
    except InvalidFiles as invalid:
        told = "; ".join(map(str, invalid.faults))
        detail = f"The rules of RULES cannot be used: {told}"
        raise Problem(503, detail, headers={"Retry-After": "5"}) from invalid
