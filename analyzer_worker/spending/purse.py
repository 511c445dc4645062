"""Whether a call may be paid for."""

from typing import Final, Protocol

from analyzer_worker.model_errors import ModelError, Retryable


class OverBudget(ModelError):  # noqa: N818 - reads as what it is
    """The call could cost more than what is left for today; nothing was spent."""

    outcome = "over_budget"


class LedgerAway(Retryable):
    """The ledger cannot be reached; nothing is spent without it."""

    outcome = "ledger_away"


class Purse(Protocol):
    """Pays for calls."""

    @property
    def limits(self) -> bool:
        """Whether there is a budget, so that a model of unknown price cannot be asked."""

    async def check(self, service: str, bound_usd: float) -> None:
        """Raise what `reserve` would raise, without reserving."""

    async def reserve(self, service: str, incident: str, model: str, bound_usd: float) -> int:
        """Set the most that a call can cost aside; gives its number.

        Raises:
            OverBudget: where that is more than what is left for today.
            LedgerAway: where nobody can tell.
        """

    async def settle(self, call: int, cost_usd: float) -> None:
        """A call has cost that much. Where it cannot be noted, what was set aside stays spent."""


class OpenPurse:
    """Pays for everything and notes nothing: for an analyzer without a database."""

    @property
    def limits(self) -> bool:
        """There is no budget."""
        return False

    async def check(self, service: str, bound_usd: float) -> None:
        """Nothing is refused."""

    async def reserve(self, service: str, incident: str, model: str, bound_usd: float) -> int:  # noqa: ARG002
        """Nothing is refused."""
        return 0

    async def settle(self, call: int, cost_usd: float) -> None:
        """Nothing is noted."""


OPEN_PURSE: Final = OpenPurse()
