"""Ask models about an incident: the first that gives a usable answer, one deadline over all of it."""

import asyncio
from collections.abc import Sequence

import structlog

from analyzer_worker.answer import Checked
from analyzer_worker.asking import FIRST_PAUSE, Asking, Bill, bound_usd, price_of
from analyzer_worker.evidence.build import build_evidence
from analyzer_worker.evidence.material import Gather, Material, samples_only
from analyzer_worker.litellm_adapter import Completion
from analyzer_worker.model_errors import ModelError, Retryable
from analyzer_worker.prompt import Prompt, build_prompt
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.spending.purse import OPEN_PURSE, LedgerAway, Purse
from analyzer_worker.verdict import Sample, Verdict, worst
from runtime.metrics import CLAIMS_DROPPED, SECRETS_REDACTED
from schemas.analysis import Severity
from schemas.incident import Incident

log = structlog.get_logger(__name__)


class Model:
    """A model as an analyst, with others that stand in for it."""

    def __init__(
        self,
        completion: Completion,
        deadline: float,
        first_pause: float = FIRST_PAUSE,
        gather: Gather = samples_only,
        *,
        fallbacks: Sequence[Completion] = (),
        purse: Purse = OPEN_PURSE,
    ) -> None:
        """`deadline`: seconds for the calls, whatever happens in them; `gather`: reads what evidence is made from."""
        self._completions = (completion, *fallbacks)
        self._deadline = deadline
        self._first_pause = first_pause
        self._gather = gather
        self._purse = purse

    @property
    def name(self) -> str:
        """The model that is asked first."""
        return self._completions[0].model

    async def prepare(self) -> None:
        """Load what takes long, so that it does not count against the deadline of the first incident."""
        await self._completions[0].prepare()

    async def analyze(
        self, incident: Incident, samples: Sequence[Sample], floor: Severity, bill: Bill | None = None
    ) -> Verdict:
        """Ask about `incident`; the severity does not fall below `floor`. `bill` gets what it costs, also in vain.

        Raises:
            ModelError: where there is no usable answer within the deadline.
        """
        await self.prepare()
        await self._can_pay(incident, samples)
        material = await self._gather(incident, samples)
        prompt = await asyncio.to_thread(_question, material)
        floor = worst(floor, analyze_by_rules(incident, material.events).severity)
        for kind, count in prompt.redacted.items():
            SECRETS_REDACTED.labels(kind).inc(count)
        checked = await self._first_answer(incident, prompt, floor, bill or Bill())
        CLAIMS_DROPPED.inc(checked.dropped)
        return checked.verdict

    async def _can_pay(self, incident: Incident, samples: Sequence[Sample]) -> None:
        """Find out before anything is read whether a question about the samples alone could be paid for."""
        if self._purse.limits:
            prices = [price_of(completion, self._purse) for completion in self._completions]
            prompt = await asyncio.to_thread(_question, Material(incident, samples))
            cheapest = min(bound_usd(price, prompt.messages) for price in prices)
            await self._purse.check(incident.service, cheapest)

    async def _first_answer(self, incident: Incident, prompt: Prompt, floor: Severity, bill: Bill) -> Checked:
        """Each model gets its share of the time that is left."""
        clock = asyncio.get_running_loop().time
        ends = clock() + self._deadline
        for number, completion in enumerate(self._completions):
            share = (ends - clock()) / (len(self._completions) - number)
            try:
                async with asyncio.timeout(share):
                    asking = Asking(
                        completion, self._purse, incident, bill, deadline=clock() + share, first_pause=self._first_pause
                    )
                    return await asking.ask(prompt, floor)
            except TimeoutError:
                failure: ModelError = Retryable(f"the model gave no answer within {share:.3g} s")
            except ModelError as error:
                failure = error
            if completion is self._completions[-1] or isinstance(failure, LedgerAway):
                raise failure
            log.warning("model_failed_over", model=completion.model, incident=incident.key, why=str(failure))
        raise AssertionError("there is a last model")


def _question(material: Material) -> Prompt:
    return build_prompt(build_evidence(material))
