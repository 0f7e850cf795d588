"""What a process that holds secrets keeps from its neighbours.

`serve` and `worker` run as one user, because the store's files are that user's alone. Linux lets processes of one user read each
other's memory, environment and, through /proc/PID/root, each other's view of the files: with it `serve`, once taken over, could
fetch the passphrases and keys that its unit hides from it. A process that is not dumpable is closed to all but root
(prctl(2), PR_SET_DUMPABLE; proc(5)), and leaves no core file with opened keys in it.
"""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def close_to_neighbours() -> None:
    """Call before any secret is read. Elsewhere than on Linux only the core file is prevented."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "this process could not be closed to others of its user")
