"""How a command ends when it cannot do its work."""

from typing import Final

FAILED: Final = 1
INTERRUPTED: Final = 130


class CommandError(Exception):
    """A command that failed; its text is the one line that a person reads on stderr."""
