"""What a chaos run must not leave behind, however it ends: processes (frozen ones too), mounts and their directories, namespaces.

The guard is a shell in a session of its own, out of reach of ^C. It is told of everything that was made, over a pipe that only
the run holds open; when the pipe ends, be it by `close` or by the death of the run, it takes all of it apart, newest first. A
process is killed only if its command line still names the run's directory: numbers of processes are used again.
"""

import subprocess
from typing import Literal

_SCRIPT = r"""
trap '' INT TERM HUP
made=
while read -r line; do made="$line
$made"; done
printf '%s' "$made" | while read -r kind what; do
    case $kind in
        process) ps -ww -o command= -p "$what" 2>/dev/null | grep -qF -- "$1" && kill -9 "$what" 2>/dev/null ;;
        mount) umount "$what" 2>/dev/null || umount -l "$what" 2>/dev/null ;;
        directory) rmdir "$what" 2>/dev/null ;;
        namespace) ip netns del "$what" 2>/dev/null ;;
    esac
done
exit 0
"""


class Guard:
    """`mark`: what the command line of every process of the run contains."""

    def __init__(self, mark: str) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", _SCRIPT, "sh", mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, kind: Literal["process", "mount", "directory", "namespace"], what: str | int) -> None:
        """Tells it before the thing can be forgotten."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{kind} {what}\n".encode())
        self._shell.stdin.flush()

    def close(self) -> None:
        """Takes apart what is left. Harmless to call twice."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(30)
