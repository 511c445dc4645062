"""`ops-assist size`."""

from typing import Annotated, Final

import msgspec
import typer

from ops_assist.output import print_fields, print_json
from ops_assist.sizing.figures import BATCHED, SINGLY
from ops_assist.sizing.plan import Load, Plan, Site, plan
from ops_assist.sizing.words import plan_in_words

app = typer.Typer(add_completion=False)

_LOAD: Final = Load(peak=1, average=1)
_SITE: Final = Site()


@app.command()
def size(
    *,
    events_per_second: Annotated[float, typer.Option(min=0.001, max=1e8, help="Events a second at the busiest.")],
    average: Annotated[float, typer.Option(min=0, help="Events a second over a day; 0: as at the busiest.")] = 0,
    singly: Annotated[bool, typer.Option("--singly", help="Each event comes in a request of its own.")] = False,
    event_bytes: Annotated[int, typer.Option(min=1, help="Of an event as JSON.")] = _LOAD.event_bytes,
    services: Annotated[int, typer.Option(min=1, help="Services that send.")] = _LOAD.services,
    qualifying: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events under incidents.")
    ] = _LOAD.qualifying,
    incidents_per_day: Annotated[int, typer.Option(min=0, help="How many open.")] = _LOAD.incidents_per_day,
    retention: Annotated[float, typer.Option(min=0, help="Days that Kafka keeps events.")] = _SITE.kafka_days,
    view_retention: Annotated[float, typer.Option(min=0, help="Days that PostgreSQL does.")] = _SITE.view_days,
    replication: Annotated[int, typer.Option(min=1, max=9, help="Copies in Kafka.")] = _SITE.replication,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; sizes in bytes.")] = False,
) -> None:
    """Tell how many partitions, processes, brokers and disks a load needs: docs/sizing.md has the arithmetic."""
    load = Load(
        peak=events_per_second,
        average=average or events_per_second,
        event_bytes=event_bytes,
        services=services,
        qualifying=qualifying,
        incidents_per_day=incidents_per_day,
    )
    site = Site(replication=replication, kafka_days=retention, view_days=view_retention)
    found: Plan = plan(load, SINGLY if singly else BATCHED, site)
    if as_json:
        print_json(msgspec.structs.asdict(found))
    else:
        print_fields(plan_in_words(found))
