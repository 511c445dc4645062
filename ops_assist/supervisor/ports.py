"""The ports that the pipeline listens on, looked at before anything starts."""

import socket
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from runtime.settings import Settings

_POLL_SECONDS: Final = 0.05


class Port(NamedTuple):
    """A port, who wants it and the setting that changes it."""

    number: int
    wanted_by: str
    setting: str


def wanted_ports(settings: Settings, *, broker: bool, database: bool) -> list[Port]:
    """Every port that `up` needs; `broker` and `database` say whether it runs those too."""
    services = [
        Port(settings.http_port, "the HTTP API", "HTTP_PORT"),
        Port(settings.dashboard_port, "the dashboard", "DASHBOARD_PORT"),
        Port(settings.processor_port, "stream_processor", "PROCESSOR_PORT"),
        Port(settings.analyzer_port, "analyzer_worker", "ANALYZER_PORT"),
        Port(settings.materializer_port, "the materializer", "MATERIALIZER_PORT"),
    ]
    if broker:
        services.append(Port(settings.broker_port, "the broker", "BROKER_PORT"))
    if database:
        services.append(Port(settings.postgres_port, "PostgreSQL", "POSTGRES_PORT"))
    return services


def same_twice(ports: Iterable[Port]) -> str | None:
    """One line about two settings that name one port; None where there are none."""
    seen: dict[int, Port] = {}
    for port in ports:
        first = seen.setdefault(port.number, port)
        if first is not port:
            return f"{first.setting} and {port.setting} are both {port.number}; change one of them"
    return None


def in_use(host: str, ports: Iterable[Port], *, patience: float = 0) -> str | None:
    """One line about the ports that others hold; None when all are free, at the latest after `patience` seconds."""
    deadline = time.monotonic() + patience
    taken = [port for port in ports if not _is_free(host, port.number)]
    while taken and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        taken = [port for port in taken if not _is_free(host, port.number)]
    if not taken:
        return None
    return "; ".join(
        f"port {port.number}, wanted by {port.wanted_by}, is in use: stop who holds it or set {port.setting} to another"
        for port in taken
    )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
