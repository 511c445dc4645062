"""Starts a server and sleeps, in a process of its own, to be killed.

`python -m tests.support.owner KIND STATE_DIR PORT` prints the server's process id once it serves.
"""

import signal
import sys
from pathlib import Path

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.embedded import EmbeddedBroker
from deploy.postgres import EmbeddedPostgres


def main(kind: str, state_dir: Path, port: int) -> None:
    """Own a running server until killed."""
    kinds: dict[str, type[ApacheKafka | EmbeddedBroker | EmbeddedPostgres]] = {
        "apache_kafka": ApacheKafka,
        "embedded_broker": EmbeddedBroker,
        "postgres": EmbeddedPostgres,
    }
    server = kinds[kind](state_dir, port)
    server.start()
    print(server.pid, flush=True)  # noqa: T201 - its report to the test
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
