#!/usr/bin/env bash
# Creates six incidents against a running pipeline and prints them.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: ./create_incidents.sh [URL]

Sends errors of six services to the pipeline at URL (default http://localhost:8000), waits until each has
an incident that was analysed, and prints them. Exits 1, naming each that is missing or has another severity than
expected, when that takes longer than DEADLINE seconds (default 60).

Run again, it sends new errors. Where a service's incident of before is still open or investigating, they are added to
it: it must then count as many events more. Where it was resolved or closed, a new incident must open.

Needs bash, curl and python3.
HELP
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
esac
url=${1:-http://localhost:8000}
url=${url%/}

for tool in curl python3; do
    command -v "$tool" >/dev/null || { echo "create_incidents.sh: $tool is needed" >&2; exit 1; }
done
curl -fsS --max-time 5 -o /dev/null "$url/health" 2>/dev/null || {
    echo "create_incidents.sh: no pipeline answers at $url; start one with make run" >&2
    exit 1
}

exec env URL="$url" DEADLINE="${DEADLINE:-60}" python3 - <<'PYTHON'
import json
import os
import subprocess
import sys
import time

URL = os.environ["URL"]
DEADLINE = time.monotonic() + float(os.environ["DEADLINE"])
POLL_SECONDS = 0.25
ACTIVE = ("open", "investigating")

SCENARIOS = {
    "user-service": ("P1", "database connection pool exhausted", [
        "Database connection pool exhausted: 50 of 50 connections in use, 37 requests waiting",
        "Could not get a database connection within 30000 ms: HikariPool-1 - Connection is not available",
        "org.postgresql.util.PSQLException: FATAL: sorry, too many clients already",
        "GET /api/users/42 failed: database connection pool exhausted",
        "Database connection pool exhausted: 50 of 50 connections in use, 61 requests waiting",
        "Login failed for 112 users in the last minute: no database connection available",
    ]),
    "api-gateway": ("P2", "gateway timeouts", [
        "504 Gateway Timeout: upstream order-service did not answer within 30 s",
        "upstream request timeout: POST /orders to order-service:8080 after 30000 ms",
        "504 Gateway Timeout: upstream payment-service did not answer within 30 s",
        "Retry 3 of 3 to order-service timed out after 30000 ms",
        "504 Gateway Timeout: upstream order-service did not answer within 30 s",
    ]),
    "analytics-worker": ("P1", "out of memory", [
        "java.lang.OutOfMemoryError: Java heap space",
        "OutOfMemoryError while aggregating events_2024_11: requested 512 MB, 38 MB free",
        "GC overhead limit exceeded: heap is 98% full after full collection",
        "Worker 7 was killed by the OOM killer (exit code 137)",
        "java.lang.OutOfMemoryError: Java heap space",
    ]),
    "auth-service": ("P2", "authentication failures", [
        "Authentication failed for user j.smith: invalid credentials",
        "JWT validation failed: signature does not match",
        "Authentication failed for user admin: invalid credentials",
        "JWT validation failed: token was issued by an unknown issuer",
        "Authentication failed for user m.lopez: invalid credentials",
        "Login rejected: 5 authentication failures from 203.0.113.7 within a minute",
    ]),
    "public-api": ("P3", "rate limit exceeded", [
        "Rate limit exceeded for client 8f2c: 1000 requests per minute",
        "429 Too Many Requests returned to client 8f2c on GET /v1/search",
        "Rate limit exceeded for client 19ab: 1000 requests per minute",
        "429 Too Many Requests returned to client 19ab on GET /v1/items",
        "Rate limit exceeded for client 8f2c: 1000 requests per minute",
    ]),
    "storage-service": ("P1", "disk space critical", [
        "Disk space critical: /var/lib/storage is 98% full (3.9 GB left)",
        "Write of upload 7d1f failed: No space left on device",
        "Disk space critical: /var/lib/storage is 99% full (1.2 GB left)",
        "Cannot flush segment 000418: No space left on device",
        "Write of upload 88c0 failed: No space left on device",
        "Disk space critical: /var/lib/storage is 100% full (0 B left)",
    ]),
}


def call(path, body=None):
    command = ["curl", "-sS", "--max-time", "35", "-w", "\n%{http_code}", URL + path]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    done = subprocess.run(command, input=body, capture_output=True, text=True)
    text, _, code = done.stdout.rpartition("\n")
    if done.returncode or not code.startswith("2"):
        raise OSError(done.stderr.strip() or f"{path} answered {code}: {text[:300]}")
    return json.loads(text)


def newest(service):
    """The newest incident of a service, or None."""
    found = call(f"/api/v1/incidents?service={service}&limit=1")
    return found[0] if found else None


def expected_count(before, sent):
    """What the incident must count in the end: more than before where an active one goes on."""
    return (before["event_count"] if before and before["status"] in ACTIVE else 0) + sent


def missing(service, before, sent, severity):
    """What is not yet as expected, in words; and the incident."""
    incident = newest(service)
    if incident is None or (before and before["status"] not in ACTIVE and incident["id"] == before["id"]):
        return "has no incident", None
    if incident["event_count"] < expected_count(before, sent):
        return f"counts {incident['event_count']} of {expected_count(before, sent)} events", incident
    if incident["analysis_status"] in (None, "pending"):
        return "is not analysed", incident
    if incident["severity"] != severity:
        return f"has severity {incident['severity']}, expected {severity}", incident
    return "", incident


def settle(before):
    """Poll until every scenario is as expected or the deadline has passed."""
    while True:
        found = {
            service: missing(service, before[service], len(messages), severity)
            for service, (severity, _, messages) in SCENARIOS.items()
        }
        if not any(problem for problem, _ in found.values()) or time.monotonic() > DEADLINE:
            return found
        time.sleep(POLL_SECONDS)


def show(incidents):
    """The incidents as a table."""
    names = ("id", "service", "category", "severity", "status", "count", "summary")
    rows = [names] + [
        tuple(" ".join(str(incident["event_count" if name == "count" else name]).split()) for name in names)
        for incident in incidents
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) - 1)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]).replace("\x1b", "?"))


def main():
    before = {service: newest(service) for service in SCENARIOS}
    events = [
        {"service": service, "level": "ERROR", "message": message, "attributes": {"scenario": scenario}}
        for service, (_, scenario, messages) in SCENARIOS.items()
        for message in messages
    ]
    answer = call("/api/v1/events/batch", json.dumps(events))
    print(f"sent {answer['accepted']} errors of {len(SCENARIOS)} services to {URL}; waiting for their incidents", flush=True)
    found = settle(before)
    show([incident for _, incident in found.values() if incident])
    problems = [f"{service} {problem}" for service, (problem, _) in found.items() if problem]
    for problem in problems:
        print(f"create_incidents.sh: {problem}", file=sys.stderr)
    return 1 if problems else 0


try:
    sys.exit(main())
except (OSError, ValueError, KeyError) as error:
    sys.exit(f"create_incidents.sh: {error}")
PYTHON
