"""What docs/senders.md says beside its blocks: the names that fields have, the levels, and a rule for alerts."""

import re
from pathlib import Path

from ingest_gateway.formats.alertmanager import read_alerts
from ingest_gateway.formats.shippers import NAMES
from ingest_gateway.formats.syslog import read_message
from ingest_gateway.formats.syslog_frames import MAX_MESSAGE_BYTES
from ingest_gateway.syslog_listener import MAX_CONNECTIONS
from schemas.event import MAX_ATTRIBUTES, MAX_MESSAGE
from stream_processor.rule_files import load_rules
from tests.support.senders_page import PAGE, blocks
from tests.unit.ingest_gateway.test_alertmanager import NOW, _alert, _body


def test_the_table_of_names_is_the_code_s() -> None:
    """After a change, put these lines on the page."""
    rows = [f"| `{field}` | {', '.join(f'`{name}`' for name in names)} |" for field, names in NAMES.items()]
    table = "\n".join(["| field | names |", "|---|---|", *rows])
    assert table in PAGE.read_text(), f"docs/senders.md needs:\n{table}"


def test_the_levels_of_syslog_are_the_code_s() -> None:
    """The page's list of severities, severity by severity."""
    said = re.search(r"\| severity \| the level: (.*?) \|", PAGE.read_text())
    assert said is not None
    levels = {name: part.split()[-1] for part in said[1].split("; ") for name in part.rsplit(maxsplit=1)[0].split(", ")}
    events = [read_message(f"<{number}>1 - - a - - - x".encode(), "host", "id", NOW).event for number in range(8)]
    assert levels == {str((event.attributes or {})["severity"]): event.level for event in events}


def test_the_bounds_of_syslog_are_the_code_s() -> None:
    """Message, attributes, connections."""
    page = " ".join(PAGE.read_text().split())
    for said in (
        f"**At most** {MAX_MESSAGE_BYTES // 1024} KiB a message",
        f"message holds {MAX_MESSAGE:,} characters",
        f"{MAX_ATTRIBUTES} attributes; {MAX_CONNECTIONS} connections",
    ):
        assert said in page


def test_the_rule_for_alerts_opens_at_the_first_one(tmp_path: Path) -> None:
    """One firing alert is one qualifying event, and one is enough; that it is resolved, or another alert, is none."""
    file = tmp_path / "rules.yaml"
    file.write_text(blocks("Alertmanager", "yaml")[1])
    [rule] = load_rules([file]).rules
    alerts = [_alert(), _alert("resolved"), _alert(alertname="Watchdog")]
    events = read_alerts(_body(*alerts), None, NOW).accepted
    assert [rule.matches(events[index]) for index in range(3)] == [True, False, False]
    assert getattr(rule, "threshold", None) == 1
