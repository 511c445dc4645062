"""What the embedded broker cannot do is said in one place, tested, and written down."""

import re
from pathlib import Path

from deploy.brokers.embedded import DEFECTS, EmbeddedBroker

ROOT = Path(__file__).parents[3]


def test_every_declared_defect_is_a_behaviour_that_a_test_claims() -> None:
    """A misspelt name would excuse nothing and be noticed by nobody."""
    suite = "".join(path.read_text() for path in (ROOT / "tests" / "kafka").glob("test_broker_conformance*.py"))
    assert set(DEFECTS) <= set(re.findall(r'@behaviour\("(.+?)"\)', suite))


def test_every_declared_defect_is_in_the_documentation() -> None:
    """docs/brokers.md lists each behaviour that fails, with the same words."""
    page = (ROOT / "docs" / "brokers.md").read_text()
    assert [name for name, reason in DEFECTS.items() if f"| {name} | {reason} |" not in page] == []


def test_limitations_fit_on_one_line(tmp_path: Path) -> None:
    """`up` prints them behind the broker's name."""
    broker = EmbeddedBroker(tmp_path, 19_092)
    assert len(f"{broker.name}: {'; '.join(broker.limitations)}") < 200
