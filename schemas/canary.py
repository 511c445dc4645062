"""The canary: services that the pipeline itself sends events of, to see whether an incident still comes out of it.

There is one for each partition of `ops.events`, since each may fail alone. Its events come through the gateway as all
others do, are judged by a rule of their own that no rule file can touch, and are in nobody's lists.
"""

from functools import lru_cache
from itertools import count
from typing import Final

from schemas.placement import home_partition

PREFIX: Final = "ops-assist-canary"
"""Names of services that begin so are the canary's; the gateway refuses them from anybody else."""

PULSE_SECONDS: Final = 3.0
"""So far apart are its signs of life: often enough that no gap of the log's clock is cut and no tick is needed."""

BURST_LEVEL: Final = "ERROR"
BURST_EVENTS: Final = 5
"""So many events of this level of one canary are an incident."""

MISSED_BURSTS: Final = 3
"""So many incidents in a row that do not come make the pipeline blind."""

_KEY: Final = PREFIX.encode()


def is_canary(service: str) -> bool:
    """Whether a service is the canary's."""
    return service.startswith(PREFIX)


def is_pulse(key: bytes | None) -> bool:
    """Whether a record with this key is the canary's: a sign that what is sent to the gateway comes to be written."""
    return key is not None and key.startswith(_KEY)


@lru_cache(maxsize=4)
def canaries(partitions: int) -> tuple[str, ...]:
    """The service of each of so many partitions, by partition."""
    found: dict[int, str] = {}
    for number in count():
        name = f"{PREFIX}-{number}"
        found.setdefault(home_partition(name, partitions), name)
        if len(found) == partitions:
            break
    return tuple(found[partition] for partition in range(partitions))
