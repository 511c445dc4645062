"""Whether the server's own user may enter a directory or run a program."""

from pathlib import Path

import pytest

from deploy.brokers.child import Account
from deploy.postgres import _may_execute

STRANGER = Account(uid=59_999, gid=59_999)


@pytest.mark.parametrize(("mode", "allowed"), [(0o755, True), (0o711, True), (0o750, False), (0o644, False)])
def test_stranger_needs_the_permission_of_others(tmp_path: Path, mode: int, allowed: bool) -> None:  # noqa: FBT001 - a column of the table
    """Neither the owner's nor the group's permission counts for somebody else."""
    tmp_path.chmod(mode)
    assert _may_execute(tmp_path.stat(), STRANGER) is allowed
    tmp_path.chmod(0o700)


def test_owner_needs_only_their_own_permission(tmp_path: Path) -> None:
    """A private directory is open to the one it belongs to."""
    tmp_path.chmod(0o700)
    status = tmp_path.stat()
    assert _may_execute(status, Account(status.st_uid, status.st_gid))
