"""The MCP server: read tools over the HTTP API, for an assistant on this machine.

Source: https://modelcontextprotocol.io/specification (tools; annotations `readOnlyHint`).
"""

from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import quote

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from ops_assist.assistant.handing_over import UNTRUSTED, TooMuch, hand_over
from ops_assist.errors import CommandError
from ops_assist.http_api import HttpApi
from runtime.health import VERSION

_INSTRUCTIONS: Final = (
    "Incidents of services, found by rules over their log events. Look at incidents, why they opened, whether they are "
    f"what the log says, and how far the pipeline is behind. Nothing can be changed from here. {UNTRUSTED}"
)
_LOOKS: Final = ToolAnnotations(
    read_only_hint=True, idempotent_hint=True, destructive_hint=False, open_world_hint=False
)

IncidentId = Annotated[int, Field(ge=1, description="The incident's number, as list_incidents tells it.")]
Text = Annotated[str, Field(max_length=200)]


def create_server(url: str) -> MCPServer[Any]:
    """A server whose tools ask the HTTP API at `url`."""
    look = _Look(HttpApi(url))
    server: MCPServer[Any] = MCPServer("ops-assist", instructions=_INSTRUCTIONS, version=VERSION)
    for tool in (look.list_incidents, look.get_incident, look.explain_service, look.verify_incident, look.pipeline):
        server.add_tool(tool, annotations=_LOOKS, structured_output=False)
    return server


class _Look:
    """The tools; what each says is what the assistant reads."""

    def __init__(self, api: HttpApi) -> None:
        self._api = api

    def list_incidents(  # noqa: PLR0917 - a tool is called by name
        self,
        status: Annotated[str, Field(description="open, investigating, resolved or closed; empty: all.")] = "",
        service: Text = "",
        severity: Annotated[str, Field(description="P1, P2 or P3; empty: all.")] = "",
        since: Annotated[str, Field(description="RFC 3339 with offset, as 2026-11-20T09:00:00Z.")] = "",
        text: Text = "",
        limit: Annotated[int, Field(ge=1, le=200)] = 20,
    ) -> str:
        """List incidents, newest first: service, rule, category, severity, summary, status, times and counts."""
        wanted = {"status_filter": status, "service": service, "severity": severity, "since": since, "q": text}
        return self._get("/api/v1/incidents", **wanted, limit=limit)

    def get_incident(self, incident_id: IncidentId) -> str:
        """Get one incident whole: why it opened, its newest events, timeline, analysis with evidence."""
        return self._get(f"/api/v1/incidents/{incident_id}")

    def explain_service(
        self, service: Text, at: Annotated[str, Field(description="Event time to look at; empty: now.")] = ""
    ) -> str:
        """Tell by rule why there is an incident of a service, or none: counts against thresholds, near misses."""
        return self._get(f"/api/v1/services/{quote(service, safe='')}/explain", at=at)

    def verify_incident(self, incident_id: IncidentId) -> str:
        """Derive an incident once more from the stored log: match, mismatch (with the difference) or expired."""
        return self._get(f"/api/v1/incidents/{incident_id}/verify")

    def pipeline(self) -> str:
        """Tell how the pipeline is: readiness, lag by consumer group, how long incidents take to be visible."""
        return self._get("/api/v1/pipeline")

    def _get(self, path: str, **parameters: Any) -> str:
        return _told(lambda: hand_over(self._api.get(path, **parameters).json()))


def _told(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except (CommandError, TooMuch) as error:
        raise ToolError(str(error)) from error
