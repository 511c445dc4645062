"""Every change of a type that another release could not read is told, and no other."""

from typing import Annotated, Literal

import msgspec
import pytest

from runtime.published.compatibility import unreadable


class Part(msgspec.Struct):
    size: int


class LargerPart(msgspec.Struct):
    size: int
    weight: int = 0


class Place(msgspec.Struct, array_like=True):
    offset: int


class LongerPlace(msgspec.Struct, array_like=True):
    offset: int
    index: int = 0


class Tree(msgspec.Struct):
    size: int
    below: list["Tree"] = []


Colour = Literal["red", "blue"]
Long = Annotated[str, msgspec.Meta(max_length=9)]
Short = Annotated[str, msgspec.Meta(max_length=5)]


def schema(fields: list[object]) -> dict[str, object]:
    [top], types = msgspec.json.schema_components([msgspec.defstruct("Record", fields)])  # type: ignore[arg-type]
    return {**top, "$defs": types}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        pytest.param([("a", int), ("b", str, "")], [("a", int)], id="a field more"),
        pytest.param([("a", int)], [("a", int), ("b", str, "")], id="a field with a default less"),
        pytest.param([("a", int)], [("a", float)], id="whole numbers where numbers are read"),
        pytest.param([("a", int)], [("a", int | None)], id="never nothing"),
        pytest.param([("a", Literal["red"])], [("a", Colour)], id="fewer words"),
        pytest.param([("a", list[LargerPart])], [("a", list[Part])], id="a field more within a list"),
        pytest.param([("a", LongerPlace)], [("a", Place)], id="an element more"),
        pytest.param([("a", Tree)], [("a", Tree)], id="a type within itself"),
        pytest.param([("a", str)], [("a", int | str)], id="one of two types"),
    ],
)
def test_what_can_be_read_is_not_told(writer: list[object], reader: list[object]) -> None:
    """Readers ignore what they do not know."""
    assert unreadable(schema(writer), schema(reader)) == []


@pytest.mark.parametrize(
    ("writer", "reader", "told"),
    [
        pytest.param([("b", int)], [("a", int)], "a: is needed, and not always there", id="a field is gone"),
        pytest.param([("a", int, 0)], [("a", int)], "a: is needed, and not always there", id="a field may be gone"),
        pytest.param([("a", str)], [("a", int)], "a: the type is string, not integer", id="another type"),
        pytest.param([("a", float)], [("a", int)], "a: the type is number, not integer", id="fractions"),
        pytest.param([("a", int | None)], [("a", int)], "a: the type is null, not integer", id="nothing"),
        pytest.param([("a", Literal["red", "green"])], [("a", Colour)], "a: green is not known", id="a word"),
        pytest.param([("a", Literal["green"] | None)], [("a", Colour | None)], "a: green is not known", id="or none"),
        pytest.param([("a", str)], [("a", Colour)], "a: anything is not known", id="any word"),
        pytest.param([("a", list[str])], [("a", list[int])], "a[]: the type is string, not integer", id="elements"),
        pytest.param([("a", dict[str, str])], [("a", dict[str, int])], "a.*: the type is string, not integer", id="m"),
        pytest.param([("a", Part)], [("a", list[int])], "a: the type is object, not array", id="another form"),
        pytest.param([("a", Place)], [("a", LongerPlace)], None, id="an element with a default less"),
        pytest.param([("a", Long)], [("a", Short)], "a: maxLength is 9, and must be 5", id="longer"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(writer: list[object], reader: list[object], told: str | None) -> None:
    """With its place and the reason."""
    assert unreadable(schema(writer), schema(reader)) == ([told] if told else [])
