"""Hostile text on every page: it is text, whatever it says."""

from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from tests.support.hostile_lines import HostileLine, hostile_lines
from tests.unit.query_api.dashboard.fake_api import FakeApi, analysis_record, event_record, moment

LINES = hostile_lines()


class Structure(HTMLParser):
    """The elements of a page with their attributes, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []

    @property
    def elsewhere(self) -> list[str]:
        """The links that lead out of the dashboard."""
        inside = ("/", "#", "?")
        return [link for link in self.links if not link.startswith(inside) or link.startswith("//")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def structure_of(page: str) -> Structure:
    parsed = Structure()
    parsed.feed(page)
    parsed.close()
    return parsed


def pages_with(dashboard: TestClient, api: FakeApi, text: str) -> list[str]:
    """The list and the incident's page, with `text` in every place that comes from logs, people or a model."""
    api.incidents.clear()
    ended = {"time": moment(5), "actor": text, "what": "status_changed", "from": "open", "to": "resolved", "note": text}
    api.add(
        service=text[:100],
        summary=text,
        reason=text,
        rule=text,
        recommended_actions=[text, text],
        timeline=[ended | {"reason": text}],
        events=[event_record(0, text)],
        analysis=analysis_record(
            summary=text,
            reason=text,
            analyzed_by=text,
            recommended_actions=[text],
            evidence=[{"event_id": text, "quote": text}],
        ),
    )
    answers = [dashboard.get(path) for path in ("/", "/incidents/1")]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.text for answer in answers]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_hostile_line_adds_no_element_attribute_or_link(
    dashboard: TestClient, api: FakeApi, line: HostileLine
) -> None:
    """The page has the elements that it has with letters in its place, and no link leads elsewhere."""
    harmless = [structure_of(page) for page in pages_with(dashboard, api, "x" * len(line.text))]
    hostile = [structure_of(page) for page in pages_with(dashboard, api, line.text)]
    assert [page.elements for page in hostile] == [page.elements for page in harmless]
    assert [page.elsewhere for page in hostile] == [page.elsewhere for page in harmless]
    text = "".join(pages_with(dashboard, api, line.text))
    assert not set(text) & set("\u202e\u202d\u2066\u2067\u200b\ufeff\x1b\x00\u2028\U000e0069")
