"""What a running `up` tells the other commands: a small file in the state directory."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from deploy.postgres import EmbeddedPostgres
from ops_assist.errors import CommandError
from runtime.settings import Settings

_FILE: Final = "up.json"


class Running(msgspec.Struct, frozen=True):
    """Where the pipeline of a state directory is found."""

    pid: int
    api_url: str
    dashboard_url: str
    broker: str
    bootstrap_servers: str
    idempotence: bool
    database: str = ""
    """The name of the database on the PostgreSQL that `up` runs; empty where DATABASE_URL names another."""


def write_running(state_dir: Path, running: Running) -> None:
    """Tell it; readers see the whole or nothing."""
    passing = state_dir / f"{_FILE}.new"
    passing.write_bytes(msgspec.json.encode(running))
    passing.replace(state_dir / _FILE)


def read_running(state_dir: Path) -> Running | None:
    """What the last `up` told, if it has not ended cleanly since."""
    try:
        return msgspec.json.decode((state_dir / _FILE).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def forget_running(state_dir: Path) -> None:
    """Take it back, at a clean end."""
    (state_dir / _FILE).unlink(missing_ok=True)


def kafka_settings(settings: Settings, bootstrap_servers: str = "") -> Settings:
    """The settings with an address of Kafka: the given one, else the configured one, else that of a running `up`."""
    address = bootstrap_servers or settings.kafka_bootstrap_servers
    if address:
        return settings.model_copy(update={"kafka_bootstrap_servers": address})
    running = read_running(settings.state_dir)
    if running is None:
        return settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{settings.broker_port}"})
    return settings.model_copy(
        update={
            "kafka_bootstrap_servers": running.bootstrap_servers,
            "kafka_idempotence": settings.kafka_idempotence and running.idempotence,
        }
    )


def database_settings(settings: Settings) -> Settings:
    """The settings with the address of the view: the configured one, else that of the running `up`.

    Raises:
        CommandError: where there is neither.
    """
    if settings.database_url:
        return settings
    running = read_running(settings.state_dir)
    if running is None or not running.database:
        raise CommandError("no database: start the pipeline (ops-assist up) or set DATABASE_URL")
    url = EmbeddedPostgres(settings.state_dir, settings.postgres_port).url
    return settings.model_copy(update={"database_url": urlsplit(url)._replace(path=f"/{running.database}").geturl()})


def api_url(settings: Settings, url: str = "") -> str:
    """The address of the HTTP API, without a slash at its end."""
    return (url or settings.api_url or f"http://127.0.0.1:{settings.http_port}").rstrip("/")
