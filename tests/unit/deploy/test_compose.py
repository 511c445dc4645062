"""docker-compose.yml, held against the Compose Specification and against what is promised of it."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from query_api.pipeline import service_urls
from runtime.settings import Settings, load_settings

ROOT: Final = Path(__file__).parents[3]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = [name for name, service in SERVICES.items() if service["image"].startswith("ops-assist:")]
OF_OTHERS: Final = sorted(SERVICES.keys() - set(OURS))
SCHEMA: Final = json.loads((ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json").read_text())
DROPS_ROOT_ITSELF: Final = {"postgres", "kafka"}
"""The image of PostgreSQL begins as root and leaves it; that of Kafka names its user itself."""
WRITES_WHERE_IT_WAS_INSTALLED: Final = {"kafka"}
"""Its start script writes the configuration into its own folder."""


def test_it_is_a_compose_file() -> None:
    """By the schema of the specification."""
    validator = Draft202012Validator(SCHEMA)

    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


def test_the_schema_would_notice() -> None:
    """A key that does not exist is a fault, so the test above can fail."""
    broken = COMPOSE | {"services": SERVICES | {"kafka": SERVICES["kafka"] | {"healthchek": {}}}}

    assert not Draft202012Validator(SCHEMA).is_valid(broken)


def test_every_image_has_a_version() -> None:
    """None is `latest`, with or without the word."""
    assert [name for name, service in SERVICES.items() if not re.search(r":v?\d+\.\d+[^:]*$", service["image"])] == []


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"migrate"}))
def test_what_runs_on_is_asked_how_it_is(name: str) -> None:
    """Every service has a health check, and is started again when it ends; `migrate` ends by itself."""
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_no_more_rights_than_needed(name: str) -> None:
    """Not root, on a file system that nothing writes to; the image of ours names its user."""
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only", False) is (name not in WRITES_WHERE_IT_WAS_INSTALLED)
    if name not in {*OURS, *DROPS_ROOT_ITSELF}:
        assert not service["user"].startswith("0")
    if name != "postgres":  # it changes its user
        assert service["cap_drop"] == ["ALL"]


def test_it_answers_on_the_two_ports_and_to_this_machine_alone() -> None:
    """8000 and 3000 as `make run`; Prometheus and Grafana beside them."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {
        "front_door": ["127.0.0.1:8000:8000"],
        "dashboard": ["127.0.0.1:3000:3000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3001:3000"],
    }


def test_what_is_mounted_is_there() -> None:
    """Each file or folder of this tree, and each volume is declared."""
    sources = [source.split(":")[0] for service in SERVICES.values() for source in service.get("volumes", [])]

    assert [source for source in sources if source.startswith(".") and not (ROOT / source).exists()] == []
    assert {source for source in sources if not source.startswith(".")} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    """A name that no setting has would be ignored without a word."""
    known = {field.upper() for field in Settings.model_fields}

    assert set(SERVICES[name]["environment"]) <= known


def test_processes_find_each_other() -> None:
    """The addresses that the Pipeline page asks are services with these ports."""
    text = SERVICES["front_door"]["environment"]["SERVICE_URLS"]
    urls = dict(service_urls(load_settings(_env_file=None, service_urls=text)))

    settings = load_settings(_env_file=None)
    assert urls == {
        "api": f"http://front_door:{settings.http_port}",
        "stream_processor": f"http://stream_processor:{settings.processor_port}",
        "materializer": f"http://materializer:{settings.materializer_port}",
        "analyzer_worker": f"http://analyzer_worker:{settings.analyzer_port}",
    }
