"""The reference pages of docs/, written from the code: `python -m runtime.reference settings > docs/settings.md`."""

import sys
from collections.abc import Callable
from typing import Any, Final, get_args

from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from runtime import metrics
from runtime.settings import Settings


def settings_page() -> str:
    """A table of every setting."""
    rows = [
        f"| `{name.upper()}` | {_default(field)} | {_values(field)}{field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Environment variables, or lines of a `.env` file where a command is started. A wrong one stops the start",
            "with a line that names it. Written by `python -m runtime.reference settings`.",
            "",
            "| setting | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def metrics_page() -> str:
    """A table of every metric."""
    found = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    rows = [f"| `{_exposed(m)}` | {m._type} | {_labels(m)} | {m._documentation} |" for m in found]  # noqa: SLF001 - no other way
    return "\n".join(
        [
            "# Metrics",
            "",
            "Every service answers `GET /metrics` in Prometheus' text format: those below that are its own, and the",
            "`process_*` and `python_*` of Prometheus' client.",
            "Written by `python -m runtime.reference metrics`.",
            "",
            "| metric | type | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


PAGES: Final[dict[str, Callable[[], str]]] = {"settings": settings_page, "metrics": metrics_page}


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or value is PydanticUndefined or value == "" or isinstance(value, SecretStr):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(field: FieldInfo) -> str:
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    return f"{', '.join(choices)}. " if choices else ""


def _exposed(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name  # noqa: SLF001 - no other way


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - no other way


if __name__ == "__main__":
    page = PAGES.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if page is None:
        sys.exit(f"usage: python -m runtime.reference {'|'.join(PAGES)}")
    sys.stdout.write(page())
