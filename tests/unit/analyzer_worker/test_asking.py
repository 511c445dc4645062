"""Paying for calls, models that stand in for others, and pauses that a provider asks for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from analyzer_worker.asking import Bill
from analyzer_worker.litellm_adapter import Message, Reply
from analyzer_worker.model import Model
from analyzer_worker.model_errors import Permanent, Retryable
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.spending.price import Price
from analyzer_worker.spending.purse import OverBudget
from analyzer_worker.verdict import Sample, Verdict
from schemas.incident import Incident
from tests.support.openai_server import analysis

INCIDENT = Incident("k", 1, "user-service", "error-burst", "open", 5, 0, 1, 0, 0, 5, 300, "", 0, [], [])
SAMPLES = [Sample("event-1", "ERROR", "Database connection pool exhausted", 0)]
PRICE = Price(0.001, 0.002)


class Scripted:
    """A model that does one thing a call, the last for ever."""

    def __init__(self, name: str, *acts: Callable[[list[Message]], Reply], price: Price | None = PRICE) -> None:
        self.model = name
        self.calls = 0
        self._acts = acts
        self._price = price

    async def prepare(self) -> None:
        """Nothing to load."""

    def price(self) -> Price | None:
        """What it was given."""
        return self._price

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - as in Completion
        """The next act."""
        assert schema
        assert timeout > 0
        act = self._acts[min(self.calls, len(self._acts) - 1)]
        self.calls += 1
        return act(messages)


class Purse:
    """A purse with so much in it."""

    limits = True

    def __init__(self, usd: float) -> None:
        self.left = usd
        self.open: dict[int, float] = {}

    async def check(self, service: str, bound_usd: float) -> None:
        """Refuse what cannot be paid."""
        assert service == INCIDENT.service
        if bound_usd > self.left:
            raise OverBudget("empty")

    async def reserve(self, service: str, incident: str, model: str, bound_usd: float) -> int:
        """Set aside."""
        await self.check(service, bound_usd)
        assert incident == INCIDENT.key
        assert model
        self.left -= bound_usd
        self.open[len(self.open)] = bound_usd
        return len(self.open) - 1

    async def settle(self, call: int, cost_usd: float) -> None:
        """Give back what it did not cost."""
        self.left += self.open[call] - cost_usd


def good(messages: list[Message]) -> Reply:
    return Reply(analysis({"messages": messages}), "stop", 0.0, 100, 10)


def failing(error: Exception) -> Callable[[list[Message]], Reply]:
    def fail(_: list[Message]) -> Reply:
        raise error

    return fail


async def ask(model: Model) -> Verdict:
    return await model.analyze(INCIDENT, SAMPLES, analyze_by_rules(INCIDENT, SAMPLES).severity)


async def test_a_call_costs_what_its_tokens_cost() -> None:
    """Set aside before, settled after; where litellm names no cost, the price and the usage tell."""
    purse = Purse(100.0)
    verdict = await ask(Model(Scripted("m", good), 5, purse=purse))
    assert verdict.cost_usd == pytest.approx(0.12)
    assert purse.left == pytest.approx(100 - 0.12)
    assert purse.open[0] > 1.2


async def test_a_provider_that_tells_no_usage_is_paid_at_the_most() -> None:
    """Else such a model could be asked for ever on any budget."""
    purse = Purse(100.0)
    verdict = await ask(Model(Scripted("m", lambda m: Reply(good(m).text, "stop", 0.0)), 5, purse=purse))
    assert purse.left == pytest.approx(100 - purse.open[0])
    assert verdict.cost_usd == pytest.approx(purse.open[0])


async def test_the_bill_holds_what_was_in_vain() -> None:
    """Calls of every model, those that gave nothing usable included; refused ones cost nothing."""
    bill = Bill()
    bad = Scripted("a", lambda _: Reply("no JSON", "stop", 0.0, 100, 10))
    refusing = Scripted("b", failing(Permanent("no")))
    model = Model(bad, 5, fallbacks=[refusing, Scripted("c", good)], purse=Purse(100.0))
    await model.analyze(INCIDENT, SAMPLES, "P3", bill)
    assert (bill.input_tokens, bill.output_tokens) == (300, 30)
    assert bill.cost == pytest.approx(0.36)


async def test_what_cannot_be_paid_is_not_asked() -> None:
    """Not even read for."""
    model = Scripted("m", good)
    with pytest.raises(OverBudget):
        await ask(Model(model, 5, purse=Purse(0.5)))
    assert model.calls == 0


async def test_a_model_of_unknown_price_is_not_asked_on_a_budget() -> None:
    """The reason names the settings; without a budget it is asked."""
    model = Scripted("m", good, price=None)
    with pytest.raises(Permanent, match="LLM_PRICE_INPUT_USD_PER_MILLION"):
        await ask(Model(model, 5, purse=Purse(100.0)))
    assert model.calls == 0
    assert (await ask(Model(model, 5))).analyzed_by == "m"


async def test_a_refused_call_costs_nothing_and_one_given_up_may_have() -> None:
    """What was set aside for a call that may be billed stays spent."""
    purse = Purse(100.0)
    with pytest.raises(Permanent):
        await ask(Model(Scripted("m", failing(Permanent("no"))), 5, purse=purse))
    assert purse.left == pytest.approx(100.0)
    given_up = failing(Retryable("timeout", may_be_billed=True))
    with pytest.raises(Retryable):
        await ask(Model(Scripted("m", given_up), 5, 0.001, purse=purse))
    assert purse.left == pytest.approx(100 - sum(list(purse.open.values())[1:]))


@pytest.mark.parametrize("error", [Permanent("no key"), Retryable("down")])
async def test_another_model_stands_in(error: Exception) -> None:
    """In the order of the settings, each with attempts of its own."""
    first, second, third = Scripted("a", failing(error)), Scripted("b", failing(error)), Scripted("c", good)
    verdict = await ask(Model(first, 5, 0.001, fallbacks=[second, third]))
    assert verdict.analyzed_by == "c"
    assert (first.calls, second.calls) == ((1, 1) if isinstance(error, Permanent) else (3, 3))


async def test_an_unusable_answer_is_anothers_chance_too() -> None:
    """After its repair failed."""
    first = Scripted("a", lambda _: Reply("no JSON", "stop", 0.0))
    assert (await ask(Model(first, 5, fallbacks=[Scripted("b", good)]))).analyzed_by == "b"
    assert first.calls == 2


async def test_a_model_that_hangs_leaves_time_for_the_next() -> None:
    """Each has its share of the deadline."""

    class Hanging(Scripted):
        async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - as in Completion
            await asyncio.Event().wait()
            return await super().complete(messages, schema, timeout)

    assert (await ask(Model(Hanging("a"), 0.4, fallbacks=[Scripted("b", good)]))).analyzed_by == "b"


async def test_a_pause_beyond_the_deadline_is_not_waited_for() -> None:
    """Retry-After of a minute with seconds left: the failure is told at once."""
    model = Scripted("m", failing(Retryable("429", after=60.0)))
    with pytest.raises(Retryable, match="429"):
        await asyncio.wait_for(ask(Model(model, 10)), 8)
    assert model.calls == 1


async def test_a_pause_that_is_asked_for_is_kept() -> None:
    """Longer than our own, within the deadline."""
    model = Scripted("m", failing(Retryable("429", after=0.2)), good)
    began = asyncio.get_running_loop().time()
    await ask(Model(model, 10, 0.001))
    assert asyncio.get_running_loop().time() - began >= 0.2
