"""The interactive docs: whole, from one origin, and as they were published."""

import hashlib
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from runtime import api_docs
from runtime.health import status_app
from runtime.settings import load_settings

_VENDORED = Path(api_docs.__file__).parent / "static" / "swagger-ui"


def _client(title: str = "a service", root_path: str = "") -> TestClient:
    app = FastAPI(title=title, docs_url=None, redoc_url=None)
    api_docs.install(app)
    return TestClient(app, root_path=root_path)


def test_vendored_files_are_those_that_were_published() -> None:
    """Each has the hash that the README records, and the README forgets none."""
    readme = (_VENDORED / "README.md").read_text()
    recorded = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", readme, re.MULTILINE)}
    files = [file for file in _VENDORED.iterdir() if file.name != "README.md"]
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == recorded


@pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
def test_all_that_the_page_names_is_on_its_own_origin(root_path: str) -> None:
    """Scripts, style, icon and the document, also under a prefix."""
    client = _client(root_path=root_path)
    named = re.findall(r'(?:href|src|data-openapi)="([^"]*)"', client.get("/docs").text)
    assert len(named) == 6
    for address in named:
        assert address.startswith(f"{root_path}/")
        assert client.get(address.removeprefix(root_path)).status_code == 200


def test_policy_allows_no_inline_script_and_no_other_origin() -> None:
    """On the page and on each file."""
    client = _client()
    for path in api_docs.PATHS:
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
    assert not re.search(r"<script(?! src=)|\son\w+=|style=", client.get("/docs").text)


def test_title_is_text() -> None:
    """Whatever a service is called."""
    assert "&lt;b&gt; &amp; co" in _client("<b> & co").get("/docs").text


def test_files_are_sent_once() -> None:
    """A browser that has the bundle is told so."""
    client = _client()
    first = client.get("/docs/swagger-ui-bundle.js")
    again = client.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["content-type"], again.status_code) == ("text/javascript; charset=utf-8", 304)


def test_docs_are_no_part_of_the_document() -> None:
    """`/openapi.json` speaks of the API."""
    assert _client().get("/openapi.json").json()["paths"] == {}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_services_without_an_api_have_no_docs(path: str) -> None:
    """Nor do they send anybody to a CDN."""
    assert TestClient(status_app(load_settings(_env_file=None), "a service", {})).get(path).status_code == 404
