"""The message templates that a service is known to send, in bounded memory.

Fingerprints are never forgotten. The newest stand in the service's own row; the oldest `SEGMENT` of them move to a row
of their own that is written once, before the row that names it, as recent ids do.
"""

from array import array
from collections.abc import Callable
from typing import Final

from stream_processor.kind_states import PatternState

SEGMENT: Final = 64
MOST_TEMPLATES: Final = 4_096


class SeenTemplates:
    """The known templates of one service under one rule; what it keeps goes into the rule's own state."""

    def __init__(self, own: PatternState, read_segment: Callable[[int], bytes | None]) -> None:
        self._own = own
        self._known = set(own.tail)
        self._rows: dict[int, bytes] = {}
        for number in range(own.start, own.start + own.segments):
            self._known.update(array("Q", read_segment(number) or b""))

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def __contains__(self, fingerprint: int) -> bool:
        """Whether the template of this fingerprint is known."""
        return fingerprint in self._known

    def add(self, fingerprint: int) -> None:
        """A template is known from now on."""
        if fingerprint in self._known:
            return
        own = self._own
        self._known.add(fingerprint)
        own.tail.append(fingerprint)
        if len(own.tail) >= SEGMENT:
            self._rows[own.start + own.segments] = array("Q", own.tail[:SEGMENT]).tobytes()
            own.segments += 1
            del own.tail[:SEGMENT]

    def take_rows(self) -> dict[int, bytes]:
        """The segment rows to write before the service's row."""
        rows, self._rows = self._rows, {}
        return rows
