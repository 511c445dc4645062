"""Sessions one after the other, with growing pauses between those that fail, until told to stop."""

import asyncio
import contextlib
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from analyzer_worker.answering import Answering
from analyzer_worker.evidence.gather import Gatherer
from analyzer_worker.litellm_adapter import LiteLLM, close_connections, fallback_names, model_name
from analyzer_worker.model import Model
from analyzer_worker.session import Session
from analyzer_worker.spending.ledger import Budget, Ledger
from analyzer_worker.spending.purse import OPEN_PURSE
from runtime.cancellation import is_asked_to_end
from runtime.health import Check
from runtime.kafka import TopicsUnsuitable
from runtime.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
_CLAIM_MARGIN: Final = 60.0
_TROUBLE: Final = (KafkaError, OSError, TimeoutError, TopicsUnsuitable)


class Worker:
    """The analyzer as a whole."""

    def __init__(self, settings: Settings, model: Model | None = None) -> None:
        """`model`: default, the one that the settings name, if any."""
        self._settings = settings
        self._gatherer = Gatherer(settings) if model is None and model_name(settings) else None
        self._ledger = _ledger(settings)
        self._model = _model(settings, self._gatherer, self._ledger) if self._gatherer else model
        calls = settings.llm_max_concurrency
        self._answering = Answering(self._model, self._ledger, calls) if self._model else None
        self._session: Session | None = None
        self._trouble = "not connected yet"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        log.info("analyzer_started", analyzer=self._model.name if self._model else "rules")
        working = asyncio.create_task(self._sessions())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, stopping):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            for kept in (self._gatherer, self._ledger):
                if kept:
                    await kept.close()
            await close_connections()

    async def _sessions(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._one_session(pause)
            except asyncio.CancelledError:
                if is_asked_to_end():
                    raise
                self._trouble = "a connection broke"
                log.warning("session_ended", why=self._trouble, next_in_seconds=pause)
            if asyncio.get_running_loop().time() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _one_session(self, pause: float) -> None:
        try:
            self._session = Session(self._settings, self._answering)
            await self._session.run()
        except* _TROUBLE as group:
            self._trouble = f"{group.exceptions[0]!r}"
            log.warning("session_ended", why=self._trouble, next_in_seconds=pause)
        finally:
            self._session = None

    def checks(self) -> dict[str, Check]:
        """What `/readyz` asks."""
        return {"kafka": self._kafka}

    async def _kafka(self) -> str | None:
        session = self._session
        if session is None or not session.is_started:
            return self._trouble
        return None if await session.is_connected() else "no broker answers"


def _model(settings: Settings, gatherer: Gatherer, ledger: Ledger | None) -> Model:
    return Model(
        LiteLLM(settings),
        settings.llm_timeout,
        gather=gatherer.gather,
        fallbacks=[LiteLLM(settings, name) for name in fallback_names(settings)],
        purse=ledger or OPEN_PURSE,
    )


def _ledger(settings: Settings) -> Ledger | None:
    """None where no model is asked, or where there is no database to keep a book in.

    Raises:
        SettingsError: where a budget is set and there is no such database.
    """
    budget = Budget(settings.llm_budget_usd_per_day, settings.llm_budget_usd_per_service_per_day)
    if not model_name(settings):
        return None
    if settings.database_url:
        return Ledger(settings.database_url, budget, settings.llm_timeout + _CLAIM_MARGIN)
    if budget != Budget():
        raise SettingsError("LLM_BUDGET_USD_PER_DAY and LLM_BUDGET_USD_PER_SERVICE_PER_DAY need DATABASE_URL")
    return None
