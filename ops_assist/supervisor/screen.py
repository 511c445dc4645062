"""What a person sees of `up`: a line a stage, the ready lines, and what services warn of."""

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ops_assist.output import safe

_SHOWN: Final = frozenset({"warning", "error", "critical"})
_FRAME: Final = frozenset({"event", "level", "logger", "timestamp", "service", "environment", "exception"})
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Screen:
    """Prints lines; a terminal that is gone does not stop the pipeline from ending cleanly."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self._began = time.monotonic()

    def stage(self, text: str) -> None:
        """One stage of starting or ending, with the seconds since the start."""
        self.line(f"[{time.monotonic() - self._began:5.1f} s] {text}")

    def service_line(self, name: str, line: bytes) -> None:
        """A line of a service's log: shown if it warns, or if everything is wanted."""
        shown = line.decode(errors="replace") if self.verbose else warning_of(line)
        if shown:
            self.line(f"{name}: {safe(shown)}")

    def line(self, text: str) -> None:
        """One line on stdout, at once."""
        self._write(sys.stdout, text)

    def error(self, text: str) -> None:
        """One line on stderr."""
        self._write(sys.stderr, f"ops-assist: {' '.join(text.split())}")

    @staticmethod
    def _write(stream: Any, text: str) -> None:
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except OSError:  # the terminal was closed
            return


def warning_of(line: bytes) -> str:
    """A JSON log line of level warning or above, as one short line; empty for any other line."""
    try:
        record = _decode(line)
    except msgspec.DecodeError:
        return ""
    if record.get("level") not in _SHOWN:
        return ""
    return f"{record['level'].upper()} {record.get('event', '')}{_details(record)}"


def _details(record: Mapping[str, Any]) -> str:
    details = [f"{name}={value}" for name, value in record.items() if name not in _FRAME]
    error = str(record.get("exception", "")).strip().rpartition("\n")[2]
    return "".join(f" {detail}" for detail in [*details, error] if detail)
