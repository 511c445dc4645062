"""The canary's services: one a partition, and told from all others."""

import pytest

from schemas.canary import PREFIX, canaries, is_canary, is_pulse
from schemas.placement import home_partition


@pytest.mark.parametrize("partitions", [1, 3, 6, 50])
def test_every_partition_has_a_canary_that_lives_in_it(partitions: int) -> None:
    """Whatever their number: in the order of the partitions, each under a reserved name."""
    found = canaries(partitions)

    assert [home_partition(name, partitions) for name in found] == list(range(partitions))
    assert all(is_canary(name) and is_pulse(name.encode()) for name in found)


@pytest.mark.parametrize("name", ["checkout", "ops-assist", "my-ops-assist-canary", PREFIX.upper()])
def test_other_names_are_anybodys(name: str) -> None:
    """Only the beginning tells, in its own case."""
    assert not is_canary(name)
    assert not is_pulse(name.encode())


def test_a_record_without_a_key_is_no_pulse() -> None:
    """As ticks and records of producers without keys are."""
    assert not is_pulse(None)
