"""Files of events: broken lines are counted and told, files that cannot be read are refused with a way out."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pyarrow_parquet
import pytest

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest import files as module
from stream_processor.backtest.file_log import FileLog
from stream_processor.backtest.files import UnreadableFile, blocks, check_files
from stream_processor.backtest.findings import Findings
from stream_processor.backtest.passes import Files, run_pass
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.backtest.topic_range import Bound, InvalidBound, parse_bound
from stream_processor.matching import Match
from stream_processor.rules import CountRule, RuleSet

RULES = RuleSet((CountRule("two", ("ERROR",), 2, 60 * MICROSECONDS, 0),), 0)


def line(second: int | None, level: str = "ERROR", **more: Any) -> bytes:
    at = {} if second is None else {"timestamp": f"2026-01-01T00:00:{second:02}Z"}
    return json.dumps({"service": "checkout", "level": level, "message": "x"} | at | more).encode() + b"\n"


def read(*lines: bytes) -> tuple[FileLog, Findings]:
    run = RuleRun(RULES)
    log = FileLog([run])
    log.take(b"".join(lines))
    return log, run.findings()


def test_broken_lines_are_counted_and_the_others_are_not_harmed() -> None:
    """Junk, a wrong level, a name of blanks, a time of no zone; an array of events and a leap second are good."""
    pair = json.dumps([json.loads(line(1)), json.loads(line(2))]).encode() + b"\n"
    leap = line(0).replace(b"2026-01-01T00:00:00Z", b"2016-12-31T23:59:60Z")
    broken = [b"junk\n", line(1, "LOUD"), line(1, service="  "), line(1).replace(b"Z", b""), b"[1]\n"]
    log, found = read(leap, *broken, b"\n", pair)
    assert (log.events, log.refused) == (3, 5)
    assert [one.event_count for one in found.incidents] == [2]
    assert len(log.unreadable) == 5
    assert "level: expected one of" in log.unreadable[1].why


def test_an_event_without_a_time_has_the_newest_so_far() -> None:
    """As if it had been received then; before any time was heard there is none to give."""
    log, found = read(line(None), line(30), line(None))
    assert log.refused == 1
    assert found.incidents[0].last_event_at == found.incidents[0].first_event_at
    assert "no event before it has one" in log.unreadable[0].why


def test_compressed_or_not_the_lines_are_the_same(tmp_path: Path) -> None:
    """Also over many blocks, and without a line end at the end."""
    content = b"".join(line(n % 60, message="m" * 5_000) for n in range(900)).rstrip()
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content, 1))
    read_plain = list(blocks(plain, lambda _: None))
    assert len(read_plain) > 3
    assert b"".join(read_plain) == b"".join(blocks(packed, lambda _: None)) == content
    assert all(block.endswith(b"\n") for block in read_plain[:-1])
    told: list[int] = []
    list(blocks(packed, told.append))
    assert sum(told) == packed.stat().st_size == check_files([packed])


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Missing, not compressed though it says so, cut off."""
    good, cut = tmp_path / "no.jsonl.gz", tmp_path / "cut.jsonl.gz"
    good.write_bytes(b"{}")
    cut.write_bytes(gzip.compress(line(1) * 1_000)[:-20])
    with pytest.raises(UnreadableFile, match=r"missing\.jsonl: No such file"):
        check_files([tmp_path / "missing.jsonl"])
    with pytest.raises(UnreadableFile, match="is no gzip file"):
        check_files([good])
    with pytest.raises(UnreadableFile, match=r"cut\.jsonl\.gz: Compressed file ended"):
        run_pass(Files([cut]), [RULES], 1, lambda _: None)


TIMES: Final = [datetime(2026, 1, 1, 0, 0, second, 250_000, tzinfo=UTC) for second in (0, 1, 2, 30)]


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        (pa.timestamp("us", "UTC"), TIMES),
        (pa.timestamp("ms"), [moment.replace(tzinfo=None) for moment in TIMES]),
        (pa.timestamp("ns", "Europe/Berlin"), TIMES),
        (pa.string(), [moment.isoformat() for moment in TIMES]),
    ],
)
def test_parquet_gives_what_the_same_lines_give(tmp_path: Path, kind: Any, moments: list[Any]) -> None:
    """Compressed lines too; times of any resolution, of no zone for UTC, and attributes as a map."""
    packed, table = tmp_path / "a.jsonl.gz", tmp_path / "a.parquet"
    common = {"service": "checkout", "level": "ERROR", "message": "x"}
    rows = [common | {"timestamp": at.isoformat(), "attributes": {"zone": "eu"}} for at in TIMES]
    packed.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    columns = {name: pa.array([text] * len(TIMES)) for name, text in common.items()}
    columns["timestamp"] = pa.array(moments, kind)
    columns["host"] = pa.array([None] * len(TIMES), pa.string())
    as_map = pa.map_(pa.string(), pa.string())
    columns["attributes"] = pa.array([[("zone", "eu"), ("rack", None)]] * len(TIMES), as_map)
    pyarrow_parquet.write_table(pa.table(columns), table)
    zoned = Match(attributes=(("zone", ("eu",)),))
    rules = [RuleSet((msgspec.structs.replace(RULES.rules[0], match=zoned),), 0)]
    check_files([packed, table])

    lines, cells = (run_pass(Files([path]), rules, 1, lambda _: None) for path in (packed, table))

    assert (cells.events, cells.unreadable) == (4, [])
    assert times_of(cells.findings[0]) == times_of(lines.findings[0])
    assert len(cells.findings[0].incidents) == 1


def times_of(found: Findings) -> list[tuple[int, int, int]]:
    """Incidents without their keys: lines and rows have ids of their own places."""
    return [(one.event_count, one.first_event_at, one.last_event_at) for one in found.incidents]


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    """With the name of the file."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(UnreadableFile, match=r"a\.parquet: "):
        run_pass(Files([path]), [RULES], 1, lambda _: None)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else needs it."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(UnreadableFile, match="pip install pyarrow"):
        check_files([path])


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("1500", Bound(offset=1500)),
        ("0:1500,2:7", Bound(offsets={0: 1500, 2: 7})),
        ("1970-01-01T00:00:01Z", Bound(moment=1_000_000)),
    ],
)
def test_a_bound_is_a_time_or_offsets(text: str, bound: Bound) -> None:
    """What `--from` and `--to` take."""
    assert parse_bound(text) == bound


@pytest.mark.parametrize("text", ["yesterday", "1:", "1:2:3", "2026-01-01T00:00:00", "-1"])
def test_another_bound_is_refused_with_what_is_taken(text: str) -> None:
    """Never guessed at."""
    with pytest.raises(InvalidBound, match="is no bound, as"):
        parse_bound(text)
