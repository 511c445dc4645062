"""What the rules analyzer makes of an incident's events."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.knowledge import knowledge
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.verdict import MAX_TEXT, Sample
from schemas.analysis import CATEGORIES, RULES, Severity
from schemas.incident import Incident
from schemas.levels import LEVELS, Level

SECOND = 1_000_000
WORDINGS = [
    line.split("\t")
    for line in (Path(__file__).parent / "wordings.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def incident(service: str = "checkout", severity_floor: Severity | None = None, count: int = 5) -> Incident:
    return Incident(
        "k", 1, service, "error-burst", "open", count, 0, 42 * SECOND, 0, 0, 5, 300, "", 0, [], [],
        severity_floor=severity_floor,
    )  # fmt: skip


def samples(*texts: str, level: Level = "ERROR") -> list[Sample]:
    return [Sample(f"event-{number}", level, text, number * SECOND) for number, text in enumerate(texts)]


def test_there_are_enough_wordings() -> None:
    """At least six for each category, 150 in all."""
    counts = [sum(category == wanted for category, _ in WORDINGS) for wanted in CATEGORIES]
    assert min(counts) >= 6
    assert sum(counts) >= 150


@pytest.mark.parametrize(("category", "message"), WORDINGS)
def test_a_message_speaks_for_its_category(category: str, message: str) -> None:
    """Real and misleading wordings alike."""
    assert analyze_by_rules(incident(), samples(message)).category == category


SCENARIOS = [
    (
        "user-service", "database_issue", "P1",
        ["Database connection pool exhausted", "Unable to acquire connection from pool within 30 seconds",
         "Database query failed: connection timeout", "All connections in the pool are in use",
         "Transaction aborted: database connection lost", "Failed to execute query: no available connections"],
    ),
    ("user-service", "database_issue", "P1", ["Connection pool exhausted: 100/100 connections in use"]),
    (
        "api-gateway", "dependency_failure", "P2",
        ["Gateway timeout: upstream service did not respond within 30s", "HTTP 504: Gateway timeout for /checkout",
         "Request to payment-service timed out", "Upstream connection timeout", "Circuit breaker opened for orders"],
    ),
    ("api-gateway", "dependency_failure", "P2", ["Upstream request timeout after 30000ms: payment-service is down"]),
    (
        "analytics-worker", "memory_issue", "P1",
        ["OutOfMemoryError: Java heap space", "Memory usage exceeded 95% threshold", "Process killed by OOM killer",
         "GC overhead limit exceeded", "Failed to allocate memory for data processing"],
    ),
    ("analytics-worker", "memory_issue", "P1", ["Out of memory", "Container restarted"]),
    (
        "auth-service", "authentication_issue", "P2",
        ["Authentication failed for user: invalid credentials", "JWT token validation failed",
         "Login attempt failed: too many retries", "OAuth token expired", "LDAP authentication timeout"],
    ),
    ("auth-service", "authentication_issue", "P2", ["Unauthorized access attempt detected", "Brute force suspected"]),
    (
        "public-api", "rate_limiting", "P3",
        ["Rate limit exceeded for client 10.0.0.1", "Too many requests: 1000 req/min", "API quota exceeded",
         "Quota exhausted, all further requests are rejected"],
    ),
    (
        "storage-service", "disk_issue", "P1",
        ["Disk space critical: 95% used on /data", "Failed to write file: No space left on device",
         "Disk usage at 98%", "Storage quota nearly exhausted"],
    ),
    ("storage-service", "disk_issue", "P1", ["Disk space critically low on /var", "Cannot write logs: disk full"]),
]  # fmt: skip


@pytest.mark.parametrize(("service", "category", "severity", "messages"), SCENARIOS)
def test_the_six_scenarios_of_the_contract(service: str, category: str, severity: str, messages: list[str]) -> None:
    """CONTRACT 8: a sensible category and exactly the severity of the table, in whatever wording."""
    verdict = analyze_by_rules(incident(service), samples(*messages))
    assert (verdict.category, verdict.severity) == (category, severity)
    assert verdict.confidence >= 0.6
    assert 1 <= len(verdict.recommended_actions) <= 6


@pytest.mark.parametrize(
    ("message", "not_this"),
    [
        ("boom 0", "memory_issue"),
        ("the room is too gloomy", "memory_issue"),
        ("Gateway timeout", "database_issue"),
        ("Connection refused: upstream", "database_issue"),
        ("thread pool exhausted", "database_issue"),
        ("quota exhausted", "disk_issue"),
        ("dbus message", "database_issue"),
        ("discpu", "cpu_issue"),
        ("authority of the author", "authentication_issue"),
    ],
)
def test_words_inside_words_mean_nothing(message: str, not_this: str) -> None:
    """Whole words and phrases count, not parts of them."""
    assert analyze_by_rules(incident(), samples(message)).category != not_this


@pytest.mark.parametrize(
    ("messages", "severity"),
    [
        (["data loss detected while processing order"], "P1"),
        (["payment service is down"], "P1"),
        (["upstream payment service is down"], "P2"),
        (["index file corrupted"], "P1"),
        (["security breach detected"], "P1"),
        (["Rate limit exceeded"], "P3"),
        (["duplicate key value violates unique constraint"], "P3"),
        (["something odd"], "P3"),
        (["no instance of mailer is left"], "P1"),
        (["nobody can open the page"], "P1"),
        (["new connections are not accepted"], "P1"),
        (["utility power gone in room 3"], "P1"),
        (["power supply 2 lost its redundancy"], "P3"),
        (["session cookie stolen"], "P1"),
        (["tables truncated by a test"], "P1"),
        (["no space left on device, array degraded"], "P1"),
        (["RAID array md0 is degraded"], "P2"),
        (["RateLimitError from the provider"], "P2"),
    ],
)
def test_severity_comes_from_what_the_messages_say(messages: list[str], severity: str) -> None:
    """P1: down, data lost, breached. P2: degraded. P3: the rest."""
    assert analyze_by_rules(incident(), samples(*messages)).severity == severity


@pytest.mark.parametrize(("level", "severity"), [("ERROR", "P3"), ("CRITICAL", "P2"), ("FATAL", "P1")])
def test_levels_raise_severity(level: Level, severity: str) -> None:
    """Half of the events CRITICAL: at least P2; half FATAL: P1."""
    quiet = samples("something odd")
    assert analyze_by_rules(incident(), [*quiet, *samples("something odd", level=level)]).severity == severity
    assert analyze_by_rules(incident(), [*quiet * 2, *samples("something odd", level=level)]).severity == "P3"


@pytest.mark.parametrize("floor", ["P1", "P2", "P3"])
def test_severity_is_never_below_the_rules_floor(floor: Severity) -> None:
    """What the detection rule demands is the least."""
    assert analyze_by_rules(incident(severity_floor=floor), samples("something odd")).severity == floor
    assert analyze_by_rules(incident(severity_floor="P3"), samples("no space left on device")).severity == "P1"


def test_the_summary_names_service_cause_count_and_time() -> None:
    """One or two sentences a person can act on."""
    verdict = analyze_by_rules(incident("user-service", count=7), samples("Database connection pool exhausted"))
    assert verdict.summary == (
        "user-service has a database problem: the connection pool is exhausted, 7 events in 42 s. "
        "Most frequent message: “Database connection pool exhausted”."
    )
    assert verdict.analyzed_by == RULES
    assert "connection pool exhausted" in verdict.reason


def test_a_majority_decides_and_doubt_lowers_confidence() -> None:
    """One stray message does not turn a category; a mixed incident is less certain than a clear one."""
    clear = analyze_by_rules(incident(), samples(*["no space left on device"] * 4))
    mixed = analyze_by_rules(incident(), samples(*["no space left on device"] * 3, "invalid credentials"))
    assert (clear.category, mixed.category) == ("disk_issue", "disk_issue")
    assert mixed.confidence < clear.confidence


def test_the_reason_names_what_decided_and_what_came_second() -> None:
    """A person can follow the choice: phrases, how many events, scores of the first two categories."""
    mixed = analyze_by_rules(incident(), samples(*["no space left on device"] * 3, "invalid credentials"))
    assert mixed.reason == (
        "Found “no space left” in 3 of 4 sampled events: disk_issue 18, second authentication_issue 6. "
        "Severity P1: there is no space left."
    )
    clear = analyze_by_rules(incident(), samples("no space left on device"))
    assert "disk_issue 6, nothing speaks for another category." in clear.reason


def test_exceptions_that_no_pattern_knows_are_application_errors() -> None:
    """The shape of an identifier is enough; its certainty is low."""
    verdict = analyze_by_rules(incident(), samples("com.acme.WidgetFault at step 3"))
    assert verdict.category == "application_error"
    assert verdict.confidence < 0.5


def test_nothing_to_read_is_other() -> None:
    """Without any sample there is still an analysis."""
    verdict = analyze_by_rules(incident(), [])
    assert (verdict.category, verdict.evidence) == ("other", [])
    assert "no longer kept" in verdict.reason


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LEVELS),
            st.one_of(
                st.text(max_size=400),
                st.sampled_from([message for _, message in WORDINGS]),
                st.text(alphabet="AaBb.:_ 0", max_size=400),
            ),
        ),
        max_size=20,
    )
)
def test_any_text_gives_a_sound_verdict(events: list[tuple[Level, str]]) -> None:
    """Quotes stand verbatim in the event they name, lengths are bounded, and nothing raises."""
    given_samples = [Sample(str(number), level, text, 0) for number, (level, text) in enumerate(events)]
    verdict = analyze_by_rules(incident(), given_samples)
    texts = {sample.event_id: sample.text for sample in given_samples}
    assert all(item.quote and item.quote in texts[item.event_id] for item in verdict.evidence)
    assert len(verdict.evidence) <= 5
    assert 0 <= verdict.confidence <= 1
    assert verdict.category in knowledge().categories
    assert len(verdict.summary) <= 600


@pytest.mark.parametrize(
    "hostile",
    [
        "Aa" * 16_384,
        "A" * 32_768,
        "connection " * 2_900,
        "database connection pool " * 1_300,
        "a1" * 16_384,
        "é" * 32_768,
    ],
    ids=["camels", "capitals", "one word", "a phrase", "mixed", "letters"],
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    """A message of the greatest size costs milliseconds, whatever it repeats."""
    started = time.process_time()
    analyze_by_rules(incident(), samples(hostile[:MAX_TEXT] + "x"))
    assert time.process_time() - started < 1


def test_what_is_logged_beside_an_incident_makes_it_no_less_severe() -> None:
    """Five events of a severe kind stay that among any number of others; four are no incident of their own."""
    flood = [f"note {number}" for number in range(100)]
    pool = ["Database connection pool exhausted"] * 5
    assert analyze_by_rules(incident(), samples(*pool)).severity == "P1"
    among = analyze_by_rules(incident(), samples(*flood, *pool))
    assert (among.category, among.severity) == ("other", "P1")
    assert "5 events beside it speak for database_issue" in among.reason
    assert analyze_by_rules(incident(), samples(*flood, *pool[:4])).severity == "P3"
