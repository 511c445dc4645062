#!/bin/sh
# What people typed at the older system, with the answers that they relied on. Usage: older_client.sh URL
set -eu
BASE=$1

is() { # is WHAT EXPECTED FOUND
	case "$3" in
	*"$2"*) ;;
	*) echo "older_client.sh: $1: expected $2, found $3" >&2; exit 1 ;;
	esac
}

is "the root" '"status":"online"' "$(curl -s "$BASE/")"
is "the health" '"status":"healthy"' "$(curl -s "$BASE/health")"
is "an event" '"incident_id":null' "$(curl -s -X POST "$BASE/api/v1/events" \
	-H "Content-Type: application/json" \
	-d '{"service": "curl-service", "level": "error", "message": "Connection timeout"}')"
is "the list" '[' "$(curl -s "$BASE/api/v1/incidents" | cut -c 1)"
is "one incident" '"id":1,' "$(curl -s "$BASE/api/v1/incidents/1")"
is "the total" 'x-total-count: ' "$(curl -s -D - -o /dev/null "$BASE/api/v1/incidents?limit=1" | tr 'A-Z' 'a-z')"
is "no status" '"detail":"Status is required in request body"' "$(curl -s -X PATCH "$BASE/api/v1/incidents/1/status" \
	-H "Content-Type: application/json" -d '{}')"
is "a wrong status" '"detail":"Invalid status. Must be one of: open, investigating, resolved, closed"' \
	"$(curl -s -X PATCH "$BASE/api/v1/incidents/1/status" -H "Content-Type: application/json" -d '{"status": "fixed"}')"
is "a missing incident" '404' "$(curl -s -o /dev/null -w '%{http_code}' "$BASE/api/v1/incidents/99999")"
is "the present status" '"message":"Incident status updated successfully"' \
	"$(curl -s -X PATCH "$BASE/api/v1/incidents/1/status" -H "Content-Type: application/json" \
	-d "{\"status\": \"$(curl -s "$BASE/api/v1/incidents/1" | sed 's/.*"recommended_actions":[^]]*],"status":"\([a-z]*\)".*/\1/')\"}")"
