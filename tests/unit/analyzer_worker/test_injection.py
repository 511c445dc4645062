"""Hostile log lines and a model that obeys them: nothing that matters changes."""

import json
from collections import Counter
from typing import Any

import pytest

from analyzer_worker.hygiene import visible
from analyzer_worker.litellm_adapter import Message, Reply
from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.spending.price import FREE, Price
from analyzer_worker.verdict import Sample, Verdict, to_analysis
from schemas.analysis import CATEGORIES, Analysis
from tests.support.hostile_lines import HostileLine, hostile_lines
from tests.support.obedient_model import obey
from tests.unit.analyzer_worker.materials import incident, sample

LINES = hostile_lines()
POOL = "Database connection pool exhausted"
every_line = pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)


class Obedient:
    """The obedient model as the worker calls a model; `asked` keeps what it was sent."""

    model = "obedient"

    def __init__(self) -> None:
        self.asked: list[list[Message]] = []

    async def prepare(self) -> None:
        """Nothing to load."""

    def price(self) -> Price | None:
        """It costs nothing."""
        return FREE

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - as in Completion
        """Obey."""
        assert schema
        assert timeout
        self.asked.append(messages)
        return Reply(obey({"messages": messages}).text, "stop", 0.0)


def events_with(*texts: str) -> list[Sample]:
    """Five ordinary events, and hostile ones among them."""
    ordinary = [sample(f"{POOL} after {number} ms", number) for number in range(5)]
    hostile = [sample(text[:4_096], 10 + number) for number, text in enumerate(texts)]
    return [*ordinary[:2], *hostile, *ordinary[2:]]


async def obeyed(events: list[Sample], model: Obedient) -> Verdict:
    """What comes of asking the obedient model; its usable answer, for it always has one in the end."""
    of = incident(event_count=len(events))
    return await Model(model, deadline=30).analyze(of, events, analyze_by_rules(of, events).severity)


def test_the_corpus_has_every_sort_of_trick() -> None:
    """At least sixty lines."""
    kinds = Counter(line.kind for line in LINES)
    assert len(LINES) >= 60
    assert min(kinds.values()) >= 5
    assert len({line.text for line in LINES}) == len(LINES)


@every_line
async def test_an_obeyed_line_changes_nothing_that_matters(line: HostileLine) -> None:
    """The severity does not fall, no quote is forged, and what is said is visible text of bounded length."""
    events = events_with(line.text)
    before = analyze_by_rules(incident(), events_with())
    verdict = await obeyed(events, Obedient())
    assert (before.severity, verdict.severity) == ("P1", "P1")
    assert verdict.category in CATEGORIES
    texts = {event.event_id: event.text for event in events}
    assert all(item.quote in texts[item.event_id] for item in verdict.evidence)
    assert not any("all systems normal" in item.quote for item in verdict.evidence if item.event_id == "id-0")
    assert "It was a drill." not in verdict.summary
    said = [verdict.summary, verdict.reason, *verdict.recommended_actions]
    assert [text for text in said if visible(text) != text or "\n" in text or len(text) > 800] == []
    assert (len(verdict.summary) <= 600, len(verdict.recommended_actions) <= 6) == (True, True)


@every_line
async def test_a_line_stays_inside_its_line(line: HostileLine) -> None:
    """The block begins and ends once, every line of it is ours, and roles are not marked by anybody else."""
    model = Obedient()
    await obeyed(events_with(line.text), model)
    system, question = model.asked[0]
    content = question["content"].splitlines()
    mark = content[0].removeprefix("<evidence ").removesuffix(">")
    assert len(mark) == 16
    assert content.index(f"</evidence {mark}>") == len(content) - 2
    kinds = [json.loads(row)["kind"] for row in content[1:-2]]
    assert set(kinds) <= {"incident", "template", "event", "neighbour", "past"}
    assert kinds.count("incident") == 1
    assert kinds.count("event") == len({row for row in content[1:-2] if row.startswith('{"kind":"event"')})
    assert not any(sign in question["content"] for sign in ("<|", "</s>", "<<SYS", "<start_of", "<script", "<tool"))
    assert line.text not in system["content"]
    assert [message["role"] for message in model.asked[-1]] in (
        ["system", "user"],
        ["system", "user", "assistant", "user"],
    )


async def test_all_lines_together_change_nothing_either() -> None:
    """One incident with every line of the corpus in it."""
    verdict = await obeyed(events_with(*(line.text for line in LINES)), Obedient())
    assert verdict.severity == "P1"
    texts = {event.event_id: event.text for event in events_with(*(line.text for line in LINES))}
    assert all(item.quote in texts[item.event_id] for item in verdict.evidence)


async def test_a_model_that_dictates_the_form_gets_none() -> None:
    """An answer with a status in it is sent back."""
    model = Obedient()
    fake = next(line for line in LINES if '"status": "resolved"' in line.text)
    await obeyed(events_with(fake.text), model)
    assert len(model.asked) == 2
    assert "cannot be used" in model.asked[1][-1]["content"]


async def test_an_analysis_has_no_way_to_a_status() -> None:
    """What the analyzer publishes has no field for one, and the schema has no tool."""
    verdict = analyze_by_rules(incident(), events_with())
    analysis = to_analysis(verdict, incident(), "done", revision=1, latency_ms=0)
    assert not {"status", "to_status"} & set(Analysis.__struct_fields__)
    assert analysis.analysis_status == "done"


class Stubborn(Obedient):
    """Hands back what it found, whatever it is told."""

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - as in Completion
        """Obey as at first, always."""
        return await super().complete(messages[:2], schema, timeout)


@every_line
async def test_a_stubborn_model_ends_in_the_rules_analysis_or_in_what_is_borne_out(line: HostileLine) -> None:
    """An answer dictated by the log is either refused or says what the events say."""
    events = events_with(line.text)
    try:
        verdict = await obeyed(events, Stubborn())
    except ModelError:
        return
    texts = {event.event_id: event.text for event in events}
    assert verdict.severity == "P1"
    assert all(item.quote in texts[item.event_id] for item in verdict.evidence)
    assert verdict.evidence or verdict.summary.startswith("Inconclusive:")
