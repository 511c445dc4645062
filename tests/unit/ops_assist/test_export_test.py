"""`incidents export-test`: an incident becomes a scenario that passes, without its secrets."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ops_assist.cli import main
from schemas.event import Event
from schemas.timestamps import from_rfc3339, to_rfc3339
from stream_processor.rule_files import load_rules
from stream_processor.rules import RuleSet
from stream_processor.scenarios import ScenarioRun, Wait

SECRET: Final = "hunter2-hunter2"


def event(number: int, second: float, **more: Any) -> dict[str, Any]:
    at = f"2026-01-01T00:00:{second:09.6f}Z"
    told = {"id": f"e{number}", "service": "pay/no", "level": "ERROR", "message": f"no {number}", "timestamp": at}
    return told | {"attributes": None, "offset": number, "index": 0, "incident_id": 7} | more


def change(to: str, after: int | None) -> dict[str, Any]:
    return {"what": "status_changed", "to": to, "after": after, "time": "2026-01-02T00:00:00Z", "actor": "ann"}


EVENTS: Final = [
    event(0, 10, message=f"login with password={SECRET} failed", attributes={"password": SECRET, "tries": 3}),
    event(1, 11),
    event(2, 9.123456),  # came out of order
    event(3, 12),
    event(4, 13),
    event(5, 13, id="e4"),  # a repeat
    event(6, 14),
]
INCIDENT: Final[dict[str, Any]] = {
    "id": 7,
    "service": "pay/no",
    "rule": "error-burst",
    "event_count": 6,
    "first_event_at": "2026-01-01T00:00:09.123456Z",
    "last_event_at": "2026-01-01T00:00:14.000000Z",
    "timeline": [{"what": "opened", "to": "open"}, change("investigating", 4), change("resolved", None)],
}


class Run:
    """Runs the command in this process, on answers of an API that is not there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path) -> None:
        self.monkeypatch, self.capsys, self.file = monkeypatch, capsys, file
        self.incident, self.events = dict(INCIDENT), EVENTS
        monkeypatch.setattr(httpx, "request", self.answer)

    def answer(self, method: str, url: str, **options: Any) -> httpx.Response:
        path = httpx.URL(url).raw_path.decode()
        request = httpx.Request(method, url)
        if path == "/api/v1/incidents/7":
            return httpx.Response(200, json=self.incident, request=request)
        assert path in ("/api/v1/events", "/api/v1/services/pay%2Fno/events")
        own = self.events if path == "/api/v1/events" else [*self.events, event(9, 13, id="another's")]
        skipped = int(options["params"]["skip"])
        return httpx.Response(200, json=own[skipped : skipped + 3], request=request)

    def __call__(self, command: str, *arguments: object) -> tuple[object, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["ops-assist", *command.split(), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        return ended.value.code, captured.out, captured.err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command, and where it writes."""
    return Run(monkeypatch, capsys, tmp_path / "incident.test.yaml")


def test_the_scenario_passes_and_holds_no_secret(run: Run) -> None:
    """In the order of arrival, with what people did, each event once."""
    code, out, err = run("incidents export-test", 7, "-o", run.file, "--json")
    assert (code, err, json.loads(out)["events"]) == (0, "", 6)
    text = run.file.read_text()
    assert SECRET not in text
    assert text.count("<redacted:") == 2
    assert text.index("at: 876ms") < text.index("at: 0s") < text.index("investigate:") < text.rindex("resolve:")
    assert run("rules test", run.file)[0] == 0


def test_an_incident_that_the_rules_no_longer_give_is_not_written(run: Run) -> None:
    """The difference is told, and no file is left."""
    run.monkeypatch.setenv("INCIDENT_THRESHOLD", "40")
    code, _, err = run("incidents export-test", 7, "-o", run.file)
    assert code == 1
    assert "make something else of its events" in err
    assert list(run.file.parent.iterdir()) == []


def test_rules_of_files_are_named_not_copied(run: Run, tmp_path: Path) -> None:
    """Relative to the scenario; rules that give no such incident of any kind are told."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n- {name: error-burst, kind: count, window: 1m, threshold: 5}\n")
    run.monkeypatch.setenv("RULES", str(rules))
    assert run("incidents export-test", 7, "-o", run.file)[0] == 0
    assert "rule_files:\n- rules.yaml\n" in run.file.read_text()
    rules.write_text("rules:\n- {name: error-burst, kind: absence, window: 1m, threshold: 5}\n")
    assert "kind absence, which looks back further" in run("incidents export-test", 7, "-o", run.file)[2]
    assert not run.file.with_name(f".{run.file.name}").exists()
    rules.write_text("rules:\n- {name: other, kind: count, window: 1m, threshold: 5}\n")
    assert "set RULES as the processor has it" in run("incidents export-test", 7, "-o", run.file)[2]


def test_events_that_are_gone_are_missed(run: Run) -> None:
    """A scenario of a part of them would be another incident."""
    run.events = EVENTS[:4]
    code, _, err = run("incidents export-test", 7, "-o", run.file)
    assert (code, "has 4 of its 6 events" in err) == (1, True)


KINDS: Final = {
    "rate": ("multiple: 3, floor: 5, window: 1m, learning_windows: 3", [(60 * n + 20, "ERROR", "x") for n in range(9)]),
    "ratio": ("share: 0.5, minimum: 6, window: 1m", [(20 * n, "INFO", "x") for n in range(30)]),
    "absence": ("window: 5m, threshold: 4", [(30 * n, "INFO", "x") for n in range(9)]),
    "new-pattern": ("learning_period: 5m, window: 1m", [(40 * n, "ERROR", "known words") for n in range(12)]),
}
"""The fields of a rule of each kind, and what is usual: second, level and message."""
TROUBLE: Final = [(650 + n, "ERROR", "unheard of") for n in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_incidents_of_the_other_kinds_bring_the_history_that_they_need(run: Run, tmp_path: Path, kind: str) -> None:
    """As much of it as gives the incident; another rule's incidents of that time are expected too."""
    fields, usual = KINDS[kind]
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        f"allowed_lateness: 10s\nrules:\n- {{name: odd, kind: {kind}, {fields}}}\n"
        "- {name: error-burst, kind: count, window: 5m, threshold: 15}\n"
    )
    run.monkeypatch.setenv("RULES", str(rules))
    made = usual + ([] if kind == "absence" else TROUBLE)
    run.events = [
        event(n, 0, level=level, message=message, timestamp=f"2026-01-01T00:{second // 60:02}:{second % 60:02}.5Z")
        for n, (second, level, message) in enumerate(made)
    ]
    run.incident = live_incident(load_rules([rules]), run.events)

    code, _, err = run("incidents export-test", 7, "-o", run.file)

    assert (code, err) == (0, "")
    assert "rule: odd" in run.file.read_text()
    assert ("rule: error-burst" in run.file.read_text()) == (kind != "absence")
    assert run("rules test", run.file)[0] == 0


def live_incident(rules: RuleSet, made: list[dict[str, Any]]) -> dict[str, Any]:
    """The incident of rule `odd`, as the query API would tell it."""
    played = ScenarioRun(rules)
    for one in made:
        at = from_rfc3339(one["timestamp"])
        played.play(Event(one["id"], one["service"], one["level"], one["message"], at))
    played.play(Wait(600 * 1_000_000))
    [found] = [one for one in played.outcome().incidents if one.rule == "odd"]
    times = {name: to_rfc3339(getattr(found, name)) for name in ("first_event_at", "last_event_at")}
    return INCIDENT | {"rule": "odd", "event_count": found.event_count, "timeline": []} | times
