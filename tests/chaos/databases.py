"""The database under a chaos run, and what can be done to it: SQLite, or a private PostgreSQL that syncs its commits.

Either stands on a small file system of its own where root may mount one, so that its disk can be filled to the last byte.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import psycopg

from tests.channels.support.tls import issue
from tests.chaos.guard import Guard
from tests.chaos.plan import OF_A_SERVER, Kind
from tests.support.postgres import Cluster

StoreKind = Literal["sqlite", "postgresql"]
DISK_MEGABYTES: dict[StoreKind, int] = {"sqlite": 48, "postgresql": 320}


class Disk:
    """A small file system in memory, mounted at `path`. Where that is not allowed, `small` is false and it cannot be filled."""

    def __init__(self, path: Path, megabytes: int, guard: Guard) -> None:
        self.path = path
        guard.watch("directory", str(path))
        path.mkdir(parents=True, exist_ok=True)
        self.small = False
        if os.geteuid() == 0 and sys.platform == "linux":
            guard.watch("mount", str(path))
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "bankgate-chaos", str(path)],
                capture_output=True,
                check=False,
            )
            self.small = done.returncode == 0
        self._ballast = path / "ballast"

    def fill(self) -> int:
        """Takes every byte that is left, also those that become free while it works; how many."""
        total = 0
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):  # full
                    while True:
                        total += file.write(b"\0" * size)
        return total

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


class Database(Protocol):
    """`port` is None where there is no server to draw a line to. `suffers`: the kinds of faults that can be done to it."""

    @property
    def kind(self) -> StoreKind: ...

    @property
    def disk(self) -> Disk: ...

    @property
    def port(self) -> int | None: ...

    @property
    def suffers(self) -> frozenset[Kind]: ...

    def url(self, host: str, port: int | None) -> str:
        """The setting `store` of a replica whose line to the server begins there."""

    async def start(self) -> None: ...

    async def strike(self, kind: Kind, lasts: float) -> None:
        """One fault from its beginning to its end; on return all is well again."""

    async def close(self) -> None: ...


class SqliteDatabase:
    """A file. Its only misfortune is its disk."""

    kind: StoreKind = "sqlite"
    port = None

    def __init__(self, directory: Path, guard: Guard) -> None:
        self.disk = Disk(directory / "disk", DISK_MEGABYTES[self.kind], guard)
        self.suffers = frozenset({Kind.FILL_DISK}) if self.disk.small else frozenset()

    def url(self, host: str, port: int | None) -> str:
        return f"sqlite:///{self.disk.path / 'bankgate.db'}"

    async def start(self) -> None:
        """Nothing runs."""

    async def strike(self, kind: Kind, lasts: float) -> None:
        assert kind is Kind.FILL_DISK
        await _full(self.disk, lasts)

    async def close(self) -> None:
        """Nothing runs."""


class PostgresDatabase:
    """A server of its own, with fsync on; see `tests.support.postgres`."""

    kind: StoreKind = "postgresql"

    def __init__(self, guard: Guard, hosts: Sequence[str]) -> None:
        # Not in the run's directory, which nobody else may enter: the server is somebody else.
        self.disk = Disk(Path(tempfile.mkdtemp(prefix="bankgate-chaos-")), DISK_MEGABYTES[self.kind], guard)
        self.disk.path.chmod(0o755)
        settings = ["min_wal_size=32MB", "max_wal_size=64MB", "max_connections=60"]
        if hosts:
            settings += ["ssl=on", f"ssl_cert_file='{self._tls / 'server.pem'}'", f"ssl_key_file='{self._tls / 'server.key'}'"]
        self._cluster = Cluster(durable=True, settings=settings, within=self.disk.path)
        if hosts:
            self._prove(hosts)
        self._secured = bool(hosts)
        self._name = ""
        self.port: int | None = None
        self.suffers = OF_A_SERVER | (frozenset({Kind.FILL_DISK}) if self.disk.small else frozenset())

    def url(self, host: str, port: int | None) -> str:
        plain = self._cluster.url(self._name).replace(f"127.0.0.1:{self.port}/", f"{host}:{port}/")
        return f"{plain}?sslmode=verify-full&sslrootcert={self._tls / 'ca.pem'}" if self._secured else plain

    @property
    def _tls(self) -> Path:
        return self.disk.path / "tls"

    def _prove(self, hosts: Sequence[str]) -> None:
        """A certificate for the hosts, issued by an authority of this run: a database elsewhere is reached with TLS only."""
        authority = issue("chaos database authority")
        server = issue("chaos database", authority, host=hosts[0], more_hosts=hosts[1:])
        self._tls.mkdir()
        for name, content in (("ca.pem", authority.pem), ("server.pem", server.pem), ("server.key", server.plain_key_pem)):
            (self._tls / name).write_bytes(content)
        (self._tls / "server.key").chmod(0o600)
        if self._cluster.account:
            os.chown(self._tls / "server.key", *self._cluster.account)

    async def start(self) -> None:
        await asyncio.to_thread(self._cluster.start)
        self._name = await asyncio.to_thread(self._cluster.create_database)
        self.port = self._cluster.port

    async def strike(self, kind: Kind, lasts: float) -> None:
        if kind is Kind.FILL_DISK:
            await _full(self.disk, lasts)
            await self._up_again()
        elif kind is Kind.KILL_STORE:
            await asyncio.to_thread(self._cluster.kill9)
            await asyncio.sleep(lasts)
            await asyncio.to_thread(self._cluster.start)
        else:
            await asyncio.to_thread(self._cluster.restart, "fast" if kind is Kind.RESTART_STORE else "immediate")

    async def _up_again(self) -> None:
        """A server that gave up on a full disk is started by its operator, once there is room."""
        try:
            await asyncio.to_thread(self._cluster.execute, "SELECT 1")
        except psycopg.OperationalError:
            await asyncio.to_thread(self._cluster.restart, "immediate")

    async def close(self) -> None:
        await asyncio.to_thread(self._cluster.destroy)


async def _full(disk: Disk, lasts: float) -> None:
    until = asyncio.get_running_loop().time() + lasts
    try:
        while asyncio.get_running_loop().time() < until:
            await asyncio.to_thread(disk.fill)  # again: what others give back meanwhile is taken too
            await asyncio.sleep(0.1)
    finally:
        disk.free()


def make_database(kind: StoreKind, directory: Path, guard: Guard, hosts: Sequence[str] = ()) -> Database:
    """`hosts`: where a server is reached from other machines; none: only over this machine's loopback interface."""
    return SqliteDatabase(directory, guard) if kind == "sqlite" else PostgresDatabase(guard, hosts)
