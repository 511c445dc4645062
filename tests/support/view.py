"""What the view holds of the services whose names start with a prefix, in the oracle's terms."""

from datetime import datetime
from typing import Any

from tests.support.oracle import Found
from tests.support.pipeline import Pipeline


def mine(pipeline: Pipeline, prefix: str) -> list[dict[str, Any]]:
    """The incidents, as the API lists them."""
    return [incident for incident in pipeline.incidents() if incident["service"].startswith(prefix)]


def found(pipeline: Pipeline, prefix: str) -> list[Found]:
    """The incidents, as the oracle gives them."""
    return sorted(
        (i["service"], i["event_count"], seconds(i["first_event_at"]), seconds(i["last_event_at"]))
        for i in mine(pipeline, prefix)
    )


def seconds(text: str) -> float:
    """Seconds since the epoch of a time of the API."""
    return datetime.fromisoformat(text).timestamp()


def stored(pipeline: Pipeline, prefix: str) -> int:
    """How many events the view holds."""
    return pipeline.count("SELECT count(*) FROM events WHERE starts_with(service, $1)", prefix)


def linked(pipeline: Pipeline, prefix: str) -> int:
    """How many of them stand under an incident."""
    return pipeline.count(
        "SELECT count(*) FROM incident_events l JOIN events e USING (partition, record_offset, idx)"
        " WHERE starts_with(e.service, $1)",
        prefix,
    )
