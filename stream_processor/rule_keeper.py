"""The rules in force: read at the start, read again when their files change, and told to whoever asks.

A set with a fault in it is refused as a whole: the rules in force stay, and the log, a metric and `/rules` say so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from fastapi import APIRouter
from fastapi.responses import Response

from runtime import metrics
from runtime.settings import Settings
from schemas.timestamps import MICROSECONDS, now_micros, to_rfc3339
from stream_processor.faults import Fault, InvalidFiles
from stream_processor.rule_files import rules_in_force
from stream_processor.rule_watch import RuleWatch, changes_between, digest_of, fingerprint_of
from stream_processor.rules import RuleSet

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0

UseRules = Callable[[RuleSet], Awaitable[None]]


class RuleKeeper:
    """Keeps the rules of RULES, or the default rule, which never changes.

    Raises:
        InvalidFiles: the files cannot be used at the start, when there is nothing to fall back on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.rules
        self._watch = RuleWatch(self._digest())
        self.rules = rules_in_force(settings)
        self._refused: Refusal | None = None
        self._asked = asyncio.Event()
        self._in_force()

    def look_now(self) -> None:
        """Look at the files at once and take them as they are (SIGHUP)."""
        log.info("rules_look", path=None if self._path is None else str(self._path))
        self._asked.set()

    async def keep(self, use: UseRules) -> None:
        """Look at the files for ever; `use` is awaited with each new set and puts it in force."""
        while self._path is not None:
            asked = await self._asked_within(LOOK_SECONDS)
            await self.look(use, at_once=asked)

    async def look(self, use: UseRules, *, at_once: bool = False) -> None:
        """Look at the files once, and where they have changed read them and put them in force or refuse them."""
        digest = await asyncio.to_thread(self._digest)
        if not self._watch.is_due(digest, at_once=at_once):
            return
        found = await asyncio.to_thread(self._read)
        if await asyncio.to_thread(self._digest) != digest:
            return  # what was read is not what was seen: the next look begins anew
        self._watch.took(digest)
        if isinstance(found, RuleSet):
            await self._take(found, use)
        else:
            self._refuse(found)

    def _read(self) -> RuleSet | list[Fault]:
        try:
            return rules_in_force(self._settings)
        except InvalidFiles as invalid:
            return invalid.faults
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, detection goes on by the old rules
            return [Fault(str(self._path), 1, 1, "file", f"expected rules that can be read; found {error!r}")]

    def report(self) -> dict[str, Any]:
        """What `/rules` answers."""
        return {
            "source": "INCIDENT_* settings" if self._path is None else str(self._path),
            "fingerprint": self.fingerprint,
            "loaded_at": to_rfc3339(self.loaded_at),
            "rules": [{"name": rule.name, "kind": rule.kind, "shadow": rule.shadow} for rule in self.rules.rules],
            "refused": self._refused,
        }

    def router(self) -> APIRouter:
        """The page about the rules."""
        routes = APIRouter(tags=["service"])

        @routes.get("/rules")
        async def rules() -> Response:
            return Response(msgspec.json.encode(self.report()), media_type="application/json")

        return routes

    def _digest(self) -> str:
        return "" if self._path is None else digest_of(self._path)

    async def _asked_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _take(self, rules: RuleSet, use: UseRules) -> None:
        is_new = fingerprint_of(rules) != self.fingerprint
        if is_new:
            await use(rules)
            changes = changes_between(self.rules, rules)
            self.rules = rules
            self._in_force()
            log.info("rules_in_force", fingerprint=self.fingerprint, path=str(self._path), **changes)
        elif self._refused is not None:
            log.info("rules_mended", fingerprint=self.fingerprint, path=str(self._path))
        self._refused = None
        metrics.RULES_INVALID.set(0)
        metrics.RULES_RELOADS.labels("changed" if is_new else "unchanged").inc()

    def _refuse(self, faults: list[Fault]) -> None:
        told = [str(fault) for fault in faults]
        if self._refused is None or self._refused.faults != told:
            log.error("rules_refused", path=str(self._path), faults=told, still_in_force=self.fingerprint)
            self._refused = Refusal(to_rfc3339(now_micros()), told)
        metrics.RULES_INVALID.set(1)
        metrics.RULES_RELOADS.labels("refused").inc()

    def _in_force(self) -> None:
        self.fingerprint = fingerprint_of(self.rules)
        self.loaded_at = now_micros()
        metrics.RULES_INVALID.set(0)
        metrics.RULES_LOADED.set(self.loaded_at / MICROSECONDS)


class Refusal(msgspec.Struct, frozen=True):
    """A set that was refused: when, and every fault as `file:line:column: field: what was expected`."""

    at: str
    faults: list[str]
