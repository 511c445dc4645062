"""The small parts of `up`: ports, the lock, the screen, logs, waiting."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from ops_assist.errors import CommandError
from ops_assist.output import safe
from ops_assist.running import Running, api_url, forget_running, kafka_settings, read_running, write_running
from ops_assist.supervisor.environment import database_address, service_environment
from ops_assist.supervisor.ports import Port, in_use, same_twice, wanted_ports
from ops_assist.supervisor.screen import Screen, warning_of
from ops_assist.supervisor.service import reachable
from ops_assist.supervisor.service_log import ServiceLog
from ops_assist.supervisor.state_lock import state_lock
from ops_assist.supervisor.waiting import stop_signals, together, unless
from runtime.settings import Settings, load_settings
from tests.support.hostile_lines import hostile_lines

RUNNING = Running(
    pid=1,
    api_url="http://localhost:8000",
    dashboard_url="http://localhost:3000",
    broker="Tansu",
    bootstrap_servers="127.0.0.1:1234",
    idempotence=False,
)


def _settings(tmp_path: Path, **values: object) -> Settings:
    return load_settings(_env_file=None, state_dir=tmp_path, **values)


class TestPorts:
    """Looked at before anything starts."""

    def test_a_port_in_use_is_one_line_with_its_setting(self) -> None:
        """It names the port, who wants it and what changes it."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            line = in_use("127.0.0.1", [Port(number, "the HTTP API", "HTTP_PORT")])
        assert line == (
            f"port {number}, wanted by the HTTP API, is in use: stop who holds it or set HTTP_PORT to another"
        )
        assert in_use("127.0.0.1", [Port(number, "the HTTP API", "HTTP_PORT")]) is None

    def test_servers_of_others_need_no_port_here(self, tmp_path: Path) -> None:
        """An outside cluster and database are not started."""
        own = wanted_ports(_settings(tmp_path), broker=True, database=True)
        others = wanted_ports(_settings(tmp_path), broker=False, database=False)
        assert {port.setting for port in own} - {port.setting for port in others} == {"BROKER_PORT", "POSTGRES_PORT"}

    def test_two_settings_may_not_name_one_port(self, tmp_path: Path) -> None:
        """It would only be found out after a minute of starting."""
        ports = wanted_ports(_settings(tmp_path, dashboard_port=8000), broker=True, database=True)
        assert same_twice(ports) == "HTTP_PORT and DASHBOARD_PORT are both 8000; change one of them"


class TestStateLock:
    """One `up` a state directory."""

    def test_a_second_one_is_refused_and_told_the_first(self, tmp_path: Path) -> None:
        """The line names the process and the setting."""
        refused = pytest.raises(CommandError, match=rf"process {os.getpid()}.*STATE_DIR")
        with state_lock(tmp_path), refused, state_lock(tmp_path):
            pass

    def test_it_is_free_again_afterwards(self, tmp_path: Path) -> None:
        """Also where the first has failed."""
        with pytest.raises(ZeroDivisionError), state_lock(tmp_path / "new"):
            raise ZeroDivisionError
        with state_lock(tmp_path / "new"):
            pass


class TestScreen:
    """What of a service's log a person sees."""

    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            (b'{"level": "info", "event": "started"}', ""),
            (b"not JSON", ""),
            (b'{"level": "warning", "event": "slow", "seconds": 3}', "WARNING slow seconds=3"),
            (
                b'{"level": "error", "event": "failed", "exception": "Trace\\nValueError: no"}',
                "ERROR failed ValueError: no",
            ),
        ],
    )
    def test_only_warnings_and_errors_are_shown(self, line: bytes, shown: str) -> None:
        """As one line, with the exception's last words."""
        assert warning_of(line) == shown

    def test_verbose_shows_everything(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With the service's name in front."""
        Screen(verbose=True).service_line("front_door", b'{"level": "info"}')
        assert capsys.readouterr().out == 'front_door: {"level": "info"}\n'

    def test_text_of_logs_cannot_steer_the_terminal(self) -> None:
        """Escape sequences and line ends are taken out."""
        assert safe("a\x1b[2Jb\nc\x9b") == "a\N{REPLACEMENT CHARACTER}[2Jb c\N{REPLACEMENT CHARACTER}"

    def test_hostile_lines_are_one_line_of_what_is_seen(self) -> None:
        """No control, bidirectional, zero-width or tag character of the whole corpus reaches the terminal."""
        for line in hostile_lines():
            shown = safe(line.text)
            assert "\n" not in shown
            assert not set(shown) & set("\x00\x07\x1b\u202e\u202d\u2066\u2067\u200b\u200f\ufeff\xad\U000e0069")


class TestServiceLog:
    """A log that is followed and kept within bounds."""

    def test_only_new_whole_lines_are_read(self, tmp_path: Path) -> None:
        """What was there before the start is not shown again; half a line waits for its other half."""
        path = tmp_path / "logs" / "a.log"
        path.parent.mkdir()
        path.write_bytes(b"old\n")
        log = ServiceLog(path)
        log.open()
        with path.open("ab", buffering=0) as service:
            service.write(b"one\ntw")
            assert list(log.new_lines()) == [b"one"]
            service.write(b"o\n")
            assert list(log.new_lines()) == [b"two"]

    def test_a_grown_log_is_put_aside(self, tmp_path: Path) -> None:
        """The service goes on writing to the same file, which begins anew."""
        path = tmp_path / "a.log"
        log = ServiceLog(path, max_bytes=10)
        log.open()
        with path.open("ab", buffering=0) as service:
            service.write(b"0123456789\n")
            assert list(log.new_lines()) == [b"0123456789"]
            service.write(b"next\n")
            assert list(log.new_lines()) == [b"next"]
        assert (tmp_path / "a.log.1").read_bytes() == b"0123456789\n"
        assert path.read_bytes() == b"next\n"


class TestWaiting:
    """Several things at once, and an end that comes first."""

    async def test_the_first_failure_is_raised_as_it_is(self) -> None:
        """And the others are cancelled."""
        cancelled = asyncio.Event()

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def failing() -> None:
            await asyncio.sleep(0)
            raise CommandError("no")

        with pytest.raises(CommandError, match="no"):
            await together(endless(), failing())
        assert cancelled.is_set()

    async def test_a_stop_cancels_the_work(self) -> None:
        """Nothing comes of it; without a stop its result does."""
        stop = asyncio.Event()

        async def work() -> int:
            return 7

        assert await unless(stop, work()) == 7
        stop.set()
        assert await unless(stop, asyncio.Event().wait()) is None

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    async def test_signals_ask_for_a_stop(self, number: signal.Signals) -> None:
        """Ctrl-C, a service manager, a closed terminal."""
        stop = asyncio.Event()
        with stop_signals(stop):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(stop.wait(), 5)


class TestRunning:
    """What other commands know of a running `up`."""

    def test_commands_find_the_broker_of_a_running_up(self, tmp_path: Path) -> None:
        """With its limits; a given address or a configured cluster goes before."""
        settings = _settings(tmp_path)
        assert kafka_settings(settings).kafka_bootstrap_servers == "127.0.0.1:9092"
        write_running(tmp_path, RUNNING)
        found = kafka_settings(settings)
        assert (found.kafka_bootstrap_servers, found.kafka_idempotence) == ("127.0.0.1:1234", False)
        assert kafka_settings(settings, "there:9").kafka_bootstrap_servers == "there:9"
        named = kafka_settings(_settings(tmp_path, kafka_bootstrap_servers="mine:1"))
        assert (named.kafka_bootstrap_servers, named.kafka_idempotence) == ("mine:1", True)
        forget_running(tmp_path)
        assert read_running(tmp_path) is None

    def test_the_api_is_where_it_is_said_to_be(self, tmp_path: Path) -> None:
        """The option, then API_URL, then this machine."""
        assert api_url(_settings(tmp_path, http_port=81), "http://there/") == "http://there"
        assert api_url(_settings(tmp_path, http_port=81, api_url="http://set")) == "http://set"
        assert api_url(_settings(tmp_path, http_port=81)) == "http://127.0.0.1:81"


def test_services_are_told_where_things_are(tmp_path: Path) -> None:
    """Their own broker is plain text and perhaps not idempotent."""
    settings = _settings(
        tmp_path, kafka_bootstrap_servers="b:1", kafka_idempotence=False, database_url="postgresql://d"
    )
    told = service_environment(settings, own_broker=True)
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "b:1"
    assert told["KAFKA_IDEMPOTENCE"] == "false"
    assert told["DATABASE_URL"] == "postgresql://d"
    assert told["KAFKA_SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert "KAFKA_SECURITY_PROTOCOL" not in service_environment(settings, own_broker=False) or os.environ.get(
        "KAFKA_SECURITY_PROTOCOL"
    )


def test_the_password_of_the_database_is_not_shown() -> None:
    """Only where it is."""
    assert database_address("postgresql://me:secret@db:5433/ops") == "db:5433/ops"
    assert database_address("postgresql://db/ops") == "db:5432/ops"


@pytest.mark.parametrize(
    ("host", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3"), ("::1", "[::1]")]
)
def test_a_service_is_asked_where_it_listens(host: str, address: str) -> None:
    """A server on every address is reached on loopback."""
    assert reachable(host) == address
