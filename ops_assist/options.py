"""Options that several commands take, each said once."""

from typing import Annotated

import typer

BootstrapServers = Annotated[str, typer.Option(help="The Kafka cluster; default: that of the settings.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes; default: one a core.")]
Lasting = Annotated[str, typer.Option(help="How long a fault lasts whose end is not given.")]
