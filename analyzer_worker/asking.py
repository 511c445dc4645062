"""One model is asked one question: a few attempts, one repair, and each call paid for before it is made."""

import asyncio
import json
import time
from typing import Final

import msgspec
import structlog

from analyzer_worker.answer import Checked, check_answer, parse_answer
from analyzer_worker.litellm_adapter import MAX_ANSWER_TOKENS, Completion, Message, Reply
from analyzer_worker.model_errors import ModelError, Permanent, Retryable, Unusable
from analyzer_worker.prompt import SCHEMA, Prompt
from analyzer_worker.spending.price import FREE, Price
from analyzer_worker.spending.purse import Purse
from analyzer_worker.traces import calling, replied
from runtime.metrics import MODEL_COST, MODEL_SECONDS
from runtime.trace_context import current
from schemas.analysis import Severity
from schemas.incident import Incident

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt; doubled before each further one."""
_MAX_REPEATED: Final = 4_000
_SCHEMA_BYTES: Final = len(json.dumps(SCHEMA))


def bound_usd(price: Price, messages: list[Message]) -> float:
    """What one call with these messages costs at most."""
    return price.bound(messages, _SCHEMA_BYTES, MAX_ANSWER_TOKENS)


def price_of(completion: Completion, purse: Purse) -> Price:
    """What the model costs.

    Raises:
        Permanent: where that is not known and there is a budget to keep.
    """
    price = completion.price()
    if price is None and purse.limits:
        raise Permanent(
            f"the price of {completion.model} is not known, and there is a budget to keep: set "
            "LLM_PRICE_INPUT_USD_PER_MILLION and LLM_PRICE_OUTPUT_USD_PER_MILLION"
        )
    return price or FREE


class Bill:
    """What the calls for one incident have come to, those in vain included; `cost` in US dollars."""

    def __init__(self) -> None:
        self.cost = 0.0
        self.input_tokens = 0
        self.output_tokens = 0

    def add(self, cost: float, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Put a call on it; a negative cost takes one off."""
        self.cost = max(0.0, self.cost + cost)
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens


class Asking:
    """One model and one incident, until `deadline` (the event loop's clock)."""

    def __init__(
        self,
        completion: Completion,
        purse: Purse,
        incident: Incident,
        bill: Bill,
        *,
        deadline: float,
        first_pause: float,
    ) -> None:
        """`bill`: gets what the calls come to, also where they end in an error."""
        self._completion = completion
        self._purse = purse
        self._incident = incident
        self._deadline = deadline
        self._first_pause = first_pause
        self._bill = bill
        self._price = price_of(completion, purse)

    async def ask(self, prompt: Prompt, floor: Severity) -> Checked:
        """The checked answer; the severity does not fall below `floor`.

        Raises:
            ModelError: where there is no usable answer.
        """
        reply = await self._complete(prompt.messages)
        try:
            return self._check(reply, prompt, floor, reply.cost_usd)
        except Unusable as unusable:
            log.info("model_answer_repaired", model=self._completion.model, why=str(unusable))
            repaired = await self._complete(_repair(prompt.messages, reply, unusable))
            return self._check(repaired, prompt, floor, reply.cost_usd + repaired.cost_usd)

    def _check(self, reply: Reply, prompt: Prompt, floor: Severity, cost_usd: float) -> Checked:
        answer = parse_answer(reply)
        return check_answer(answer, prompt.sent, floor=floor, model=self._completion.model, cost_usd=cost_usd)

    async def _complete(self, messages: list[Message]) -> Reply:
        """One answer; what may pass is tried again after a growing pause, or the one that the provider asks for."""
        for attempt in range(1, MAX_ATTEMPTS):
            try:
                return await self._paid(messages)
            except Retryable as trouble:
                pause = max(self._first_pause * 2 ** (attempt - 1), trouble.after)
                if asyncio.get_running_loop().time() + pause >= self._deadline:
                    raise
                await asyncio.sleep(pause)
        return await self._paid(messages)

    async def _paid(self, messages: list[Message]) -> Reply:
        bound = bound_usd(self._price, messages)
        call = await self._purse.reserve(self._incident.service, self._incident.key, self._completion.model, bound)
        # What breaks or is cancelled from here on may be billed.
        self._bill.add(bound)
        try:
            reply = await self._timed(messages)
        except ModelError as error:
            if not (isinstance(error, Retryable) and error.may_be_billed):
                self._bill.add(-bound)
                await self._purse.settle(call, 0.0)
            raise
        cost = self._cost(reply, bound)
        self._bill.add(cost - bound, reply.input_tokens, reply.output_tokens)
        MODEL_COST.labels(self._completion.model).inc(cost)
        await self._purse.settle(call, cost)
        return msgspec.structs.replace(reply, cost_usd=cost)

    def _cost(self, reply: Reply, bound: float) -> float:
        """By the provider's usage and the price of the model that was asked; where it tells no usage, at the most."""
        if reply.input_tokens or reply.output_tokens:
            return self._price.of(reply.input_tokens, reply.output_tokens)
        return reply.cost_usd or bound

    async def _timed(self, messages: list[Message]) -> Reply:
        started = time.monotonic()
        outcome = "cancelled"
        try:
            left = max(0.1, self._deadline - asyncio.get_running_loop().time())
            with calling(self._completion.model, current()) as call:
                reply = await self._completion.complete(messages, SCHEMA, left)
                replied(call, reply)
            outcome = "answered"
        except ModelError as error:
            outcome = error.outcome
            raise
        finally:
            MODEL_SECONDS.labels(self._completion.model, outcome).observe(time.monotonic() - started)
        return reply


def _repair(messages: list[Message], reply: Reply, unusable: Unusable) -> list[Message]:
    """The conversation so far, and what was wrong with the answer."""
    complaint = (
        f"This cannot be used: {unusable}. Answer again with one JSON object in the agreed form, and nothing else."
    )
    said = {"role": "assistant", "content": reply.text[:_MAX_REPEATED] or "(nothing)"}
    return [*messages, said, {"role": "user", "content": complaint}]
