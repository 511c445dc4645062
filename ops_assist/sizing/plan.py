"""Events a second -> partitions, workers, brokers, disk and PostgreSQL; docs/sizing.md says where figures come from."""

from math import ceil
from typing import Final

import msgspec

DAY: Final = 86_400
_LEAST: Final = 2
"""Of each service, so that one may go."""
_LEAST_BROKERS: Final = 3
_LEAST_PARTITIONS: Final = 6
_GROWTH: Final = 2
"""Partitions for as many workers again: their number cannot be changed while there is state."""
_GROUPS: Final = 2
"""Groups that read every event: detection and the materializer."""


class Costs(msgspec.Struct, frozen=True):
    """What one core does and one event takes. Rates in events per CPU second, sizes in bytes."""

    gateway: float
    processor: float
    materializer: float
    kafka: float
    """Of a broker, for each replica."""
    postgres: float
    kafka_overhead: float
    """Bytes of an event's record beyond its JSON."""
    event_row: float
    """An event in PostgreSQL beyond its message, with its indexes."""
    link_row: float
    """The link of an event to its incident, with its indexes."""
    incident_row: float
    service_state: float
    """Memory of the processor for a service."""


class Load(msgspec.Struct, frozen=True):
    """What comes in. `peak`: events a second at the busiest; `average`: over a day, for disks."""

    peak: float
    average: float
    event_bytes: int = 500
    services: int = 1_000
    qualifying: float = 0.05
    """Share of events that stand under an incident."""
    incidents_per_day: int = 1_000


class Site(msgspec.Struct, frozen=True):
    """What it runs on, and how much of it may be used."""

    utilisation: float = 0.6
    """Of a core at the peak: the rest is for catching up after a stop, and for noise."""
    disk_fill: float = 0.7
    replication: int = 3
    kafka_days: float = 7
    view_days: float = 7
    incident_days: float = 365
    """For how long incidents pile up; they are never deleted."""
    broker_cores: int = 8
    broker_disk: float = 8e12
    broker_network: float = 1.25e9
    """Bytes a second of one direction: 10 Gbit/s."""
    postgres_cores: int = 32
    postgres_disk: float = 16e12


class Plan(msgspec.Struct, frozen=True):
    """What is needed. `pipelines`: separate ones, each with its own PostgreSQL, among which services are divided.

    Everything else is the sum over all of them; sizes in bytes, network in bytes a second.
    """

    pipelines: int
    gateways: int
    processors: int
    materializers: int
    partitions: int
    processor_memory: float
    brokers: int
    broker_cores: float
    kafka_disk: float
    kafka_network: float
    """In and out of all brokers together, whichever is more."""
    postgres_cores: float
    postgres_disk: float


def plan(load: Load, costs: Costs, site: Site) -> Plan:
    """The plan for a load; every line of it is a line of the page's arithmetic."""
    postgres_cores = load.peak / costs.postgres / site.utilisation
    postgres_disk = _view_bytes(load, costs, site) / site.disk_fill
    pipelines = max(1, ceil(postgres_cores / site.postgres_cores), ceil(postgres_disk / site.postgres_disk))
    gateways, processors, materializers = (
        _each(pipelines, load.peak / cost / site.utilisation)
        for cost in (costs.gateway, costs.processor, costs.materializer)
    )
    broker_cores = load.peak * site.replication / costs.kafka / site.utilisation
    network = _network(load, costs, site)
    kafka_disk = load.average * DAY * site.kafka_days * _record(load, costs) * site.replication / site.disk_fill
    return Plan(
        pipelines=pipelines,
        gateways=gateways,
        processors=processors,
        materializers=materializers,
        partitions=pipelines * _partitions(max(processors, materializers) // pipelines),
        processor_memory=load.services * costs.service_state,
        brokers=max(
            _LEAST_BROKERS,
            ceil(broker_cores / site.broker_cores),
            ceil(kafka_disk / site.broker_disk),
            ceil(network / site.broker_network / site.utilisation),
        ),
        broker_cores=broker_cores,
        kafka_disk=kafka_disk,
        kafka_network=network,
        postgres_cores=postgres_cores,
        postgres_disk=postgres_disk,
    )


def _each(pipelines: int, cores: float) -> int:
    """Processes of one core each, as many in each pipeline."""
    return pipelines * max(_LEAST, ceil(cores / pipelines))


def _partitions(workers: int) -> int:
    """A multiple of six, which two, three and six workers share evenly."""
    return ceil(max(_LEAST_PARTITIONS, _GROWTH * workers) / _LEAST_PARTITIONS) * _LEAST_PARTITIONS


def _record(load: Load, costs: Costs) -> float:
    return load.event_bytes + costs.kafka_overhead


def _network(load: Load, costs: Costs, site: Site) -> float:
    """In: from producers and to followers. Out: to followers and to each group. The greater of the two."""
    written = load.peak * _record(load, costs)
    return max(written * site.replication, written * (site.replication - 1 + _GROUPS))


def _view_bytes(load: Load, costs: Costs, site: Site) -> float:
    events = load.average * DAY * site.view_days
    incidents = load.incidents_per_day * site.incident_days
    rows = events * (load.event_bytes + costs.event_row) + events * load.qualifying * costs.link_row
    return rows + incidents * costs.incident_row
