"""When changed rule files are read again: by content, and never in the middle of a change."""

import hashlib
from pathlib import Path

import msgspec

from stream_processor.rule_files import files_of
from stream_processor.rules import RuleSet

_SHOWN = 12


class RuleWatch:
    """Decides by what was seen of the files whether they are to be read.

    A content has to be seen twice in a row: an editor that writes in place, or a set of several files that is copied
    one by one, passes through contents that nobody means, and some of them are valid.
    """

    def __init__(self, read: str) -> None:
        self._read = self._seen = read

    def is_due(self, seen: str, *, at_once: bool = False) -> bool:
        """Whether the files, whose digest is `seen`, are to be read now; `at_once`: without a second look."""
        settled = at_once or seen == self._seen
        self._seen = seen
        return settled and seen != self._read

    def took(self, digest: str) -> None:
        """The files were read, for good or bad, while they had this digest; they are due when they have another."""
        self._read = digest


def digest_of(path: Path) -> str:
    """A digest of the names and contents of the rule files at `path`, whatever is there, be it nothing."""
    digest = hashlib.sha256()
    try:
        for file in files_of(path):
            content = _content(file)
            digest.update(f"{file.name}\0{len(content)}\0".encode("utf-8", "surrogatepass") + content)
    except OSError as error:  # of a directory that was taken away, or may not be read
        digest.update(repr(error.errno).encode())
    return digest.hexdigest()


def fingerprint_of(rules: RuleSet) -> str:
    """Twelve characters that are the same for all workers that detect by the same rules."""
    return hashlib.sha256(
        msgspec.json.encode([(rule.kind, rule) for rule in rules.rules], order="deterministic")
    ).hexdigest()[:_SHOWN]


def changes_between(old: RuleSet, new: RuleSet) -> dict[str, list[str]]:
    """The names of the rules that were added, changed and removed."""
    before, after = ({rule.name: rule for rule in rules.rules} for rules in (old, new))
    return {
        "added": [name for name in after if name not in before],
        "changed": [name for name, rule in after.items() if name in before and before[name] != rule],
        "removed": [name for name in before if name not in after],
    }


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.errno}".encode()
