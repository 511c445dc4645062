"""The reference pages say what the code says."""

import re
from pathlib import Path

import pytest

from runtime.reference import PAGES

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ROOMS = (
    "schemas",
    "runtime",
    "ingest_gateway",
    "stream_processor",
    "analyzer_worker",
    "query_api",
    "ops_assist",
    "deploy",
)
DECLARES = re.compile(r"from prometheus_client import .*\b(Counter|Gauge|Histogram|Summary|Info|Enum)\b")


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_would_write(name: str) -> None:
    """After a change: python -m runtime.reference NAME > docs/NAME.md."""
    assert (DOCS / f"{name}.md").read_text() == PAGES[name]()


def test_metrics_are_declared_in_one_module_and_nowhere_else() -> None:
    """So that the page is complete."""
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    declaring = [str(file.relative_to(ROOT)) for file in files if DECLARES.search(file.read_text())]
    assert declaring == ["runtime/metrics.py"]
