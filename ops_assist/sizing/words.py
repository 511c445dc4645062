"""A plan for people, and the table of docs/sizing.md: `python -m ops_assist.sizing.words`."""

import sys
from typing import Final

from ops_assist.sizing.figures import BATCHED
from ops_assist.sizing.plan import Load, Plan, Site, plan

RATES: Final = (100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
DAYS: Final = (7, 1)
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1_000


def plan_in_words(found: Plan) -> list[tuple[str, str]]:
    """Each line of a plan: what, and how much of it."""
    return [
        ("pipelines", f"{found.pipelines:,}"),
        ("gateways", f"{found.gateways:,} of one core"),
        ("stream processors", f"{found.processors:,} of one core, {in_bytes(found.processor_memory)} of state in all"),
        ("materializers", f"{found.materializers:,} of one core"),
        ("partitions of each topic", f"{found.partitions:,}"),
        ("brokers", f"{found.brokers:,}, {found.broker_cores:,.1f} cores in all"),
        ("Kafka's disk", f"{in_bytes(found.kafka_disk)} in all"),
        ("Kafka's network", f"{in_bytes(found.kafka_network)}/s in all"),
        ("PostgreSQL", f"{found.postgres_cores:,.1f} cores, {in_bytes(found.postgres_disk)} in all"),
    ]


def in_bytes(size: float) -> str:
    """A size with its unit, to three digits."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.3g} {unit}" if size < _STEP else f"{size:,.0f} {unit}"
        size /= _STEP
    raise AssertionError


def page_table(days: float) -> str:
    """A table of the page, as Markdown: what Kafka and PostgreSQL need where both keep events for some days."""
    site = Site(kafka_days=days, view_days=days)
    rows = [_row(rate, plan(Load(peak=rate, average=rate), BATCHED, site)) for rate in RATES]
    head = (
        "| events/s | pipelines | gateways | processors | materializers | partitions | brokers | Kafka's disk "
        "| PostgreSQL's cores | its disk |"
    )
    return "\n".join([head, "|--:" * head.count(" | ") + "|--:|", *rows, ""])


def _row(rate: float, found: Plan) -> str:
    cells = (
        f"{rate:,}", f"{found.pipelines:,}", f"{found.gateways:,}", f"{found.processors:,}",
        f"{found.materializers:,}", f"{found.partitions:,}", f"{found.brokers:,}", in_bytes(found.kafka_disk),
        f"{found.postgres_cores:,.1f}", in_bytes(found.postgres_disk),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(page_table(days) for days in DAYS))
