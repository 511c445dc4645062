"""What a backtest tells: differences with reasons, the same bytes each time, a page that nothing can break out of."""

import json
import re
from pathlib import Path
from typing import Any

from stream_processor.backtest.compare import compare
from stream_processor.backtest.findings import Findings, Found, joined
from stream_processor.backtest.page import render
from stream_processor.backtest.report import RuleSetReport, Source, canonical, report, seconds_to_detect
from stream_processor.near_misses import NearMiss
from stream_processor.rule_files import load_rules

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
RULES = load_rules([Path("docs/examples/error-burst.yaml")])
HOSTILE = "</title><script>alert(1)</script>"


def incident(key: str, first: int, last: int, *, count: int = 5, service: str = "checkout", detected: int = 4) -> Found:
    """An incident from `first` to `last` second that opened `detected` seconds after its first event."""
    at = START + first * SECOND
    return Found(
        key, service, "burst", "open", count, at, START + last * SECOND, at + detected * SECOND, 0, "5 within 60 s"
    )


def findings(*incidents: Found, near: tuple[NearMiss, ...] = ()) -> Findings:
    return joined([Findings(list(incidents), list(near), {"opened": len(incidents), "late": 0})])


def test_equal_sides_have_no_difference() -> None:
    """The same incidents are the same."""
    side = findings(incident("a", 0, 10), incident("b", 100, 110))
    found = compare(side, side)
    assert (found.added, found.lost, found.changed, found.same) == ([], [], [], 2)


def test_an_incident_that_opens_elsewhere_is_changed_not_lost_and_added() -> None:
    """Another key over the same time: told in words."""
    found = compare(findings(incident("a", 0, 10)), findings(incident("b", 2, 12, count=7, detected=1)))
    assert (found.added, found.lost) == ([], [])
    assert found.changed[0].differences == [
        "detected 1 s earlier",
        "begins 2 s later",
        "ends 2 s later",
        "5 events became 7",
    ]


def test_what_is_lost_says_what_became_of_its_time() -> None:
    """Nearly an incident, part of another, or nothing."""
    miss = NearMiss("burst", "checkout", 4, START, START + 5 * SECOND)
    near = compare(findings(incident("a", 0, 10)), findings(near=(miss,))).lost[0].reason
    swallowed = compare(
        findings(incident("a", 0, 10), incident("b", 20, 30)), findings(incident("a", 0, 30, count=10))
    ).lost[0]
    nothing = compare(findings(incident("a", 0, 10)), findings(incident("c", 0, 10, service="other"))).lost[0].reason
    assert "burst had 4 events within its window at most, too few" in near
    assert (swallowed.incident.key, "its time belongs to burst a" in swallowed.reason) == ("b", True)
    assert "no rule had as many as 80%" in nothing


def test_the_closest_are_paired_first() -> None:
    """The same key wins over more time in common."""
    old = findings(incident("a", 0, 100), incident("b", 90, 95))
    found = compare(old, findings(incident("b", 0, 95)))
    assert [one.incident.key for one in found.lost] == ["a"]
    assert found.changed[0].before.key == "b"


def test_time_to_detect_is_by_nearest_rank() -> None:
    """Of ten, the fifth and the ninth."""
    side = [incident(str(n), 0, 100, detected=n) for n in range(1, 11)]
    assert seconds_to_detect(side) == {"median": 5.0, "p90": 9.0, "max": 10.0}
    assert seconds_to_detect([]) is None


def made(service: str = "checkout") -> dict[str, Any]:
    old, new = findings(incident("a", 0, 10, service=service)), findings(incident("b", 86_400, 86_410, service=service))
    chosen, against = RuleSetReport("new.yaml", RULES, new), RuleSetReport("live", RULES, old)
    source = Source(["events.jsonl"], 10, START, START + 90_000 * SECOND)
    return report(source, chosen, against, compare(old, new))


def test_the_report_is_the_same_bytes_and_knows_its_hash() -> None:
    """Without `sha256` it hashes to it; another content to another."""
    told = made()
    assert canonical(told) == canonical(made())
    assert told["sha256"] != made("payment")["sha256"]
    fields = json.loads(canonical(told))
    assert fields["incidents"][0]["first_event_at"] == "2026-01-02T00:00:00.000000Z"
    assert (fields["per_day"], fields["ledger"]) == ({"2026-01-02": 1}, {"opened": 1})
    assert len(fields["comparison"]["added"]) == len(fields["comparison"]["lost"]) == 1


def test_the_page_shows_both_sides_and_is_safe() -> None:
    """A bar for each incident; text of logs stays text; nothing is fetched from elsewhere."""
    page = render(made(HOSTILE))
    assert page.count('class="bar"') == page.count('class="before"') == 1
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?:src|href)=|url\(", page)


def test_a_page_of_nothing_says_so() -> None:
    """No event, no incident, nothing to compare."""
    told = report(Source(["empty.jsonl"], 0, None, None), RuleSetReport("new", RULES, Findings()), None, None)
    assert "No incident." in render(told)
