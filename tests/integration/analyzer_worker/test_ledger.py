"""The ledger in a real PostgreSQL: nobody spends more than there is, together or alone."""

import asyncio
import math
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from analyzer_worker.spending.ledger import Budget, Ledger
from analyzer_worker.spending.purse import LedgerAway, OverBudget
from analyzer_worker.verdict import Verdict
from runtime.metrics import BUDGET_LEFT, SPENT_TODAY
from schemas.incident import Incident

INCIDENT = Incident("k", 1, "checkout", "error-burst", "open", 5, 0, 1, 0, 0, 5, 300, "", 0, [], [])
OTHER = msgspec.structs.replace(INCIDENT, key="other", service="billing")
VERDICT = Verdict("database_issue", "P1", "The pool is empty.", ["Look."], 0.5, [], "m", "So it says.", 0.1)
CLAIM_SECONDS = 30.0


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """A ledger with a dollar a day, and 40 cents for each service."""
    ledger = Ledger(database_url, Budget(1.0, 0.4), CLAIM_SECONDS)
    yield ledger
    await ledger.close()


async def _spend(ledger: Ledger, service: str, usd: float) -> bool:
    try:
        await ledger.reserve(service, "k", "m", usd)
    except OverBudget:
        return False
    return True


async def test_what_is_set_aside_is_spent_until_it_is_settled(ledger: Ledger) -> None:
    """A call that cost less gives the rest back; one that nobody settled stays spent."""
    first = await ledger.reserve("checkout", "k", "m", 0.3)
    assert not await _spend(ledger, "checkout", 0.2)
    await ledger.settle(first, 0.05)
    assert await _spend(ledger, "checkout", 0.2)
    assert await _spend(ledger, "checkout", 0.15)
    with pytest.raises(OverBudget, match="LLM_BUDGET_USD_PER_SERVICE_PER_DAY"):
        await ledger.check("checkout", 0.01)
    await ledger.check("billing", 0.4)


async def test_many_workers_together_spend_no_more_than_the_budget(ledger: Ledger, database_url: str) -> None:
    """A hundred calls of ten cents at once, by two workers: ten are paid, four a service at the most."""
    second = Ledger(database_url, Budget(1.0, 0.4), CLAIM_SECONDS)
    calls = [_spend((ledger, second)[n % 2], f"service-{n % 5}", 0.0999) for n in range(100)]
    assert sum(await asyncio.gather(*calls)) == 10
    await second.close()


async def test_a_new_ledger_knows_what_was_spent(ledger: Ledger, database_url: str) -> None:
    """A restart opens no second purse; yesterday's calls do not count today."""
    assert await _spend(ledger, "checkout", 0.4)
    again = Ledger(database_url, Budget(1.0, 0.4), CLAIM_SECONDS)
    assert not await _spend(again, "checkout", 0.1)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE analyzer.calls SET day = day - 1")
    await connection.close()
    assert await _spend(again, "checkout", 0.1)
    await again.close()


async def test_one_asks_and_the_others_share(ledger: Ledger) -> None:
    """The answer is the others' for an hour; who gives up leaves the question to the next."""
    assert (await ledger.claim(7, INCIDENT)).is_mine
    waiting = await ledger.claim(7, OTHER)
    assert (waiting.is_mine, waiting.verdict, waiting.incident_key) == (False, None, "k")
    await ledger.release(7, INCIDENT)
    assert (await ledger.claim(7, OTHER)).is_mine
    await ledger.keep(7, OTHER, VERDICT)
    shared = await ledger.claim(7, INCIDENT)
    assert (shared.is_mine, shared.verdict, shared.service) == (False, VERDICT, "billing")


@pytest.mark.parametrize(("age", "answered"), [("61 minutes", True), ("31 seconds", False)])
async def test_an_old_claim_is_anybodys(ledger: Ledger, database_url: str, age: str, *, answered: bool) -> None:
    """After an hour, or where the worker that asked must be gone."""
    await ledger.claim(7, INCIDENT)
    if answered:
        await ledger.keep(7, INCIDENT, VERDICT)
    assert not (await ledger.claim(7, OTHER)).is_mine
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"UPDATE analyzer.shares SET claimed_at = now() - interval '{age}'")
    await connection.close()
    assert (await ledger.claim(7, OTHER)).is_mine


async def test_without_postgresql_nothing_is_spent() -> None:
    """Nobody can tell what is left, so nothing is."""
    ledger = Ledger("postgresql://nobody@127.0.0.1:1/none", Budget(1.0), CLAIM_SECONDS)
    with pytest.raises(LedgerAway):
        await ledger.reserve("checkout", "k", "m", 0.1)
    await ledger.settle(1, 0.1)
    await ledger.close()


async def test_the_gauges_follow_what_others_spend_and_the_days(ledger: Ledger, database_url: str) -> None:
    """Also while this worker asks nothing; without the ledger they are no number."""
    other = Ledger(database_url, Budget(1.0), CLAIM_SECONDS)
    assert await _spend(other, "a\0b\ud800", 0.25)
    await ledger.refresh()
    assert (SPENT_TODAY._value.get(), BUDGET_LEFT._value.get()) == (0.25, 0.75)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE analyzer.calls SET day = day - 1")
    await connection.close()
    await ledger.refresh()
    assert (SPENT_TODAY._value.get(), BUDGET_LEFT._value.get()) == (0.0, 1.0)
    await other.close()
    await Ledger("postgresql://nobody@127.0.0.1:1/none", Budget(1.0), CLAIM_SECONDS).refresh()
    assert math.isnan(SPENT_TODAY._value.get())
    assert math.isnan(BUDGET_LEFT._value.get())
