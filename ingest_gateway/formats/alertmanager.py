"""Notifications of Prometheus' Alertmanager (webhook, version 4) as events: an alert that fires qualifies.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Alertmanager tells an alert again with
each change of its group and at each repeat interval; its fingerprint and the time it began name it, so it counts once.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ingest_gateway import refusal
from ingest_gateway.formats.fields import as_message, attributes_of
from ingest_gateway.formats.identity import derived_id
from ingest_gateway.reading import Batch, check_count, collect
from schemas.event import Event, WireEvent, to_event
from schemas.levels import Level

SERVICE_LABELS: Final = ("service", "app", "application", "job", "namespace")
"""Where the service of an alert is looked for, first to last."""
NO_SERVICE: Final = "alertmanager"

_CRITICAL: Final = frozenset({"critical", "crit", "page", "emergency", "fatal", "disaster", "p1"})


class Alert(msgspec.Struct, frozen=True):
    """One alert of a notification."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: Annotated[datetime, Meta(tz=True)] = msgspec.field(name="startsAt")
    annotations: dict[str, str] = {}
    ends_at: Annotated[datetime, Meta(tz=True)] | None = msgspec.field(name="endsAt", default=None)
    generator_url: str = msgspec.field(name="generatorURL", default="")
    fingerprint: str = ""


class Notification(msgspec.Struct, frozen=True):
    """The body of a webhook, as far as it is read."""

    version: Literal["4"]
    alerts: list[Alert]
    receiver: str = ""
    external_url: str = msgspec.field(name="externalURL", default="")


_decode: Final = msgspec.json.Decoder(Notification).decode


def read_alerts(body: bytes, service_label: str | None, received_at: int) -> Batch:
    """The events of a notification.

    Args:
        body: the body of the request.
        service_label: the label that names the service; None: the first of `SERVICE_LABELS` that an alert has.
        received_at: microseconds since the epoch.

    Raises:
        Refusal: 400 where it is no JSON, 422 where it is no notification of version 4, 413 where it is too large.
    """
    notification = _read(body)
    check_count(len(notification.alerts))
    return collect(
        lambda alert=alert: _event(alert, service_label, received_at)  # type: ignore[misc]
        for alert in notification.alerts
    )


def _read(body: bytes) -> Notification:
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        detail = f"This is no notification of Alertmanager's webhook, version 4: {error}"
        raise refusal.invalid(detail, errors=[{"field": "", "message": str(error)}]) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise refusal.malformed(f"The body is not valid JSON: {error}") from error


def _event(alert: Alert, service_label: str | None, received_at: int) -> Event:
    labels, is_firing = alert.labels, alert.status == "firing"
    name = alert.fingerprint or msgspec.json.encode(sorted(labels.items())).decode()
    began, ended = alert.starts_at.isoformat(), alert.ends_at
    wire = WireEvent(
        service=_service(labels, service_label),
        level=_level(labels.get("severity", "")) if is_firing else "INFO",
        message=_message(alert),
        timestamp=alert.starts_at if is_firing or ended is None else ended,
        id=derived_id("alertmanager", name, began, alert.status),
        attributes=attributes_of(_attributes(alert)),
        host=labels.get("instance"),
        environment=labels.get("environment") or labels.get("env"),
    )
    return to_event(wire, default_id="", received_at=received_at)


def _service(labels: dict[str, str], service_label: str | None) -> str:
    names = (service_label,) if service_label else SERVICE_LABELS
    return next((value for name in names if (value := labels.get(name, "").strip())), NO_SERVICE)


def _level(severity: str) -> Level:
    return "CRITICAL" if severity.strip().lower() in _CRITICAL else "ERROR"


def _message(alert: Alert) -> str:
    notes, name = alert.annotations, alert.labels.get("alertname", "an alert")
    said = next((text for key in ("summary", "message", "description") if (text := notes.get(key, "").strip())), "")
    state = "fires" if alert.status == "firing" else "is resolved"
    return as_message(f"{name} {state}: {said}" if said else "", f"{name} {state}")


def _attributes(alert: Alert) -> list[tuple[str, Any]]:
    told = [("alert_status", alert.status), ("generator_url", alert.generator_url or None)]
    return [*alert.labels.items(), *told, *((f"annotation.{key}", value) for key, value in alert.annotations.items())]
