"""The EBICS door: HTTP POST of one XML document, with TLS or, on the loopback interface, without."""

import asyncio
import ssl

from aiohttp import web

from keys.ebics_auth import MESSAGE_BYTES_MAX
from simulator.ebics.desk import Desk
from simulator.settings_base import split_address


class EbicsDoor:
    """A listening server. `start` makes one."""

    def __init__(self, runner: web.AppRunner, url: str) -> None:
        self._runner = runner
        self.url = url

    @classmethod
    async def start(cls, desk: Desk, listen: str, context: ssl.SSLContext | None) -> "EbicsDoor":
        """Opens the door. Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        runner = web.AppRunner(_application(desk), access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=context).start()
        except OSError:
            await runner.cleanup()
            raise
        scheme = "http" if context is None else "https"
        door = cls(runner, f"{scheme}://{host}:{int(runner.addresses[0][1])}/ebics")
        desk.beginnings.url = door.url
        return door

    async def close(self) -> None:
        await self._runner.cleanup()


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; EBICS knows its users by their signatures, not by certificates of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _application(desk: Desk) -> web.Application:
    async def post(request: web.Request) -> web.StreamResponse:
        reply = desk.handle(await request.read())
        if reply.wait_seconds:
            await asyncio.sleep(reply.wait_seconds)
        if reply.body is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(body=reply.body, status=reply.status, content_type="text/xml", charset="UTF-8")

    application = web.Application(client_max_size=MESSAGE_BYTES_MAX + 1)
    application.router.add_post("/ebics", post)
    application.router.add_post("/", post)
    return application
