"""A gateway and a bank as processes of their own, for the length of a measurement, and what machine this is."""

import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bankgate.v1 import payments_pb2, types_pb2
from gateway.demo import processes, scenery
from gateway.demo.cast import creditor_iban
from gateway.demo.processes import Running
from gateway.demo.scenery import SFTP_ACCOUNT, Scenery

METADATA_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True)
class Setting:
    """Everything up: where to call, and the processes by name."""

    address: str
    scenery: Scenery
    running: dict[str, Running]
    ready: dict[str, Any]

    def channel(self) -> grpc.aio.Channel:
        """TLS with the ERP's client certificate, as in production."""
        credentials = grpc.ssl_channel_credentials(self.scenery.authority, self.scenery.erp_key, self.scenery.erp_certificate)
        options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_metadata_size", METADATA_BYTES_MAX)]
        return grpc.aio.secure_channel(self.address, credentials, options)

    def memory_mib(self, name: str) -> float:
        """The peak resident memory of a process so far (VmHWM); Linux."""
        status = Path(f"/proc/{self.running[name].process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def cpu_seconds(self, name: str) -> float:
        """User and system time of a process so far; Linux."""
        fields = Path(f"/proc/{self.running[name].process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def setting(pace: str, *, worker: bool = True, bank: bool = True) -> AsyncIterator[Setting]:
    """Starts what is asked for; ends it on leaving."""
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as place:
        directory = Path(place)
        made = scenery.set_up(directory, scenery.FAST_BANK)
        running: dict[str, Running] = {}
        ready: dict[str, Any] = {
            "sftp": {"host": "127.0.0.1", "port": 1, "host_key": "ssh-ed25519 AAAA"},
            "https": {"url": "https://127.0.0.1:1", "certificate": str(made.gateway / "trust" / "callers.pem")},
        }
        try:
            if bank:
                running["bank"] = await processes.start(
                    "bank",
                    ["simulator", "--config", str(made.bank), "--log-level", "warning"],
                    directory,
                    made.passphrases.bank,
                )
                ready = await processes.ready_file(running["bank"], made.bank / "data" / "ready.json")
            address = processes.free_address()
            scenery.configure_gateway(made, ready, address, pace)
            if worker:
                running["worker"] = await processes.start(
                    "worker", ["gateway.main", "worker", "--config", str(made.gateway)], directory, made.passphrases.worker
                )
            running["serve"] = await processes.start(
                "serve", ["gateway.main", "serve", "--config", str(made.gateway)], directory, made.passphrases.serve
            )
            await processes.listening(running["serve"], address)
            yield Setting(address, made, running, ready)
        finally:
            for process in reversed(running.values()):
                await process.stop()


SUPPLIERS = 5_000  # who is paid again and again in a run


def payment(number: int, run: str) -> types_pb2.PaymentRequest:
    """An ordinary SEPA payment of about 350 bytes to one of the suppliers."""
    supplier = number % SUPPLIERS
    return types_pb2.PaymentRequest(
        payment_reference=f"{run}-{number:08d}",
        connection_id="acme-sftp",
        debtor_account=types_pb2.Account(iban=SFTP_ACCOUNT),
        amount=f"{1 + number % 997}.{number % 100:02d}",
        currency="EUR",
        payment_type=types_pb2.PaymentType(service_level="SEPA"),
        charge_bearer="SLEV",
        creditor=types_pb2.Party(
            name=f"Supplier {supplier}",
            postal_address=types_pb2.PostalAddress(
                street_name="Keizersgracht",
                building_number=str(supplier % 700 + 1),
                post_code="1015 CJ",
                town_name="Amsterdam",
                country="NL",
            ),
        ),
        creditor_account=types_pb2.Account(iban=creditor_iban(supplier)),
        remittance_information=types_pb2.RemittanceInformation(unstructured=[f"Invoice {run} {number}"]),
    )


def batches(count: int, size: int, run: str) -> Iterator[payments_pb2.SubmitPaymentsRequest]:
    """`count` payments in requests of `size`."""
    for start in range(0, count, size):
        yield payments_pb2.SubmitPaymentsRequest(
            payments=[payment(number, run) for number in range(start, min(start + size, count))]
        )


def machine() -> str:
    """The machine in one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores of {cpu}, Python {sys.version.split()[0]}, load {load:.1f} before the run"


def run(main: Any) -> None:
    """Runs a measurement on uvloop, as `serve` does."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
