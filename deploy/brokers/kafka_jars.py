"""The jars of Apache Kafka: fetched once with Maven, checked, and shared by all clones of this user."""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.brokers.base import BrokerError

KAFKA_VERSION: Final = "4.3.1"
OLDEST_JAVA: Final = 17

_HERE: Final = Path(__file__).parent
_POM: Final = _HERE / "pom.xml"
_MANIFEST: Final = _HERE / "jars.sha256.txt"
_COPY_GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_SECONDS: Final = 600
_JAVA_SECONDS: Final = 30

Progress = Callable[[str], None]


def say_nothing(_: str) -> None:
    """Progress for callers who do not want it."""


def cache_dir() -> Path:
    """Where the jars are kept: $XDG_CACHE_HOME/ops-assist, or ~/.cache/ops-assist."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "ops-assist" / f"kafka-{KAFKA_VERSION}"


def java_command() -> str | None:
    """The java of JAVA_HOME, else of PATH."""
    home = os.environ.get("JAVA_HOME")
    candidate = Path(home) / "bin" / "java" if home else None
    return str(candidate) if candidate and candidate.exists() else shutil.which("java")


def java_version_text(java: str) -> str:
    """What `java -version` prints; empty if it does not run."""
    try:
        done = subprocess.run(  # noqa: S603 - the machine's own java
            [java, "-version"], capture_output=True, text=True, timeout=_JAVA_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stderr + done.stdout


def java_major(version_text: str) -> int | None:
    """The feature release that a text of `java -version` names: 17 for "17.0.15", 8 for "1.8.0_392"."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(found[1]) if found else None


def why_unavailable() -> str | None:
    """Why Apache Kafka cannot be run on this machine; None if it can."""
    java = java_command()
    if java is None:
        return f"no java on PATH (Java {OLDEST_JAVA} or newer is needed)"
    major = java_major(java_version_text(java))
    if major is None or major < OLDEST_JAVA:
        return f"{java} is Java {major or 'of an unknown version'}; {OLDEST_JAVA} or newer is needed"
    if not _libs(cache_dir()).is_dir() and shutil.which("mvn") is None:
        return "no mvn on PATH to fetch it with"
    return None


def fetch_jars(progress: Progress = say_nothing) -> Path:
    """The directory with the checked jars; fetches them if they are not there.

    Safe for several processes at once and after an interrupted fetch: only a complete, checked directory gets its name.

    Raises:
        BrokerError: no Maven, no network, or a jar that is not the one that was pinned.
    """
    home = cache_dir()
    libs = _libs(home)
    if libs.is_dir():
        return libs
    with _only_one(home):
        if not libs.is_dir():
            progress(f"fetching Apache Kafka {KAFKA_VERSION} with Maven (45 MB, once)")
            _fetch(home, libs)
    return libs


def pinned_sums() -> dict[str, str]:
    """The SHA-256 of each jar, by file name."""
    lines = (line.split() for line in _MANIFEST.read_text().splitlines())
    return {name: digest for digest, name in lines}


def check_jars(directory: Path) -> None:
    """See that the directory holds the pinned jars and nothing else.

    Raises:
        BrokerError: names the jar that is missing, unknown or different.
    """
    expected = pinned_sums()
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in directory.glob("*.jar")}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise BrokerError(f"Maven did not fetch {name}, which Apache Kafka {KAFKA_VERSION} needs")
        if name not in expected:
            raise BrokerError(f"Maven fetched {name}, which is not in the manifest of Apache Kafka {KAFKA_VERSION}")
        if found[name] != expected[name]:
            raise BrokerError(
                f"{name} has SHA-256 {found[name]}, but {expected[name]} is pinned: it was not used. Delete it from "
                "your Maven repository and try again; if it stays so, do not trust its source"
            )


def _libs(home: Path) -> Path:
    """Named after what is in it: another manifest is another directory."""
    return home / f"libs-{hashlib.sha256(_MANIFEST.read_bytes()).hexdigest()[:12]}"


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "fetch.lock").open("wb")
    except OSError as error:
        raise BrokerError(f"cannot write to {home} ({error.strerror}); set XDG_CACHE_HOME to another place") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(home: Path, libs: Path) -> None:
    for stale in home.glob("fetch-*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=home) as scratch:
        fetched = Path(scratch) / "libs"
        _run_maven(Path(shutil.copy(_POM, scratch)), fetched)
        check_jars(fetched)
        fetched.rename(libs)


def _run_maven(pom: Path, into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError("no mvn on PATH: install Maven, or set BROKER=embedded")
    command = [maven, "-q", "-B", "-f", str(pom), _COPY_GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    if not _has_home():
        command.append(f"-Dmaven.repo.local={into.parent / 'repository'}")
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"Maven did not fetch Apache Kafka within {_FETCH_SECONDS} s") from error
    if done.returncode:
        raise BrokerError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}: {_reason(done.stdout + done.stderr)}")


def _has_home() -> bool:
    """Whether Maven, which goes by the user database and not by $HOME, can keep its repository where it wants."""
    try:
        return os.access(pwd.getpwuid(os.getuid()).pw_dir, os.W_OK)
    except KeyError:
        return False


def _reason(output: str) -> str:
    errors = [line.removeprefix("[ERROR]").strip() for line in output.splitlines() if line.startswith("[ERROR]")]
    return next(filter(None, errors), output.strip()[-300:] or "it said nothing")
