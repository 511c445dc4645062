"""Runs the stream processor until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import sys

import structlog
import uvloop
from aiokafka.errors import KafkaError

from runtime.health import Check, server, status_app
from runtime.kafka import TopicsUnsuitable, ensure_topics
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import when_told_to_stop
from runtime.tracing import close_tracing, configure_tracing
from stream_processor import faust_mends
from stream_processor.app import DetectionApp
from stream_processor.faults import InvalidFiles
from stream_processor.layout import check_layout
from stream_processor.rule_keeper import RuleKeeper

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


def _is_no_service_notice(record: logging.LogRecord) -> bool:
    """Mode logs the start and stop of each of its services under the name of the module that defines it."""
    return not str(record.msg).startswith("[^")


async def main(settings: Settings, keeper: RuleKeeper) -> None:
    """Serve health, wait for the topics, then detect until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    when_told_to_stop(stop.set)
    loop.add_signal_handler(signal.SIGHUP, keeper.look_now)
    running: list[DetectionApp] = []
    about = status_app(settings, "Ops-Assist stream processor", _checks(running))
    about.include_router(keeper.router())
    health = server(about, settings, settings.processor_port)
    serving = asyncio.create_task(health.serve())
    try:
        partitions = await _topics(settings, stop)
        if partitions:
            running.append(DetectionApp(settings, keeper.rules, partitions))
            keeping = asyncio.create_task(keeper.keep(running[0].use_rules))
            await faust_mends.run(running[0].faust, stop)
            keeping.cancel()
    finally:
        health.should_exit = True
        await serving


async def _topics(settings: Settings, stop: asyncio.Event) -> int:
    """The number of partitions, once the broker answers and the topics are there; 0 when told to stop before that."""
    while not stop.is_set():
        try:
            partitions = await ensure_topics(settings)
            await check_layout(settings, partitions)
        except (KafkaError, OSError) as error:
            log.warning("waiting_for_kafka", servers=settings.kafka_bootstrap_servers, error=repr(error))
        else:
            return partitions
        try:
            await asyncio.wait_for(stop.wait(), _RETRY_SECONDS)
        except TimeoutError:
            continue
    return 0


def _checks(running: list[DetectionApp]) -> dict[str, Check]:
    async def detection() -> str | None:
        return None if running and running[0].is_ready else "the state is not recovered yet"

    async def dead_letters() -> str | None:
        why = running[0].processor.stopped if running else ""
        return f"stopped: {why}; docs/runbooks/DeadLetterStop.md says how to go on" if why else None

    return {"detection": detection, "dead letters": dead_letters}


if __name__ == "__main__":
    try:
        loaded = load_settings()
        kept = RuleKeeper(loaded)
        configure_logging(loaded, "stream_processor")
        logging.getLogger().handlers[0].addFilter(_is_no_service_notice)
        configure_tracing(loaded, "stream_processor")
        try:
            uvloop.run(main(loaded, kept))
        finally:
            close_tracing()
    except InvalidFiles as faults:
        sys.exit(f"stream_processor: the rules of RULES cannot be used:\n{faults}")
    except (SettingsError, TopicsUnsuitable) as error:
        sys.exit(f"stream_processor: {error}")
