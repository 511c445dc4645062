"""The Kubernetes manifests, rendered as an operator would and held against the schemas of Kubernetes itself."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from runtime.settings import Settings

KUBERNETES: Final = Path(__file__).parents[3] / "deploy" / "kubernetes"
PARTS: Final = ("base", "overlays/example")
VERSION: Final = "1.33"
OLDEST_KUSTOMIZE: Final = 5
PORTS: Final = {
    "front_door": Settings.model_fields["http_port"].default,
    "stream_processor": Settings.model_fields["processor_port"].default,
    "analyzer_worker": Settings.model_fields["analyzer_port"].default,
    "materializer": Settings.model_fields["materializer_port"].default,
    "dashboard": Settings.model_fields["dashboard_port"].default,
}

Manifest = dict[str, Any]


@cache
def rendered(part: str) -> list[Manifest]:
    """What `kubectl apply -k` would send; skips the test, and on CI fails it, where no kubectl can render it."""
    if reason := _cannot_render():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    command = ["kubectl", "kustomize", str(KUBERNETES / part)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@cache
def _cannot_render() -> str:
    if shutil.which("kubectl") is None:
        return "kubectl is not here: sh deploy/set_up_system.sh gets it on Debian"
    said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"Kustomize Version: v(\d+)", said.stdout)
    if found and int(found[1]) >= OLDEST_KUSTOMIZE:
        return ""
    return f"kubectl has no kustomize {OLDEST_KUSTOMIZE}: {said.stdout.strip()}"


def pods(part: str) -> Iterator[tuple[str, Manifest]]:
    """The pod of each Deployment, by the Deployment's name."""
    for manifest in rendered(part):
        if manifest["kind"] == "Deployment":
            yield manifest["metadata"]["name"], manifest["spec"]["template"]


def containers(part: str) -> Iterator[tuple[str, Manifest]]:
    """Every container, those that run first included."""
    for name, pod in pods(part):
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            yield f"{name}/{container['name']}", container


@pytest.mark.parametrize("part", PARTS)
def test_every_object_fits_its_schema(part: str) -> None:
    """Strictly: a key that Kubernetes does not know is a fault."""
    for manifest in rendered(part):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_schemas_would_notice() -> None:
    """So the test above can fail."""
    deployment = next(manifest for manifest in rendered("base") if manifest["kind"] == "Deployment")

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment | {"replicaz": 2}, VERSION, strict=True)


@pytest.mark.parametrize("part", PARTS)
def test_pods_are_locked_down(part: str) -> None:
    """Not root, nothing to write to but /tmp, no token of the cluster: what the level `restricted` asks, and more."""
    for name, pod in pods(part):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
    for name, container in containers(part):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
        assert {"secretRef": {"name": "ops-assist"}} in container["envFrom"], name


@pytest.mark.parametrize("part", PARTS)
def test_every_service_is_probed_budgeted_and_reached(part: str) -> None:
    """Liveness is /health, readiness /readyz, on the service's own port; one pod at a time may be taken."""
    manifests = rendered(part)
    budgets = {m["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for m in manifests if _is(m, "PodDis")}
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for _, pod in pods(part)} == set(PORTS) == budgets
    for _, pod in pods(part):
        label = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        [container] = pod["spec"]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": PORTS[label]}]
        assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    for service in (manifest for manifest in manifests if _is(manifest, "Service")):
        [port] = service["spec"]["ports"]
        assert port["port"] == PORTS[service["spec"]["selector"]["app.kubernetes.io/name"]]


def test_workers_scale_on_their_own_groups_lag() -> None:
    """Never beyond the partitions, and an apply does not set the number back."""
    manifests = rendered("overlays/example")
    scalers = {m["metadata"]["name"]: m["spec"] for m in manifests if _is(m, "HorizontalPodAutoscaler")}
    config = next(manifest["data"] for manifest in manifests if _is(manifest, "ConfigMap"))
    groups = {
        name: metric["external"]["metric"]["selector"]["matchLabels"]["group"]
        for name, scaler in scalers.items()
        for metric in scaler["metrics"]
        if metric["type"] == "External"
    }

    assert groups == {
        "stream-processor": "ops-detection",
        "materializer": "ops-materializer",
        "analyzer-worker": "ops-analyzer",
    }
    assert scalers["stream-processor"]["maxReplicas"] <= int(config["TOPIC_PARTITIONS"])
    fixed = {m["metadata"]["name"] for m in manifests if _is(m, "Deployment") and "replicas" in m["spec"]}
    assert fixed.isdisjoint(scalers)


@pytest.mark.parametrize("part", PARTS)
def test_no_secret_and_no_unknown_setting_is_in_the_manifests(part: str) -> None:
    """Secrets are the operator's; a name that no setting has would be ignored without a word."""
    manifests = rendered(part)
    assert not any(_is(manifest, "Secret") for manifest in manifests)
    [config] = [manifest["data"] for manifest in manifests if _is(manifest, "ConfigMap")]
    assert {name.lower() for name in config} <= Settings.model_fields.keys()


def test_images_of_the_example_have_a_version() -> None:
    """None is `latest`, with or without the word."""
    assert all(re.search(r":\d+\.\d+", container["image"]) for _, container in containers("overlays/example"))


def _is(manifest: Manifest, kind: str) -> bool:
    return bool(manifest["kind"].startswith(kind))
