"""Where a service lives: the one partition that holds its events, so that one worker sees all of them."""

from functools import lru_cache


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 hash as Java's producer computes it (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(data)
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ length) & mask
    for start in range(0, length - 3, 4):
        k = int.from_bytes(data[start : start + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[length & ~3 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@lru_cache(maxsize=262_144)
def home_partition(service: str, partitions: int) -> int:
    """The partition of `service` among `partitions`: what Java's default partitioner gives for its name as key."""
    return (murmur2(service.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % partitions
