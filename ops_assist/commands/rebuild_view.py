"""`ops-assist rebuild-view`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import asyncpg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops_assist.errors import CommandError
from ops_assist.kafka_access import failures
from ops_assist.options import BootstrapServers
from ops_assist.output import console, print_json
from ops_assist.running import database_settings, kafka_settings
from query_api.database import DatabaseAway
from query_api.migrate import migrate
from query_api.rebuild import Rebuilt, ViewInUse, Watch, rebuild
from runtime.settings import Settings, load_settings

_LINES = 10
"""How many lines of progress there are at most where the output is no terminal."""

app = typer.Typer(add_completion=False)


@app.command("rebuild-view")
def rebuild_view(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Drop the view in PostgreSQL and fill it again from the topics.

    Incidents keep their integer ids. Until it is done, lists are incomplete. A materializer that runs does the work;
    otherwise this command does. What the topics no longer hold is not in the new view.
    """
    settings = database_settings(kafka_settings(load_settings(), bootstrap_servers))
    if not yes:
        typer.confirm("Lists will be incomplete until the view is filled again. Go on?", abort=True, err=True)
    done = _rebuilt(settings)
    if as_json:
        print_json(done)
        return
    who = "the running materializer" if done.by_running_materializer else "this command"
    typer.echo(
        f"filled by {who}: {done.incidents:,} incidents, {done.events:,} events, {done.analyses:,} analyses; "
        f"{done.numbered:,} incidents got a new integer id"
    )


def _rebuilt(settings: Settings) -> Rebuilt:
    try:
        with failures(settings), _progress() as watch:
            return asyncio.run(_run(settings, watch))
    except ViewInUse as error:
        raise CommandError(str(error)) from error
    except (DatabaseAway, OSError, asyncpg.PostgresError) as error:
        raise CommandError(f"the database cannot be reached or refused: {error}") from error


async def _run(settings: Settings, watch: Watch) -> Rebuilt:
    await migrate(settings.database_url)
    return await rebuild(settings, watch)


@contextmanager
def _progress() -> Iterator[Watch]:
    """A bar on a terminal, a few lines elsewhere; both on stderr."""
    screen = console(err=True)
    if not screen.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield show


def _lines() -> Watch:
    told: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        step = _LINES * done // total if total else _LINES
        if told.get(what) != step:
            told[what] = step
            console(err=True).print(f"{what}: {done:,} of {total:,} records")

    return tell
