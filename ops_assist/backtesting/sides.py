"""The rules that a backtest is about: those that are asked about, and those they are compared with."""

from pathlib import Path
from typing import Final

import typer

from ops_assist.errors import CommandError
from ops_assist.output import safe
from runtime.settings import Settings
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import load_rules, rules_in_force
from stream_processor.rules import RuleSet

LIVE: Final = "live"


def rule_sides(settings: Settings, paths: list[Path], against: str) -> list[tuple[str, RuleSet]]:
    """The rules that are asked about and those they are compared with, each with where they are from."""
    try:
        sides = [(", ".join(path.name for path in paths), load_rules(paths))] if paths else [_in_force(settings)]
        if against == LIVE:
            sides.append(_in_force(settings))
        elif against:
            sides.append((Path(against).name, load_rules([Path(against)])))
    except InvalidFiles as invalid:
        raise unusable(invalid) from invalid
    return sides


def unusable(invalid: InvalidFiles) -> CommandError:
    """Say every fault of rule files on stderr; gives the error that ends the command."""
    for fault in invalid.faults:
        typer.echo(safe(fault), err=True)
    return CommandError("the rules cannot be used; `ops-assist rules check` shows the same")


def _in_force(settings: Settings) -> tuple[str, RuleSet]:
    return ("the default rule" if settings.rules is None else "RULES"), rules_in_force(settings)
