"""Ask a model about an incident: one question, one repair, a few attempts, one deadline over all of it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from analyzer_worker.answer import Checked, check_answer, parse_answer
from analyzer_worker.evidence.build import build_evidence
from analyzer_worker.evidence.material import Gather, Material, samples_only
from analyzer_worker.litellm_adapter import Completion, Message, Reply
from analyzer_worker.model_errors import ModelError, Retryable, Unusable
from analyzer_worker.prompt import SCHEMA, Prompt, build_prompt
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.verdict import Sample, Verdict, worst
from runtime.metrics import CLAIMS_DROPPED, MODEL_SECONDS, SECRETS_REDACTED
from schemas.analysis import Severity
from schemas.incident import Incident

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3
FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt; doubled before each further one."""
_MAX_REPEATED: Final = 4_000


class Model:
    """A model as an analyst."""

    def __init__(
        self,
        completion: Completion,
        deadline: float,
        first_pause: float = FIRST_PAUSE,
        gather: Gather = samples_only,
    ) -> None:
        """`deadline`: seconds for the call, whatever happens in them; `gather`: reads what evidence is made from."""
        self._completion = completion
        self._deadline = deadline
        self._first_pause = first_pause
        self._gather = gather

    @property
    def name(self) -> str:
        """What stands in `analyzed_by`."""
        return self._completion.model

    async def prepare(self) -> None:
        """Load what takes long, so that it does not count against the deadline of the first incident."""
        await self._completion.prepare()

    async def analyze(self, incident: Incident, samples: Sequence[Sample], floor: Severity) -> Verdict:
        """Ask about `incident`; the severity does not fall below `floor`.

        Raises:
            ModelError: where there is no usable answer within the deadline.
        """
        material = await self._gather(incident, samples)
        prompt = await asyncio.to_thread(_question, material)
        floor = worst(floor, analyze_by_rules(incident, material.events).severity)
        for kind, count in prompt.redacted.items():
            SECRETS_REDACTED.labels(kind).inc(count)
        await self.prepare()
        try:
            async with asyncio.timeout(self._deadline):
                checked = await self._ask(prompt, floor)
        except TimeoutError as error:
            raise Retryable(f"the model gave no answer within {self._deadline:g} s") from error
        CLAIMS_DROPPED.inc(checked.dropped)
        return checked.verdict

    async def _ask(self, prompt: Prompt, floor: Severity) -> Checked:
        reply = await self._complete(prompt.messages)
        try:
            return self._check(reply, prompt, floor, reply.cost_usd)
        except Unusable as unusable:
            log.info("model_answer_repaired", model=self.name, why=str(unusable))
            repaired = await self._complete(_repair(prompt.messages, reply, unusable))
            return self._check(repaired, prompt, floor, reply.cost_usd + repaired.cost_usd)

    def _check(self, reply: Reply, prompt: Prompt, floor: Severity, cost_usd: float) -> Checked:
        answer = parse_answer(reply)
        return check_answer(answer, prompt.sent, floor=floor, model=self.name, cost_usd=cost_usd)

    async def _complete(self, messages: list[Message]) -> Reply:
        """One answer; what may pass is tried again after a growing pause."""
        for attempt in range(1, MAX_ATTEMPTS):
            try:
                return await self._timed(messages)
            except Retryable:
                await asyncio.sleep(self._first_pause * 2 ** (attempt - 1))
        return await self._timed(messages)

    async def _timed(self, messages: list[Message]) -> Reply:
        started = time.monotonic()
        outcome = "cancelled"
        try:
            reply = await self._completion.complete(messages, SCHEMA, self._deadline)
            outcome = "answered"
        except ModelError as error:
            outcome = error.outcome
            raise
        finally:
            MODEL_SECONDS.labels(outcome).observe(time.monotonic() - started)
        return reply


def _question(material: Material) -> Prompt:
    return build_prompt(build_evidence(material))


def _repair(messages: list[Message], reply: Reply, unusable: Unusable) -> list[Message]:
    """The conversation so far, and what was wrong with the answer."""
    complaint = (
        f"This cannot be used: {unusable}. Answer again with one JSON object in the agreed form, and nothing else."
    )
    said = {"role": "assistant", "content": reply.text[:_MAX_REPEATED] or "(nothing)"}
    return [*messages, said, {"role": "user", "content": complaint}]
