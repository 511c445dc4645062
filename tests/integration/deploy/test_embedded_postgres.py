"""PostgreSQL from the wheel: who it runs as, who gets in, and what it keeps."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from deploy.brokers.child import Account
from deploy.postgres import EmbeddedPostgres, _can_reach

NOBODY = Account(uid=65_534, gid=65_534)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A durable server in a private directory, running."""
    made = EmbeddedPostgres(tmp_path / "with space")
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_committed_data_outlives_a_restart(server: EmbeddedPostgres, how: str) -> None:
    """What was committed is there after a clean stop and after SIGKILL; address and password stay the same."""
    url = server.url
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await connection.close()
    server.stop() if how == "stop" else server.kill()
    server.start()
    connection = await asyncpg.connect(url)
    assert server.url == url
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()


async def test_password_is_needed(server: EmbeddedPostgres) -> None:
    """A wrong password is refused, and the right one is readable by its owner alone."""
    wrong = urlsplit(server.url)._replace(netloc=f"ops_assist:wrong@127.0.0.1:{server.port}").geturl()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)
    assert stat.S_IMODE((server.home / "password").stat().st_mode) == 0o600


async def test_server_is_durable_unless_told_otherwise(server: EmbeddedPostgres) -> None:
    """An answered commit is on the disk."""
    connection = await asyncpg.connect(server.url)
    settings = [
        await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")
    ]
    await connection.close()
    assert settings == ["on", "on", "on"]


async def test_text_is_unicode(server: EmbeddedPostgres) -> None:
    """The database is UTF-8 and knows the letters of every language."""
    connection = await asyncpg.connect(server.url)
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    assert await connection.fetchval("SELECT upper('größ')") == "GRÖß"
    await connection.close()


def test_server_listens_on_loopback_only(server: EmbeddedPostgres) -> None:
    """No other machine reaches it, and it has no socket file."""
    process = psutil.Process(server.pid)
    listening = {c.laddr.ip for c in process.net_connections("all") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")
def test_server_of_root_runs_as_somebody_else(server: EmbeddedPostgres) -> None:
    """PostgreSQL refuses to run as root, and a private directory above the data is no hindrance."""
    assert psutil.Process(server.pid).uids().real != 0
    assert stat.S_IMODE(server.home.parent.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not _can_reach(Path(sys.executable).resolve(), NOBODY), reason="others may not run this Python")
@pytest.mark.parametrize("kind", ["postgres", "embedded_broker"])
def test_ordinary_user_can_run_it(kind: str, tmp_path: Path) -> None:
    """A user without rights runs it in a directory of their own."""
    script = (
        "import sys, tempfile, pathlib\n"
        "from deploy.brokers.embedded import EmbeddedBroker\n"
        "from deploy.postgres import EmbeddedPostgres\n"
        "with tempfile.TemporaryDirectory() as home:\n"
        "    kinds = {'postgres': EmbeddedPostgres, 'embedded_broker': EmbeddedBroker}\n"
        "    server = kinds[sys.argv[1]](pathlib.Path(home))\n"
        "    server.start(); server.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, kind],
        user=NOBODY.uid,
        group=NOBODY.gid,
        extra_groups=[],
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
