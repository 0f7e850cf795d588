"""A front machine on a socket, byte by byte, with every way of going wrong; and exchangers towards one."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from channels.frontend import Carried, Frontend, build_exchanger
from channels.frontend_profile import FrontendProfile
from channels.profiles import parse_profile
from tests.channels.support.http_bank import reset
from tests.channels.support.parcels import from_dictionary


def exchanger_of(table: dict[str, Any], *, secrets: dict[str, bytes] | None = None, **options: Any) -> Frontend:
    """As the gateway builds one."""
    profile = parse_profile({"kind": "frontend", "timeouts": {"connect": 0.4, "read": 0.4, "total": 3}, **table})
    assert isinstance(profile, FrontendProfile)
    known = from_dictionary(secrets or {})
    return build_exchanger(profile, secret=known, certificate=known, base=Path("/nowhere"), **options)


def tcp(port: int, framing: str, **changes: Any) -> dict[str, Any]:
    return {"shape": "tcp", "framing": framing, "host": "127.0.0.1", "port": port, **changes}


@dataclass
class FrontMachine:
    """Takes `expects` bytes, or everything up to the half-close where that is None, and answers `pieces` one by one.

    `fault`: "closes at once", "resets at once", "reads, then closes", "reads, then resets", "silence"; and after the pieces
    "stays open" instead of closing.
    """

    expects: int | None = None
    pieces: tuple[bytes, ...] = ()
    fault: str = ""
    context: ssl.SSLContext | None = None
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[Any]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._one(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == "closes at once":
            return
        if self.fault == "resets at once":
            reset(writer)
            return
        self.heard.append(await (reader.read() if self.expects is None else reader.readexactly(self.expects)))
        if self.fault == "reads, then resets":
            reset(writer)
            return
        if self.fault == "reads, then closes":
            return
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
        if self.fault in ("silence", "stays open"):
            await asyncio.Event().wait()


def payment(body: bytes, **changes: Any) -> Carried:
    return Carried(body=body, purpose="payment", **changes)
