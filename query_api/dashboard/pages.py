"""All pages, before one API."""

from query_api.dashboard.api_client import ApiClient
from query_api.dashboard.incident_api import IncidentApi
from query_api.dashboard.incident_page import IncidentPage
from query_api.dashboard.incidents_page import IncidentsPage
from query_api.dashboard.operations_api import OperationsApi
from query_api.dashboard.pipeline_page import PipelinePage
from query_api.dashboard.service_api import ServiceApi
from query_api.dashboard.services_page import ServicesPage
from query_api.dashboard.shell import Shell
from query_api.dashboard.try_page import TryPage


class Pages:
    """Each page, ready to be shown."""

    def __init__(self, client: ApiClient, shell: Shell) -> None:
        incidents, services, operations = IncidentApi(client), ServiceApi(client), OperationsApi(client)
        self.incidents = IncidentsPage(shell, incidents, services, operations)
        self.incident = IncidentPage(shell, incidents, services)
        self.services = ServicesPage(shell, services, incidents, operations)
        self.pipeline = PipelinePage(shell, operations)
        self.trying = TryPage(shell, operations, incidents)
