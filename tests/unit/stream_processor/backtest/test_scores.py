"""Precision, recall and time to detect, by hand."""

from pathlib import Path

import pytest

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest.findings import Found
from stream_processor.backtest.scores import InvalidLabels, Label, Scores, read_labels, score


def opened(second: int, service: str = "a") -> Found:
    at = second * MICROSECONDS
    return Found(f"{service}{second}", service, "r", "open", 5, at, at, at, 0, "")


def label(start: int, end: int, service: str = "a") -> Label:
    return Label(service, start * MICROSECONDS, end * MICROSECONDS)


def test_a_fault_is_found_by_an_incident_of_its_service_that_opens_in_it() -> None:
    """Both ends included; several incidents in one fault are all true, the first counts for the time."""
    labels = [label(10, 20), label(100, 110), label(200, 210, "b"), label(300, 310)]
    incidents = [opened(10), opened(20), opened(111), opened(205), opened(308), opened(1)]
    assert score(incidents, labels) == Scores(4, 2, 6, 3, 0.5, 0.5, 0.5, 0.0)


def test_nothing_divides_by_nothing() -> None:
    """No incident, no label, neither."""
    assert score([], [label(0, 1)]) == Scores(1, 0, 0, 0, None, 0.0, None, None)
    assert score([opened(1)], []) == Scores(0, 0, 1, 0, 0.0, None, None, None)


def test_labels_are_read_with_and_without_an_end(tmp_path: Path) -> None:
    """An end that is not given lies so far after the start as is asked for."""
    file = tmp_path / "labels.json"
    file.write_text(
        '[{"service": "a", "inject_time": "1970-01-01T00:00:10Z", "type": "cpu"},'
        ' {"service": "a", "start": "1970-01-01T00:00:20Z", "end": "1970-01-01T00:00:21Z"}]'
    )
    assert read_labels(file, 5 * MICROSECONDS) == [label(10, 15), label(20, 21)]


@pytest.mark.parametrize("text", ["{}", '[{"service": "a"}]', '[{"service": "a", "start": "noon"}]', "junk"])
def test_what_is_no_label_is_refused(tmp_path: Path, text: str) -> None:
    """With what a label is."""
    file = tmp_path / "labels.json"
    file.write_text(text)
    with pytest.raises(InvalidLabels, match="expected a list of objects with service, start"):
        read_labels(file, 0)
    with pytest.raises(InvalidLabels, match="No such file"):
        read_labels(tmp_path / "missing.json", 0)
