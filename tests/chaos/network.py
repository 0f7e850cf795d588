"""Replicas in network namespaces of their own, with a cable to the database and a cable to the bank that can be pulled.

    ┌ hub ────────────────────┐        ┌ replica n ──────────┐
    │ database  10.77.n.1/30 ─┼─ veth ─┼─ 10.77.n.2/30       │
    │ bank      10.78.n.1/30 ─┼─ veth ─┼─ 10.78.n.2/30 serve │
    │ callers, the run itself │        │ worker              │
    └─────────────────────────┘        └─────────────────────┘

Nothing of the machine's own network is touched: every address stands in a namespace made for the run, and goes with it. A pulled
cable answers nothing, unlike a closed port: packets vanish, and who waits for an answer waits. Linux and root only.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.guard import Guard

SERVE_PORT = 50051  # in its namespace every port is free
_CLONE_NEWNET = 0x40000000  # linux/sched.h


class CannotMake(Exception):
    """This machine, or who runs this, may not make network namespaces."""


@dataclass(frozen=True, slots=True)
class Network:
    """Namespaces called `name`-hub, `name`-0, `name`-1, … `make_network` makes them; whoever runs in the hub uses them."""

    name: str

    @property
    def hub(self) -> str:
        return f"{self.name}-hub"

    def replica(self, number: int) -> str:
        return f"{self.name}-{number}"

    def inside(self, namespace: str) -> tuple[str, ...]:
        """What stands before a command that is to run there."""
        return ("ip", "netns", "exec", namespace)

    @staticmethod
    def database_address(number: int) -> str:
        """Where a replica reaches the hub's side of its cable to the database."""
        return f"10.77.{number}.1"

    @staticmethod
    def bank_address(number: int) -> str:
        return f"10.78.{number}.1"

    @staticmethod
    def serve_address(number: int) -> str:
        """Where the hub reaches the replica's serve."""
        return f"10.78.{number}.2"

    def pull(self, number: int) -> None:
        """The replica's cable to the database: out."""
        _ip("-n", self.hub, "link", "set", f"database{number}", "down")

    def plug(self, number: int) -> None:
        """And in again."""
        _ip("-n", self.hub, "link", "set", f"database{number}", "up")

    def listening(self, number: int) -> socket.socket:
        """A socket that listens on the loopback interface of the replica's namespace; who holds it need not be there."""
        made: list[socket.socket | OSError] = []

        def there() -> None:  # a thread of its own: it stays in that namespace until it ends
            with Path(f"/run/netns/{self.replica(number)}").open("rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
            found = socket.socket()
            found.bind(("127.0.0.1", 0))
            found.listen()
            made.append(found)

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]


def make_network(replicas: int, guard: Guard) -> Network:
    """Raises `CannotMake`. The guard takes it apart."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        raise CannotMake("network namespaces need Linux, root and the program ip (Debian: iproute2)")
    network = Network(f"bankgate{os.getpid()}")
    try:
        for namespace in (network.hub, *map(network.replica, range(replicas))):
            guard.watch("namespace", namespace)
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        for number in range(replicas):
            for cable, subnet in (("database", 77), ("bank", 78)):
                there = network.replica(number)
                _ip("-n", network.hub, "link", "add", f"{cable}{number}", "type", "veth", "peer", "name", cable, "netns", there)
                for namespace, device, end in ((network.hub, f"{cable}{number}", 1), (there, cable, 2)):
                    _ip("-n", namespace, "address", "add", f"10.{subnet}.{number}.{end}/30", "dev", device)
                    _ip("-n", namespace, "link", "set", device, "up")
    except subprocess.CalledProcessError as error:
        raise CannotMake(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from None
    return network


def _ip(*arguments: str) -> None:
    command: Sequence[str] = ("ip", *arguments)
    subprocess.run(command, check=True, capture_output=True, text=True)
