"""What a running `up` tells the other commands: a small file in the state directory."""

from pathlib import Path
from typing import Final

import msgspec

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


def api_url(settings: Settings, url: str = "") -> str:
    """The address of the HTTP API, without a slash at its end."""
    return (url or settings.api_url or f"http://127.0.0.1:{settings.http_port}").rstrip("/")
