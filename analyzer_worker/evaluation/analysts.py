"""The analyzers under test, each behind the same face, each going the way that it goes in the worker."""

import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from prometheus_client import REGISTRY

from analyzer_worker.evaluation.cases import Case
from analyzer_worker.evaluation.incidents import to_incident
from analyzer_worker.evaluation.outcomes import Outcome, outcome_of
from analyzer_worker.evidence.build import build_evidence
from analyzer_worker.evidence.material import Material
from analyzer_worker.litellm_adapter import Completion, Message, Reply
from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError
from analyzer_worker.prompt import build_prompt
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.spending.price import Price
from analyzer_worker.verdict import Sample
from schemas.analysis import RULES
from schemas.incident import Incident

_DROPPED: Final = "ops_analyzer_claims_dropped_total"


class Analyst(Protocol):
    """Something that analyses cases."""

    name: str

    async def analyze(self, case: Case) -> Outcome:
        """Analyse one case; failures are in the outcome."""


class RulesAnalyst:
    """The rules. They send nothing to anyone; what a model would have been sent is noted all the same."""

    name = RULES

    async def analyze(self, case: Case) -> Outcome:
        """See `Analyst`."""
        incident, samples = to_incident(case)
        started = time.perf_counter()
        verdict = analyze_by_rules(incident, samples)
        seconds = time.perf_counter() - started
        return outcome_of(case, verdict, samples, seconds=seconds, dropped=0, sent=would_be_sent(incident, samples))


class ModelAnalyst:
    """A model, asked and checked as the worker does it, with the severity of the rules as the floor."""

    def __init__(self, completion: Completion, deadline: float) -> None:
        """`deadline`: seconds for one case, the repair included."""
        self.name = completion.model
        self._recorder = Recorder(completion)
        self._model = Model(self._recorder, deadline)

    async def analyze(self, case: Case) -> Outcome:
        """See `Analyst`."""
        incident, samples = to_incident(case)
        floor = analyze_by_rules(incident, samples).severity
        await self._model.prepare()
        self._recorder.sent.clear()
        dropped, started = _claims_dropped(), time.perf_counter()
        try:
            verdict = await self._model.analyze(incident, samples, floor)
        except ModelError as error:
            seconds = time.perf_counter() - started
            return Outcome(case, None, str(error), seconds, sent=tuple(self._recorder.sent))
        seconds, dropped = time.perf_counter() - started, _claims_dropped() - dropped
        return outcome_of(case, verdict, samples, seconds=seconds, dropped=dropped, sent=self._recorder.sent)


class Recorder:
    """Stands between the analyzer and the model and keeps every text that goes out."""

    def __init__(self, completion: Completion) -> None:
        self.model = completion.model
        self.sent: list[str] = []
        self._completion = completion

    async def prepare(self) -> None:
        """See `Completion`."""
        await self._completion.prepare()

    def price(self) -> Price | None:
        """See `Completion`."""
        return self._completion.price()

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - see Completion
        """See `Completion`."""
        self.sent += [message["content"] for message in messages]
        return await self._completion.complete(messages, schema, timeout)


def would_be_sent(incident: Incident, samples: Sequence[Sample]) -> list[str]:
    """The texts of the question that a model would be asked."""
    prompt = build_prompt(build_evidence(Material(incident, samples)))
    return [message["content"] for message in prompt.messages]


def _claims_dropped() -> int:
    return int(REGISTRY.get_sample_value(_DROPPED) or 0)
