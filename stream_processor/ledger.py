"""How an event ends: every event of the log gets exactly one of these reasons, and each is counted."""

from typing import Literal

Reason = Literal[
    "opened",  # it made the threshold full
    "attached",  # it added to an active incident
    "qualified",  # a rule counts it, and it is part of no incident (yet)
    "below_level",  # no rule counts its level
    "no_rule",  # a rule counts its level, but none its service, attributes or message
    "duplicate",  # an event with its id was counted before
    "late",  # it came later than every rule that counts it allows; it is in ops.events.late
    "dead_lettered",  # it breaks the contract; it is in ops.events.dlq
    "canary",  # the pipeline sent it to itself, to see whether an incident comes of it
    "rekeyed",  # it lay in another service's place and was written again in its own, where it gets its reason
]
