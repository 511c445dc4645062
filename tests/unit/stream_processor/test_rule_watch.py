"""Changed rule files are noticed by content, taken when they have settled, and refused without harm."""

import os
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from runtime.settings import load_settings
from stream_processor.rule_keeper import RuleKeeper
from stream_processor.rule_watch import RuleWatch, changes_between, digest_of, fingerprint_of
from stream_processor.rules import RuleSet

RULE = "- {name: %s, kind: count, window: 1m, threshold: %d}\n"


def rules_text(**thresholds: int) -> str:
    return "rules:\n" + "".join(RULE % (name, threshold) for name, threshold in thresholds.items())


class InForce:
    """A keeper on a file, and what it has put in force."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used: list[RuleSet] = []
        self.keeper = RuleKeeper(load_settings(_env_file=None, rules=path))

    async def use(self, rules: RuleSet) -> None:
        self.used.append(rules)

    async def look(self, times: int = 2) -> None:
        for _ in range(times):
            await self.keeper.look(self.use)

    @property
    def thresholds(self) -> dict[str, int]:
        return {rule.name: rule.threshold for rule in self.keeper.rules.rules}  # type: ignore[union-attr,unused-ignore]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ops_processor_rules_{name}", labels) or 0.0


@pytest.fixture
def on_file(tmp_path: Path) -> InForce:
    """One rule in one file."""
    (tmp_path / "rules.yaml").write_text(rules_text(a=5))
    return InForce(tmp_path / "rules.yaml")


def test_a_content_is_due_when_it_was_seen_twice() -> None:
    """And once only, until it is another."""
    watch = RuleWatch("one")
    assert [watch.is_due(seen) for seen in ("one", "two", "three", "three")] == [False, False, False, True]
    watch.took("three")
    assert not watch.is_due("three")
    assert watch.is_due("four", at_once=True)


def test_a_content_that_comes_back_before_it_was_read_is_not_due() -> None:
    """An editor that saves through a passing content leaves no trace."""
    watch = RuleWatch("one")
    assert not any(watch.is_due(seen) for seen in ("two", "one", "one"))


def test_the_digest_follows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    """Adding, removing, renaming and editing change it; times, other files and scenarios do not."""
    one = tmp_path / "one.yaml"
    one.write_text("a")
    digests = [digest_of(tmp_path)]
    os.utime(one, (1, 1))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "one.test.yaml").write_text("x")
    (tmp_path / ".one.yaml.swp").write_text("x")
    assert digest_of(tmp_path) == digests[0]
    for change in (
        lambda: (tmp_path / "two.yml").write_text("b"),
        lambda: one.write_text("ab"),
        lambda: one.rename(tmp_path / "three.yaml"),
        (tmp_path / "two.yml").unlink,
    ):
        change()
        digests.append(digest_of(tmp_path))
    assert len(set(digests)) == len(digests)


def test_the_digest_of_what_is_not_there_is_a_digest_too(tmp_path: Path) -> None:
    """A file or directory that is taken away is a change."""
    file, folder = tmp_path / "rules.yaml", tmp_path / "rules"
    before = digest_of(file)
    file.write_text("a")
    folder.mkdir()
    empty = digest_of(folder)
    folder.rmdir()
    assert digest_of(file) != before
    assert digest_of(folder) != empty


async def test_a_changed_threshold_is_put_in_force_at_the_second_look(on_file: InForce) -> None:
    """With what has changed on the log, and the page telling so."""
    before = on_file.keeper.report()
    on_file.path.write_text(rules_text(a=7, b=2))
    await on_file.look(1)
    assert on_file.used == []
    with capture_logs() as logs:
        await on_file.look(1)
    assert [on_file.thresholds] == [{"a": 7, "b": 2}]
    assert on_file.used == [on_file.keeper.rules]
    [line] = logs
    assert (line["event"], line["added"], line["changed"], line["removed"]) == ("rules_in_force", ["b"], ["a"], [])
    after = on_file.keeper.report()
    assert after["rules"] == [
        {"name": "a", "kind": "count", "shadow": False},
        {"name": "b", "kind": "count", "shadow": False},
    ]
    assert after["fingerprint"] != before["fingerprint"]
    assert after["loaded_at"] > before["loaded_at"]


async def test_an_invalid_set_leaves_the_old_rules_and_is_told_with_every_fault(on_file: InForce) -> None:
    """One ERROR line, the gauge at 1 and the page, until it is mended; told once, not at every look."""
    refusals = metric("reloads_total", outcome="refused")
    on_file.path.write_text("rules:\n- {name: A, kind: count, window: 1m}\n")
    with capture_logs() as logs:
        await on_file.look(5)
    [line] = logs
    expected = [
        f"{on_file.path}:2:3: rules[0].threshold: is required: a whole number from 1 to 10000",
        f"{on_file.path}:2:10: rules[0].name: expected 1 to 64 of a-z, 0-9 and -; found 'A'",
    ]
    assert (line["event"], line["log_level"], line["faults"]) == ("rules_refused", "error", expected)
    assert (on_file.thresholds, on_file.used) == ({"a": 5}, [])
    assert metric("invalid") == 1
    assert metric("reloads_total", outcome="refused") == refusals + 1
    assert on_file.keeper.report()["refused"].faults == expected

    on_file.path.write_text(rules_text(a=5) + "# mended\n")
    await on_file.look()
    assert (on_file.used, metric("invalid"), on_file.keeper.report()["refused"]) == ([], 0, None)


@pytest.mark.parametrize("take", ["unlink", "binary"])
async def test_files_that_cannot_be_read_are_refused_as_well(on_file: InForce, take: str) -> None:
    """The file is gone, or is no text: the old rules stay."""
    if take == "unlink":
        on_file.path.unlink()
    else:
        on_file.path.write_bytes(b"\xff\xfe\x00")
    await on_file.look()
    assert on_file.keeper.report()["refused"].faults[0].startswith(f"{on_file.path}:")
    assert on_file.thresholds == {"a": 5}


async def test_a_config_map_swap_is_taken_as_one(tmp_path: Path) -> None:
    """Kubernetes swaps the symbolic link of the directory behind the files."""
    for version, text in (("..1", rules_text(a=5)), ("..2", rules_text(a=6))):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "rules.yaml").symlink_to("..data/rules.yaml")
    mounted = InForce(tmp_path)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    await mounted.look()
    assert mounted.thresholds == {"a": 6}


async def test_being_asked_takes_the_files_as_they_are(on_file: InForce) -> None:
    """Without the second look."""
    on_file.path.write_text(rules_text(a=9))
    await on_file.keeper.look(on_file.use, at_once=True)
    assert on_file.thresholds == {"a": 9}


def test_the_fingerprint_is_that_of_the_rules_not_of_their_files(tmp_path: Path) -> None:
    """Workers with other comments detect the same; another threshold is another set."""
    found = []
    for name, text in (("x", rules_text(a=5)), ("y", "# why\n" + rules_text(a=5)), ("z", rules_text(a=6))):
        (tmp_path / f"{name}.yaml").write_text(text)
        found.append(fingerprint_of(InForce(tmp_path / f"{name}.yaml").keeper.rules))
    assert found[0] == found[1] != found[2]


def test_changes_are_told_by_name(tmp_path: Path) -> None:
    """A rule that is renamed is one that goes and one that comes."""
    sets = []
    for text in (rules_text(a=5, b=5, c=5), rules_text(a=5, b=6, d=5)):
        (tmp_path / "rules.yaml").write_text(text)
        sets.append(InForce(tmp_path / "rules.yaml").keeper.rules)
    assert changes_between(*sets) == {"added": ["d"], "changed": ["b"], "removed": ["c"]}
