"""`ops-assist up`."""

import asyncio
import logging
from typing import Annotated, Final

import structlog
import typer

from ops_assist.errors import CommandError
from ops_assist.running import read_running
from ops_assist.supervisor.pipeline import Pipeline
from ops_assist.supervisor.ports import in_use, same_twice, wanted_ports
from ops_assist.supervisor.screen import Screen
from ops_assist.supervisor.state_lock import state_lock
from ops_assist.supervisor.waiting import stop_signals
from runtime.settings import Settings, load_settings

_LEFTOVER_SECONDS: Final = 15.0
"""How long the servers of an `up` that was killed may take to give their ports free."""

app = typer.Typer(add_completion=False)


@app.command()
def up(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every log line of every service.")] = False,
    ready_within: Annotated[
        float, typer.Option("--ready-within", min=1, help="Seconds that the services may take to become ready.")
    ] = 60.0,
) -> None:
    """Run the whole pipeline on this machine until Ctrl-C.

    Starts a broker, PostgreSQL and the services, prints `ready:` with their addresses, then shows what they warn of.
    Their logs are kept under STATE_DIR/logs. When one of them ends, all end; the exit code is then 1.
    """
    settings = load_settings()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # stages say the rest
    with state_lock(settings.state_dir):
        _check_ports(settings)
        code = asyncio.run(_run(settings, Screen(verbose=verbose), ready_within))
    raise typer.Exit(code)


def _check_ports(settings: Settings) -> None:
    ports = wanted_ports(settings, broker=not settings.kafka_bootstrap_servers, database=not settings.database_url)
    patience = _LEFTOVER_SECONDS if read_running(settings.state_dir) else 0
    problem = same_twice(ports) or in_use(settings.host, ports, patience=patience)
    if problem:
        raise CommandError(problem)


async def _run(settings: Settings, screen: Screen, ready_seconds: float) -> int:
    stop = asyncio.Event()
    with stop_signals(stop):
        return await Pipeline(settings, screen, ready_seconds=ready_seconds).run(stop)
