"""Lines of files on their way to the pipeline: read, prepared, paced, packed, counted."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.errors import CommandError
from ops_assist.sending.kafka_delivery import packed
from ops_assist.sending.lanes import Lanes
from ops_assist.sending.outgoing import Outgoing, Preparer, UnsendableError
from ops_assist.sending.pace import MAX, Pace, parse_speed
from ops_assist.sending.source import MAX_LINE_BYTES, Line, open_source
from ops_assist.sending.tally import SHOWN_REASONS, Tally

EVENT = {"service": "api", "level": "ERROR", "message": "boom", "timestamp": "2023-01-29T08:42:22.383150Z"}


def _lines(path: Path) -> list[Line]:
    with open_source(str(path)) as source:
        return list(source.lines())


def _outgoing(service: str, number: int, size: int = 2) -> Outgoing:
    return Outgoing(f"file:{number}", service, None, str(number).rjust(size).encode())


class TestSource:
    """Files, zipped or not."""

    def test_lines_carry_their_numbers(self, tmp_path: Path) -> None:
        """Empty lines are left out but counted, and a missing last line end does not matter."""
        path = tmp_path / "a.jsonl"
        path.write_bytes(b'{"a":1}\r\n\n  \n{"b":2}')
        assert _lines(path) == [Line(1, b'{"a":1}'), Line(4, b'{"b":2}')]

    def test_gzip_is_found_by_content(self, tmp_path: Path) -> None:
        """The name does not decide."""
        path = tmp_path / "events"
        path.write_bytes(gzip.compress(b"one\ntwo\n"))
        assert _lines(path) == [Line(1, b"one"), Line(2, b"two")]

    def test_a_truncated_gzip_file_is_one_clear_error(self, tmp_path: Path) -> None:
        """What was read before is told by its line."""
        path = tmp_path / "cut.gz"
        path.write_bytes(gzip.compress(b"one\ntwo\n")[:-9])
        with pytest.raises(CommandError, match=r"cut\.gz: cannot be read on after line \d"):
            _lines(path)

    def test_a_missing_file_is_one_clear_error(self, tmp_path: Path) -> None:
        """It is named."""
        with pytest.raises(CommandError, match=r"none\.jsonl: No such file"), open_source(str(tmp_path / "none.jsonl")):
            pass

    def test_an_endless_line_does_not_fill_the_memory(self, tmp_path: Path) -> None:
        """A line beyond the bound comes without content, and the next one is read."""
        path = tmp_path / "long"
        path.write_bytes(b"x" * (2 * MAX_LINE_BYTES + 5) + b"\nnext\n")
        assert _lines(path) == [Line(1, None), Line(2, b"next")]


class TestPreparer:
    """Ids, prefixes and checks."""

    def test_an_event_without_an_id_gets_one_of_its_run_and_line(self) -> None:
        """Within a run the id is the same, in another run it is another."""
        line = Line(7, json.dumps(EVENT).encode())
        run = Preparer()
        first, again, other = (json.loads(p.prepare("f", 1, line).value)["id"] for p in (run, run, Preparer()))
        assert first == again != other
        assert 1 <= len(first) <= 64

    def test_a_producers_own_id_and_fields_are_kept(self) -> None:
        """What the line holds goes out as it is."""
        fields = {**EVENT, "id": "mine", "unknown": [1, 2.5, None]}
        prepared = Preparer().prepare("f", 1, Line(1, json.dumps(fields).encode()))
        assert json.loads(prepared.value) == fields
        assert (prepared.origin, prepared.service) == ("f:1", "api")

    def test_the_prefix_goes_in_front_of_the_service(self) -> None:
        """So that a file can be sent as other services."""
        prepared = Preparer(service_prefix="run2-").prepare("f", 1, Line(1, json.dumps(EVENT).encode()))
        assert json.loads(prepared.value)["service"] == prepared.service == "run2-api"

    @pytest.mark.parametrize("content", [b"[1]", b"nonsense", b"\xff{}", None])
    def test_a_line_that_is_no_object_is_refused(self, content: bytes | None) -> None:
        """It is no event."""
        with pytest.raises(UnsendableError):
            Preparer().prepare("f", 1, Line(1, content))

    def test_a_check_names_the_broken_fields(self) -> None:
        """What goes straight to the topic is checked before."""
        with pytest.raises(UnsendableError, match="level: expected one of"):
            Preparer(check=True).prepare("f", 1, Line(1, json.dumps({**EVENT, "level": "loud"}).encode()))

    def test_a_check_leaves_a_good_event_as_it_is(self) -> None:
        """It has no time if it had none: its event time is that of its receipt."""
        fields = {"service": " api ", "level": "warn", "message": "m", "id": "1"}
        prepared = Preparer(check=True).prepare("f", 1, Line(1, json.dumps(fields).encode()))
        assert json.loads(prepared.value) == fields

    def test_times_are_read_only_where_they_are_wanted(self) -> None:
        """Pacing wants them; an unreadable one is none."""
        line = Line(1, json.dumps(EVENT).encode())
        assert Preparer().prepare("f", 1, line).time is None
        assert Preparer(timed=True).prepare("f", 1, line).time == 1_674_981_742_383_150
        assert Preparer(timed=True).prepare("f", 1, Line(1, b'{"timestamp": "noon"}')).time is None


class TestPace:
    """When an event is due."""

    def test_the_recording_passes_n_times_as_fast(self) -> None:
        """At speed 10, an event 20 s into the recording is due after 2 s."""
        now = [100.0]
        pace = Pace(10, clock=lambda: now[0])
        assert pace.pause(5_000_000) == 0
        assert pace.pause(25_000_000) == pytest.approx(2.0)
        now[0] = 101.5
        assert pace.pause(25_000_000) == pytest.approx(0.5)

    def test_late_and_untimed_events_are_due_at_once(self) -> None:
        """Out of order is no reason to wait."""
        pace = Pace(1, clock=lambda: 0.0)
        assert [pace.pause(60_000_000), pace.pause(10_000_000), pace.pause(None)] == [0, 0, 0]

    def test_max_never_waits(self) -> None:
        """The default."""
        assert Pace(MAX).pause(10**15) == 0

    @pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
    def test_other_speeds_are_refused(self, text: str) -> None:
        """A speed is `max` or a positive number."""
        with pytest.raises(ValueError, match=r".*"):
            parse_speed(text)


class TestLanes:
    """Order and bounds on the way."""

    @given(st.lists(st.sampled_from("abcdefg")), st.integers(1, 4), st.integers(1, 5))
    async def test_a_service_keeps_its_order_and_nothing_is_lost(
        self, services: list[str], count: int, size: int
    ) -> None:
        """Whatever the number of lanes and the size of batches."""
        delivered: list[Outgoing] = []

        async def deliver(batch: object) -> None:
            assert isinstance(batch, list)
            assert len(batch) <= size
            delivered.extend(batch)

        events = [_outgoing(service, number) for number, service in enumerate(services)]
        async with Lanes(deliver, count=count, batch_size=size) as lanes:
            for event in events:
                await lanes.put(event)
            await lanes.finish()
        for service in set(services):
            assert [e for e in delivered if e.service == service] == [e for e in events if e.service == service]

    async def test_a_failed_delivery_ends_the_run(self) -> None:
        """The failure reaches who puts, also where the lane's queue is full."""

        async def deliver(_: object) -> None:
            raise CommandError("the gateway is gone")

        async def put_many(lanes: Lanes) -> None:
            for number in range(100):
                await lanes.put(_outgoing("a", number))

        async with Lanes(deliver, count=1, batch_size=1) as lanes:
            with pytest.raises(CommandError, match="the gateway is gone"):
                await put_many(lanes)


def test_events_of_a_service_are_packed_in_order() -> None:
    """Each record holds one service; one event travels as an object, several as an array within the bounds."""
    batch = [_outgoing("a", 1), _outgoing("b", 2), _outgoing("a", 3)]
    assert list(packed(batch)) == [("a", b"[ 1, 3]"), ("b", b" 2")]
    many = [_outgoing("a", number, 300_000) for number in range(4)]
    assert [len(json.loads(f"[{value.decode()}]")) for _, value in packed(many)] == [1, 1, 1, 1]
    values = [json.loads(value) for _, value in packed([_outgoing("a", number, 4) for number in range(1, 1_002)])]
    assert values == [list(range(1, 501)), list(range(501, 1_001)), 1_001]


def test_what_is_neither_accepted_nor_rejected_is_lost() -> None:
    """The counts add up, and only a few reasons are kept."""
    tally = Tally()
    tally.read, tally.accepted = 20, 8
    tally.reject_all([f"f:{number}" for number in range(10)], "too loud")
    summary = tally.summary()
    assert (summary.lost, summary.rejected, summary.is_complete) == (2, 10, False)
    assert len(summary.reasons) == SHOWN_REASONS
    assert "20 events" in summary.line()
