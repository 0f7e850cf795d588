"""A TCP proxy that misbehaves at a chosen byte."""

import asyncio
import contextlib
from typing import Literal, Self

Fault = Literal["cut", "swallow"]


class Proxy:
    """Forwards to a port of this machine until `up_limit` bytes went to the server, or `down_limit` came back.

    At the limit it cuts both sides, or ("swallow") reads on and says nothing more in that direction.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.fault: Fault = "cut"
        self.up_limit: int | None = None
        self.down_limit: int | None = None
        self.up = self.down = self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def faultless(self) -> None:
        """From now on everything passes."""
        self.up_limit = self.down_limit = None
        self.up = self.down = 0

    @property
    def idle(self) -> bool:
        """Whether every connection so far has ended on both sides."""
        return not self._tasks

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            upward = asyncio.create_task(self._pump(reader, server_writer, up=True))
            downward = asyncio.create_task(self._pump(server_reader, writer, up=False))
            try:
                await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in (upward, downward):
                    pump.cancel()
                await asyncio.gather(upward, downward, return_exceptions=True)
                server_writer.close()  # what was let through does reach the server
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await server_writer.wait_closed()
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        while data := await reader.read(1 << 16):
            limit, passed = (self.up_limit, self.up) if up else (self.down_limit, self.down)
            let_through = data if limit is None else data[: max(0, limit - passed)]
            if up:
                self.up += len(let_through)
            else:
                self.down += len(let_through)
            if let_through:
                writer.write(let_through)
                await writer.drain()
            if limit is not None and passed + len(data) >= limit and self.fault == "cut":
                return
