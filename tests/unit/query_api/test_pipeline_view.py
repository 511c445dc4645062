"""The operators' view: readiness and counts asked of each process, and what is said when one does not answer."""

from typing import Any

import httpx
import pytest

from query_api.answers import PIPELINE, PipelineAnswer
from query_api.pipeline import DEAD_LETTERS, LEDGER, Pipeline, by_reason, reasons_of, service_urls
from query_api.sight import Seen
from runtime.settings import Settings, SettingsError, load_settings

METRICS = f"""# HELP {LEDGER} Events.
# TYPE {LEDGER} counter
{LEDGER}{{reason="attached"}} 7.0
{LEDGER}{{reason="below_level"}} 900.0
# TYPE {DEAD_LETTERS} counter
{DEAD_LETTERS}{{reason="not_json"}} 1.0
# TYPE ops_processor_events_created gauge
ops_processor_events_created{{reason="attached"}} 1.7e+09
"""


def settings(**changes: Any) -> Settings:
    """Settings without a Kafka that could be reached."""
    return load_settings(_env_file=None, **({"kafka_bootstrap_servers": "127.0.0.1:1"} | changes))


class NothingSeen:
    """A view that shows nothing of the canary."""

    async def read(self) -> Seen:
        """As it is before the first record."""
        return Seen()


def answer(request: httpx.Request) -> httpx.Response:
    """As four processes answer: the second is not ready, the third speaks no JSON, the fourth is away."""
    port = request.url.port
    if port == 8002:
        raise httpx.ConnectError("Connection refused", request=request)
    if request.url.path == "/metrics":
        return httpx.Response(200, text=METRICS)
    if port == 8001:
        return httpx.Response(503, json={"status": "not ready", "reasons": {"kafka": "not assigned yet"}})
    return httpx.Response(502, text="<bad>") if port == 8003 else httpx.Response(200, json={"status": "ready"})


async def test_every_process_is_named_with_what_it_says() -> None:
    """Ready, not ready with its reason, unintelligible, and away; and the view is the documented one."""
    pipeline = Pipeline(settings(), NothingSeen(), httpx.MockTransport(answer))

    seen = await pipeline.look()
    await pipeline.close()

    PipelineAnswer.model_validate(seen)
    assert set(seen) == set(PipelineAnswer.model_fields) == set(PIPELINE)
    assert {item["service"]: (item["ready"], item["reasons"]) for item in seen["services"]} == {
        "api": (True, {}),
        "stream_processor": (False, {"kafka": "not assigned yet"}),
        "materializer": (False, {"process": "it answered 502"}),
        "analyzer_worker": (False, {"process": "no answer (Connection refused)"}),
    }
    assert seen["ledger"] == {"below_level": 2700, "attached": 21}
    assert seen["dead_letters"] == {"not_json": 3}
    assert "127.0.0.1:1 did not tell the offsets" in seen["consumers_unavailable"]


async def test_many_who_ask_at_once_are_one_look() -> None:
    """Open pages cost the services nothing more."""
    asked: list[str] = []

    def count(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text="")

    pipeline = Pipeline(settings(), NothingSeen(), httpx.MockTransport(count))
    first, second = await pipeline.look(), await pipeline.look()
    await pipeline.close()

    assert first is second
    assert asked.count("/readyz") == 4


def test_counts_of_several_workers_add_up() -> None:
    """By reason, the greatest first; times of creation are no counts."""
    assert by_reason([METRICS, METRICS, ""], LEDGER) == {"below_level": 1800, "attached": 14}
    assert list(by_reason([METRICS], LEDGER)) == ["below_level", "attached"]


@pytest.mark.parametrize("body", ["[]", '{"reasons": 3}', "x"])
def test_strange_readiness_is_no_crash(body: str) -> None:
    """What cannot be read is told by its status."""
    assert reasons_of(httpx.Response(500, text=body)) == {"process": "it answered 500"}


def test_processes_are_this_machines_unless_they_are_named() -> None:
    """One process may be named several times: each worker is asked."""
    assert service_urls(settings(host="0.0.0.0"))[0] == ("api", "http://127.0.0.1:8000")
    assert service_urls(settings(host="::1"))[0] == ("api", "http://[::1]:8000")
    named = settings(service_urls="worker=http://a:1/, worker=http://b:1")
    assert service_urls(named) == [("worker", "http://a:1"), ("worker", "http://b:1")]


@pytest.mark.parametrize("urls", ["http://a:1", "a=b", "a=http://b,,"])
def test_addresses_that_are_none_stop_the_start(urls: str) -> None:
    """The error says what is wanted."""
    with pytest.raises(SettingsError, match=r"SERVICE_URLS.*name=http"):
        settings(service_urls=urls)
