"""The image: what hadolint says of its Dockerfile, and its steps, executed in a clean directory."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[3]
DOCKERFILE: Final = ROOT / "deploy" / "images" / "Dockerfile"
SET_UP_VENV: Final = ROOT / "deploy" / "set_up_venv.sh"
PACKAGES: Final = (
    *("schemas", "runtime", "ingest_gateway", "stream_processor"),
    *("analyzer_worker", "query_api", "ops_assist"),
)
LOCKED: Final = "--require-hashes --only-binary :all:"


def steps() -> list[str]:
    """The RUN instructions, in order."""
    return re.findall(r"^RUN (.*)$", DOCKERFILE.read_text(), re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    """No rule is switched off."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint comes for Linux on x86_64 only")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_packages_are_those_of_the_lock_as_everywhere() -> None:
    """With hashes, and nothing built: the same words as in what `make run` executes, from the same list."""
    [locked] = [step for step in steps() if "requirements.txt" in step]

    assert LOCKED in locked
    assert LOCKED in SET_UP_VENV.read_text()
    assert "--no-deps --no-build-isolation" in steps()[2]
    assert "--no-deps --no-build-isolation" in SET_UP_VENV.read_text()


def test_it_runs_as_a_user_without_rights() -> None:
    """The last stage ends as a number that Kubernetes can tell from root."""
    last = DOCKERFILE.read_text().rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001"]
    assert steps()[-1].startswith("useradd --system --uid 10001")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image's step makes of the build context, on top of the packages that are here already."""
    app, venv = tmp_path_factory.mktemp("image") / "app", tmp_path_factory.mktemp("opt") / "venv"
    copy_of_context(app)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    packages = Path(pytest.__file__).parents[1]
    (next(venv.glob("lib/python3*/site-packages")) / "installed.pth").write_text(f"{packages}\n")
    step = steps()[2].replace("/opt/venv/bin/pip", f"{venv}/bin/python -m pip")
    done = subprocess.run(step.split(), cwd=app, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(app)
    return venv


def copy_of_context(target: Path) -> None:
    """What `COPY . .` copies: the tree without what .dockerignore names."""
    left_out = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()]
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*left_out))


def test_the_image_holds_every_file_that_the_services_read(image: Path) -> None:
    """Code, pages, styles, patterns, migrations: all that lies in the packages, notes for people left out."""
    installed = next(image.glob("lib/python3*/site-packages"))
    files = [path.relative_to(ROOT) for module in PACKAGES for path in (ROOT / module).rglob("*") if path.is_file()]
    needed = [path for path in files if path.suffix != ".md" and "__pycache__" not in path.parts]

    assert len(needed) > 200
    assert [path for path in needed if not (installed / path).is_file()] == []


def test_what_is_started_in_the_image_is_what_was_installed_there(image: Path, tmp_path: Path) -> None:
    """Each command of docker-compose.yml is a module that can be imported, in a folder that has none of our files."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    modules = [command_of(service) for service in services.values() if service["image"].startswith("ops-assist:")]
    code = "import importlib, sys; [print(importlib.import_module(name).__file__) for name in sys.argv[1:]]"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [image / "bin" / "python", "-c", code, *modules],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(modules) == 6
    assert all(Path(line).is_relative_to(image) for line in done.stdout.splitlines())


def command_of(service: dict[str, Any]) -> str:
    """The module that it runs."""
    [module] = service["command"]
    return str(module)
