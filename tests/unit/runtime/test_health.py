"""What every service answers about itself."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from runtime import health
from runtime.health import VERSION, failing, status_app
from runtime.settings import load_settings

_SETTINGS = load_settings(_env_file=None, environment="staging")


async def _well() -> str | None:
    return None


async def _away() -> str | None:
    return "the broker cannot be reached"


async def _broken() -> str | None:
    raise ConnectionError("refused")


async def _silent() -> str | None:
    await asyncio.Event().wait()
    return None


def test_the_routes_of_the_contract_are_there() -> None:
    """`/`, `/health`, `/readyz` and `/metrics`."""
    client = TestClient(status_app(_SETTINGS, "a service", {"it": _well}))
    assert client.get("/").json() == {"message": "a service", "status": "online", "version": VERSION}
    assert client.get("/health").json() == {"status": "healthy", "environment": "staging"}
    assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "# HELP python_info" in metrics.text


def test_a_service_that_is_not_ready_says_why_and_stays_healthy() -> None:
    """503 for the load balancer, a sentence for the person."""
    client = TestClient(status_app(_SETTINGS, "a service", {"broker": _away, "database": _well}))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "reasons": {"broker": "the broker cannot be reached"}}
    assert client.get("/health").status_code == 200


async def test_a_check_that_breaks_or_hangs_is_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others are still asked."""
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.01)
    reasons = await failing({"broken": _broken, "silent": _silent, "well": _well})
    assert reasons == {"broken": "ConnectionError: refused", "silent": "no answer within 0.01 s"}
