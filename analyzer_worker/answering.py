"""How an incident gets a model's answer: another's where one was asked within the hour, else its own."""

import asyncio
import time
from collections import OrderedDict
from typing import Final

import msgspec
import structlog

from analyzer_worker.asking import Bill
from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError
from analyzer_worker.sharing import share_fingerprint, shared_verdict
from analyzer_worker.spending.ledger import Ledger
from analyzer_worker.spending.purse import LedgerAway, OverBudget
from analyzer_worker.verdict import Sample, Verdict
from schemas.analysis import AnalysisStatus
from schemas.incident import Incident

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = 15.0
_FAILURE_SECONDS: Final = 20.0
_MOST_FAILURES: Final = 10_000


class Answer(msgspec.Struct, frozen=True):
    """What came of it. `shared_with`: the key of the incident whose answer it is."""

    verdict: Verdict
    status: AnalysisStatus
    shared_with: str | None = None


class RecentFailures:
    """Questions that models failed at a moment ago: a thousand incidents need not find out one by one."""

    def __init__(self, seconds: float = _FAILURE_SECONDS, most: int = _MOST_FAILURES) -> None:
        self._seconds, self._most = seconds, most
        self._found: OrderedDict[tuple[int, int], tuple[float, str]] = OrderedDict()

    def note(self, question: tuple[int, int], why: str) -> None:
        """Remember why nothing came of a question (its fingerprint, and how often it was asked in vain before)."""
        self._found[question] = (time.monotonic() + self._seconds, why)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def recall(self, question: tuple[int, int]) -> str | None:
        """Why nothing came of it a moment ago, else None."""
        until, why = self._found.get(question, (0.0, ""))
        return why if time.monotonic() < until else None


class Answering:
    """The model, and the ledger where there is one."""

    def __init__(self, model: Model, ledger: Ledger | None = None, max_calls: int = 1) -> None:
        """`max_calls`: questions under way at once; waiting for another's answer is none."""
        self._model = model
        self._ledger = ledger
        self._slots = asyncio.Semaphore(max_calls)
        self._failures = RecentFailures()

    async def watch_spending(self) -> None:
        """Keep the gauges of spend and budget up to date, also while nothing is asked; runs until cancelled."""
        while self._ledger is not None:
            await self._ledger.refresh()
            await asyncio.sleep(_WATCH_SECONDS)

    async def prepare(self) -> None:
        """Load what takes long."""
        await self._model.prepare()

    async def answer(
        self, incident: Incident, samples: list[Sample], rules: Verdict, bill: Bill, *, alone: bool, attempts: int = 0
    ) -> Answer:
        """The model's answer, or the rules' with the reason.

        Args:
            incident: what is asked about.
            samples: its first events.
            rules: what the rules say of it.
            bill: gets what it costs, also in vain.
            alone: a person wants an answer of its own.
            attempts: how often models have failed at it before.
        """
        try:
            if self._ledger is None or alone:
                async with self._slots:
                    return Answer(await self._model.analyze(incident, samples, rules.severity, bill), "done")
            return await self._shared(self._ledger, incident, samples, rules, bill=bill, attempts=attempts)
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

    async def _shared(
        self, ledger: Ledger, incident: Incident, samples: list[Sample], rules: Verdict, *, bill: Bill, attempts: int
    ) -> Answer:
        fingerprint = share_fingerprint(incident.rule, samples)
        while True:
            async with self._slots:
                claim = await ledger.claim(fingerprint, incident)
                if claim.is_mine:
                    return await self._asked(
                        ledger, fingerprint, incident, samples, rules, bill=bill, attempts=attempts
                    )
            if claim.verdict is not None:
                verdict = shared_verdict(claim.verdict, claim.incident_key, claim.service, rules, incident.service)
                return Answer(verdict, "done", claim.incident_key)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _asked(
        self,
        ledger: Ledger,
        fingerprint: int,
        incident: Incident,
        samples: list[Sample],
        rules: Verdict,
        *,
        bill: Bill,
        attempts: int,
    ) -> Answer:
        """The model's answer, for all that share the fingerprint; what it fails at is told to them too."""
        if failure := self._failures.recall((fingerprint, attempts)):
            await ledger.release(fingerprint, incident)
            return self.fallback(rules, f"{failure} (as for an incident with the same messages a moment ago)")
        try:
            verdict = await self._model.analyze(incident, samples, rules.severity, bill)
        except BaseException as error:
            # Before the question is free again: who has waited for it must not ask.
            if isinstance(error, ModelError) and not isinstance(error, OverBudget | LedgerAway):
                self._failures.note((fingerprint, attempts), str(error))
            await ledger.release(fingerprint, incident)
            raise
        await ledger.keep(fingerprint, incident, verdict)
        return Answer(verdict, "done")


def _by_rules(rules: Verdict, why: str) -> Verdict:
    return msgspec.structs.replace(rules, reason=f"By rules, because {why}. {rules.reason}")
