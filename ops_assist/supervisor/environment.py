"""What the services are told through their environment, and what people are told about it."""

import os
from urllib.parse import urlsplit

from runtime.settings import Settings


def service_environment(settings: Settings, *, own_broker: bool) -> dict[str, str]:
    """The environment of every service: that of `up`, and where the broker and the database are."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_IDEMPOTENCE": str(settings.kafka_idempotence).lower(),
        "DATABASE_URL": settings.database_url,
        "STATE_DIR": str(settings.state_dir.resolve()),
        "PYTHONUNBUFFERED": "1",
    }
    if own_broker:
        environment["KAFKA_SECURITY_PROTOCOL"] = "PLAINTEXT"
    return environment


def database_address(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
