"""The fields of the rows of the processor's state, in their order: `python -m tests.support.state_fields`."""

import json
import sys
from typing import Any

import msgspec

from stream_processor.log_clock import LogClock
from stream_processor.recent_ids import Segment
from stream_processor.state import EndedRow, ServiceRow


def state_fields() -> dict[str, list[str]]:
    """For each type of the rows, its fields; one that older rows need not have ends with `?`."""
    return dict(sorted(_fields().items()))


def _fields() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    left: list[Any] = [msgspec.inspect.type_info(kind) for kind in (ServiceRow, EndedRow, LogClock, Segment)]
    while left:
        info = left.pop()
        if isinstance(info, msgspec.inspect.StructType) and info.array_like:  # others are read by names
            found[info.cls.__name__] = [field.name + ("" if field.required else "?") for field in info.fields]
        parts = [getattr(info, name, None) for name in ("item_type", "key_type", "value_type", "types", "item_types")]
        for part in [*parts, [field.type for field in getattr(info, "fields", ())]]:
            fresh = part if isinstance(part, list | tuple) else [part]
            left += [one for one in fresh if not _is_known(one, found)]
    return found


def _is_known(info: Any, found: dict[str, list[str]]) -> bool:
    return info is None or (isinstance(info, msgspec.inspect.StructType) and info.cls.__name__ in found)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(state_fields(), indent=2) + "\n")
