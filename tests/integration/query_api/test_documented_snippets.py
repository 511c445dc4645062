"""The snippets of docs/database.md do what the page says."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from deploy.postgres import _installed_programs
from schemas.incident import AttachedEvent
from tests.unit.query_api.view_records import START, Fill, Log, event, incident

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "database.md"
EXPECTED = {
    "python": ["2 cart P3 investigating 9 5 events of checkout within 300 s"],
    "sh": [
        "2,cart,P3,investigating,9,5 events of checkout within 300 s",
        'ERROR,"pool exhausted, number 1"',
        'ERROR,"pool exhausted, number 0"',
    ],
}


def _snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.mark.parametrize("language", ["python", "sh"])
async def test_snippet_shows_active_incidents(view_url: str, fill: Fill, language: str) -> None:
    """Copied from the page and run as it stands: the active ones, without those that were merged or resolved."""
    log = Log()
    log.incidents(
        incident("k1", status="resolved"),
        incident("k2", service="cart", status="investigating", event_count=9, created_at=START + 20),
        incident("k3", merged_into="k2", created_at=START + 30),
    )
    log.events(event(0), event(1))
    log.links("k1", *(AttachedEvent(number, 0, START + number) for number in range(2)))
    await fill(log)

    command = [sys.executable, "-W", "error", "-c"] if language == "python" else ["sh", "-c"]
    programs = _installed_programs() / "bin"
    environment = os.environ | {"DATABASE_URL": view_url, "PATH": f"{os.environ['PATH']}:{programs}"}
    run = await asyncio.create_subprocess_exec(
        *command, _snippet(language), env=environment, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await run.communicate()

    assert (run.returncode, errors.decode()) == (0, "")
    assert all(any(line.endswith(wanted) for line in output.decode().splitlines()) for wanted in EXPECTED[language])
    assert "k1" not in output.decode()
    assert output.decode().count("within 300 s") == 1
