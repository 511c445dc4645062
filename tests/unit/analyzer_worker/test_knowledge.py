"""The pattern files keep their rules."""

from pathlib import Path

import pytest

import analyzer_worker
from analyzer_worker.knowledge import knowledge
from schemas.analysis import CATEGORIES, Category


def test_every_category_has_exactly_one_file() -> None:
    """Nothing lies beside that is never read."""
    folder = Path(analyzer_worker.__path__[0]) / "patterns"
    assert {file.stem for file in folder.iterdir()} == set(CATEGORIES)
    assert list(knowledge().categories) == list(CATEGORIES)


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_says_what_to_do(category: Category) -> None:
    """Actions are sentences; every strong pattern says in words what it has found."""
    known = knowledge().categories[category]
    actions = [*known.actions, *(action for pattern in known.patterns for action in pattern.actions)]
    assert all(action[0].isupper() and action.endswith(".") for action in actions)
    assert all(pattern.says for pattern in known.patterns if pattern.weight >= 5)


def test_no_phrase_is_given_twice_in_a_category() -> None:
    """A repeated phrase would count twice."""
    for known in knowledge().categories.values():
        phrases = [phrase for pattern in known.patterns for phrase in pattern.match]
        assert {phrase for phrase in phrases if phrases.count(phrase) > 1} == set()
