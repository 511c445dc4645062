"""A client as people wrote them for the older system; it runs as it stands and ends with an error where it is let down.

Usage: python older_client.py URL
"""

import sys
import time

import requests

BASE = sys.argv[1]

# 1. Send what opens an incident
for i in range(6):
    response = requests.post(
        f"{BASE}/api/v1/events",
        json={"service": "legacy-service", "level": "ERROR", "message": f"Database connection failed: attempt {i}"},
        timeout=30,
    )
    assert response.status_code == 201
    event = response.json()
    assert event["id"]
    assert event["incident_id"] is None

# 2. Look for it: a bare list
incident = None
for _ in range(100):
    incidents = requests.get(f"{BASE}/api/v1/incidents", timeout=30).json()
    print(f"Found {len(incidents)} incidents")
    mine = [i for i in incidents if i["service"] == "legacy-service"]
    if mine and mine[0]["event_count"] == 6 and mine[0]["analysis_status"] != "pending":
        incident = mine[0]
        break
    time.sleep(0.2)
assert incident is not None
assert isinstance(incident["id"], int)
print(incident["id"], incident["service"], incident["status"], incident["severity"], incident["event_count"])
print(incident["summary"], incident["recommended_actions"])

# 3. Read it by its number
detail = requests.get(f"{BASE}/api/v1/incidents/{incident['id']}", timeout=30).json()
assert len(detail["events"]) == 6
assert requests.get(f"{BASE}/api/v1/incidents/1", timeout=30).json()["id"] == 1
missing = requests.get(f"{BASE}/api/v1/incidents/99999", timeout=30)
assert missing.status_code == 404
assert missing.json()["detail"]

# 4. Work it
url = f"{BASE}/api/v1/incidents/{incident['id']}/status"
answer = requests.patch(url, json={"status": "investigating"}, timeout=30)
assert answer.json() == {
    "message": "Incident status updated successfully",
    "incident_id": incident["id"],
    "new_status": "investigating",
}
nothing = requests.patch(url, json={}, timeout=30)
assert (nothing.status_code, nothing.json()["detail"]) == (400, "Status is required in request body")
wrong = requests.patch(url, json={"status": "done"}, timeout=30)
assert wrong.status_code == 400
assert wrong.json()["detail"] == "Invalid status. Must be one of: open, investigating, resolved, closed"

# 5. Filter and analyse again
found = requests.get(f"{BASE}/api/v1/incidents", params={"status_filter": "investigating", "limit": "10"}, timeout=30)
assert incident["id"] in [i["id"] for i in found.json()]
assert requests.get(f"{BASE}/api/v1/incidents?status_filter=unknown", timeout=30).status_code == 422
analysis = requests.post(f"{BASE}/api/v1/incidents/{incident['id']}/analyze", timeout=60).json()
assert analysis["incident_id"] == incident["id"]
assert {"category", "severity", "summary", "recommended_actions", "analysis_completed"} <= set(analysis)
print(len(requests.get(f"{BASE}/api/v1/events?incident_id={incident['id']}", timeout=30).json()), "events")
