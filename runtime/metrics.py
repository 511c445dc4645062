"""Every metric of every service: name, labels and meaning in one place, so that a typo is an import error."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

EVENTS_ACCEPTED: Final = Counter(
    "ops_gateway_events_accepted_total",
    "Events acknowledged by the broker and answered with 2xx (the route syslog has no answers).",
    ["route"],
)
EVENTS_REFUSED: Final = Counter(
    "ops_gateway_events_refused_total", "Events answered with an error.", ["route", "reason"]
)
PUBLISH_SECONDS: Final = Histogram(
    "ops_gateway_publish_seconds", "From a valid request to the broker's acknowledgement.", buckets=_FAST
)
CANARY_SENDS: Final = Counter(
    "ops_gateway_canary_sends_total", "What the canary sent to this gateway: accepted or refused.", ["outcome"]
)
CANARY_SENT: Final = Gauge(
    "ops_gateway_canary_sent_timestamp_seconds",
    "When this gateway last took events of the canary that make an incident, in seconds since the epoch.",
)
SYSLOG_MESSAGES: Final = Counter(
    "ops_gateway_syslog_messages_total",
    "Syslog messages in the log, by how they could be read: rfc5424, rfc3164, or unparsed (kept as they are).",
    ["form"],
)
SYSLOG_LOST: Final = Counter(
    "ops_gateway_syslog_lost_total",
    "What SYSLOG_PORT could not keep whole: messages cut, incomplete or unwritten; connections broken off or refused.",
    ["reason"],
)
SYSLOG_CONNECTIONS: Final = Gauge("ops_gateway_syslog_connections", "Connections to SYSLOG_PORT.")
EVENTS_PROCESSED: Final = Counter(
    "ops_processor_events_total",
    "Events that the processor has decided on, by the one reason of each.",
    ["reason"],
)
RECORDS_DEAD_LETTERED: Final = Counter(
    "ops_processor_dead_lettered_total", "Records or events sent to ops.events.dlq.", ["reason"]
)
DEAD_LETTER_STOP: Final = Gauge(
    "ops_processor_dead_letter_stop", "1 once this worker has stopped because nearly all records are dead letters."
)
RECORDS_REKEYED: Final = Counter(
    "ops_processor_rekeyed_total",
    "Events written again under their service's key, because they lay elsewhere.",
)
EVENTS_UNJUDGED: Final = Counter(
    "ops_processor_unjudged_total",
    "Events that a rule of kind new-pattern could not judge, by why.",
    ["rule", "reason"],
)
INCIDENTS_OPENED: Final = Counter("ops_processor_incidents_opened_total", "Incidents opened.", ["rule"])
INCIDENT_VERSIONS: Final = Counter("ops_processor_incident_versions_total", "Incident records published.")
CANARY_OPENED: Final = Gauge(
    "ops_processor_canary_opened_timestamp_seconds",
    "When this worker last published an incident of the canary, in seconds since the epoch.",
    ["partition"],
)
STATUS_CHANGES: Final = Counter("ops_processor_status_changes_total", "Status changes decided on.", ["reason"])
RULES_INVALID: Final = Gauge(
    "ops_processor_rules_invalid", "1 while the files of RULES cannot be used and older rules stay in force, else 0."
)
RULES_LOADED: Final = Gauge(
    "ops_processor_rules_loaded_timestamp_seconds", "When the rules in force were loaded, in seconds since the epoch."
)
RULES_RELOADS: Final = Counter(
    "ops_processor_rules_reloads_total",
    "Readings of changed rule files: changed (new rules in force), unchanged (the same rules) or refused.",
    ["outcome"],
)
STATE_ROWS: Final = Gauge("ops_processor_state_rows", "Rows of detection state held by this worker.")
ANALYSES: Final = Counter("ops_analyzer_analyses_total", "Analyses published.", ["analyzed_by", "status"])
MODEL_SECONDS: Final = Histogram(
    "ops_analyzer_model_seconds", "Time of one model call.", ["model", "outcome"], buckets=_SLOW
)
MODEL_COST: Final = Counter("ops_analyzer_model_cost_usd_total", "What calls of models have cost, in USD.", ["model"])
SPENT_TODAY: Final = Gauge(
    "ops_analyzer_spent_today_usd",
    "What is spent or set aside on models this UTC day, by all workers, in USD; NaN: unknown.",
)
BUDGET_LEFT: Final = Gauge(
    "ops_analyzer_budget_left_usd", "What LLM_BUDGET_USD_PER_DAY leaves for today, in USD; NaN: unknown."
)
CLAIMS_DROPPED: Final = Counter(
    "ops_analyzer_claims_dropped_total", "Claims of a model that its evidence did not bear out."
)
SECRETS_REDACTED: Final = Counter(
    "ops_analyzer_redacted_total", "Secrets taken out of text before it went to a model.", ["kind"]
)
EVIDENCE_MISSING: Final = Counter(
    "ops_analyzer_evidence_missing_total",
    "Parts of evidence (events, neighbours, past) that could not be read in time; the analysis went on without.",
    ["part"],
)
ROWS_MATERIALIZED: Final = Counter("ops_materializer_rows_total", "Records applied to PostgreSQL.", ["topic"])
RECORDS_UNREADABLE: Final = Counter(
    "ops_materializer_unreadable_total",
    "Records that the materializer could not read and left out.",
    ["topic"],
)
MATERIALIZE_SECONDS: Final = Histogram(
    "ops_materializer_batch_seconds", "Time of one batch's transaction.", buckets=_FAST
)
VISIBLE_SECONDS: Final = Histogram(
    "ops_materializer_incident_visible_seconds",
    "From the moment at which the log took the event that opened an incident until the incident could be seen, for "
    "incidents that were never seen before; origin: incident, or the pipeline's own canary.",
    ["origin"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
BLIND: Final = Gauge(
    "ops_api_blind",
    "1 while incidents of the canary do not become visible: nobody can trust that there are no others; else 0.",
)
CANARY_AGE: Final = Gauge(
    "ops_api_canary_age_seconds",
    "Seconds since the newest incident of the canary became visible, of the partition where that is longest.",
)
# Named as kafka-lag-exporter names them, so that its dashboards and alerts fit: github.com/seglo/kafka-lag-exporter.
LAG_RECORDS: Final = Gauge(
    "kafka_consumergroup_group_lag", "Records that a group has not committed yet.", ["group", "topic", "partition"]
)
LAG_SECONDS: Final = Gauge(
    "kafka_consumergroup_group_lag_seconds",
    "Age of the record that a group takes next; 0 where there is none, absent where nobody can tell.",
    ["group", "topic", "partition"],
)
GROUP_OFFSET: Final = Gauge(
    "kafka_consumergroup_group_offset", "The offset that a group has committed.", ["group", "topic", "partition"]
)
END_OFFSET: Final = Gauge(
    "kafka_partition_latest_offset", "The offset that a partition's next record will have.", ["topic", "partition"]
)
LAG_KNOWN: Final = Gauge("ops_api_lag_known", "1 while Kafka tells the offsets of the consumer groups, else 0.")
HTTP_SECONDS: Final = Histogram(
    "ops_http_request_seconds",
    "From a request's arrival until its answer begins.",
    ["method", "route", "status"],
    buckets=_FAST,
)
TRACE_SPANS: Final = Counter(
    "ops_traces_spans_total",
    "Spans of this process: exported, dropped (the queue was full) or failed (the endpoint did not take them).",
    ["outcome"],
)
