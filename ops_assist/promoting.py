"""A rule on trial takes the place of another in its file: a change of the text, checked before it is written."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import yaml

from ops_assist.errors import CommandError
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import files_of, load_rules
from stream_processor.rules import Rule, RuleSet

NONE: Final = "none"


class Promotion(msgspec.Struct, frozen=True):
    """Which rule is promoted and which it replaces; None: none."""

    rule: Rule
    replaced: Rule | None


def find(rules: RuleSet, name: str, replaces: str) -> Promotion:
    """The two rules. `replaces`: a name, `none`, or empty where only one rule of the same kind comes into question.

    Raises:
        CommandError: there is no such rule on trial, or it is not clear which it replaces.
    """
    on_trial = [rule for rule in rules.rules if rule.shadow]
    rule = next((rule for rule in on_trial if rule.name == name), None)
    if rule is None:
        raise CommandError(f"no rule {name} has shadow: true; on trial are: {_names(on_trial)}")
    if replaces == NONE:
        return Promotion(rule, None)
    others = [one for one in rules.rules if not one.shadow and (replaces == one.name or not replaces)]
    if not replaces:
        others = [one for one in others if one.kind == rule.kind]
    if len(others) != 1:
        listed = _names([one for one in rules.rules if not one.shadow])
        raise CommandError(f"say with --replaces which rule it takes the place of, or none; in force are: {listed}")
    return Promotion(rule, others[0])


def write(paths: Sequence[Path], promotion: Promotion) -> list[Path]:
    """Change the files of rules: the shadow is taken off one rule and the other removed; gives what was written.

    All files are checked together first: they hold what they held, but for this, or nothing is written.

    Raises:
        CommandError: that cannot be done by a change of text; it says what to do by hand.
    """
    files = [file for path in paths for file in files_of(path)]
    changed = {file: text for file in files if (text := _changed(file, promotion)) is not None}
    passing = {file: file.with_name(f".promoted.{file.name}") for file in changed}
    try:
        for file, text in changed.items():
            passing[file].write_text(text, "utf-8")
            shutil.copymode(file, passing[file])
        _check(load_rules(files), [passing.get(file, file) for file in files], promotion)
        for file, new in passing.items():
            new.replace(file)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    finally:
        for new in passing.values():
            new.unlink(missing_ok=True)
    return list(changed)


def _check(before: RuleSet, files: Sequence[Path], promotion: Promotion) -> None:
    gone = promotion.replaced.name if promotion.replaced else None
    wanted = [
        msgspec.structs.replace(rule, shadow=False) if rule.name == promotion.rule.name else rule
        for rule in before.rules
        if rule.name != gone
    ]
    try:
        found = load_rules(files)
    except InvalidFiles as invalid:
        found = None
        told = f": {invalid.faults[0]}"
    else:
        told = ""
    if found is None or list(found.rules) != wanted or found.allowed_lateness != before.allowed_lateness:
        removed = f" and remove rule {gone}" if gone else ""
        raise CommandError(
            f"the file is written in a way that is not changed safely{told}; "
            f"please take shadow: true off rule {promotion.rule.name}{removed} by hand"
        )


def _changed(file: Path, promotion: Promotion) -> str | None:
    """The new text of a file; None where neither rule is in it."""
    text = file.read_text("utf-8")
    cuts: list[tuple[int, int]] = []
    for item in _rules_in(text):
        name = next((value.value for key, value in item.value if key.value == "name"), None)
        if name == promotion.rule.name:
            cuts += _shadow_of(item, text)
        elif promotion.replaced and name == promotion.replaced.name:
            cuts.append(_lines_of(item, text))
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text if cuts else None


def _rules_in(text: str) -> Iterator[yaml.MappingNode]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "rules" and isinstance(value, yaml.SequenceNode):
            yield from (item for item in value.value if isinstance(item, yaml.MappingNode))


def _shadow_of(item: yaml.MappingNode, text: str) -> Iterator[tuple[int, int]]:
    """Where the field lies, with what parts it from its neighbours."""
    for place, (key, value) in enumerate(item.value):
        if key.value != "shadow":
            continue
        if place == 0 and len(item.value) > 1:
            yield key.start_mark.index, item.value[1][0].start_mark.index
        elif item.flow_style:
            yield item.value[place - 1][1].end_mark.index, value.end_mark.index
        else:
            yield _line_start(text, key.start_mark.index), _line_end(text, value.end_mark.index)


def _lines_of(item: yaml.MappingNode, text: str) -> tuple[int, int]:
    return _line_start(text, item.start_mark.index), _line_end(text, max(_ends(item)))


def _ends(node: yaml.Node) -> Iterator[int]:
    """Where the parts of a node end that are text: a block ends only where the next begins."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False):
        yield node.end_mark.index
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (*_ends(key), *_ends(value))
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _ends(one)


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    """The start of the next line."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _names(rules: Sequence[Rule]) -> str:
    return ", ".join(rule.name for rule in rules) or "none"
