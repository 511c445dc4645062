"""Which incidents share an answer, and what it says then."""

from analyzer_worker.sharing import share_fingerprint, shared_verdict, templates_of
from analyzer_worker.verdict import Sample, Verdict
from schemas.analysis import Evidence


def samples(*texts: str) -> list[Sample]:
    return [Sample(str(number), "ERROR", text, number) for number, text in enumerate(texts)]


def verdict(severity: str, **changes: object) -> Verdict:
    given: dict[str, object] = {
        "category": "database_issue",
        "severity": severity,
        "summary": "The pool is empty.",
        "recommended_actions": ["Look."],
        "confidence": 0.5,
        "evidence": [Evidence("e", "pool")],
        "analyzed_by": "m",
        "reason": "So it says.",
        "cost_usd": 0.1,
    }
    return Verdict(**(given | changes))  # type: ignore[arg-type]


def test_the_same_templates_under_the_same_rule_share() -> None:
    """Whatever the numbers, their order and how often they come; another rule or template does not."""
    one = share_fingerprint("error-burst", samples("timeout after 30 ms", "pool of 5 is empty"))
    assert one == share_fingerprint("error-burst", samples("pool of 9 is empty", *["timeout after 7 ms"] * 3))
    assert one != share_fingerprint("other", samples("timeout after 30 ms", "pool of 5 is empty"))
    assert one != share_fingerprint("error-burst", samples("timeout after 30 ms"))
    assert -(2**63) <= one < 2**63


def test_templates_are_told_apart_by_what_does_not_change() -> None:
    """Each once."""
    assert len(templates_of(samples("a 1", "a 2", "b 1"))) == 2


def test_a_shared_answer_says_whose_it_is_and_claims_nothing_of_its_own() -> None:
    """No quote of other events, no cost, and a severity that does not fall below the incident's own."""
    own = verdict("P1", evidence=[Evidence("mine", "quote")], analyzed_by="rules")
    shared = shared_verdict(verdict("P3"), "key-1", "checkout", own, "billing")
    assert shared.summary == "Same messages as an incident of checkout: The pool is empty."
    assert "key-1 of checkout" in shared.reason
    assert (shared.severity, shared.cost_usd, shared.analyzed_by) == ("P1", 0.0, "m")
    assert shared.evidence == own.evidence


def test_nobody_is_sent_to_the_wrong_service() -> None:
    """Actions that name the other one are left out; where none is left, the rules' own stand."""
    own = verdict("P3", recommended_actions=["By rules."])
    mixed = verdict("P3", recommended_actions=["Look at the pool.", "Restart Checkout."])
    named = verdict("P3", recommended_actions=["Restart Checkout."])
    assert shared_verdict(mixed, "k", "checkout", own, "billing").recommended_actions == ["Look at the pool."]
    assert shared_verdict(named, "k", "checkout", own, "billing").recommended_actions == ["By rules."]
    assert shared_verdict(mixed, "k", "checkout", own, "checkout").recommended_actions == mixed.recommended_actions
