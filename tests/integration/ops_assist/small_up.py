"""`up` with small services: `small_up.py NAME:PORT:BEHAVIOUR...`; everything else is the real thing."""

import asyncio
import sys
from pathlib import Path

from ops_assist.errors import CommandError
from ops_assist.supervisor.pipeline import Pipeline
from ops_assist.supervisor.screen import Screen
from ops_assist.supervisor.service import ServiceSpec
from ops_assist.supervisor.state_lock import state_lock
from ops_assist.supervisor.waiting import stop_signals
from runtime.settings import Settings, load_settings

SERVICE = str(Path(__file__).with_name("small_service.py"))


def services(_: Settings) -> list[ServiceSpec]:
    """Those of the command line."""
    parts = [argument.split(":") for argument in sys.argv[1:]]
    return [ServiceSpec(name, (SERVICE, port, behaviour), int(port)) for name, port, behaviour in parts]


async def run(settings: Settings) -> int:
    """Run until a signal or a crash."""
    stop = asyncio.Event()
    with stop_signals(stop):
        pipeline = Pipeline(settings, Screen(), ready_seconds=5, stop_seconds=1, services=services)
        return await pipeline.run(stop)


configuration = load_settings()
try:
    with state_lock(configuration.state_dir):
        sys.exit(asyncio.run(run(configuration)))
except CommandError as error:
    sys.exit(str(error))
