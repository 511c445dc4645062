"""The whole pipeline on one machine: what starts in which order, what ends it, and the way down."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from deploy.brokers.base import Broker, BrokerError
from deploy.brokers.child import StateInUseError
from deploy.brokers.choose import choose_broker
from deploy.brokers.embedded import EmbeddedBroker
from deploy.postgres import EmbeddedPostgres, PostgresError
from ops_assist.running import Running, forget_running, write_running
from ops_assist.supervisor.environment import database_address, service_environment
from ops_assist.supervisor.fresh_database import fresh_database
from ops_assist.supervisor.screen import Screen
from ops_assist.supervisor.server import Server
from ops_assist.supervisor.service import Service, ServiceNotReadyError, ServiceSpec
from ops_assist.supervisor.service_log import ServiceLog
from ops_assist.supervisor.waiting import together, unless
from runtime.kafka import TopicsUnsuitable, ensure_topics
from runtime.settings import Settings

STOP_SECONDS: Final = 10.0
_SERVER_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.25

StartError = (
    BrokerError,
    PostgresError,
    StateInUseError,
    TopicsUnsuitable,
    ServiceNotReadyError,
    KafkaError,
    asyncpg.PostgresError,
    OSError,
)
"""What can go wrong at a start; each says in its text what and what to do."""


def pipeline_services(settings: Settings) -> list[ServiceSpec]:
    """The services of the pipeline."""
    modules = {
        "dashboard": ("query_api.dashboard", settings.dashboard_port),
        "front_door": ("ops_assist.front_door", settings.http_port),
        "analyzer_worker": ("analyzer_worker", settings.analyzer_port),
        "materializer": ("query_api.materializer", settings.materializer_port),
        "stream_processor": ("stream_processor", settings.processor_port),
    }
    return [ServiceSpec(name, ("-m", module), port) for name, (module, port) in modules.items()]


Services = Callable[[Settings], Sequence[ServiceSpec]]


class Pipeline:
    """One run of the pipeline, made within a running loop. `settings.state_dir` is this process's alone."""

    def __init__(
        self,
        settings: Settings,
        screen: Screen,
        *,
        ready_seconds: float,
        stop_seconds: float = STOP_SECONDS,
        services: Services = pipeline_services,
    ) -> None:
        self._settings = settings.model_copy(update={"state_dir": settings.state_dir.resolve()})
        self._screen = screen
        self._ready_seconds = ready_seconds
        self._stop_seconds = stop_seconds
        self._specs = services(settings)
        self._broker = None if settings.kafka_bootstrap_servers else Server("the broker", self._make_broker)
        self._database = None if settings.database_url else Server("PostgreSQL", self._make_database)
        self._begins_empty: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._services: list[Service] = []
        self._jobs: list[Service] = []
        self._logs: dict[str, ServiceLog] = {}
        self._broker_words = f"Kafka at {settings.kafka_bootstrap_servers}"

    async def run(self, stop: asyncio.Event) -> int:
        """Start everything and keep it running until `stop` is set or something ends; gives the exit code."""
        try:
            if not await unless(stop, self._start()):
                return 0
            fault = await unless(stop, self._watch())
        except StartError as error:
            fault = str(error) or type(error).__name__
        finally:
            await self._end()
        if fault:
            self._screen.error(fault)
        return 1 if fault else 0

    async def _start(self) -> bool:
        await together(self._start_broker(), self._start_database())
        for spec in self._specs:
            self._services.append(self._launch(spec))
        self._screen.stage("services are started")
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            await together(*(self._await_ready(service, client) for service in self._services))
        self._tell()
        return True

    async def _start_broker(self) -> None:
        if self._broker is not None:
            broker = await self._broker.make()
            self._begins_empty.set_result(isinstance(broker, EmbeddedBroker))
            await self._broker.start(_SERVER_SECONDS)
            limits = f" ({', '.join(broker.limitations)})" if broker.limitations else ""
            self._broker_words = f"{broker.name} at {broker.bootstrap_servers}{limits}"
            self._use(
                kafka_bootstrap_servers=broker.bootstrap_servers,
                kafka_security_protocol="PLAINTEXT",
                kafka_idempotence=self._settings.kafka_idempotence and broker.supports_idempotence,
            )
            self._screen.stage(f"{broker.name} serves at {broker.bootstrap_servers}")
        partitions = await ensure_topics(self._settings)
        self._screen.stage(f"topics are there, with {partitions} partitions")

    async def _start_database(self) -> None:
        if self._database is not None:
            database = await self._database.start(_SERVER_SECONDS)
            empty = self._broker is not None and await self._begins_empty
            self._use(database_url=await fresh_database(database.url) if empty else database.url)
            self._screen.stage(f"PostgreSQL serves at {database_address(self._settings.database_url)}")
        migration = self._launch(ServiceSpec("migrate", ("-m", "query_api.migrate"), 0))
        self._jobs.append(migration)
        obituary = await migration.ended()
        if migration.exit_code:
            raise ServiceNotReadyError(f"the database could not be migrated: {obituary}")
        self._screen.stage("database is migrated")

    def _make_broker(self) -> Broker:
        return choose_broker(self._settings, self._screen.stage)

    def _make_database(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self._settings.state_dir, self._settings.postgres_port)

    def _use(self, **found: Any) -> None:
        self._settings = self._settings.model_copy(update=found)

    def _launch(self, spec: ServiceSpec) -> Service:
        state = self._settings.state_dir
        log = ServiceLog(state / "logs" / f"{spec.name}.log")
        log.open()
        service = Service(spec, host=self._settings.host, run_dir=state / "run", log=log.path)
        service.start(service_environment(self._settings, own_broker=self._broker is not None))
        self._logs[spec.name] = log
        return service

    async def _await_ready(self, service: Service, client: httpx.AsyncClient) -> None:
        await service.ready(client, self._ready_seconds)
        self._screen.stage(f"{service.name} is ready")

    def _tell(self) -> None:
        settings = self._settings
        api, dashboard = (f"http://localhost:{port}" for port in (settings.http_port, settings.dashboard_port))
        broker_name, _, _ = self._broker_words.partition(" at ")
        running = Running(
            pid=os.getpid(),
            api_url=api,
            dashboard_url=dashboard,
            broker=broker_name,
            bootstrap_servers=settings.kafka_bootstrap_servers,
            idempotence=settings.kafka_idempotence,
            database=urlsplit(settings.database_url).path.removeprefix("/") if self._database is not None else "",
        )
        write_running(settings.state_dir, running)
        self._screen.line(f"ready: {api} (docs at /docs), dashboard {dashboard}")
        self._screen.line(
            f"broker: {self._broker_words}; database: PostgreSQL at {database_address(settings.database_url)}; "
            f"logs: {_short(settings.state_dir / 'logs')}; Ctrl-C stops it all"
        )

    async def _watch(self) -> str:
        """Show what services warn of until something ends; gives the line about that."""
        for log in self._logs.values():
            list(log.new_lines())  # what was said while others were still starting
        while not (fault := self._fault()):
            self._show_logs()
            await asyncio.sleep(_LOOK_SECONDS)
        self._show_logs()
        return fault

    def _fault(self) -> str:
        for service in self._services:
            if service.exit_code is not None:
                return service.obituary()
        for server in (self._database, self._broker):
            if server is not None and server.has_crashed:
                return f"{server.name} ended by itself; its logs are in {_short(self._settings.state_dir)}"
        return ""

    def _show_logs(self) -> None:
        for name, log in self._logs.items():
            for line in log.new_lines():
                self._screen.service_line(name, line)

    async def _end(self) -> None:
        """Services first, then the database, then the broker: nobody loses what it still writes to."""
        self._screen.stage("stopping")
        await asyncio.gather(*(service.stop(self._stop_seconds) for service in [*self._services, *self._jobs]))
        self._screen.stage("services have ended")
        for server in (self._database, self._broker):
            if server is not None:
                await server.stop(spare=self._server_pids())
                self._screen.stage(f"{server.name} has ended")
        forget_running(self._settings.state_dir)
        self._screen.stage("stopped")

    def _server_pids(self) -> frozenset[int]:
        pids = (server.pid for server in (self._database, self._broker) if server is not None)
        return frozenset(pid for pid in pids if pid is not None)


def _short(path: Path) -> str:
    """The path as seen from here, where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
