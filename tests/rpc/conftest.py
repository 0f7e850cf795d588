"""A real server over a gateway in memory, in the clear on loopback and with TLS."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from gateway import clock
from gateway.config import CallerSettings, Configuration, ListenSettings, TlsSettings
from gateway.rpc.server import RpcServer
from gateway.telemetry import Metrics

from .certificates import PASSPHRASE, Authority, Issued, write_server_files
from .fakes import FakeGateway

ALL_ACTIONS = ("submit", "read", "cancel", "statements", "operate", "replay")


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def plain_configuration(tmp_path: Path) -> Configuration:
    return Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", drain_seconds=5),
        callers=(CallerSettings(name="erp", plaintext=True, actions=ALL_ACTIONS),),
    )


@pytest.fixture
async def server(plain_configuration: Configuration, gateway: FakeGateway) -> AsyncIterator[RpcServer]:
    server = RpcServer(plain_configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    await server.start()
    yield server
    await server.drain(0)


@pytest.fixture
async def channel(server: RpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def payments(channel: grpc.aio.Channel) -> payments_pb2_grpc.PaymentServiceStub:
    return payments_pb2_grpc.PaymentServiceStub(channel)


@pytest.fixture
def request_of() -> Callable[..., types_pb2.PaymentRequest]:
    def make(reference: str, **changes: Any) -> types_pb2.PaymentRequest:
        return types_pb2.PaymentRequest(
            **{
                "payment_reference": reference,
                "connection_id": "house",
                "amount": "12.50",
                "currency": "EUR",
                "creditor": types_pb2.Party(name="Creditor"),
                "creditor_account": types_pb2.Account(iban="DE89370400440532013000"),
                **changes,
            }
        )

    return make


@pytest.fixture
def batch_of(request_of: Callable[..., types_pb2.PaymentRequest]) -> Callable[..., payments_pb2.SubmitPaymentsRequest]:
    def make(*references: str, **changes: Any) -> payments_pb2.SubmitPaymentsRequest:
        return payments_pb2.SubmitPaymentsRequest(payments=[request_of(reference, **changes) for reference in references])

    return make


class TlsServer:
    """A server with TLS, one known client, and clients of every other kind."""

    def __init__(self, port: int, authority: Authority, known: Issued) -> None:
        self.port = port
        self.authority = authority
        self.known = known

    @asynccontextmanager
    async def channel(self, client: Issued | None, *, trust: Authority | None = None) -> AsyncIterator[grpc.aio.Channel]:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=(trust or self.authority).root.certificate_pem,
            private_key=client.key_pem() if client else None,
            certificate_chain=client.certificate_pem if client else None,
        )
        async with grpc.aio.secure_channel(f"localhost:{self.port}", credentials) as channel:
            yield channel


@pytest.fixture
def tls_settings() -> TlsSettings:
    return TlsSettings(
        certificate="file:tls/server.pem",
        key="file:tls/server.key",
        key_passphrase="file:tls/passphrase",
        client_ca="file:tls/clients.pem",
    )


@pytest.fixture
async def tls_server(tmp_path: Path, gateway: FakeGateway, tls_settings: TlsSettings) -> AsyncIterator[TlsServer]:
    authority = Authority()
    known = authority.client("known")
    write_server_files(tmp_path, authority, authority.server())
    configuration = Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", tls=tls_settings),
        callers=(
            CallerSettings(
                name="erp",
                certificate_sha256=(":".join(known.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper(),),
                connections=("house",),
                actions=("submit",),
            ),
        ),
    )
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    port = await server.start()
    yield TlsServer(port, authority, known)
    await server.drain(0)


__all__ = ["PASSPHRASE"]
