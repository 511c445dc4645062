"""The ledger in PostgreSQL: what each call may cost is set aside before it is made, and settled after it.

All workers share it, so together they cannot spend more than the budget. A worker that dies in the middle of a call
leaves what it had set aside as spent: too much rather than too little.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from analyzer_worker.spending import tables
from analyzer_worker.spending.purse import LedgerAway, OverBudget
from analyzer_worker.verdict import Verdict
from runtime.metrics import BUDGET_LEFT, SPENT_TODAY
from schemas.incident import Incident

log = structlog.get_logger(__name__)

_CONNECT_SECONDS: Final = 3.0
_STATEMENT_SECONDS: Final = 5.0
_POOL: Final = 4
_TROUBLE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Budget(msgspec.Struct, frozen=True):
    """US dollars a day (UTC), None: as much as it takes."""

    per_day: float | None = None
    per_service: float | None = None


class Claim(msgspec.Struct, frozen=True):
    """Who asks, or has asked, about a fingerprint. `verdict` is None while the answer is awaited."""

    is_mine: bool
    incident_key: str
    service: str
    verdict: Verdict | None


class Ledger:
    """The budget and the book of calls; connects when first needed."""

    def __init__(self, database_url: str, budget: Budget, claim_seconds: float) -> None:
        """`claim_seconds`: after so long a claim without an answer is anybody's."""
        self._url = database_url
        self._budget = budget
        self._claim_seconds = claim_seconds
        self._pool: asyncpg.Pool | None = None
        self._connecting = asyncio.Lock()

    @property
    def limits(self) -> bool:
        """Whether there is a budget."""
        return self._budget != Budget()

    async def check(self, service: str, bound_usd: float) -> None:
        """See `Purse.check`."""
        async with self._connection() as connection:
            await self._look(connection, service, bound_usd)

    async def reserve(self, service: str, incident: str, model: str, bound_usd: float) -> int:
        """See `Purse.reserve`."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(tables.ONE_AT_A_TIME)
            await self._look(connection, service, bound_usd)
            call: int = await connection.fetchval(
                tables.RESERVE, _storable(service), _storable(incident), model, bound_usd
            )
        return call

    async def settle(self, call: int, cost_usd: float) -> None:
        """See `Purse.settle`."""
        try:
            async with self._connection() as connection:
                await connection.execute(tables.SETTLE, call, cost_usd)
                await self._spent(connection, "")
        except LedgerAway as away:
            log.warning("cost_not_noted", call=call, cost_usd=cost_usd, why=str(away))

    async def claim(self, fingerprint: int, incident: Incident) -> Claim:
        """Take it upon an incident to ask about a fingerprint, or learn which one has within the last hour.

        Raises:
            LedgerAway: where nobody can tell.
        """
        async with self._connection() as connection:
            mine = (fingerprint, incident.key, _storable(incident.service), self._claim_seconds)
            if await connection.fetchval(tables.CLAIM, *mine) is not None:
                return Claim(is_mine=True, incident_key=incident.key, service=incident.service, verdict=None)
            row = await connection.fetchrow(tables.CLAIMED, fingerprint)
        if row is None:  # given up between the two statements
            return await self.claim(fingerprint, incident)
        verdict = msgspec.json.decode(row["verdict"], type=Verdict) if row["verdict"] else None
        return Claim(is_mine=False, incident_key=row["incident_key"], service=row["service"], verdict=verdict)

    async def keep(self, fingerprint: int, incident: Incident, verdict: Verdict) -> None:
        """The answer, for all that share the fingerprint."""
        try:
            async with self._connection() as connection:
                text = msgspec.json.encode(verdict).decode()
                await connection.execute(tables.KEEP, fingerprint, incident.key, text)
        except LedgerAway as away:
            log.warning("answer_not_shared", incident=incident.key, why=str(away))

    async def release(self, fingerprint: int, incident: Incident) -> None:
        """There is no answer: the next may ask."""
        try:
            async with self._connection() as connection:
                await connection.execute(tables.RELEASE, fingerprint, incident.key)
        except LedgerAway as away:
            log.info("claim_left_to_expire", incident=incident.key, why=str(away))

    async def refresh(self) -> None:
        """Bring the gauges up to date: others spend too, and every day begins anew."""
        try:
            async with self._connection() as connection:
                await self._spent(connection, "")
        except LedgerAway:
            SPENT_TODAY.set(float("nan"))
            BUDGET_LEFT.set(float("nan"))

    async def close(self) -> None:
        """Give the connections back."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _look(self, connection: Any, service: str, bound_usd: float) -> None:
        """Refuse what could cost more than what is left."""
        spent, of_service = await self._spent(connection, service)
        if self._budget.per_day is not None:
            _refuse_above(self._budget.per_day, spent, bound_usd, "LLM_BUDGET_USD_PER_DAY")
        if self._budget.per_service is not None:
            _refuse_above(self._budget.per_service, of_service, bound_usd, "LLM_BUDGET_USD_PER_SERVICE_PER_DAY")

    async def _spent(self, connection: Any, service: str) -> tuple[float, float]:
        """What is spent or set aside today, in all and for a service; the gauges show it."""
        row = await connection.fetchrow(tables.SPENT, _storable(service))
        SPENT_TODAY.set(row["spent"])
        if self._budget.per_day is not None:
            BUDGET_LEFT.set(max(0.0, self._budget.per_day - row["spent"]))
        return row["spent"], row["of_service"]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            pool = await self._connected()
            async with pool.acquire(timeout=_STATEMENT_SECONDS) as connection:
                yield connection
        except _TROUBLE as error:
            raise LedgerAway(f"the spend ledger cannot be used ({type(error).__name__})") from error

    async def _connected(self) -> asyncpg.Pool:
        async with self._connecting:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url, min_size=0, max_size=_POOL, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS
                )
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute(tables.SCHEMA)
                    await connection.execute(tables.FORGET)
                self._pool = pool
            return self._pool


def _storable(text: str) -> str:
    """Text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _refuse_above(limit: float, spent: float, bound_usd: float, setting: str) -> None:
    left = limit - spent
    if bound_usd > left or left <= 0:
        raise OverBudget(
            f"{setting} is {limit:g} USD, of which {max(0.0, left):.4f} is left today, and the call could cost "
            f"{bound_usd:.4f}"
        )
