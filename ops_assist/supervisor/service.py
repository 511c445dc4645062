"""One service of the pipeline as a child process: started, asked whether it is ready, ended."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from deploy.brokers.child import Child

_READY_POLL_SECONDS: Final = 0.1
_EXIT_POLL_SECONDS: Final = 0.1


class ServiceSpec(NamedTuple):
    """What a service is called, what Python is given to run it, and the port of its /readyz."""

    name: str
    arguments: tuple[str, ...]
    port: int


class ServiceNotReadyError(Exception):
    """A service that did not become ready; the text is one line."""


class Service:
    """A running service; its output is appended to `log`."""

    def __init__(self, spec: ServiceSpec, *, host: str, run_dir: Path, log: Path) -> None:
        self.name = spec.name
        self.log = log
        self._spec = spec
        self._readyz = f"http://{reachable(host)}:{spec.port}/readyz"
        self._child = Child(run_dir / f"{spec.name}.lock")

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; it dies with this process, even with one that is killed.

        Raises:
            StateInUseError: a service of another `up` runs on the same state directory.
        """
        self._child.spawn(
            [sys.executable, *self._spec.arguments],
            output=self.log,
            death_signal=signal.SIGKILL,  # what a service acknowledged is safe; the next start needs its port at once
            environment=environment,
        )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.exit_code

    async def ended(self) -> str:
        """Wait for its end; gives the line that reports it."""
        while self.exit_code is None:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(_EXIT_POLL_SECONDS)
        return self.obituary()

    def obituary(self) -> str:
        """How it ended and where its log is, in one line."""
        return f"{self.name} {_how(self.exit_code)}; its log is {self.log}"

    async def ready(self, client: httpx.AsyncClient, within: float) -> None:
        """Wait until its /readyz says yes.

        Raises:
            ServiceNotReadyError: it ended, or said no for `within` seconds.
        """
        said = "it does not answer"
        try:
            async with asyncio.timeout(within):
                while self.exit_code is None and (said := await self._unready_reason(client)):  # noqa: ASYNC110 - asks
                    await asyncio.sleep(_READY_POLL_SECONDS)
        except TimeoutError:
            raise ServiceNotReadyError(
                f"{self.name} is not ready after {within:g} s: {said}; its log is {self.log}"
            ) from None
        if self.exit_code is not None:
            raise ServiceNotReadyError(self.obituary())

    async def _unready_reason(self, client: httpx.AsyncClient) -> str:
        """Empty when it is ready."""
        try:
            answer = await client.get(self._readyz)
        except httpx.TransportError:
            return "it does not answer"
        if answer.is_success:
            return ""
        return _reasons(answer)

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds."""
        await asyncio.to_thread(self._child.end, signal.SIGTERM, grace)


def reachable(host: str) -> str:
    """The host part of an address that reaches a server which listens on `host`."""
    if host in ("0.0.0.0", "localhost", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def _reasons(answer: httpx.Response) -> str:
    try:
        reasons = answer.json()["reasons"]
        return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answers {answer.status_code}"


def _how(code: int | None) -> str:
    if code is None:
        return "runs"
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
