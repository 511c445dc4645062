"""What every broker that the project runs looks like from outside."""

from typing import Protocol


class BrokerError(Exception):
    """A broker that cannot be run; the text is one line for a person and names the setting that helps."""


class Broker(Protocol):
    """One broker on this machine, listening on loopback only."""

    @property
    def name(self) -> str:
        """What it is called, with its version."""

    @property
    def limitations(self) -> tuple[str, ...]:
        """What it cannot do, in words for the person who starts it; empty for the reference."""

    @property
    def supports_idempotence(self) -> bool:
        """Whether producers may ask for idempotence."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it, as host:port."""

    @property
    def pid(self) -> int | None:
        """The process while it runs."""

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it serves; at most `timeout` seconds.

        Raises:
            BrokerError: it does not come up, or its port or its state directory is in use.
        """

    def stop(self) -> None:
        """End it cleanly; a second call does nothing."""

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""

    def is_running(self) -> bool:
        """Whether its process lives."""
