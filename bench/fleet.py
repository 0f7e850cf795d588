"""Several `serve` and `worker` processes over one store, for the length of a measurement; and PostgreSQL with its costs.

PostgreSQL is the private server of `tests/support/postgres.py`, on a real disk and with fsync on. CPU is user and system time
from /proc, that of PostgreSQL with all its processes, gone ones included; Linux.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from bench.setting import METADATA_BYTES_MAX
from gateway.demo import processes, scenery
from gateway.demo.processes import Running
from gateway.demo.scenery import SFTP_ACCOUNT, Scenery
from tests.support.postgres import Cluster

SERVER = ("shared_buffers=256MB", "max_wal_size=2GB", "checkpoint_timeout=15min")
TICKS = os.sysconf("SC_CLK_TCK")


def lane(number: int) -> str:
    """The id of a connection, and the name of its lane."""
    return f"lane-{number}"


def _folder(directory: Path, pace: str) -> str:
    """A connection whose bank is a folder: no bank takes part of the cores. Sealed as over SFTP."""
    return f"""bank = "sepa"
initiating_party = "ACME Manufacturing BV"

[[accounts]]
iban = "{SFTP_ACCOUNT}"
currency = "EUR"
holder = "ACME Manufacturing BV"
agent_bic = "{scenery.BANK_BIC}"

[channel]
kind = "folder"
upload = "{directory}"

[guarantee]
kind = "idempotent"
{scenery._SEAL}{pace}"""


@dataclass(slots=True)
class Fleet:
    """Everything up. Processes are named serve-1, worker-1, …"""

    made: Scenery
    addresses: list[str]
    running: dict[str, Running] = field(default_factory=dict)

    def channel(self, replica: int) -> grpc.aio.Channel:
        """To one `serve`, counted from 0; TLS with the ERP's client certificate."""
        made = self.made
        credentials = grpc.ssl_channel_credentials(made.authority, made.erp_key, made.erp_certificate)
        options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_metadata_size", METADATA_BYTES_MAX)]
        return grpc.aio.secure_channel(self.addresses[replica], credentials, options)

    async def start(self, name: str) -> None:
        """One more process: "worker-3"."""
        kind, _, number = name.partition("-")
        secrets = self.made.passphrases.serve if kind == "serve" else self.made.passphrases.worker
        directory = self.made.directory / f"gateway-{number if kind == 'serve' else 1}"
        arguments = ["gateway.main", kind, "--config", str(directory)]
        self.running[name] = await processes.start(name, arguments, self.made.directory, secrets)

    def cpu_seconds(self, kind: str) -> float:
        """Of all the processes of a kind so far."""
        return sum(_cpu(one.process.pid) for name, one in self.running.items() if name.startswith(kind))

    def memory_mib(self, kind: str) -> float:
        """Resident now, of one process of the kind on average."""
        found = [_status(one.process.pid, "VmRSS") for name, one in self.running.items() if name.startswith(kind)]
        return sum(found) / len(found)


@asynccontextmanager
async def fleet(store: str, *, serves: int, workers: int, lanes: int, pace: str, lease: float = 10) -> AsyncIterator[Fleet]:
    """Starts them over the store, and ends them on leaving."""
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as place:
        directory = Path(place)
        made = scenery.set_up(directory, scenery.FAST_BANK)
        nobody = {
            "sftp": {"host": "127.0.0.1", "port": 1, "host_key": "ssh-ed25519 AAAA"},
            "https": {"url": "https://127.0.0.1:1", "certificate": str(made.gateway / "trust" / "callers.pem")},
        }
        up = Fleet(made, [processes.free_address() for _ in range(serves)])
        scenery.configure_gateway(made, nobody, "ADDRESS", pace, store.replace("DIRECTORY", str(directory)))
        for file in (made.gateway / "connections").iterdir():
            file.unlink()
        for number in range(lanes):
            bank = directory / "bank" / lane(number)
            bank.mkdir()
            (made.gateway / "connections" / f"{lane(number)}.toml").write_text(_folder(bank, pace), encoding="utf-8")
        settings = (made.gateway / "bankgate.toml").read_text(encoding="utf-8")
        for number, address in enumerate(up.addresses, 1):
            own = directory / f"gateway-{number}"
            shutil.copytree(made.gateway, own)
            told = settings.replace("ADDRESS", address).replace('log_level = "info"', 'log_level = "warning"')
            (own / "bankgate.toml").write_text(f"{told}\n[worker]\nlane_lease_seconds = {lease}\n", encoding="utf-8")
        try:
            for number, address in enumerate(up.addresses, 1):
                await up.start(f"serve-{number}")
                await processes.listening(up.running[f"serve-{number}"], address)
            for number in range(1, workers + 1):
                await up.start(f"worker-{number}")
            yield up
        finally:
            await asyncio.gather(*(one.stop() for one in up.running.values()))


@contextmanager
def server() -> Iterator[Cluster]:
    """A PostgreSQL on disk, with fsync."""
    cluster = Cluster(durable=True, settings=SERVER, within=Path(tempfile.gettempdir()))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


def server_cpu(cluster: Cluster) -> float:
    """Of the server and all its processes so far, those that ended among them."""
    pid = int((cluster.data / "postmaster.pid").read_text(encoding="ascii").split()[0])
    return _cpu(pid, ended=True) + sum(_cpu(child) for child in _children(pid))


def connections(cluster: Cluster, database: str) -> int:
    """How many sessions are open in the database now."""
    ((count,),) = cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", database)
    return int(count)


def size_and_wal(cluster: Cluster, database: str) -> tuple[int, int]:
    """Bytes of the database, and of the log that was ever written."""
    ((size, wal),) = cluster.execute(
        "SELECT pg_database_size(%s), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint", database
    )
    return int(size), int(wal)


def tables(cluster: Cluster, database: str) -> dict[str, int]:
    """Bytes of each table with its indexes, partitions together, the largest first."""
    sql = """
    SELECT coalesce(parent.relname, c.relname), sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
    LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 2 DESC
    """
    return dict(cluster.execute(sql, database=database))


def _children(parent: int) -> Sequence[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def _cpu(pid: int, *, ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # a session that ended while we looked: the server counts it from now on
    return sum(int(value) for value in fields[11 : 15 if ended else 13]) / TICKS


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
