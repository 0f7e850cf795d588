"""A bank's HTTP server, byte by byte, with every way of going wrong."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    whole: bool  # all of Content-Length came
    version: str


@dataclass
class HttpBank:
    """Stores what comes whole, and answers as `answer` says. `fault` is one of the points of failure in the tests."""

    context: ssl.SSLContext | None = None
    fault: str = ""
    answer: Callable[["HttpBank", Request], bytes] = lambda bank, request: bank.serve(request)
    requests: list[Request] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    outbox: dict[str, bytes] = field(default_factory=dict)
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0

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

    def serve(self, request: Request) -> bytes:
        """A well-behaved bank: PUT /in/NAME, HEAD and GET /in/NAME, GET /out, GET and DELETE /out/NAME, POST /in."""
        name = unquote(request.target.rsplit("/", 1)[-1])
        if request.method == "PUT":
            if name in self.files and request.headers.get("if-none-match") == "*":
                return reply(412)
            self.files[name] = request.body
            return reply(201)
        if request.method == "POST" and request.target == "/in":
            self.files[request.headers["x-file-name"]] = request.body
            return reply(202, b'{"ok":true}')
        if request.target.startswith("/in/"):
            return reply(200, self.files[name], head=request.method == "HEAD") if name in self.files else reply(404)
        if request.target == "/out":
            names = ",".join(f'{{"name":"{n}","size":{len(c)},"type":"camt"}}' for n, c in self.outbox.items())
            return reply(200, f"[{names}]".encode())
        if request.method in ("DELETE", "POST"):
            self.acknowledged.append((request.method, request.target))
            self.outbox.pop(name, None)
            return reply(204)
        return reply(200, self.outbox[name]) if name in self.outbox else reply(404)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, version = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        length = int(headers.get("content-length", "0"))
        if self.fault in ("reset mid-body", "closed mid-body", "answers early"):
            body = await reader.readexactly(min(length, 1000))
        elif self.fault == "stops reading":
            await asyncio.sleep(60)
        else:
            body = await reader.readexactly(length)
        request = Request(method, target, headers, body, len(body) == length, version)
        self.requests.append(request)
        return await self._react(request, writer)

    async def _react(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        fault = self.fault
        if fault in ("reset mid-body", "read, then reset"):
            reset(writer)
            return False
        if fault in ("closed mid-body", "read, then closed"):
            return False
        if fault == "read, then silence":
            await asyncio.sleep(60)
        if fault == "garbage":
            writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        elif fault == "200, then cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif fault == "200, then silence":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()
            await asyncio.sleep(60)
        elif fault == "half a status line":
            writer.write(b"HTTP/1.1 20")
        elif fault == "answers early":
            writer.write(reply(200))
            await writer.drain()
            await asyncio.sleep(60)
        else:
            writer.write(self.answer(self, request))
            await writer.drain()
            return fault != "closes after each"
        await writer.drain()
        return False


def reply(status: int, body: bytes = b"", *, head: bool = False, headers: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + (b"" if head else body)


def reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
