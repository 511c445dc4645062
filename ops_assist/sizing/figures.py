"""What was measured: `python -m benchmarks.pipeline` and `python -m benchmarks.view_sizes`, as docs/sizing.md tells."""

from typing import Final

from ops_assist.sizing.plan import Costs

_STORAGE: Final = {
    "kafka_overhead": 60.0,
    "event_row": 400.0,
    "link_row": 190.0,
    "incident_row": 1_900.0,
    "service_state": 486.0,
}

BATCHED: Final = Costs(
    gateway=75_000, processor=150_000, materializer=80_000, kafka=90_000, postgres=40_000, **_STORAGE
)
"""Events come in requests or records of many: a thousand in the measurement."""

SINGLY: Final = Costs(gateway=2_600, processor=1_500, materializer=1_900, kafka=1_300, postgres=3_100, **_STORAGE)
"""Each event comes in a request of its own."""
