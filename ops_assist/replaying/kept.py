"""What of a record's value belongs to one service."""

from typing import Final

import msgspec


class _Named(msgspec.Struct):
    service: str


_decode_named: Final = msgspec.json.Decoder(_Named).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def kept_value(value: bytes | None, key: bytes | None, service: str) -> bytes | None:
    """The value, of an array only the events of `service`; None where it holds none.

    What cannot be read is the service's where its key says so.
    """
    if value is None:
        return None
    try:
        if not value.lstrip().startswith(b"["):
            return value if _is_of(value, service) else None
        elements = [bytes(raw) for raw in _decode_list(value)]
    except (msgspec.DecodeError, ValueError):
        return value if key == service.encode() else None
    own = [element for element in elements if _is_of_safely(element, service)]
    if len(own) == len(elements):
        return value if own else None
    return b"[" + b",".join(own) + b"]" if own else None


def _is_of(value: bytes, service: str) -> bool:
    return _decode_named(value).service.strip() == service


def _is_of_safely(value: bytes, service: str) -> bool:
    try:
        return _is_of(value, service)
    except (msgspec.DecodeError, ValueError):
        return False
