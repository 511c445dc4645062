"""Changing a status from a page that may be stale: what happened since is told, unless it is only more events."""

from typing import Final

from query_api.dashboard.api_client import ApiRefusedError, IncidentApi
from query_api.dashboard.forms import StatusForm

_PRECONDITION_FAILED: Final = 412
_TRIES: Final = 3


class ChangedMeanwhileError(Exception):
    """Somebody changed the status since the page was loaded; nothing was changed now.

    Args:
        seen: the status that the page showed.
        present: the status that the incident has.
    """

    def __init__(self, seen: str, present: str) -> None:
        super().__init__(f"The page showed {seen}, but the incident is {present} by now")
        self.seen, self.present = seen, present


async def change_status(api: IncidentApi, incident_id: int, form: StatusForm) -> None:
    """Change the status if it is still the one that the person saw.

    An incident's ETag moves with each event that it takes in. In a burst no page would ever be fresh enough, so when
    the version is another but the status is not, the change is tried again on the newer version.

    Raises:
        ChangedMeanwhileError: where the status is no longer the one that the page showed.
        ApiRefusedError, ApiAwayError: as the API says.
    """
    etag = form.seen_etag
    for attempt in range(1, _TRIES + 1):
        try:
            return await api.change_status(incident_id, form.change, etag)
        except ApiRefusedError as error:
            if error.status != _PRECONDITION_FAILED or attempt == _TRIES:
                raise
        present = await api.incident(incident_id)
        if present.incident.status != form.seen_status:
            raise ChangedMeanwhileError(form.seen_status, present.incident.status)
        etag = present.etag
    return None
