"""The tests' own PostgreSQL server does what tests of crashes rest on, and nothing of it outlives pytest."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Cluster, programs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own() -> Cluster:
    cluster = Cluster(durable=True)
    cluster.start()
    yield cluster
    cluster.destroy()


def server_of(directory: str) -> bool:
    """Whether a process runs a server in that directory."""
    listing = subprocess.run(["ps", "-A", "-o", "command="], capture_output=True, text=True, check=True).stdout
    return any(f"-D {directory}/data" in line for line in listing.splitlines())


@pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
def test_what_was_committed_is_there_after_every_end_of_the_server(own: Cluster, end: str) -> None:
    name = own.create_database()
    own.execute("CREATE TABLE t AS SELECT 1 AS n", database=name)
    url = own.url(name)
    if end == "kill":
        own.kill9()
        with pytest.raises(psycopg.OperationalError):
            own.execute("SELECT 1")
        own.start()
    else:
        own.restart(end)
    assert own.url(name) == url
    assert own.execute("SELECT n FROM t", database=name) == [(1,)]


def test_a_paused_server_answers_nobody_until_it_goes_on(own: Cluster) -> None:
    with own.paused(), pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(own.url(), connect_timeout=2)
    assert own.execute("SELECT 1") == [(1,)]


def test_a_copy_of_a_template_has_its_tables_and_leaves_it_alone(postgres: Cluster) -> None:
    def fill(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t (n int)")

    template = postgres.template_of("one table", fill)
    copy = postgres.create_database(template)
    postgres.execute("INSERT INTO t VALUES (1)", database=copy)
    assert postgres.execute("SELECT count(*) FROM t", database=postgres.template_of("one table", fill)) == [(0,)]


def test_the_socket_and_any_role_work(own: Cluster) -> None:
    own.execute("CREATE ROLE reader LOGIN")
    with psycopg.connect(own.socket_url(user="reader")) as connection:
        assert connection.execute("SELECT current_user").fetchall() == [("reader",)]


@pytest.mark.skipif(programs() is None, reason="no PostgreSQL server on this machine")
def test_a_killed_pytest_leaves_no_server_and_no_directory() -> None:
    script = (
        "from tests.support.postgres import Cluster\n"
        "cluster = Cluster(); cluster.start(); print(cluster.directory, cluster._guard.pid, flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    directory, guard = child.stdout.readline().split()
    assert server_of(directory)
    end_of_guard = os.pidfd_open(int(guard)) if hasattr(os, "pidfd_open") else None
    child.send_signal(signal.SIGKILL)
    child.wait()
    if end_of_guard is not None:
        import select

        assert select.select([end_of_guard], [], [], 60)[0]
        os.close(end_of_guard)
        assert not Path(directory).exists()
        assert not server_of(directory)
