"""One request over TCP and its whole reply, each on a connection of its own.

Until the first write nothing left us: `NotSent`. From then on whatever is no whole reply is `InDoubt`.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import cast

from channels.channel import ChannelError, InDoubt, NotSent
from channels.frontend_frames import FRAMES, BadFrame
from channels.frontend_profile import FrontendProfile
from channels.https_client import Pins, plainly, tls_context
from channels.references import References

_PIECE = 1 << 16


class TcpLine:
    """Says framed messages to one host and port."""

    def __init__(self, profile: FrontendProfile, references: References) -> None:
        if profile.host is None or profile.port is None:
            raise ValueError("a front machine over TCP has a host and a port")
        self._host, self._port = profile.host, profile.port
        self._profile = profile
        self._references = references

    async def prepare(self) -> ssl.SSLContext | None:
        """Reads certificates and keys, for this one exchange. Raises `NotSent`."""
        if not self._profile.tls:
            return None
        try:
            return await asyncio.to_thread(tls_context, self._profile, self._references)
        except Exception as error:  # whatever it is: no connection was made
            raise NotSent(str(error) if isinstance(error, ChannelError) else f"preparing: {plainly(error)}") from error

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which nothing was said yet. Raises `NotSent`."""
        context = await self.prepare()
        writer = None
        try:
            async with asyncio.timeout(self._profile.timeouts.connect):
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
            if context is not None and self._profile.server_certificate_sha256:
                Pins(self._profile.server_certificate_sha256).check(cast("asyncio.Transport", writer.transport))
        except Exception as error:
            if writer is not None:
                writer.transport.abort()
            raise NotSent(f"no connection: {plainly(error)}") from error
        return reader, writer

    async def say(self, wire: bytes) -> bytes:
        """The reply with its header, whole. Raises `NotSent`, `InDoubt`."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(self._profile.timeouts.total):
                writer.write(wire)
                await writer.drain()
                if self._profile.framing == "close":
                    writer.write_eof()
                return await self._reply(reader)
        except Exception as error:  # begun: whatever it is, the bank may have it
            words = str(error) if isinstance(error, BadFrame) else plainly(error)
            raise InDoubt(f"the request was begun and not answered whole: {words}") from error
        finally:
            writer.transport.abort()  # the reply is whole, or nothing more is wanted of it
            with suppress(OSError):
                await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        most = self._profile.reply_bytes_max
        frame = FRAMES.get(self._profile.framing)
        if frame is None:
            reply = await self._read(reader, most + 1)
            if len(reply) > most:
                raise BadFrame(f"the reply has more than {most} bytes")
            if not reply:
                raise BadFrame("the connection was ended without a reply")
            return reply
        header = await self._read(reader, frame.size)
        if len(header) < frame.size:
            raise BadFrame(f"the connection was ended after {len(header)} bytes of a header of {frame.size}")
        count = frame.following(header)
        if count > most:
            raise BadFrame(f"the reply says that it has {count} bytes, more than {most}")
        content = await self._read(reader, count)
        if len(content) < count:
            raise BadFrame(f"the connection was ended after {len(content)} of {count} bytes")
        return header + content

    async def _read(self, reader: asyncio.StreamReader, count: int) -> bytes:
        """So many bytes, or fewer where the connection ends before. Raises `TimeoutError` at a silence."""
        found = bytearray()
        while len(found) < count:
            async with asyncio.timeout(self._profile.timeouts.read):
                piece = await reader.read(min(_PIECE, count - len(found)))
            if not piece:
                break
            found += piece
        return bytes(found)
