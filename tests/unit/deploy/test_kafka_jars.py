"""The jars of Apache Kafka are the pinned ones, or they are not used."""

import hashlib
import re
from pathlib import Path

import pytest

from deploy.brokers import kafka_jars
from deploy.brokers.base import BrokerError
from deploy.brokers.kafka_jars import KAFKA_VERSION, cache_dir, check_jars, fetch_jars, java_major, pinned_sums

POM = Path(kafka_jars.__file__).with_name("pom.xml")


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Maven on PATH that runs the shell lines which the test writes into it; the cache is empty."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache with space"))
    return program


def _write(program: Path, *lines: str) -> None:
    directory = 'for a; do case "$a" in -DoutputDirectory=*) out="${a#*=}";; esac; done; mkdir -p "$out"'
    program.write_text("\n".join(["#!/bin/sh", directory, *lines]))
    program.chmod(0o755)


@pytest.fixture
def one_jar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that pins a single jar with the content `good`."""
    monkeypatch.setattr(kafka_jars, "pinned_sums", lambda: {"a.jar": hashlib.sha256(b"good\n").hexdigest()})


def test_manifest_pins_the_version_that_the_pom_asks_for() -> None:
    """The POM, the manifest and the code name the same Kafka."""
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(.+?)</version>", POM.read_text())
    assert found is not None
    assert found[1] == KAFKA_VERSION
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in pinned_sums()


def test_manifest_holds_a_logging_backend() -> None:
    """Without a binding for slf4j the broker would log nothing."""
    assert any(name.startswith("log4j-slf4j-impl-") for name in pinned_sums())


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_392"', 8),
        ("no java here", None),
    ],
)
def test_java_release_is_read_from_its_version_text(text: str, major: int | None) -> None:
    """Both the old and the new scheme of Java versions are understood."""
    assert java_major(text) == major


@pytest.mark.usefixtures("one_jar")
def test_fetched_jars_are_kept_and_not_fetched_again(maven: Path) -> None:
    """The second call runs no Maven."""
    _write(maven, 'echo good > "$out/a.jar"', f'echo run >> "{maven}.runs"')
    assert fetch_jars() == fetch_jars() == next(cache_dir().glob("libs-*"))
    assert Path(f"{maven}.runs").read_text() == "run\n"


@pytest.mark.usefixtures("one_jar")
def test_jar_with_another_checksum_is_refused_and_not_kept(maven: Path) -> None:
    """One line names the jar; nothing of the fetch stays in the cache."""
    _write(maven, 'echo evil > "$out/a.jar"')
    with pytest.raises(BrokerError, match=r"^a\.jar has SHA-256 \w+, but \w+ is pinned: it was not used"):
        fetch_jars()
    assert [path.name for path in cache_dir().iterdir()] == ["fetch.lock"]


@pytest.mark.usefixtures("one_jar")
def test_failure_of_maven_is_told_in_one_line(maven: Path) -> None:
    """Maven's first error is the reason that the person reads."""
    _write(maven, "echo '[ERROR] '; echo '[ERROR] no route to host'; echo '[ERROR] more'; exit 1")
    with pytest.raises(BrokerError, match=rf"^Maven could not fetch Apache Kafka {KAFKA_VERSION}: no route to host$"):
        fetch_jars()


@pytest.mark.usefixtures("one_jar")
def test_interrupted_fetch_is_cleared_away(maven: Path) -> None:
    """What a killed fetch left behind is removed by the next one."""
    (cache_dir() / "fetch-killed" / "libs").mkdir(parents=True)
    _write(maven, 'echo good > "$out/a.jar"')
    fetch_jars()
    assert sorted(path.name.split("-")[0] for path in cache_dir().iterdir()) == ["fetch.lock", "libs"]


def test_cache_that_cannot_be_written_is_told_with_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the variable that moves the cache."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BrokerError, match="set XDG_CACHE_HOME"):
        fetch_jars()


@pytest.mark.usefixtures("one_jar")
def test_missing_and_unknown_jars_are_refused(tmp_path: Path) -> None:
    """The directory must hold exactly what the manifest lists."""
    with pytest.raises(BrokerError, match=r"did not fetch a\.jar"):
        check_jars(tmp_path)
    (tmp_path / "a.jar").write_bytes(b"good\n")
    (tmp_path / "b.jar").touch()
    with pytest.raises(BrokerError, match=r"fetched b\.jar, which is not in the manifest"):
        check_jars(tmp_path)
