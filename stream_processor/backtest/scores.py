"""Incidents against labels: how many known faults were found, how soon, and how many incidents were none of them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from schemas.timestamps import MICROSECONDS, from_rfc3339
from stream_processor.backtest.findings import Found


class InvalidLabels(ValueError):  # noqa: N818 - reads as what it is
    """A file of labels that cannot be used; the text says what a label is."""


class Label(msgspec.Struct, frozen=True):
    """A fault of `service` from `start` to `end`, both included (event time, microseconds)."""

    service: str
    start: int
    end: int


class Scores(msgspec.Struct, frozen=True):
    """How a set of rules does on labels. A fault is found when an incident of its service opens while it lasts.

    `precision`: the share of incidents that open in a fault of their service; `recall`: the share of faults that are
    found; `f1`: 2 * precision * recall / (precision + recall). `seconds_to_detect`: from the start of a fault to the
    opening of the first incident in it, the median of the faults found. None: there is nothing to divide by.
    """

    labels: int
    found: int
    incidents: int
    true_incidents: int
    precision: float | None
    recall: float | None
    f1: float | None
    seconds_to_detect: float | None


class _Written(msgspec.Struct):
    service: str
    start: str | None = None
    end: str | None = None
    inject_time: str | None = None


def read_labels(path: Path, lasting: int) -> list[Label]:
    """The labels of a JSON file, a list of objects with `service`, `start` (or `inject_time`) and perhaps `end`.

    Args:
        path: the file.
        lasting: how long a fault lasts whose end is not given, in microseconds.

    Raises:
        InvalidLabels: it is no such file.
    """
    try:
        written = msgspec.json.decode(path.read_bytes(), type=list[_Written])
        return [_label(one, lasting) for one in written]
    except OSError as error:
        raise InvalidLabels(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        told = "expected a list of objects with service, start (or inject_time) and perhaps end, as RFC 3339"
        raise InvalidLabels(f"{path}: {told}: {error}") from error


def score(incidents: Sequence[Found], labels: Sequence[Label]) -> Scores:
    """Compare."""
    waits = [wait for label in labels if (wait := _first_wait(label, incidents)) is not None]
    true = sum(any(_opens_in(one, label) for label in labels) for one in incidents)
    precision = true / len(incidents) if incidents else None
    recall = len(waits) / len(labels) if labels else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else None
    median = sorted(waits)[(len(waits) - 1) // 2] / MICROSECONDS if waits else None
    shares = (_rounded(precision), _rounded(recall), _rounded(f1))
    return Scores(len(labels), len(waits), len(incidents), true, *shares, median)


def _label(written: _Written, lasting: int) -> Label:
    start = written.start or written.inject_time
    if start is None:
        raise ValueError("a label has neither start nor inject_time")
    begin = from_rfc3339(start)
    return Label(written.service, begin, from_rfc3339(written.end) if written.end else begin + lasting)


def _first_wait(label: Label, incidents: Sequence[Found]) -> int | None:
    return min((one.detected_at - label.start for one in incidents if _opens_in(one, label)), default=None)


def _opens_in(one: Found, label: Label) -> bool:
    return one.service == label.service and label.start <= one.detected_at <= label.end


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
