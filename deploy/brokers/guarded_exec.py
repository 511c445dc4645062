"""Becomes another program that dies with the process that asked for it.

Run as a script, by path, without the project: `python -I -S guarded_exec.py OWNER LOCK_FD SIGNAL UID GID COMMAND...`.
It notes its own and its owner's process id in the lock file, gives up root if UID is not -1, has the kernel send
SIGNAL when the owner's thread ends, and executes COMMAND, which inherits the lock.
"""

import ctypes
import json
import os
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
KEEP_USER: Final = -1


def main(arguments: list[str]) -> None:
    """Guard this process, then execute the command; returns only by an exception or an exit."""
    owner, lock_fd, death_signal, uid, gid = (int(argument) for argument in arguments[:5])
    command = arguments[5:]
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, json.dumps({"pid": os.getpid(), "owner": owner}).encode(), 0)
    os.set_inheritable(lock_fd, True)  # noqa: FBT003 - its only parameter
    if uid != KEEP_USER:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid, which clears it; and the owner may have died before it was set.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != owner:
        sys.exit("the process that asked for this one is gone")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
