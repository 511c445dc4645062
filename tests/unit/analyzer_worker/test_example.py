"""The example in docs/analysis.md is what the code asks and makes of the recorded answer."""

from tests.support.analysis_example import PAGE, Replay, outcome, page_with, question, recorded, section, written


def test_the_page_shows_what_the_code_would_write() -> None:
    """After a change: python -m tests.support.analysis_example."""
    page = PAGE.read_text(encoding="utf-8")
    assert page_with(section(), page) == page
    assert section() in page


def test_the_example_shows_what_it_is_for() -> None:
    """Nothing of the secret, the address and the person in it leaves, and the drill lowers nothing."""
    sent = question().messages[1]["content"]
    assert not any(secret in sent for secret in ("Fake-Pa55word", "203.0.113.17", "ada.fake"))
    assert set(question().redacted) == {"url_credentials", "email", "ip"}
    real, ours = outcome(Replay(recorded())), outcome(Replay(written()))
    assert (real.severity, ours.severity) == ("P1", "P1")
    assert len(ours.evidence) == 2
    assert "drill" not in ours.summary
