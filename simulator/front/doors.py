"""The doors of a front machine: HTTP (a raw body or a form, HTTP/1.0 as well as 1.1), TCP, and the sign service beside it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from simulator.front.bank import FrontBank, Incoming, Outgoing
from simulator.front.framing import FRAMINGS, MESSAGE_BYTES_MAX, BadFrame, Framing
from simulator.settings_base import split_address

log = logging.getLogger(__name__)

_FORM: Final = "application/x-www-form-urlencoded"


class HttpDoor:
    """A listening HTTP server. `start` makes one."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @classmethod
    async def start(cls, listen: str, charset: str, handle: Callable[[Incoming], Outgoing]) -> "HttpDoor":
        """Every POST goes to `handle`, whatever its path. `charset`: of forms. Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        runner = web.AppRunner(_application(charset, handle), access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, host, int(runner.addresses[0][1]))

    async def close(self) -> None:
        await self._runner.cleanup()


def _application(charset: str, handle: Callable[[Incoming], Outgoing]) -> web.Application:
    async def post(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        kind = request.headers.get("Content-Type", "")
        try:
            query = _pairs(request.rel_url.raw_query_string, charset)
            fields = _pairs(body.decode("ascii"), charset) if kind.partition(";")[0].strip().lower() == _FORM else {}
        except (UnicodeDecodeError, ValueError) as error:
            return web.Response(status=400, text=f"a form that cannot be read: {error}")
        reply = handle(Incoming(body=body, content_type=kind, path=request.path, query=query, fields=fields))
        if reply.wait_seconds:
            await asyncio.sleep(reply.wait_seconds)
        if reply.body is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type})

    application = web.Application(client_max_size=MESSAGE_BYTES_MAX)
    application.router.add_post("/{path:.*}", post)
    return application


def _pairs(text: str, charset: str) -> dict[str, str]:
    """Raises `ValueError` for a name that stands twice, `UnicodeDecodeError` for what is not in the encoding."""
    pairs = parse_qsl(text, keep_blank_values=True, encoding=charset, errors="strict", max_num_fields=100)
    if len({name for name, _value in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


class TcpDoor:
    """A listening socket that takes one message a connection, or several one after the other. `start` makes one."""

    def __init__(self, host: str, framing: Framing, handle: Callable[[Incoming], Outgoing]) -> None:
        self.host = host
        self.port = 0
        self._framing = framing
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @classmethod
    async def start(cls, listen: str, framing: str, handle: Callable[[Incoming], Outgoing]) -> "TcpDoor":
        """Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        door = cls(host, FRAMINGS[framing], handle)
        door._server = await asyncio.start_server(door._serve, host, port, limit=MESSAGE_BYTES_MAX)
        door.port = int(door._server.sockets[0].getsockname()[1])
        return door

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            open_ = dict(self._open)
            for writer in open_.values():
                writer.transport.abort()
            await asyncio.gather(*open_, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's callback is one
        self._open[task] = writer
        try:
            while await self._exchange(reader, writer):
                pass
        except (BadFrame, asyncio.IncompleteReadError, ConnectionError) as error:
            log.debug("a connection ends: %s", error)
        finally:
            del self._open[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        message = await self._framing.read(reader)
        if not message:
            return False
        reply = self._handle(Incoming(body=message))
        if reply.wait_seconds:
            await asyncio.sleep(reply.wait_seconds)
        if reply.body is None:
            writer.transport.abort()
            return False
        writer.write(self._framing.write(reply.body))
        await writer.drain()
        return not self._framing.half_close


async def open_door(front: FrontBank, shape: str, listen: str, framing: str | None) -> HttpDoor | TcpDoor:
    """`shape`: "http" (raw bodies and forms) or "tcp" with a `framing`. Raises `OSError`."""
    if shape == "tcp":
        return await TcpDoor.start(listen, framing or front.framing, front.answer)
    return await HttpDoor.start(listen, front.charset, front.answer)
