"""A gateway and a bank as processes of their own, started, killed and started again as a test wishes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.demo import processes, scenery
from gateway.demo.erp import Erp
from gateway.demo.processes import Running
from gateway.demo.scenery import Scenery

PACE = """
[batching]
wait_seconds = 0.05
transfers_max = 25

[schedule]
fetch_seconds = 0.2
ask_seconds = 0.2

[retry]
first_seconds = 0.2
longest_seconds = 1.0
"""


@dataclass
class Stage:
    """Both sides, by name: "bank", "serve", "worker"."""

    directory: Path
    made: Scenery
    ready: dict[str, Any]
    address: str
    running: dict[str, Running] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        secrets = {"bank": self.made.passphrases.bank, "serve": self.made.passphrases.serve}
        arguments = ["gateway.main", name, "--config", str(self.made.gateway)]
        self.running[name] = await processes.start(
            name, arguments, self.directory, secrets.get(name, self.made.passphrases.worker)
        )
        if name == "serve":
            await processes.listening(self.running[name], self.address)

    async def kill(self, name: str) -> None:
        """kill -9"""
        process = self.running.pop(name).process
        process.send_signal(signal.SIGKILL)
        await process.wait()

    def erp(self) -> Erp:
        return Erp(self.address, self.made.authority, self.made.erp_certificate, self.made.erp_key)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The bank's remote control."""
        url = self.ready["control"]["url"] + path
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
            assert answer.status < 400, await answer.text()
            return await answer.json()

    async def until(self, fine: Callable[[], Any], seconds: float = 60.0) -> None:
        """Waits until an awaitable condition holds."""
        async with asyncio.timeout(seconds):
            while not await fine():  # noqa: ASYNC110 - another process brings it about
                await asyncio.sleep(0.1)


@pytest.fixture
async def make_stage(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    stages: list[Stage] = []

    async def make(ledger: str = scenery.FAST_BANK, pace: str = PACE, store: str = scenery.SQLITE) -> Stage:
        made = await asyncio.to_thread(scenery.set_up, tmp_path, ledger)
        bank = await processes.start("bank", ["simulator", "--config", str(made.bank)], tmp_path, made.passphrases.bank)
        stage = Stage(tmp_path, made, {}, processes.free_address(), {"bank": bank})
        stages.append(stage)
        stage.ready = await processes.ready_file(bank, made.bank / "data" / "ready.json")
        scenery.configure_gateway(made, stage.ready, stage.address, pace, store)
        return stage

    yield make
    for stage in stages:
        for running in reversed(stage.running.values()):
            await running.stop()
