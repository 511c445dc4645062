"""Placement: the partition that Java's default partitioner gives."""

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from schemas.placement import home_partition, murmur2


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_what_kafka_gives(key: bytes, expected: int) -> None:
    """The vectors of Kafka's own test (UtilsTest.testMurmur2)."""
    assert murmur2(key) == expected & 0xFFFFFFFF


@given(st.binary(max_size=64))
def test_murmur2_agrees_with_another_implementation(key: bytes) -> None:
    """Bit for bit."""
    assert murmur2(key) & 0x7FFFFFFF == murmur2_of_aiokafka(key) & 0x7FFFFFFF


@given(st.text(max_size=100), st.integers(1, 1_000))
def test_a_home_is_one_of_the_partitions(service: str, partitions: int) -> None:
    """Whatever the name is."""
    assert 0 <= home_partition(service, partitions) < partitions
