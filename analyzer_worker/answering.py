"""How an incident gets a model's answer: another's where one was asked within the hour, else its own."""

import asyncio
from typing import Final

import msgspec
import structlog

from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError
from analyzer_worker.sharing import share_fingerprint, shared_verdict
from analyzer_worker.spending.ledger import Claim, Ledger
from analyzer_worker.spending.purse import OverBudget
from analyzer_worker.verdict import Sample, Verdict
from schemas.analysis import AnalysisStatus
from schemas.incident import Incident

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.5


class Answer(msgspec.Struct, frozen=True):
    """What came of it. `shared_with`: the key of the incident whose answer it is."""

    verdict: Verdict
    status: AnalysisStatus
    shared_with: str | None = None


class Answering:
    """The model, and the ledger where there is one."""

    def __init__(self, model: Model, ledger: Ledger | None = None) -> None:
        self._model = model
        self._ledger = ledger

    async def prepare(self) -> None:
        """Load what takes long."""
        await self._model.prepare()

    async def answer(self, incident: Incident, samples: list[Sample], rules: Verdict, *, alone: bool) -> Answer:
        """The model's answer, or the rules' with the reason. `alone`: a person wants one of its own."""
        try:
            if self._ledger is None or alone:
                return Answer(await self._model.analyze(incident, samples, rules.severity), "done")
            return await self._shared(self._ledger, incident, samples, rules)
        except OverBudget as error:
            log.debug("model_not_asked", incident=incident.key, why=str(error))
            return Answer(_by_rules(rules, f"the model was not asked: {error}"), "skipped_budget")
        except ModelError as error:
            log.warning("model_failed", incident=incident.key, model=self._model.name, why=str(error))
            return self.fallback(rules, str(error))
        except Exception as error:
            # A fault of ours in one analysis must not stop the others, nor be met again at every restart.
            log.exception("model_analysis_broke", incident=incident.key, model=self._model.name)
            return self.fallback(rules, f"internal fault {type(error).__name__}")

    def fallback(self, rules: Verdict, why: str) -> Answer:
        """The rules' verdict, saying why it is not the model's."""
        return Answer(_by_rules(rules, f"{self._model.name} gave no usable analysis: {why}"), "fallback")

    async def _shared(self, ledger: Ledger, incident: Incident, samples: list[Sample], rules: Verdict) -> Answer:
        fingerprint = share_fingerprint(incident.rule, samples)
        claim = await self._claim(ledger, fingerprint, incident)
        if claim.verdict is not None:
            verdict = shared_verdict(claim.verdict, claim.incident_key, claim.service, rules)
            return Answer(verdict, "done", claim.incident_key)
        try:
            verdict = await self._model.analyze(incident, samples, rules.severity)
        except BaseException:
            await ledger.release(fingerprint, incident)
            raise
        await ledger.keep(fingerprint, incident, verdict)
        return Answer(verdict, "done")

    async def _claim(self, ledger: Ledger, fingerprint: int, incident: Incident) -> Claim:
        """Ours, or another's with its answer: that is waited for, and becomes ours where it does not come."""
        while True:
            claim = await ledger.claim(fingerprint, incident)
            if claim.is_mine or claim.verdict is not None:
                return claim
            await asyncio.sleep(_LOOK_SECONDS)


def _by_rules(rules: Verdict, why: str) -> Verdict:
    return msgspec.structs.replace(rules, reason=f"By rules, because {why}. {rules.reason}")
