"""Corrections as cases of an evaluation."""

from ops_assist.corrected_cases import case_of


def test_a_case_says_what_the_person_said_and_nothing_secret() -> None:
    """Events oldest first; secrets and people's addresses are redacted."""
    incident = {
        "key": "abc",
        "service": "checkout",
        "category": "network_issue",
        "severity": "P2",
        "correction": {"actor": "ada@example.com"},
    }
    events = [
        {"level": "FATAL", "message": "gave up"},
        {"level": "ERROR", "message": "login failed password=hunter2-horse"},
    ]
    case = case_of(incident, events)
    assert [event["level"] for event in case["events"]] == ["ERROR", "FATAL"]
    assert (case["id"], case["category"], case["severity"]) == ("correction-abc", "network_issue", "P2")
    assert "hunter2" not in str(case)
    assert "example.com" not in case["source"]
