"""The arithmetic of sizes: checked by hand, monotonic, and the page holds what it gives."""

import json
import sys
from math import ceil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.cli import main
from ops_assist.sizing.figures import BATCHED, SINGLY
from ops_assist.sizing.plan import DAY, Costs, Load, Plan, Site, plan
from ops_assist.sizing.words import in_bytes, page_table

PAGE = Path(__file__).parents[3] / "docs" / "sizing.md"
COSTS = Costs(
    gateway=1_000, processor=2_000, materializer=500, kafka=4_000, postgres=800,
    kafka_overhead=100, event_row=500, link_row=200, incident_row=1_000, service_state=500,
)  # fmt: skip
SITE = Site(utilisation=0.5, disk_fill=0.5, replication=3, kafka_days=2, view_days=1, incident_days=10)
LOAD = Load(peak=10_000, average=1_000, event_bytes=400, services=2_000, qualifying=0.1, incidents_per_day=100)
rates = st.floats(1, 1e7)


def test_each_line_is_what_a_hand_would_write() -> None:
    """10,000 events a second at the busiest, 1,000 over a day."""
    found = plan(LOAD, COSTS, SITE)
    assert (found.gateways, found.processors, found.materializers) == (20, 10, 40)
    assert found.partitions == 84  # twice 40, and a multiple of six
    assert found.pipelines == 1
    assert found.processor_memory == 2_000 * 500
    assert found.broker_cores == 10_000 * 3 / 4_000 / 0.5
    assert found.kafka_disk == 1_000 * DAY * 2 * 500 * 3 / 0.5
    assert found.kafka_network == 10_000 * 500 * 4  # two followers and two groups read what is written once
    assert found.brokers == 3
    assert found.postgres_cores == 10_000 / 800 / 0.5
    assert found.postgres_disk == pytest.approx((1_000 * DAY * (900 + 0.1 * 200) + 1_000 * 1_000) / 0.5)


@pytest.mark.parametrize(
    ("change", "brokers"),
    [
        pytest.param({"broker_cores": 2}, 8, id="cores"),
        pytest.param({"broker_disk": 1e11}, ceil(1_000 * DAY * 2 * 500 * 3 / 0.5 / 1e11), id="disk"),
        pytest.param({"broker_network": 4e6}, 10, id="network"),
    ],
)
def test_whatever_is_scarcest_decides_how_many_brokers(change: dict[str, float], brokers: int) -> None:
    """Cores, disk or network."""
    assert plan(LOAD, COSTS, msgspec.structs.replace(SITE, **change)).brokers == brokers


def test_what_one_postgresql_cannot_take_is_divided() -> None:
    """Among pipelines that have as much of everything each."""
    found = plan(LOAD, COSTS, msgspec.structs.replace(SITE, postgres_cores=10))
    assert found.pipelines == 3
    assert found.partitions % 3 == found.gateways % 3 == found.processors % 3 == found.materializers % 3 == 0


@given(smaller=rates, larger=rates, singly=st.booleans())
def test_more_events_never_need_less(smaller: float, larger: float, *, singly: bool) -> None:
    """On any line."""
    costs = SINGLY if singly else BATCHED
    few, many = (_numbers(plan(Load(peak=rate, average=rate), costs, Site())) for rate in sorted((smaller, larger)))
    assert all(a <= b for a, b in zip(few, many, strict=True))


@given(rate=rates)
def test_what_is_planned_carries_the_load(rate: float) -> None:
    """Each service has cores enough at the utilisation, each worker a partition, and one of each may go."""
    found, site = plan(Load(peak=rate, average=rate), BATCHED, Site()), Site()
    for number, cost in (
        (found.gateways, BATCHED.gateway),
        (found.processors, BATCHED.processor),
        (found.materializers, BATCHED.materializer),
    ):
        assert number >= 2 * found.pipelines
        assert number * cost * site.utilisation >= rate * (1 - 1e-9)
    assert found.partitions >= 2 * max(found.processors, found.materializers)
    assert found.brokers * site.broker_disk >= found.kafka_disk * (1 - 1e-9)
    assert found.pipelines * site.postgres_disk >= found.postgres_disk * (1 - 1e-9)


def _numbers(found: Plan) -> tuple[float, ...]:
    return tuple(msgspec.structs.astuple(found))


@pytest.mark.parametrize(("size", "text"), [(999, "999 B"), (1_500, "1.5 kB"), (2e12, "2 TB"), (1.5e15, "1.5 PB")])
def test_sizes_have_units(size: float, text: str) -> None:
    """Powers of a thousand, as disks are sold."""
    assert in_bytes(size) == text


@pytest.mark.parametrize("days", [7, 1])
def test_the_page_holds_the_tables_that_the_arithmetic_gives(days: int) -> None:
    """After a change of a figure: python -m ops_assist.sizing.words."""
    assert page_table(days) in PAGE.read_text()


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ops-assist", "size", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_prints_a_plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each part, or JSON."""
    assert _run(monkeypatch, "--events-per-second", "10000") == 0
    assert "stream processors" in capsys.readouterr().out
    assert _run(monkeypatch, "--events-per-second", "10000", "--retention", "1", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    expected = plan(Load(peak=10_000, average=10_000), BATCHED, Site(kafka_days=1))
    assert printed == msgspec.to_builtins(expected)


def test_a_load_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that says what the option takes."""
    assert _run(monkeypatch, "--events-per-second", "0") == 2
    assert "--events-per-second" in capsys.readouterr().err
