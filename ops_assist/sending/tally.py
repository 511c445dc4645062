"""What became of every event of a run."""

import time
from collections.abc import Sequence
from typing import Final

import msgspec

SHOWN_REASONS: Final = 5


class Summary(msgspec.Struct, frozen=True):
    """The closing counts: read = accepted + rejected + lost."""

    read: int
    accepted: int
    rejected: int
    lost: int
    retries: int
    seconds: float
    events_per_second: float
    reasons: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether every event was accepted."""
        return self.accepted == self.read

    def line(self) -> str:
        """The counts as one sentence."""
        return (
            f"read {self.read:,} events in {self.seconds:.1f} s ({self.events_per_second:,.0f}/s): "
            f"{self.accepted:,} accepted, {self.rejected:,} rejected, {self.lost:,} lost, {self.retries:,} retries"
        )


class Tally:
    """Counts while a run goes on; keeps the first few reasons only, so that it stays small."""

    def __init__(self) -> None:
        self.read = self.accepted = self.rejected = self.retries = 0
        self._reasons: list[str] = []
        self._began = time.monotonic()

    def reject(self, origin: str, reason: str) -> None:
        """Count one event that was refused for good."""
        self.rejected += 1
        self._note(f"{origin}: {reason}")

    def reject_all(self, origins: Sequence[str], reason: str) -> None:
        """Count events that were refused together."""
        for origin in origins:
            self.reject(origin, reason)

    def _note(self, reason: str) -> None:
        if len(self._reasons) < SHOWN_REASONS:
            self._reasons.append(reason)

    def summary(self) -> Summary:
        """The counts so far; what was read and neither accepted nor rejected is lost."""
        seconds = time.monotonic() - self._began
        return Summary(
            read=self.read,
            accepted=self.accepted,
            rejected=self.rejected,
            lost=self.read - self.accepted - self.rejected,
            retries=self.retries,
            seconds=round(seconds, 3),
            events_per_second=round(self.accepted / seconds, 1) if seconds else 0.0,
            reasons=list(self._reasons),
        )
