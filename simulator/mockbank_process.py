"""mock-bank as a child process that never outlives its parent, not even a parent that was killed.

Run as `python -m simulator.mockbank_process ARGUMENTS OF mock-bank`, this module is the child: mock-bank itself, plus a thread
that ends the process when its standard input does, which is when the parent is gone.
"""

import os
import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from simulator.ledger import LedgerDown
from simulator.settings import MockBankSettings

_BANNER = re.compile(r"listening on (http://[^/\s]+)/")
STOP_SECONDS = 5.0


class MockBankProcess:
    """A running mock-bank on a port the system picked."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, said: "deque[str]") -> None:
        self._process = process
        self._said = said
        self.url = url

    @classmethod
    def start(cls, settings: MockBankSettings, base: Path) -> "MockBankProcess":
        """Starts one and waits until it answers. Blocking. Raises `LedgerDown` with what it said if it does not start."""
        command = [sys.executable, "-m", __spec__.name, *_arguments(settings, base)]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        said: deque[str] = deque(maxlen=20)
        assert process.stderr is not None  # noqa: S101 - it was asked for
        for line in process.stderr:
            said.append(line.rstrip())
            if found := _BANNER.search(line):
                threading.Thread(target=said.extend, args=(process.stderr,), daemon=True).start()  # or its pipe fills up
                return cls(process, found.group(1), said)
        process.wait()
        raise LedgerDown("mock-bank does not start: " + (" / ".join(said) or f"exit status {process.returncode}"))

    def stop(self) -> None:
        """Ends it. Blocking; harmless to call twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _arguments(settings: MockBankSettings, base: Path) -> list[str]:
    options = {
        "--db": str(base / settings.database) if settings.database else None,
        "--clock": settings.clock,
        "--cutoff": settings.cutoff,
        "--timezone": settings.time_zone,
        "--status-delay-ms": None if settings.status_delay_ms is None else str(settings.status_delay_ms),
    }
    given = [part for option, value in options.items() if value is not None for part in (option, value)]
    return ["--port", "0", *given, *(["--allow-duplicates"] if settings.allow_duplicates else [])]


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # mock-bank serves in the main thread and is asked nothing any more; its SQLite file survives a kill


def _child() -> int:
    from mockbank.__main__ import main

    threading.Thread(target=_end_with_parent, daemon=True).start()
    return int(main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(_child())
