"""`ops-assist`: finds the command that was named and turns every failure into one line and an exit code.

A command's module is imported only when the command is called: `ops-assist --help` answers at once.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ops_assist.errors import FAILED, INTERRUPTED, CommandError
from runtime.settings import SettingsError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("Run the whole pipeline on this machine.", "ops_assist.commands.up"),
    "send": ("Send files of events to the pipeline.", "ops_assist.commands.send"),
    "incidents": ("List, show and work incidents.", "ops_assist.commands.incidents"),
    "explain": ("Tell why there is an incident of a service, or none.", "ops_assist.commands.explain"),
    "rules": ("Check rule files and test the rules in them.", "ops_assist.commands.rules"),
    "backtest": ("Tell which incidents rules would have given on past events.", "ops_assist.commands.backtest"),
    "replay": ("Copy a range of a topic into another topic or cluster.", "ops_assist.commands.replay"),
    "topics": ("Compare the topics that are there with those that are needed.", "ops_assist.commands.topics"),
    "analyze-eval": ("Measure an analyzer on labelled incidents.", "ops_assist.commands.analyze_eval"),
    "lag": ("Show how far each consumer group is behind.", "ops_assist.commands.lag"),
    "mcp": ("Let an assistant look at incidents (Model Context Protocol).", "ops_assist.commands.mcp"),
    "size": ("Tell how large a deployment has to be.", "ops_assist.commands.size"),
    "rebuild-view": ("Fill the view in PostgreSQL again from the topics.", "ops_assist.commands.rebuild_view"),
    "dlq": ("Work the records that could not be read, and late events.", "ops_assist.commands.dlq"),
}
"""What each command says about itself, and the module whose `app` it is."""


class LazyCommands(TyperGroup):
    """Lists the commands without importing them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=text) for name, (text, _) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the entry of the list by the command itself."""
        name, _, rest = super().resolve_command(ctx, args)
        module = import_module(COMMANDS[str(name)][1])
        return name, typer.main.get_command(module.app), rest


app = typer.Typer(
    cls=LazyCommands,
    name="ops-assist",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the shape of an option's callback
    if wanted:
        typer.echo(f"ops-assist {version('ops-assist')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Ops-Assist: from error events to incidents. Settings come from the environment and a .env file."""


def main() -> NoReturn:
    """Run the command of `sys.argv`; 0 when it did its work, 2 when it was called wrongly, else 1."""
    try:
        code = app(standalone_mode=False, prog_name="ops-assist")
    except (CommandError, SettingsError) as error:
        code = _say(str(error), FAILED)
    except typer.TyperException as error:
        code = _say(f"{error.format_message()} (see --help)", getattr(error, "exit_code", FAILED))
    except typer.Abort:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output, as `head`, has seen enough
        sys.stderr.close()
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str, code: int) -> int:
    typer.echo(f"ops-assist: {' '.join(text.split())}", err=True)
    return code
