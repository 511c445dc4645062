"""Which events a rule counts, beyond their level."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.matching import EVERY_EVENT, InvalidPattern, Match, check_pattern
from stream_processor.rules import DEFAULT_LEVELS, CountRule, RuleSet
from stream_processor.state import new_state


def event(**fields: Any) -> Event:
    return Event(**{"id": "e", "service": "checkout", "level": "ERROR", "message": "boom", "timestamp": 0, **fields})


@pytest.mark.parametrize(
    ("include", "exclude", "service", "is_taken"),
    [
        ((), (), "anything", True),
        (("payment-*",), (), "payment-api", True),
        (("payment-*",), (), "payment-", True),
        (("payment-*",), (), "payment", False),
        (("payment-*",), (), "my-payment-api", False),
        (("payment-*",), (), "Payment-api", False),
        (("shard-?",), (), "shard-7", True),
        (("shard-?",), (), "shard-77", False),
        (("a.b[1]",), (), "a.b[1]", True),
        (("a.b",), (), "axb", False),
        (("a", "b*"), (), "bee", True),
        (("*",), (), "two\nlines", True),
        ((), ("*-canary",), "checkout-canary", False),
        (("*",), ("*-canary",), "checkout", True),
    ],
)
def test_services_are_globs_over_the_whole_name(
    *, include: tuple[str, ...], exclude: tuple[str, ...], service: str, is_taken: bool
) -> None:
    """`*` is any text and `?` one character; all else is itself; one of include, none of exclude."""
    assert Match(services=include, not_services=exclude).takes(event(service=service)) is is_taken


@pytest.mark.parametrize(
    ("wanted", "present", "is_taken"),
    [
        (("eu-1",), {"region": "eu-1"}, True),
        (("eu-1", "eu-2"), {"region": "eu-2", "more": 1}, True),
        (("eu-1",), {"region": "eu-10"}, False),
        (("eu-1",), {"other": "eu-1"}, False),
        (("eu-1",), None, False),
        ((500,), {"region": 500.0}, True),
        ((500,), {"region": "500"}, False),
        ((1,), {"region": True}, False),
        ((True,), {"region": True}, True),
        ((True,), {"region": 1}, False),
    ],
)
def test_an_attribute_equals_one_of_the_values(
    *, wanted: tuple[str | int | float | bool, ...], present: dict[str, Any] | None, is_taken: bool
) -> None:
    """Equal as JSON has it: numbers by value, true is no number, a text is no number."""
    match = Match(attributes=(("region", wanted),))
    assert match.takes(event(attributes=present)) is is_taken


def test_every_attribute_must_be_there() -> None:
    """Several attributes: all of them."""
    match = Match(attributes=(("a", (1,)), ("b", (2,))))
    assert match.takes(event(attributes={"a": 1, "b": 2}))
    assert not match.takes(event(attributes={"a": 1}))


@pytest.mark.parametrize(
    ("pattern", "message", "is_taken"),
    [
        ("time[d ]*out", "it timed out", True),
        ("^timeout", "a timeout", False),
        ("(?i)TIMEOUT", "a Timeout", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        (r"\p{Greek}", "μ-service", True),
        ("b", "a\ud800b", True),
    ],
)
def test_a_message_is_searched(*, pattern: str, message: str, is_taken: bool) -> None:
    """Anywhere, by RE2's rules; a message that no encoding holds is searched too."""
    assert Match(message=pattern).takes(event(message=message)) is is_taken


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "((a{500}){500}){500}", "a**"])
def test_what_re2_does_not_take_is_refused(pattern: str) -> None:
    """Also what only a backtracking engine could do."""
    with pytest.raises(InvalidPattern):
        check_pattern(pattern)


def test_no_message_makes_a_pattern_slow() -> None:
    """The pattern that takes a backtracking engine 2**32768 steps is done with the longest message at once."""
    evil = Match(message=r"^(a+)+$", services=("*a*a*a*a*a*a*b",))
    begun = time.perf_counter()
    assert not evil.takes(event(message="a" * 32_767 + "!", service="a" * 99 + "b"))
    assert not evil.takes(event(message="a" * 32_767 + "!", service="a" * 100))
    assert time.perf_counter() - begun < 2


@given(text=st.text(min_size=1, max_size=100))
def test_a_name_without_wildcards_describes_itself(text: str) -> None:
    """Whatever characters it has."""
    if not set(text) & {"*", "?"}:
        assert Match(services=(text,)).takes(event(service=text))
        assert not Match(services=(text,)).takes(event(service=f"{text}x"))


def test_the_default_rule_needs_no_more_than_a_level() -> None:
    """It has no further condition, and its reason says none."""
    rule = CountRule("error-burst", DEFAULT_LEVELS, 5, 300_000_000, 0)
    assert rule.match is EVERY_EVENT
    assert rule.describe("checkout") == "5 ERROR, CRITICAL or FATAL events of checkout within 300 s"


def test_the_reason_names_the_conditions() -> None:
    """Attributes and message are said; the services need not be: the sentence names the one."""
    match = Match(("pay*",), ("x",), (("region", ("eu-1", "eu-2")),), "time.?out")
    rule = CountRule("slow", ("ERROR",), 3, 90_000_000, 0, match=match)
    assert rule.describe("payment") == (
        "3 ERROR events of payment within 90 s, with region = eu-1 or eu-2 and message matching /time.?out/"
    )


def test_each_event_ends_in_the_reason_that_fits() -> None:
    """below_level where no rule counts the level, no_rule where only the other conditions do not hold."""
    rules = RuleSet(
        (
            CountRule("errors", ("ERROR",), 2, 300_000_000, 0, match=Match(services=("checkout",))),
            CountRule("warnings", ("WARNING",), 9, 300_000_000, 0, match=Match(message="slow")),
        ),
        600_000_000,
    )
    decisions = Decisions(0)
    sent = [
        event(id="1", level="INFO"),
        event(id="2", level="WARNING"),
        event(id="2", level="WARNING"),
        event(id="3", level="WARNING", message="slow"),
        event(id="4"),
        event(id="4"),
        event(id="5"),
        event(id="6"),
    ]
    detect(new_state("checkout"), [Arrival(e, n, 0, 0) for n, e in enumerate(sent)], rules, decisions)
    detect(new_state("search"), [Arrival(event(service="search"), 0, 0, 0)], rules, decisions)
    assert decisions.ledger == {
        "below_level": 1,
        "no_rule": 3,
        "qualified": 2,
        "duplicate": 1,
        "opened": 1,
        "attached": 1,
    }


def test_an_event_counts_for_every_rule_that_matches() -> None:
    """Two rules, one event each: two incidents of the same service with keys of their own; one reason in the ledger."""
    rules = RuleSet((CountRule("one", ("ERROR",), 1, 0, 0), CountRule("two", ("ERROR",), 1, 0, 0)), 0)
    decisions = Decisions(0)
    detect(new_state("checkout"), [Arrival(event(), 0, 0, 0)], rules, decisions)
    assert [(i.rule, i.event_count) for i in decisions.incidents()] == [("one", 1), ("two", 1)]
    assert len({i.key for i in decisions.incidents()}) == 2
    assert decisions.ledger == {"opened": 1}
