"""The demo's processes: started with the environment they need and no more, their logs in files, ended when the demo ends."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
# What every process may inherit. Passphrases are added one by one.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONUTF8", "SSL_CERT_FILE")


class DidNotStart(Exception):
    """A process ended or stayed silent where it should have come up; carries the last lines of its log."""


@dataclass(slots=True)
class Running:
    """A started process and its log."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def tail(self, lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    async def stop(self) -> None:
        """Asks it to end, and ends it if it does not."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(name: str, arguments: Sequence[str], logs: Path, environment: Mapping[str, str]) -> Running:
    """Starts `python -m …` as a process of its own, which ends when this one does, even if killed (`gateway.demo.leash`)."""
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    log = logs / f"{name}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.demo.leash", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=out,
            env={**inherited, **environment},
        )
    return Running(name, process, log)


async def ready_file(running: Running, path: Path) -> dict[str, Any]:
    """What the bank says about itself once it is open. Raises `DidNotStart`."""
    async with _patience(running):
        while not await asyncio.to_thread(path.exists):
            await _still_running(running)
        found: dict[str, Any] = json.loads(await asyncio.to_thread(path.read_text, "utf-8"))
        return found


async def listening(running: Running, address: str) -> None:
    """Waits until somebody listens there. Raises `DidNotStart`."""
    host, _, port = address.rpartition(":")
    async with _patience(running):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await _still_running(running)
            else:
                writer.close()
                return


def free_address() -> str:
    """A loopback address nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class _patience:  # noqa: N801 - reads as the context manager it is
    """Turns a time-out while waiting for a process into words."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._timeout = asyncio.timeout(READY_SECONDS)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *fault: Any) -> None:
        try:
            await self._timeout.__aexit__(*fault)
        except TimeoutError:
            raise DidNotStart(f"{self._running.name} did not come up:\n{self._running.tail()}") from None


async def _still_running(running: Running) -> None:
    if running.process.returncode is not None:
        raise DidNotStart(f"{running.name} ended with {running.process.returncode}:\n{running.tail()}")
    await asyncio.sleep(0.05)
