"""Whether two releases understand each other's records, as they must while an upgrade is under way."""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

_NO_LESS: Final = ("minLength", "minItems", "minProperties", "minimum")
_NO_MORE: Final = ("maxLength", "maxItems", "maxProperties", "maximum")
_COMBINED: Final = ("anyOf", "oneOf")


def unreadable(writer: Schema, reader: Schema) -> list[str]:
    """Why a record that fits the schema `writer` may not fit the schema `reader`; empty where every one does.

    Knows what msgspec writes: types, objects, arrays by place, enums, limits, `anyOf` and references. A form that it
    does not know counts as another only where it differs.
    """
    return list(dict.fromkeys(_Comparison(writer, reader).differences(writer, reader, "")))


class _Comparison:
    """One walk through two schemas; types that refer to themselves are looked at once."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        self._writer, self._reader = writer, reader
        self._seen: set[tuple[str, str]] = set()

    def differences(self, writer: Schema, reader: Schema, at: str) -> Iterator[str]:
        pair = (writer.get("$ref", ""), reader.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        writer, reader = _resolved(writer, self._writer), _resolved(reader, self._reader)
        choices, taken = _choices(writer), _choices(reader)
        if len(choices) > 1 or len(taken) > 1:
            yield from self._unmatched(choices, taken, at)
        else:
            yield from self._plain(writer, reader, at)

    def _unmatched(self, choices: list[Schema], taken: list[Schema], at: str) -> Iterator[str]:
        """Each that may be written must be one of those that are taken; the closest says why it is none."""
        for choice in choices:
            tries = [list(_Comparison(self._writer, self._reader).differences(choice, one, at)) for one in taken]
            if all(tries):
                yield from min(tries, key=lambda tried: (any("the type" in text for text in tried), len(tried)))

    def _plain(self, writer: Schema, reader: Schema, at: str) -> Iterator[str]:
        place = at or "the record"
        if not reader.keys() - {"$schema", "title", "description", "$defs"}:
            return
        yield from _other_type(writer, reader, place)
        yield from _limits(writer, reader, place)
        yield from self._fields(writer, reader, at)
        yield from self._elements(writer, reader, at)

    def _fields(self, writer: Schema, reader: Schema, at: str) -> Iterator[str]:
        written, read = writer.get("properties", {}), reader.get("properties", {})
        for name in reader.get("required", []):
            if name not in writer.get("required", []):
                yield f"{_join(at, name)}: is needed, and not always there"
        for name in written.keys() & read.keys():
            yield from self.differences(written[name], read[name], _join(at, name))
        more, taken = writer.get("additionalProperties"), reader.get("additionalProperties")
        if isinstance(more, dict) and isinstance(taken, dict):
            yield from self.differences(more, taken, _join(at, "*"))

    def _elements(self, writer: Schema, reader: Schema, at: str) -> Iterator[str]:
        placed = zip(writer.get("prefixItems", []), reader.get("prefixItems", []), strict=False)
        for number, (written, read) in enumerate(placed):
            yield from self.differences(written, read, f"{at}[{number}]")
        if isinstance(writer.get("items"), dict) and isinstance(reader.get("items"), dict):
            yield from self.differences(writer["items"], reader["items"], f"{at}[]")


def _other_type(writer: Schema, reader: Schema, place: str) -> Iterator[str]:
    written, read = _type(writer), _type(reader)
    if read and written != read and (written, read) != ("integer", "number"):
        yield f"{place}: the type is {written or 'any'}, not {read}"
    if "enum" in reader:
        unknown = [str(value) for value in writer.get("enum", ["anything"]) if value not in reader["enum"]]
        if unknown:
            yield f"{place}: {', '.join(unknown)} is not known"
    if "format" in reader and writer.get("format") != reader["format"]:
        yield f"{place}: is no {reader['format']}"


def _limits(writer: Schema, reader: Schema, place: str) -> Iterator[str]:
    for name in _NO_LESS:
        if name in reader and writer.get(name, float("-inf")) < reader[name]:
            yield f"{place}: {name} is {writer.get(name, 'none')}, and must be {reader[name]}"
    for name in _NO_MORE:
        if name in reader and writer.get(name, float("inf")) > reader[name]:
            yield f"{place}: {name} is {writer.get(name, 'none')}, and must be {reader[name]}"


def _type(schema: Schema) -> str | None:
    """Its JSON type; enums of msgspec name none, and hold strings."""
    kind = schema.get("type")
    return "string" if kind is None and "enum" in schema else kind


def _choices(schema: Schema) -> list[Schema]:
    for word in _COMBINED:
        if word in schema:
            return list(schema[word])
    return [schema]


def _resolved(schema: Schema, root: Schema) -> Schema:
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    found: Schema = root["$defs"][name] if name else schema
    return found


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
