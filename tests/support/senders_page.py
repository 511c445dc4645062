"""The blocks of docs/senders.md, as a person would copy them."""

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "senders.md"
GATEWAY: Final = "http://localhost:8000"
"""Where the page has the gateway."""

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str, language: str) -> list[str]:
    """The blocks in a language under a heading of the second level, first to last."""
    _, found, rest = PAGE.read_text().partition(f"\n## {heading}\n")
    assert found, f"docs/senders.md has no heading {heading!r}"
    section = rest.partition("\n## ")[0]
    return [text for name, text in _BLOCK.findall(section) if name == language]


def block(heading: str, language: str, **replaced: str) -> str:
    """The one block in a language under a heading; `replaced`: what the test has instead of GATEWAY and others.

    The keys of `replaced` are: gateway, broker, syslog_port.
    """
    [text] = blocks(heading, language)
    return with_addresses(text, **replaced)


def with_addresses(text: str, *, gateway: str = "", broker: str = "", syslog_port: str = "") -> str:
    """A block with the addresses of a test; each that is given has to stand in it."""
    for said, meant in ((GATEWAY, gateway), ("localhost:9092", broker), ('"5514"', syslog_port and f'"{syslog_port}"')):
        if meant:
            assert said in text, f"{said} is not in {text}"
            text = text.replace(said, meant)
    return text
