"""A sweep as pictures: one map of the grid for each figure, and precision against recall."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

Fields = Mapping[str, Any]

_CELL: Final = (64, 22)
"""Width and height of a cell of a map."""
_LEFT: Final = 80
"""Room for the names of rows."""
_SIDE: Final = 320
"""Width and height of the picture of precision and recall, without its margins."""


class Box(msgspec.Struct, frozen=True):
    """A cell of a map. `shade`: from 0, the least of the grid, to 1, the greatest."""

    x: int
    y: int
    shade: float
    text: str
    title: str
    is_knee: bool


class Map(msgspec.Struct, frozen=True):
    """One figure over the grid; `rows` and `columns` name the values of the axes, with their places."""

    title: str
    width: int
    height: int
    rows: list[tuple[int, str]]
    columns: list[tuple[int, str]]
    boxes: list[Box]


class Dot(msgspec.Struct, frozen=True):
    """Cells that have the same recall and precision."""

    x: float
    y: float
    title: str
    is_knee: bool


class Pictures(msgspec.Struct, frozen=True):
    """All pictures of a sweep; `dots` is empty without labels."""

    maps: list[Map]
    dots: list[Dot]
    side: int = _SIDE


def pictures(sweep: Fields) -> Pictures:
    """The pictures of a sweep as the report has it."""
    scored = ("precision", "recall") if sweep["knee"] is not None else ()
    figures = [
        ("incidents a day", "{:.1f}", [cell["incidents_a_day"] for cell in sweep["cells"]]),
        *((name, "{:.2f}", [cell["scores"][name] for cell in sweep["cells"]]) for name in scored),
    ]
    return Pictures([_map(sweep, *figure) for figure in figures], _dots(sweep))


def _map(sweep: Fields, title: str, form: str, values: Sequence[float | None]) -> Map:
    (rows, columns), (width, height) = _axes(sweep), _CELL
    known = [value for value in values if value is not None] or [0.0]
    least, span = min(known), max(known) - min(known)
    boxes = [
        Box(
            _LEFT + width * (number % len(columns)),
            height * (1 + number // len(columns)),
            0.0 if value is None or not span else round((value - least) / span, 3),
            "-" if value is None else form.format(value),
            f"{_named(cell)}: {title} {'unknown' if value is None else form.format(value)}",
            cell == sweep["knee"],
        )
        for number, (cell, value) in enumerate(zip(sweep["cells"], values, strict=True))
    ]
    return Map(
        title,
        _LEFT + width * len(columns) + 10,
        height * (1 + len(rows)) + 6,
        [(height * (1 + place) + height // 2 + 4, name) for place, name in enumerate(rows)],
        [(_LEFT + width * place + width // 2, name) for place, name in enumerate(columns)],
        boxes,
    )


def _axes(sweep: Fields) -> tuple[list[str], list[str]]:
    first, *more = sweep["axes"]
    return first["values"], more[0]["values"] if more else [""]


def _dots(sweep: Fields) -> list[Dot]:
    by_place: dict[tuple[float, float], list[Fields]] = {}
    for cell in sweep["cells"]:
        scores = cell["scores"]
        if scores and scores["precision"] is not None and scores["recall"] is not None:
            by_place.setdefault((scores["recall"], scores["precision"]), []).append(cell)
    return [
        Dot(
            round(recall * _SIDE, 1),
            round((1 - precision) * _SIDE, 1),
            f"recall {recall}, precision {precision}: {'; '.join(map(_named, cells))}",
            sweep["knee"] in cells,
        )
        for (recall, precision), cells in sorted(by_place.items())
    ]


def _named(cell: Fields) -> str:
    return ", ".join(f"{name}={value}" for name, value in cell["values"].items())
