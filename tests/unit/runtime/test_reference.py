"""The reference pages say what the code says."""

from pathlib import Path

import pytest

from runtime.reference import PAGES

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_would_write(name: str) -> None:
    """After a change: python -m runtime.reference NAME > docs/NAME.md."""
    assert (DOCS / f"{name}.md").read_text() == PAGES[name]()
