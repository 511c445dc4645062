"""Precision, recall and time to detect, by hand."""

from pathlib import Path
from typing import Any

import pytest

from schemas.incident import Change, Incident
from schemas.timestamps import MICROSECONDS
from schemas.verdict import MissedIncident, Verdict
from stream_processor.backtest.findings import Found
from stream_processor.backtest.labels import InvalidLabels, Label, Labels, labels_of, read_labels
from stream_processor.backtest.scores import Scores, score


def opened(second: int, service: str = "a") -> Found:
    at = second * MICROSECONDS
    return Found(f"{service}{second}", service, "r", "open", 5, at, at, at, 0, "")


def label(start: int, end: int, service: str = "a") -> Label:
    return Label(service, start * MICROSECONDS, end * MICROSECONDS)


def test_a_fault_is_found_by_an_incident_of_its_service_that_opens_in_it() -> None:
    """Both ends included; several incidents in one fault are all true, the first counts for the time."""
    labels = [label(10, 20), label(100, 110), label(200, 210, "b"), label(300, 310)]
    incidents = [opened(10), opened(20), opened(111), opened(205), opened(308), opened(1)]
    assert score(incidents, Labels(labels)) == Scores(4, 2, 6, 3, 0, 0.5, 0.5, 0.5, 0.0)


def test_nothing_divides_by_nothing() -> None:
    """No incident, no label, neither."""
    assert score([], Labels([label(0, 1)])) == Scores(1, 0, 0, 0, 0, None, 0.0, None, None)
    assert score([opened(1)], Labels([])) == Scores(0, 0, 1, 0, 0, 0.0, None, None, None)


def test_labels_are_read_with_and_without_an_end(tmp_path: Path) -> None:
    """An end that is not given lies so far after the start as is asked for."""
    file = tmp_path / "labels.json"
    file.write_text(
        '[{"service": "a", "inject_time": "1970-01-01T00:00:10Z", "type": "cpu"},'
        ' {"service": "a", "start": "1970-01-01T00:00:20Z", "end": "1970-01-01T00:00:21Z"}]'
    )
    assert read_labels(file, 5 * MICROSECONDS) == Labels([label(10, 15), label(20, 21)])


@pytest.mark.parametrize("text", ["{}", '[{"service": "a"}]', '[{"service": "a", "start": "noon"}]', "junk"])
def test_what_is_no_label_is_refused(tmp_path: Path, text: str) -> None:
    """With what a label is."""
    file = tmp_path / "labels.json"
    file.write_text(text)
    with pytest.raises(InvalidLabels, match="expected a list of objects with service, start"):
        read_labels(file, 0)
    with pytest.raises(InvalidLabels, match="No such file"):
        read_labels(tmp_path / "missing.json", 0)


def judged(verdict: Verdict | None, first: int, last: int, opened_at: int, **more: Any) -> Incident:
    """An incident of service a; times in seconds."""
    entry = Change(0, "ann", "judged", "ann judged it", verdict=verdict)
    first, last, opened_at = (second * MICROSECONDS for second in (first, last, opened_at))
    times = {"first_event_at": first, "last_event_at": last, "created_at": opened_at, "updated_at": opened_at}
    about: dict[str, Any] = {"threshold": 5, "window": 1, "reason": "", "partition": 0, "samples": []} | times | more
    return Incident("k", 1, "a", "r", "closed", 5, timeline=[entry], **about)


def test_verdicts_are_labels_and_what_nobody_judged_counts_for_nothing() -> None:
    """Of four incidents one is true, one is noise, and nothing is known of two; one of two faults is found."""
    missed = MissedIncident("m", "b", 100 * MICROSECONDS, 110 * MICROSECONDS, "ann", 0)
    incidents = [
        judged("true_positive", 10, 20, 14),
        judged("noise", 40, 50, 44),
        judged(None, 70, 80, 74),
        judged("noise", 10, 20, 14, merged_into="other"),
    ]
    labels = labels_of(incidents, [missed], 5 * MICROSECONDS)

    assert labels == Labels([label(10, 20), label(100, 110, "b")], [label(40, 50)], complete=False)
    found = score([opened(12), opened(45), opened(75), opened(1, "c")], labels)
    assert found == Scores(2, 1, 4, 1, 2, 0.5, 0.5, 0.5, 2.0)


def test_an_incident_that_came_too_late_is_found_by_what_opens_earlier_only() -> None:
    """Opening again at the same moment is true but too late; the newest verdict counts."""
    late = judged("missed", 10, 20, 14)
    late.timeline.insert(0, Change(0, "bob", "judged", "bob judged it", verdict="noise"))
    labels = labels_of([late], [], 5 * MICROSECONDS)

    same, earlier = score([opened(14)], labels), score([opened(7)], labels)
    assert (same.found, same.true_incidents, same.precision, same.recall) == (0, 1, 1.0, 0.0)
    assert (earlier.found, earlier.true_incidents, earlier.seconds_to_detect) == (1, 1, 2.0)
