"""A real server with TLS, with and without client certificates, and an issuer of tokens with a real HTTPS address."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from bankgate.v1 import payments_pb2, payments_pb2_grpc
from gateway import clock
from gateway.config import Configuration
from gateway.rpc.server import RpcServer
from gateway.telemetry import Metrics
from tests.support.jose import AUDIENCE, ISSUER, key_set, token

from .certificates import PASSPHRASE, Authority, Issued, write_server_files
from .fakes import FakeGateway

LISTEN = {
    "certificate": "file:tls/server.pem",
    "key": "file:tls/server.key",
    "key_passphrase": "file:tls/passphrase",
    "client_ca": "file:tls/clients.pem",
}
CODE = grpc.StatusCode


def fresh(kid: str = "ec", **more: Any) -> str:
    """A token that is good now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return token(kid, now=now, **more)


@dataclass
class KeyAddress:
    """An https address that publishes the issuer's keys."""

    url: str = ""
    content: bytes = field(default_factory=key_set)
    status: int = 200
    asked: int = 0

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        headers = {"Location": "https://evil.example/keys"} if self.status == 302 else None
        return web.Response(body=self.content, status=self.status, headers=headers)


@asynccontextmanager
async def key_address(directory: Path, authority: Authority) -> AsyncIterator[KeyAddress]:
    """One, whose certificate is of this authority."""
    issued = authority.server()
    (directory / "jwks.pem").write_bytes(issued.certificate_pem + issued.key_pem(PASSPHRASE))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "jwks.pem", password=PASSPHRASE)
    made = KeyAddress()
    application = web.Application()
    application.router.add_get("/keys", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    made.url = f"https://localhost:{runner.addresses[0][1]}/keys"
    try:
        yield made
    finally:
        await runner.cleanup()


@dataclass
class Secured:
    """A server, its callers' certificates, and what to call it with."""

    server: RpcServer
    authority: Authority
    metrics: Metrics
    gateway: FakeGateway
    configuration: Configuration

    @asynccontextmanager
    async def channel(self, client: Issued | None = None, *, trust: Authority | None = None) -> AsyncIterator[grpc.aio.Channel]:
        """To the listener with client certificates if one is given, else to the one for tokens."""
        credentials = grpc.ssl_channel_credentials(
            root_certificates=(trust or self.authority).root.certificate_pem,
            private_key=client.key_pem() if client else None,
            certificate_chain=client.certificate_pem if client else None,
        )
        port = self.server.port if client else self.server.token_port
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            yield channel

    async def call(
        self, client: Issued | None = None, *tokens: str, metadata: Sequence[tuple[str, str]] = ()
    ) -> tuple[grpc.StatusCode, str]:
        """How listing payments ends, and in which words."""
        async with self.channel(client) as channel:
            return await listing(channel, *tokens, metadata=metadata)

    def refusals(self) -> dict[tuple[str, str], float]:
        """What was counted: (caller, reason) → calls."""
        (metric,) = self.metrics.calls_refused_total.collect()
        samples = [one for one in metric.samples if one.name.endswith("_total")]
        return {(one.labels["caller"], one.labels["reason"]): one.value for one in samples}


async def listing(
    channel: grpc.aio.Channel, *tokens: str, metadata: Sequence[tuple[str, str]] = ()
) -> tuple[grpc.StatusCode, str]:
    """How listing payments ends, and in which words."""
    stub = payments_pb2_grpc.PaymentServiceStub(channel)
    shown = [*metadata, *(("authorization", f"Bearer {one}") for one in tokens)]
    try:
        await stub.ListPayments(payments_pb2.ListPaymentsRequest(), metadata=shown, timeout=20)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return CODE.OK, ""


@asynccontextmanager
async def secured(
    directory: Path, callers: Sequence[dict[str, Any]], *, authority: Authority, keys: str, **listen: Any
) -> AsyncIterator[Secured]:
    """A server at two ports: with client certificates, and for tokens alone."""
    write_server_files(directory, authority, authority.server())
    (directory / "ca.pem").write_bytes(authority.root.certificate_pem)
    issuer = {"issuer": ISSUER, "audience": [AUDIENCE], "keys": keys, "ca": "file:ca.pem" if "https" in keys else None}
    addresses = {"address": "127.0.0.1:0", "token_address": "127.0.0.1:0"}
    configuration = Configuration.model_validate(
        {"directory": directory, "listen": {**addresses, "tls": LISTEN, **listen}, "tokens": [issuer], "callers": callers}
    )
    gateway, metrics = FakeGateway(), Metrics()
    server = RpcServer(configuration, gateway, metrics=metrics, clock=clock.now)  # type: ignore[arg-type]
    await server.start()
    try:
        yield Secured(server, authority, metrics, gateway, configuration)
    finally:
        await server.drain(0)
