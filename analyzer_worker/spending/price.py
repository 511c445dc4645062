"""What a call of a model can cost at most, and what it did cost: pure arithmetic."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

PER_MILLION: Final = 1_000_000


class Price(msgspec.Struct, frozen=True):
    """US dollars a token."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """The cost of a call, in US dollars."""
        return self.input * input_tokens + self.output * output_tokens

    def bound(self, messages: Iterable[Mapping[str, str]], extra_bytes: int, answer_tokens: int) -> float:
        """No call with these messages costs more: a token stands for at least one byte of UTF-8.

        `extra_bytes`: what is sent beside the messages, such as a schema.
        """
        sent = sum(len(text.encode("utf-8", "surrogatepass")) for message in messages for text in message.values())
        return self.of(sent + extra_bytes, answer_tokens)


FREE: Final = Price(0.0, 0.0)
"""Of a model that costs nothing, or where nobody counts."""
