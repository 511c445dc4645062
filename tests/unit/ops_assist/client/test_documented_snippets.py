"""Every snippet of docs/client.md does what the page says."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.ops_assist.client.faulty_gateway import FaultyGateway

ROOT = Path(__file__).parents[4]
URL: Final = "http://localhost:8000"
SNIPPETS: Final[list[str]] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)


def _is_of_logging(*events: dict[str, Any]) -> None:
    opened, refused = events
    assert (opened["level"], opened["message"]) == ("INFO", "cart c-17 opened")
    assert (refused["level"], refused["environment"]) == ("ERROR", "production")
    assert refused["attributes"]["exception.type"] == "KeyError"
    assert (refused["attributes"]["order"], refused["attributes"]["customer.country"]) == (17, "CH")


def _is_refused_payment(refused: dict[str, Any]) -> None:
    assert (refused["service"], refused["level"], refused["message"]) == ("checkout", "ERROR", "payment refused")
    assert (refused["attributes"]["logger"], refused["attributes"]["order"]) == ("shop.payment", 17)
    assert "structlog" not in refused["attributes"]["code.file.path"]


def _is_of_structlog(refused: dict[str, Any]) -> None:
    _is_refused_payment(refused)
    assert (refused["attributes"]["name"], refused["attributes"]["region"]) == ("Ada", "eu-west-1")


def _is_of_asyncio(*events: dict[str, Any]) -> None:
    assert [(event["service"], event["message"]) for event in events] == [
        ("checkout", "payment refused"),
        ("cart", "cart emptied"),
    ]


EXPECTED: Final[list[Callable[..., None]]] = [
    _is_of_logging,
    _is_refused_payment,
    _is_of_structlog,
    _is_refused_payment,
    _is_of_asyncio,
]


@pytest.mark.parametrize(
    ("snippet", "check"), list(zip(SNIPPETS, EXPECTED, strict=True)), ids=[check.__name__ for check in EXPECTED]
)
def test_a_snippet_sends_what_the_page_says(gateway: FaultyGateway, snippet: str, check: Callable[..., None]) -> None:
    """Copied and run as it stands, but for the address."""
    assert URL in snippet
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet.replace(URL, gateway.url)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "Logging error" not in run.stderr
    check(*gateway.written)
