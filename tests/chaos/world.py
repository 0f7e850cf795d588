"""Everything a chaos run is about, as processes: the bank, the database, and replicas of the gateway, each with lines of its own.

    callers ──▶ serve (replica 0) ─┐                       ┌─▶ SFTP door  ┐
                worker (replica 0) ┼─ lines: cut, stalled ─┼─▶ HTTPS door ┼─▶ bank ─▶ mock-bank
    callers ──▶ serve (replica 1) ─┤                       ├─▶ EBICS door ┘
                worker (replica 1) ┘                       └─▶ database

A process that ends by itself is started again, as an operator's service manager does, and that is counted.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from gateway.demo import processes
from gateway.demo.scenery import Scenery
from gateway.rpc.client import CallFailed, Client, ClientTls, Target
from tests.chaos import scene
from tests.chaos.databases import Database, StoreKind, make_database
from tests.chaos.guard import Guard
from tests.chaos.line import Line
from tests.chaos.network import SERVE_PORT, Network

ROOT = Path(__file__).resolve().parents[2]
COURIERS = {"ours": "gateway.main", "naive": "tests.chaos.naive"}
"""Which module a worker runs: the product, or the product with a courier that sends again whatever it lost track of."""

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
CALL_SECONDS = 5.0
LOOK_SECONDS = 0.3
ONBOARDING_SECONDS = 60.0  # for one command


@dataclass
class Managed:
    """A process and whoever keeps it running. Faults hold `busy` while they work on it."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended_by_itself: int = 0

    async def start(self, guard: Guard) -> None:
        """Starts it and does not wait until it is good for anything."""
        inherited = {
            key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if key in os.environ
        }
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={**inherited, "PYTHONPATH": str(ROOT), **self.environment},
            )
        guard.watch("process", self.process.pid)

    def signal(self, number: int) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def kill(self) -> None:
        """kill -9, frozen or not."""
        if self.process is not None and self.process.returncode is None:
            self.signal(signal.SIGKILL)
            await self.process.wait()

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@dataclass
class Replica:
    """One serve and one worker with a configuration directory and lines of their own. `address`: where callers reach it."""

    name: str
    address: str
    lines: dict[str, Line]  # by "sftp", "https", "ebics", "store"
    serve: Managed
    worker: Managed
    cable: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by whoever pulls the one to the database


@dataclass
class World:
    """A running one; `open_world` makes it. `notes`: what happened by itself."""

    directory: Path
    made: Scenery
    guard: Guard
    database: Database
    bank: Managed
    ready: dict[str, Any]
    network: Network | None = None  # set: this process runs in its hub, and the replicas in namespaces of their own
    replicas: list[Replica] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    _session: aiohttp.ClientSession | None = None

    def client(self, replica: int, seconds: float = CALL_SECONDS) -> Client:
        """A caller's connection to one of the replicas."""
        made = self.made
        tls = ClientTls(made.authority, made.erp_certificate, made.erp_key)
        return Client(Target(self.replicas[replica].address, tls), timeout=seconds)

    def host(self, cable: Literal["bank", "database"], replica: int) -> str:
        """Where a replica reaches the lines of one of its cables."""
        if self.network is None:
            return "127.0.0.1"
        return self.network.bank_address(replica) if cable == "bank" else self.network.database_address(replica)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The bank's remote control."""
        if self._session is None:
            self._session = aiohttp.ClientSession(self.ready["control"]["url"])
        async with self._session.request(method, path, json=body) as answer:
            assert answer.status < 400, await answer.text()
            return await answer.json()

    @property
    def managed(self) -> list[Managed]:
        return [process for replica in self.replicas for process in (replica.serve, replica.worker)]

    async def keep_running(self) -> None:
        """Starts again what ended without being asked to."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for one in self.managed:
                if one.busy.locked():
                    continue
                async with one.busy:
                    if one.process is not None and one.process.returncode is not None:
                        one.ended_by_itself += 1
                        self.notes[f"{one.name.split('-')[0]} ended by itself"] += 1
                        await one.start(self.guard)

    async def all_up(self, seconds: float = 60.0) -> None:
        """Waits until every replica answers callers from its database. Raises `AssertionError` with what the processes said."""
        try:
            async with asyncio.timeout(seconds):
                for number in range(len(self.replicas)):
                    while not await self._answers(number):  # noqa: ASYNC110 - another process brings it about
                        await asyncio.sleep(0.1)
        except TimeoutError:
            said = "\n".join(f"{one.name}, ended by itself {one.ended_by_itself} times:\n{one.tail(8)}" for one in self.managed)
            raise AssertionError(f"not every replica was up within {seconds:g} seconds\n{said}") from None

    async def _answers(self, replica: int) -> bool:
        try:
            async with self.client(replica) as client:
                await client.call("PaymentService", "ListPayments", {"page": {"size": 1}})
        except CallFailed:
            return False
        return True

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        for one in [*self.managed, self.bank]:
            await one.kill()  # a run that is over has nothing left to finish; the databases are thrown away
        for replica in self.replicas:
            for line in replica.lines.values():
                await line.close()
        await self.database.close()
        self.guard.close()


def _running(one: Managed) -> processes.Running:
    assert one.process is not None
    return processes.Running(one.name, one.process, one.log)


@asynccontextmanager
async def open_world(
    directory: Path,
    *,
    store: StoreKind,
    replicas: int = 2,
    courier: str = "ours",
    allow_duplicates: bool = True,
    network: Network | None = None,
) -> AsyncIterator[World]:
    """Sets both sides up and starts them; on leaving nothing of it is left but the directory with its logs."""
    guard = Guard(str(directory))
    world: World | None = None
    database: Database | None = None
    bank: Managed | None = None
    try:
        made = await asyncio.to_thread(scene.set_up, directory, allow_duplicates=allow_duplicates)
        hosts = [] if network is None else [network.database_address(number) for number in range(replicas)]
        database = make_database(store, directory, guard, hosts)
        bank = _managed("bank", "simulator", "--config", str(made.bank), logs=directory, secrets=made.passphrases.bank)
        await bank.start(guard)
        await database.start()
        ready = await processes.ready_file(_running(bank), made.bank / "data" / "ready.json")
        world = World(directory, made, guard, database, bank, ready, network)
        await _open_accounts(world)
        for number in range(replicas):
            await _add_replica(world, number, courier)
        keeping = asyncio.create_task(world.keep_running())
        try:
            await world.all_up()
            await _onboard(world)
            yield world
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    finally:
        if world is not None:
            await world.close()
        else:
            if bank is not None:
                await bank.kill()
            if database is not None:
                await database.close()
            guard.close()


async def _open_accounts(world: World) -> None:
    known = {row["iban"]: row["id"] for row in await world.control("GET", "/accounts")}
    for account in scene.ACCOUNTS:
        fields = {"balance": scene.BALANCE_MINOR, "behaviour": "accept"}
        if account.iban in known:
            await world.control("POST", "/accounts", {"id": known[account.iban], **fields})
        else:
            new = {"id": account.customer.upper(), "name": account.customer, "iban": account.iban, "currency": "EUR"}
            await world.control("POST", "/accounts", {**new, **fields})


async def _onboard(world: World) -> None:
    """The access over EBICS, set up by a person's commands; the fingerprints are those that the bank tells elsewhere."""
    config = ("--config", str(world.directory / "replica-0" / "gateway"))
    before = () if world.network is None else world.network.inside(world.network.replica(0))
    hashes = {name: key["public_key_sha256"] for name, key in world.ready["ebics"]["bank_keys"].items()}
    proved = ("--authentication", hashes["X002"], "--encryption", hashes["E002"])
    for command in (("init", scene.LUNA), ("confirm-bank-keys", scene.LUNA, *proved)):
        arguments = ("connections", *command, *config)
        secrets, logs = world.made.passphrases.worker, world.directory
        one = _managed(f"onboarding-{command[0]}", "gateway.main", *arguments, logs=logs, secrets=secrets, before=before)
        await one.start(world.guard)
        assert one.process is not None
        async with asyncio.timeout(ONBOARDING_SECONDS):
            status = await one.process.wait()
        assert status == 0, f"{command[0]} ended with {status}:\n{one.tail()}"


async def _add_replica(world: World, number: int, courier: str) -> None:
    ready, made = world.ready, world.made
    lines = await _lines(world, number)
    if world.network is None:
        address = listen = processes.free_address()
    else:
        listen = f"{world.network.serve_address(number)}:{SERVE_PORT}"
        lines["serve"] = await Line(world.network.serve_address(number), SERVE_PORT).open()
        address = f"127.0.0.1:{lines['serve'].port}"
    doors = {
        **ready,
        "sftp": {**ready["sftp"], "host": world.host("bank", number), "port": lines["sftp"].port},
        "https": {**ready["https"], "url": f"https://127.0.0.1:{lines['https'].port}"},
        "ebics": {**ready["ebics"], "url": f"http://127.0.0.1:{lines['ebics'].port}/ebics"},
    }
    name = f"replica-{number}"
    store = world.database.url(world.host("database", number), lines["store"].port if "store" in lines else None)
    gateway = await asyncio.to_thread(scene.configure_replica, made, name, doors, listen, store)
    config = ("--config", str(gateway))
    before = () if world.network is None else world.network.inside(world.network.replica(number))
    logs = world.directory
    serve = _managed(
        f"serve-{number}", "gateway.main", "serve", *config, logs=logs, secrets=made.passphrases.serve, before=before
    )
    secrets = made.passphrases.worker
    worker = _managed(f"worker-{number}", COURIERS[courier], "worker", *config, logs=logs, secrets=secrets, before=before)
    world.replicas.append(Replica(name, address, lines, serve, worker))
    await serve.start(world.guard)
    await worker.start(world.guard)


async def _lines(world: World, number: int) -> dict[str, Line]:
    """The replica's ways to the bank's doors and to the database. The HTTPS door's certificate is for the loopback addresses, and
    the EBICS door speaks without TLS there and nowhere else."""
    ready = world.ready
    lines = {"sftp": await Line(ready["sftp"]["host"], ready["sftp"]["port"]).open(world.host("bank", number))}
    for door in ("https", "ebics"):
        listening = None if world.network is None else world.network.listening(number)
        lines[door] = await Line("127.0.0.1", urlsplit(ready[door]["url"]).port or 0).open(listening=listening)
    if world.database.port is not None:
        lines["store"] = await Line("127.0.0.1", world.database.port).open(world.host("database", number))
    return lines


def _managed(name: str, module: str, *arguments: str, logs: Path, secrets: dict[str, str], before: Sequence[str] = ()) -> Managed:
    command = (*before, sys.executable, "-m", "gateway.demo.leash", module, *arguments)
    return Managed(name, command, dict(secrets), logs / f"{name}.log")
