"""What the incidents page is asked for: filters and page, as the page's own address and as the API's parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urlencode

PAGE_SIZE: Final = 50
_LAST_PAGE: Final = 1_000_000
"""Beyond this a page number is a typing mistake, and PostgreSQL's offset a number that it need not see."""


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
        page = params.get("page", "")
        number = int(page) if page.isascii() and page.isdecimal() and len(page) <= len(str(_LAST_PAGE)) else 1
        return cls(**filters, page=max(number, 1))

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

    def api_params(self, *, status: str | None = None, limit: int = PAGE_SIZE) -> dict[str, str | int]:
        """The API's parameters; `status` and `limit` override, for counting."""
        filters = {
            "status_filter": self.status if status is None else status,
            "severity": self.severity,
            "service": self.service,
            "q": self.q,
        }
        paging = {"limit": limit, "skip": (self.page - 1) * PAGE_SIZE if status is None else 0}
        return {name: value for name, value in filters.items() if value} | paging
