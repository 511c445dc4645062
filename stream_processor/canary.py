"""The rule by which the canary's events become incidents: built in, so that no rule file changes or breaks it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.canary import BURST_EVENTS, BURST_LEVEL
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival
from stream_processor.rules import CountRule, RuleSet

RULE: Final = "ops-assist.canary"
"""Rules of files cannot have a dot in their names."""

_SECOND: Final = MICROSECONDS

# Its window is short and nothing may be late: what opens at one burst has ended when the next one comes.
CANARY_RULES: Final = RuleSet((CountRule(RULE, (BURST_LEVEL,), BURST_EVENTS, _SECOND, _SECOND),), 0)


def as_received(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The events of bursts, at the times at which they were appended: the clock of no gateway can make them late.

    Signs of life between two bursts count for the log's clock and need no state.
    """
    return [
        msgspec.structs.replace(one, event=msgspec.structs.replace(one.event, timestamp=one.received_at))
        for one in arrivals
        if one.event.level == BURST_LEVEL
    ]
