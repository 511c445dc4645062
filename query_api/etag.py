"""The ETag of an incident: what two people who work on it at once must not overlook."""

from hashlib import blake2b

from query_api.models import IncidentRow


def etag(row: IncidentRow) -> str:
    """Changes with the status, every change to it by people and by the system, and corrections; not with new events.

    A change that is still pending counts as made, so that the tag stays the same when the processor confirms it.
    """
    changes = [change.get("change_id") for change in row.timeline if change["what"] != "opened"]
    made_by_people = [change for change in changes if change]
    newest = row.pending_change_id or (made_by_people[-1] if made_by_people else "")
    by_the_system = len(changes) - len(made_by_people)
    text = f"{row.key}\0{row.status}\0{newest}\0{by_the_system}\0{row.merged_into or ''}\0{row.correction_id or ''}"
    return f'"{blake2b(text.encode(), digest_size=8).hexdigest()}"'


def matches(if_match: str | None, present: str) -> bool:
    """Whether an If-Match header lets a request through (RFC 9110 section 13.1.1); without one everything passes."""
    if if_match is None or if_match.strip() == "*":
        return True
    return present in (tag.strip() for tag in if_match.split(","))
