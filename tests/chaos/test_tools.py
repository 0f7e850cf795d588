"""The tools of the chaos runs do what they say: lines lose no byte they should keep, a guard leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.databases import Disk
from tests.chaos.guard import Guard
from tests.chaos.line import Line

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[int, bytearray]]:
    """A server that gives back what it gets; its port, and all it got."""
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            got.extend(data)
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], got
    finally:
        server.close()


async def test_a_cut_on_the_way_out_lets_more_bytes_pass_than_it_was_told_or_fewer() -> None:
    async with echo() as (port, got), Line("127.0.0.1", port) as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        cutting = asyncio.create_task(line.cut_after(1234, up=True, patience=10))
        await asyncio.sleep(0)
        writer.write(b"x" * 5000)
        assert await cutting
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(5000)
        assert len(got) == 1234
        writer.close()


async def test_a_cut_on_the_way_back_lets_more_bytes_pass_than_it_was_told() -> None:
    async with echo() as (port, got), Line("127.0.0.1", port) as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        cutting = asyncio.create_task(line.cut_after(100, up=False, patience=10))
        await asyncio.sleep(0)
        writer.write(b"x" * 5000)
        assert await cutting
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(101)
        assert len(got) == 5000
        writer.close()


async def test_a_stalled_line_loses_bytes_or_lets_them_through() -> None:
    async with echo() as (port, got), Line("127.0.0.1", port) as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        line.stall()
        writer.write(b"-after")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert bytes(got) == b"before"
        line.flow()
        assert await reader.readexactly(6) == b"-after"
        writer.close()


RUN = """
import subprocess, sys
from pathlib import Path
from tests.chaos.databases import Disk
from tests.chaos.guard import Guard
directory = Path(sys.argv[1])
guard = Guard(str(directory))
Disk(directory / "disk", 1, guard)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", str(directory)])
guard.watch("process", child.pid)
print(child.pid, flush=True)
sys.stdin.read()
"""


async def test_a_run_that_is_killed_leaves_a_frozen_process_or_a_mount_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)  # noqa: ASYNC220 - one, and at once
    assert run.stdout is not None
    child = int(run.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    run.kill()
    run.wait()
    run.stdout.close()
    async with asyncio.timeout(30):
        while _runs(child) or "bankgate-chaos" in _mounts(tmp_path):  # noqa: ASYNC110 - the guard brings it about
            await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(shown) and not shown.startswith("Z")


def _mounts(path: Path) -> str:
    shown = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in shown.splitlines() if str(path) in line)


def test_a_disk_that_is_full_takes_another_byte_or_stays_full_when_it_is_freed(tmp_path: Path) -> None:
    guard = Guard(str(tmp_path))
    try:
        disk = Disk(tmp_path / "disk", 2, guard)
        if not disk.small:
            pytest.skip("mounting a file system needs Linux and root")
        assert disk.fill() > 1 << 20
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "more").write_bytes(b"x")
        disk.free()
        (disk.path / "more").write_bytes(b"x" * 4096)
    finally:
        guard.close()
    assert "bankgate-chaos" not in _mounts(tmp_path)
