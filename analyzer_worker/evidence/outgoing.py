"""The one gate through which text from outside becomes text that may leave."""

from collections import Counter
from itertools import accumulate, takewhile
from typing import Final

from analyzer_worker.hygiene import visible
from analyzer_worker.redaction import redact

_SIZES: Final = {"<": 6, ">": 6, '"': 2, "\\": 2}
_LONGEST_PLACEHOLDER: Final = len("<redacted:url_credentials>")


class Gate:
    """Cleans and redacts text, and counts by kind what it took out; the same text costs once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._done: dict[str, str] = {}

    def outgoing(self, text: str, limit: int) -> str:
        """Visible, redacted, and cut only after that, lest half a secret is missed; at most `limit` characters."""
        if text not in self._done:
            result = redact(visible(text))
            self.counts.update(result.counts)
            self._done[text] = result.text
        return cut(self._done[text], limit)


def sent_length(text: str) -> int:
    """How many characters `text` takes inside JSON, where angle brackets take six and some others two."""
    return len(text) + 5 * (text.count("<") + text.count(">")) + text.count('"') + text.count("\\")


def cut(text: str, limit: int) -> str:
    """As much of `text` as `limit` sent characters hold, without the beginning of a placeholder at its end."""
    if sent_length(text) <= limit:
        return text
    sizes = accumulate(_SIZES.get(char, 1) for char in text)
    end = sum(1 for _ in takewhile(lambda size: size <= limit, sizes))
    start = text.rfind("<redacted:", max(0, end - _LONGEST_PLACEHOLDER), end)
    return text[: start if start >= 0 and ">" not in text[start:end] else end]
