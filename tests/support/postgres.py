"""A PostgreSQL server of the tests' own: real, private to one process of pytest, and gone with it.

    cluster = Cluster(durable=True); cluster.start()
    name = cluster.create_database(); cluster.url(name)       postgresql://bankgate@127.0.0.1:54321/test_1
    cluster.stop("immediate"); cluster.start()                 same port, same data
    cluster.kill9(); cluster.start()                           every process of the server killed at once
    cluster.pause(); cluster.resume()                          frozen: connections hang instead of failing
    cluster.destroy()

Most tests want the fixtures `postgres` (the cluster) and `postgres_url` (an empty database) of `tests/conftest.py` instead. They
skip, visibly, where no PostgreSQL is installed.

Nothing is left behind, however pytest ends: a guard, a shell in a session of its own, waits for the end of a pipe that only this
process holds open; when it comes, it kills the server and removes the directory.

`durable=False` turns off fsync and full page writes: right for everything but tests that are about a crash. Note what even
`kill9` cannot show: bytes that the operating system has been handed survive the death of any process.
"""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

USER = "bankgate"  # the cluster's superuser; any role may connect without a password from this machine
MISSING = "no PostgreSQL server on this machine (initdb and postgres; Debian: postgresql, brew: postgresql@17)"
PATIENCE_SECONDS = 60

# Waits until pytest is gone, then ends what is left. A number in postmaster.pid may belong to somebody else by now: it is killed
# only if its command line names our directory.
GUARD = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
shm=$(sed -n 7p "$1/data/postmaster.pid" 2>/dev/null | awk '{print $2}')
if [ -n "$pid" ] && ps -ww -o command= -p "$pid" | grep -qF -- "$1/data"; then
    children=$(ps -A -o pid=,ppid= | awk -v parent="$pid" '$2 == parent {print $1}')
    kill -9 "$pid" $children 2>/dev/null
    kill -CONT "$pid" $children 2>/dev/null
fi
[ -n "$shm" ] && ipcrm -m "$shm" 2>/dev/null
for _ in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && break; sleep 0.2; done
"""


def programs() -> Path | None:
    """The newest directory that holds `initdb` and `postgres`: Debian's, brew's, then whatever PATH says. None: not installed."""
    found = [
        path
        for pattern in ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin")
        for path in Path("/").glob(pattern[1:])
    ]
    found.sort(key=lambda path: int("".join(filter(str.isdigit, path.parent.name)) or 0), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    return next((path for path in found if (path / "initdb").exists() and (path / "postgres").exists()), None)


def account() -> tuple[int, int] | None:
    """Whom the server runs as: ourselves; but PostgreSQL refuses root, so then an account that can do nothing else."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parent_directory() -> Path:
    """In memory where the machine has such a place; a short path in any case, since a socket's name may have 104 bytes."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else Path("/tmp")


class Cluster:
    """One server and its data. All methods are for one thread; nothing is started by making the object."""

    def __init__(self, *, durable: bool = False, settings: Sequence[str] = (), within: Path | None = None) -> None:
        """`settings`: lines like `max_connections=20` over ours. `within`: where the data goes (a small file system, say)."""
        found = programs()
        if found is None:
            pytest.skip(MISSING)
        self.programs = found
        self.durable = durable
        self.account = account()
        self.directory = Path(tempfile.mkdtemp(prefix="bankgate-pg-", dir=within or parent_directory()))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.settings = tuple(settings)
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._paused: list[int] = []
        self._databases = 0
        self._templates: dict[str, str] = {}
        if self.account:
            os.chown(self.directory, *self.account)
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    # -- the server -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the server and returns when it answers; makes the data first, and keeps the port from then on."""
        if not self.data.exists():
            self._make()
        for attempt in range(5):
            if not self.port or (attempt and not self._databases):
                self.port = free_port()
            if self._started():
                return
        raise RuntimeError(f"PostgreSQL did not start; its log ends with:\n{self.tail()}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """`fast`: open transactions are rolled back and all is written. `immediate`: as a crash; recovery at the next start."""
        self.resume()
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._server.wait(PATIENCE_SECONDS)
        self._server = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill9(self) -> None:
        """SIGKILL to the server and each of its processes: nobody says goodbye to anybody."""
        if self._server and self._server.poll() is None:
            self._signal_all(signal.SIGKILL)
            self._server.wait(PATIENCE_SECONDS)
        self._paused, self._server = [], None

    def pause(self) -> None:
        """Freezes every process of the server. New connections are taken by the kernel and hang."""
        self._paused = self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._paused:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._paused = []

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def destroy(self) -> None:
        """Ends the server and removes all it had."""
        self.stop("immediate")
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(PATIENCE_SECONDS)

    def tail(self, lines: int = 30) -> str:
        """The last lines of the server's log."""
        return (
            "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
        )

    def _make(self) -> None:
        """initdb. Collation C.UTF-8 where there is one; the store must not rest on any."""
        locale = "C.UTF-8" if platform.system() == "Linux" else "C"
        command = [
            self.programs / "initdb",
            "-D",
            self.data,
            "-U",
            USER,
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            f"--locale={locale}",
        ]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.directory, **self._as_account())
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        fast = [] if self.durable else ["fsync=off", "full_page_writes=off"]
        ours = [
            "max_connections=200",
            "shared_buffers=32MB",
            "dynamic_shared_memory_type=mmap",
            "listen_addresses='127.0.0.1'",
            f"unix_socket_directories='{self.directory}'",
            "log_line_prefix='%m [%p] %u@%d '",
            *fast,
            *self.settings,
        ]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join(["", *ours, ""]))

    def _started(self) -> bool:
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port)]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                **self._as_account(),
            )
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self._server.poll() is None:
            try:
                with psycopg.connect(self.url(), connect_timeout=5):
                    return True
            except psycopg.OperationalError:
                if time.monotonic() > give_up:
                    self.kill9()
                    raise
            time.sleep(0.02)
        return False

    def _as_account(self) -> dict[str, Any]:
        return {"user": self.account[0], "group": self.account[1], "extra_groups": []} if self.account else {}

    def _signal_all(self, number: int) -> list[int]:
        """Signals the server first, so that it starts nobody new, and then each of its processes."""
        if not self._server or self._server.poll() is not None:
            return []
        parent = self._server.pid
        os.kill(parent, number)
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [line.split() for line in listing.splitlines()]
        children = [int(pid) for pid, owner in pairs if int(owner) == parent]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
        return [parent, *children]

    # -- databases ------------------------------------------------------------------------------------------------------------

    def url(self, database: str = "postgres", *, user: str = USER) -> str:
        """Over TCP on the loopback interface."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str = "postgres", *, user: str = USER) -> str:
        """Over the server's Unix socket."""
        return f"postgresql://{user}@/{database}?host={self.directory}&port={self.port}"

    def execute(self, sql: str, *values: object, database: str = "postgres", user: str = USER) -> list[tuple[Any, ...]]:
        """One statement outside any transaction, and its rows."""
        with psycopg.connect(self.url(database, user=user), autocommit=True) as connection:
            cursor = connection.execute(sql, values or None)  # type: ignore[call-overload]  # the tests' own statements
            return cursor.fetchall() if cursor.description else []

    def create_database(self, template: str = "template1") -> str:
        """A new database's name. `template`: what it is a copy of (`template_of`); nobody may be connected to that one."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def template_of(self, name: str, fill: Callable[[str], None]) -> str:
        """A database to copy, made once: `fill` gets its URL, and has closed its connections when it returns."""
        if name not in self._templates:
            database = self.create_database()
            fill(self.url(database))
            self._templates[name] = database
        return self._templates[name]

    def drop_database(self, name: str) -> None:
        """With whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
