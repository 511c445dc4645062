"""What was measured, on the low side: docs/sizing.md tells how and on what."""

from typing import Final

from ops_assist.sizing.plan import Costs

_STORAGE: Final = {
    "kafka_overhead": 60.0,
    "event_row": 340.0,
    "link_row": 390.0,
    "incident_row": 1_500.0,
    "service_state": 486.0,
}

BATCHED: Final = Costs(
    gateway=72_000, processor=120_000, materializer=71_000, kafka=64_000, postgres=36_000, **_STORAGE
)
"""Events come in requests of many: a thousand in the measurement."""

SINGLY: Final = Costs(gateway=2_200, processor=75_000, materializer=56_000, kafka=60_000, postgres=30_000, **_STORAGE)
"""Each event comes in a request of its own, and lies in a record of its own."""
