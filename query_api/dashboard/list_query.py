"""What the incidents page is asked for: filters and page, as the page's own address and as the API's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urlencode

PAGE_SIZE: Final = 50
_LAST_PAGE: Final = 1_000_000
"""Beyond this a page number is a typing mistake, and PostgreSQL's offset a number that it need not see."""


def page_number(text: str) -> int:
    """The number of a page, counted from 1; what is none is the first."""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) <= len(str(_LAST_PAGE)) else 1


@dataclass(frozen=True)
class ListQuery:
    """Filters are as the person typed them; the API judges them. `page` counts from 1."""

    status: str = ""
    severity: str = ""
    service: str = ""
    q: str = ""
    page: int = 1

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Self:
        """Read the page's address; what is no page number is page 1."""
        filters = {name: params.get(name, "").strip() for name in ("status", "severity", "service", "q")}
        return cls(**filters, page=page_number(params.get("page", "")))

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.status or self.severity or self.service or self.q)

    def url(self, **changes: str | int) -> str:
        """The address of the page with `changes`; a changed filter starts at the first page again."""
        other = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        shown = {"status": other.status, "severity": other.severity, "service": other.service, "q": other.q}
        shown["page"] = str(other.page) if other.page > 1 else ""
        text = urlencode({name: value for name, value in shown.items() if value})
        return f"/?{text}" if text else "/"

    def api_params(self) -> dict[str, str | int]:
        """The API's parameters for this page of the list."""
        filters = {"status_filter": self.status, "severity": self.severity} | self._narrowing()
        paging = {"limit": PAGE_SIZE, "skip": (self.page - 1) * PAGE_SIZE}
        return {name: value for name, value in filters.items() if value} | paging

    def count_params(self) -> dict[str, str]:
        """The API's parameters for counting by status and severity."""
        return {name: value for name, value in self._narrowing().items() if value}

    def _narrowing(self) -> dict[str, str]:
        return {"service": self.service, "q": self.q}
