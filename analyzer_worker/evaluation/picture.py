"""The confusion matrix as a picture: an SVG that needs nothing else, and is readable on light and dark pages."""

from html import escape
from typing import Final

from analyzer_worker.evaluation.report import Report
from analyzer_worker.evaluation.scoring import NO_ANSWER, Score
from schemas.analysis import CATEGORIES

_CELL: Final = 30
_LEFT: Final = 170
_TOP: Final = 150
_GAP: Final = 30
_STYLE: Final = """\
text{font:12px system-ui,sans-serif;fill:#24292f}.n{text-anchor:middle}.r{text-anchor:end}.h{font-weight:600}
.back{fill:#fff}.grid{fill:#8882;stroke:#8884}.right{fill:#1a7f37}.wrong{fill:#cf222e}.on{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.right{fill:#2ea043}.wrong{fill:#f85149}.on{fill:#fff}}"""


def svg(report: Report) -> str:
    """One matrix for each split, one below the other: rows are what cases are, columns what the analyzer found."""
    panels = [
        _panel(f"{report.analyzer}, {name}: {each.cases} cases, accuracy {each.accuracy:.0%}", each)
        for name, each in report.scores.items()
    ]
    width, height = _LEFT + _CELL * (len(CATEGORIES) + 1) + 80, _TOP + _CELL * len(CATEGORIES) + _GAP
    body = "".join(f'<g transform="translate(0,{number * height})">{panel}</g>' for number, panel in enumerate(panels))
    total = height * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" height="{total}" '
        f'role="img"><title>Confusion matrix of {escape(report.analyzer)}</title><style>{_STYLE}</style>'
        f'<rect class="back" width="{width}" height="{total}"/>{body}</svg>\n'
    )


def html(report: Report, table: str) -> str:
    """A page of its own with the table and the picture."""
    name = escape(report.analyzer)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f"<title>Evaluation of {name}</title></head><body><h1>Evaluation of {name}</h1>"
        f"<pre>{escape(table)}</pre>{svg(report)}</body></html>\n"
    )


def _panel(title: str, score: Score) -> str:
    columns = (*CATEGORIES, NO_ANSWER)
    parts = [f'<text class="h" x="8" y="18">{escape(title)}</text>']
    parts += [_column(number, name) for number, name in enumerate(columns)]
    for row, expected in enumerate(CATEGORIES):
        found = score.confusion.get(expected, {})
        middle = _TOP + row * _CELL + _CELL * 2 // 3
        parts.append(f'<text class="r" x="{_LEFT - 8}" y="{middle}">{expected}</text>')
        parts += [_cell((row, number), found, expected, name) for number, name in enumerate(columns)]
    return "".join(parts)


def _column(number: int, name: str) -> str:
    x = _LEFT + number * _CELL + _CELL // 2
    return f'<text transform="translate({x},{_TOP - 8}) rotate(-55)">{name}</text>'


def _cell(place: tuple[int, int], row: dict[str, int], expected: str, found: str) -> str:
    """The more of a row's cases are here, the fuller the colour."""
    count, whole = row.get(found, 0), sum(row.values())
    x, y = _LEFT + place[1] * _CELL, _TOP + place[0] * _CELL
    box = f'x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"'
    if not count:
        return f'<rect class="grid" {box}/>'
    kind = "right" if expected == found else "wrong"
    share = count / whole
    dark = " on" if share > 0.5 else ""  # noqa: PLR2004 - half
    middle = f'x="{x + _CELL // 2}" y="{y + _CELL * 2 // 3}"'
    return (
        f'<g><title>{expected} found as {found}: {count} of {whole}</title><rect class="grid" {box}/>'
        f'<rect class="{kind}" fill-opacity="{0.15 + 0.85 * share:.2f}" {box}/>'
        f'<text class="n{dark}" {middle}>{count}</text></g>'
    )
