"""The processes of a demo: what is left of them when the demo is gone."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from gateway.demo.processes import free_address

STARTER = """
import asyncio, sys
from pathlib import Path
from gateway.demo import processes

async def main(address, logs):
    host, port = address.split(":")
    running = await processes.start("web", ["http.server", "--bind", host, port], Path(logs), {})
    await processes.listening(running, address)
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""
PATIENCE_SECONDS = 30


def somebody_listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_killed_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    address = free_address()
    demo = subprocess.Popen([sys.executable, "-c", STARTER, address, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        assert demo.stdout.readline() == "up\n"
        assert somebody_listens(address)
    finally:
        demo.kill()
        demo.wait()
    until = time.monotonic() + PATIENCE_SECONDS
    while somebody_listens(address):
        assert time.monotonic() < until, "the server outlives the demo that started it"
        time.sleep(0.05)
