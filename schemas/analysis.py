"""The analysis record of `ops.analyses` and its closed vocabularies (CONTRACT 6)."""

from typing import Final, Literal, get_args

import msgspec

Category = Literal[
    "database_issue",
    "network_issue",
    "performance_issue",
    "memory_issue",
    "disk_issue",
    "cpu_issue",
    "authentication_issue",
    "permission_issue",
    "rate_limiting",
    "configuration_issue",
    "certificate_issue",
    "dependency_failure",
    "deployment_issue",
    "messaging_issue",
    "application_error",
    "other",
]
Severity = Literal["P1", "P2", "P3"]
AnalysisStatus = Literal["pending", "done", "fallback", "skipped_budget"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

RULES: Final = "rules"
"""`analyzed_by` of the built-in rules analyzer."""


class Evidence(msgspec.Struct, frozen=True):
    """A verbatim quote from the message of one event of the incident."""

    event_id: str
    quote: str


class Analysis(msgspec.Struct, frozen=True, omit_defaults=True):
    """One analysis of one incident; of two with the same `incident_key` the greater `revision` counts.

    `revision` is the time of completion in microseconds since the epoch; `latency_ms` the time the analyzer took.
    """

    incident_key: str
    incident_version: int
    revision: int
    category: Category
    severity: Severity
    summary: str
    recommended_actions: list[str]
    confidence: float
    evidence: list[Evidence]
    analyzed_by: str
    analysis_status: AnalysisStatus
    reason: str
    """Why this category and severity, and what happened where a model was asked and did not answer."""
    cost_usd: float = 0.0
    latency_ms: int = 0
    request_id: str | None = None
    event_count: int = 0
    """How many events the incident had when it was looked at; 0 where that was not kept."""
    templates: list[str] = []
    """Fingerprints of the templates of its first events, for telling later whether they changed."""
    attempts: int = 0
    """How often a model was asked in vain."""
    shared_with: str | None = None
    """The key of the incident whose analysis this is."""
    input_tokens: int = 0
    output_tokens: int = 0
    """What models have charged for it, also in vain."""


class AnalysisRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of `ops.analysis-requests`: a person asks for a new analysis."""

    request_id: str
    incident_key: str
    at: int
    actor: str
