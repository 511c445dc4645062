"""How a body may come: media types, charsets, gzip, sizes, and JSON that is none."""

import gzip
import json
import tracemalloc

import pytest

from tests.unit.ingest_gateway.gateway_client import EVENT, NDJSON, Gateway

_EVENT = json.dumps(EVENT).encode()
_MIB = 1024 * 1024


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"],
)
def test_json_in_utf8_is_read(gateway: Gateway, media_type: str) -> None:
    """However it is spelled."""
    assert gateway.send(_EVENT, media_type=media_type).status_code == 201


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        NDJSON,
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=klingon",
        "nonsense",
    ],
)
def test_anything_else_is_415_and_says_what_is_read(gateway: Gateway, media_type: str | None) -> None:
    """The body is not looked at."""
    answer = gateway.send(_EVENT, media_type=media_type)
    assert answer.status_code == 415
    assert "send" in answer.json()["detail"]
    assert not gateway.written


@pytest.mark.parametrize("to", ["", "/batch"])
def test_gzip_is_unpacked(gateway: Gateway, to: str) -> None:
    """On both routes."""
    body = _EVENT if not to else b"[" + _EVENT + b"]"
    assert gateway.send(gzip.compress(body), to=to, content_encoding="gzip").status_code == 201
    assert len(gateway.written) == 1


def test_gzip_of_several_members_is_unpacked(gateway: Gateway) -> None:
    """As log shippers write it: one member a flush."""
    body = b"".join(gzip.compress(_EVENT + b"\n") for _ in range(3))
    assert gateway.send(body, to="/batch", media_type=NDJSON, content_encoding="gzip").json()["accepted"] == 3


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_another_encoding_is_415_and_says_which_is_read(gateway: Gateway, encoding: str) -> None:
    """RFC 9110 section 15.5.16."""
    answer = gateway.send(_EVENT, content_encoding=encoding)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip"


def test_identity_is_no_encoding(gateway: Gateway) -> None:
    """RFC 9110 section 8.4.1."""
    assert gateway.send(_EVENT, content_encoding="identity").status_code == 201


_PACKED = gzip.compress(_EVENT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        _EVENT,
        _PACKED[:-1],
        _PACKED[:15],
        _PACKED + b"trailing",
        _PACKED[:-8] + bytes(8),
        gzip.compress(b"") * 2_000,
    ],
    ids=["empty", "not gzip", "one byte short", "cut", "trailing garbage", "wrong checksum", "members without end"],
)
def test_gzip_that_is_none_is_400(gateway: Gateway, body: bytes) -> None:
    """A truncated upload must not be taken for a shorter one."""
    answer = gateway.send(body, content_encoding="gzip")
    assert answer.status_code == 400
    assert "gzip" in answer.json()["detail"]
    assert not gateway.written


def test_a_gzip_bomb_is_413_and_never_unpacked_in_full(gateway: Gateway) -> None:
    """A small body that unpacks to a large one takes no more memory than the largest good body."""
    bomb = gzip.compress(bytes(64 * _MIB), 1)
    tracemalloc.start()
    try:
        answer = gateway.send(bomb, content_encoding="gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 24 * _MIB


def test_a_body_over_8_mib_is_413(gateway: Gateway) -> None:
    """By its Content-Length, before a byte is read."""
    answer = gateway.send(b" " * (8 * _MIB) + _EVENT)
    assert answer.status_code == 413
    assert "8 MiB" in answer.json()["detail"]


def test_a_body_of_8_mib_is_read(gateway: Gateway) -> None:
    """The bound itself is within."""
    assert gateway.send(_EVENT + b" " * (8 * _MIB - len(_EVENT))).status_code == 201


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b'{"service": "a",', "ends in the middle of a value at line 1, column 17"),
        (b'{"service": "a",\n "level": NaN}', "line 2, column 11"),
        (b'{"attributes": {"a": Infinity}}', "line 1, column 22"),
        (b'{"a": -Infinity}', "byte 7"),
        (b"{'service': 'a'}", "line 1, column 2"),
        (_EVENT + b" x", "trailing characters"),
        (_EVENT + _EVENT, "trailing characters"),
        (b'{"service": "\xff"}', "not UTF-8 at line 1, column 14"),
        (b'{"message": "\\ud800"}', "half of a surrogate pair at line 1, column 14"),
        (b'{"message": "\\udc00\\ud800"}', "half of a surrogate pair"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"attributes": {"a": 1e999}}', "out of range"),
        (_EVENT.decode().encode("utf-16"), "not UTF-8"),
    ],
)
def test_malformed_json_is_400_and_says_where(gateway: Gateway, body: bytes, where: str) -> None:
    """With line, column and byte wherever they are known."""
    answer = gateway.send(body)
    assert answer.status_code == 400
    assert where in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_byte_order_mark_is_passed_over(gateway: Gateway) -> None:
    """RFC 8259 section 8.1 lets a reader ignore it, and some tools write it."""
    assert gateway.send(b"\xef\xbb\xbf" + _EVENT).status_code == 201


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("to", ["", "/batch"])
def test_other_methods_are_405_and_name_the_one_that_works(gateway: Gateway, method: str, to: str) -> None:
    """GET of events is the query API's."""
    answer = gateway.client.request(method, f"/api/v1/events{to}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.headers["content-type"] == "application/problem+json"
