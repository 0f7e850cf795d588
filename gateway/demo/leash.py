"""Runs a module as `python -m` does, for as long as the process that started it lives.

    python -m gateway.demo.leash MODULE [ARGUMENT ...]

Its standard input is a pipe that nobody writes to and that ends with the process at its other end, however that ends. A demo that
is killed so leaves no bank, `serve` or `worker` behind.
"""

import os
import runpy
import signal
import sys
import threading


def end_with_the_starter() -> None:
    """Waits for the end of standard input, then asks this process to end."""
    while os.read(0, 4096):  # below sys.stdin, whose lock a thread must not hold while Python shuts down
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    del sys.argv[0]
    threading.Thread(target=end_with_the_starter, daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
