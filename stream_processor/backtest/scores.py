"""Incidents against labels: how many known faults were found, how soon, and how many incidents were none of them."""

from collections.abc import Iterable, Sequence

import msgspec

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest.findings import Found
from stream_processor.backtest.labels import Label, Labels


class Scores(msgspec.Struct, frozen=True):
    """How a set of rules does on labels. A fault is found when an incident of its service opens while it lasts.

    `precision`: of the incidents of which something is known, the share that opens in a fault of their service;
    `recall`: the share of faults that are found; `f1`: 2 * precision * recall / (precision + recall). `unjudged`:
    incidents of which nothing is known, which count for neither. `seconds_to_detect`: from the start of a fault to the
    opening of the first incident in it, the median of the faults found. None: there is nothing to divide by.
    """

    labels: int
    found: int
    incidents: int
    true_incidents: int
    unjudged: int
    precision: float | None
    recall: float | None
    f1: float | None
    seconds_to_detect: float | None


def score(incidents: Sequence[Found], labels: Labels) -> Scores:
    """Compare."""
    faults = labels.faults
    waits = [wait for fault in faults if (wait := _first_wait(fault, incidents)) is not None]
    true = [one for one in incidents if _any_covers(faults, one)]
    noise = sum(labels.complete or _any_covers(labels.noise, one) for one in incidents if not _any_covers(faults, one))
    precision = len(true) / (len(true) + noise) if true or noise else None
    recall = len(waits) / len(faults) if faults else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else None
    median = sorted(waits)[(len(waits) - 1) // 2] / MICROSECONDS if waits else None
    shares = (_rounded(precision), _rounded(recall), _rounded(f1))
    unjudged = len(incidents) - len(true) - noise
    return Scores(len(faults), len(waits), len(incidents), len(true), unjudged, *shares, median)


def _first_wait(fault: Label, incidents: Sequence[Found]) -> int | None:
    latest = fault.end if fault.in_time is None else fault.in_time
    found = (one for one in incidents if fault.covers(one.service, one.detected_at) and one.detected_at <= latest)
    return min((one.detected_at - fault.start for one in found), default=None)


def _any_covers(labels: Iterable[Label], one: Found) -> bool:
    return any(label.covers(one.service, one.detected_at) for label in labels)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
