"""Templates to HTML: escaped, inert, and with the present time at hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from query_api.dashboard import presenting
from query_api.dashboard.charts import in_words
from query_api.dashboard.presenting import service_url
from runtime.health import VERSION
from runtime.lag.words import rate_in_words, span_in_words
from schemas.analysis import SEVERITIES
from schemas.levels import LEVELS
from schemas.lifecycle import STATUSES

HERE: Final = Path(__file__).parent


class Renderer:
    """Renders the templates; each page gets the same words, filters and settings.

    Args:
        environment: the name of the deployment, shown in the page's head.
        api_url: where people reach the HTTP API, for the commands that pages show.
    """

    def __init__(self, environment: str, api_url: str) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=presenting.inert,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        filters = ("age", "utc", "machine_time", "duration", "words", "clock", "number")
        self._jinja.filters.update({name: getattr(presenting, name) for name in filters})
        self._jinja.filters.update(seconds=span_in_words, rate=rate_in_words)
        self._jinja.globals.update(
            environment=environment,
            api_url=api_url,
            version=VERSION,
            statuses=STATUSES,
            levels=LEVELS,
            severities=SEVERITIES,
            service_url=service_url,
            in_words=in_words,
            reason_words=presenting.REASON_WORDS,
            verdict_words=presenting.VERDICT_WORDS,
            step_words=presenting.STEP_WORDS,
            severity_words=presenting.SEVERITY_WORDS,
            analysis_words=presenting.ANALYSIS_WORDS,
            change_words=presenting.CHANGE_WORDS,
        )

    def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """One page as an answer with `status`."""
        text = self._jinja.get_template(template).render(now=datetime.now(UTC), **context)
        return HTMLResponse(text, status)
