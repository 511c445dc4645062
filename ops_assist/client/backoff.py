"""How long to wait before the next try."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling waits, in seconds; a random part of up to a half is left out, so that clients do not come in step."""

    first: float = 0.2
    longest: float = 30.0

    def wait(self, failures: int, jitter: float, after: float | None = None) -> float:
        """Seconds to wait after so many failures in a row.

        Args:
            failures: 1 or more.
            jitter: evenly drawn from 0 to 1.
            after: what the gateway asks for; never undercut, and spread over half as much again.
        """
        # The exponent is held down because 2.0 to the power of 1,024 is no float.
        wait = min(self.longest, self.first * 2.0 ** min(failures - 1, 32)) * (1 - jitter / 2)
        return wait if after is None else max(wait, after * (1 + jitter / 2))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, by number or date (RFC 9110, section 10.2.3); None for neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
