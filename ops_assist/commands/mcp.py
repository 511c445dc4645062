"""`ops-assist mcp`."""

import logging
import sys
from typing import Annotated

import typer

from ops_assist.assistant.server import create_server
from ops_assist.running import api_url
from runtime.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def mcp(*, url: Annotated[str, typer.Option(help="The HTTP API; default: API_URL, else this machine.")] = "") -> None:
    """Let an assistant look at incidents over the Model Context Protocol, on standard input and output.

    Its tools list, get, explain and verify incidents and tell how far the pipeline is behind; none changes anything.
    What they give is redacted as for the analyzer's model. Assistants start this command by themselves: see
    docs/assistants.md.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)  # standard output belongs to the protocol
    create_server(api_url(load_settings(), url)).run("stdio")
