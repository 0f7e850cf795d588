"""A TCP line that can be cut after a chosen byte in either direction, and stalled without losing a byte."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import Self


@dataclass
class _Cut:
    """One cut to come: after `left` more bytes in one direction."""

    up: bool
    left: int
    struck: asyncio.Event = field(default_factory=asyncio.Event)


class Line:
    """Forwards what comes in at `port` to a target. Use with `async with`, or `open` and `close`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut: _Cut | None = None
        self.passed = 0

    async def open(self, host: str = "127.0.0.1", *, listening: socket.socket | None = None) -> Self:
        """Listens there, on a port the system picks; or on a socket that listens already."""
        if listening is None:
            self._server = await asyncio.start_server(self._serve, host, 0)
        else:
            self._server = await asyncio.start_server(self._serve, sock=listening)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def stalled(self) -> bool:
        return not self._flowing.is_set()

    def cut(self) -> int:
        """Ends every connection now, in the middle of whatever it carries; how many there were. What had passed does arrive."""
        count = len(self._tasks)
        for task in self._tasks:
            task.cancel()
        return count

    async def cut_after(self, count: int, *, up: bool, patience: float) -> bool:
        """Cuts when that many more bytes have passed towards the target (`up`) or back; where they stand when patience ends.

        False: they had not passed by then.
        """
        coming = self._cut = _Cut(up, count)
        try:
            async with asyncio.timeout(patience):
                await coming.struck.wait()
        except TimeoutError:
            self._cut = None
            self.cut()
            return False
        return True

    def stall(self) -> None:
        """Takes no more bytes from either side; connections stay open, and new ones are accepted and hang."""
        self._flowing.clear()

    def flow(self) -> None:
        """On with it; nothing was lost."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            await self._flowing.wait()
            far_reader, far = await asyncio.open_connection(*self._target)
            pumps = [
                asyncio.create_task(self._pump(reader, far, up=True)),
                asyncio.create_task(self._pump(far_reader, writer, up=False)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # nobody there, or cut
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if far is not None:
                far.close()
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                coming = self._cut
                last = coming is not None and coming.up == up and coming.left <= len(data)
                if coming is not None and coming.up == up:
                    data = data[: coming.left]
                    coming.left -= len(data)
                self.passed += len(data)
                writer.write(data)
                await writer.drain()
                if last and coming is not None:
                    self._cut = None
                    coming.struck.set()
                    self.cut()
                    return
