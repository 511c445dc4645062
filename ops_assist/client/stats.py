"""What became of the events of a client."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the start of the process: offered = delivered + rejected + dropped + held.

    Args:
        offered: events that the application logged or sent.
        delivered: acknowledged by the gateway.
        rejected: refused by it for good, as one that breaks a rule is.
        dropped: given up because the queue was full.
        held: waiting, or sent and not yet acknowledged.
        retries: requests that were sent again.
    """

    offered: int = 0
    delivered: int = 0
    rejected: int = 0
    dropped: int = 0
    held: int = 0
    retries: int = 0
