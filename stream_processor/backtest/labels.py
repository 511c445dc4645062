"""What is known of the past: faults from a file, or what people judged incidents to be and what they found missed."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from schemas.incident import Incident
from schemas.timestamps import from_rfc3339
from schemas.verdict import MissedIncident, Verdict


class InvalidLabels(ValueError):  # noqa: N818 - reads as what it is
    """A file of labels that cannot be used; the text says what a label is."""


class Label(msgspec.Struct, frozen=True):
    """Something is known of `service` from `start` to `end`, both included (event time, microseconds).

    `in_time`: until when an incident must open to find it; None: until its end.
    """

    service: str
    start: int
    end: int
    in_time: int | None = None

    def covers(self, service: str, moment: int) -> bool:
        """Whether it tells of a service at a moment."""
        return self.service == service and self.start <= moment <= self.end


class Labels(msgspec.Struct, frozen=True):
    """Faults, and times at which there was none. `complete`: there was none at all other times either."""

    faults: list[Label]
    noise: list[Label] = []
    complete: bool = True


class _Written(msgspec.Struct):
    service: str
    start: str | None = None
    end: str | None = None
    inject_time: str | None = None


def read_labels(path: Path, lasting: int) -> Labels:
    """The labels of a JSON file, a list of objects with `service`, `start` (or `inject_time`) and perhaps `end`.

    Args:
        path: the file.
        lasting: how long a fault lasts whose end is not given, in microseconds.

    Raises:
        InvalidLabels: it is no such file.
    """
    try:
        written = msgspec.json.decode(path.read_bytes(), type=list[_Written])
        return Labels([_label(one, lasting) for one in written])
    except OSError as error:
        raise InvalidLabels(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        told = "expected a list of objects with service, start (or inject_time) and perhaps end, as RFC 3339"
        raise InvalidLabels(f"{path}: {told}: {error}") from error


def labels_of(incidents: Iterable[Incident], missed: Iterable[MissedIncident], before: int) -> Labels:
    """What people have said; of times that nobody judged nothing is known.

    An incident stands for the time from its first event to its last, or to its opening where that came later. One with
    the verdict `missed` was known before it opened: it is found by what opens earlier, from `before` microseconds
    ahead of its first event.
    """
    faults = [Label(one.service, one.start, one.end) for one in missed]
    noise = []
    for incident in incidents:
        start, end = incident.first_event_at, max(incident.last_event_at, incident.created_at)
        match None if incident.merged_into else verdict_on(incident):
            case "true_positive":
                faults.append(Label(incident.service, start, end))
            case "missed":
                faults.append(Label(incident.service, start - before, end, incident.created_at - 1))
            case "noise":
                noise.append(Label(incident.service, start, end))
    return Labels(sorted(faults, key=_place), sorted(noise, key=_place), complete=False)


def verdict_on(incident: Incident) -> Verdict | None:
    """The newest verdict in its timeline."""
    return next((entry.verdict for entry in reversed(incident.timeline) if entry.verdict), None)


def _place(label: Label) -> tuple[int, int, str]:
    return label.start, label.end, label.service


def _label(written: _Written, lasting: int) -> Label:
    start = written.start or written.inject_time
    if start is None:
        raise ValueError("a label has neither start nor inject_time")
    begin = from_rfc3339(start)
    return Label(written.service, begin, from_rfc3339(written.end) if written.end else begin + lasting)
