"""The gRPC server: TLS with client certificates, health, reflection, limits, and a polite end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bankgate.v1 import (
    access_pb2,
    access_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    groups_pb2,
    groups_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    payments_pb2,
    payments_pb2_grpc,
    plans_pb2,
    plans_pb2_grpc,
    replay_pb2,
    replay_pb2_grpc,
    screening_pb2,
    screening_pb2_grpc,
    statements_pb2,
    statements_pb2_grpc,
)
from gateway.addresses import is_loopback, split_address
from gateway.callers import Callers
from gateway.config import Configuration, ListenSettings, TlsSettings
from gateway.limits import Limits
from gateway.quotas import Quotas
from gateway.refused_calls import RefusedCalls
from gateway.rpc.access import AccessServicer
from gateway.rpc.audit import AuditServicer
from gateway.rpc.door import Door, Patience
from gateway.rpc.drain import Drain
from gateway.rpc.groups import ReleaseGroupServicer
from gateway.rpc.identity import Identity
from gateway.rpc.operations import OperationsServicer
from gateway.rpc.payments import PaymentServicer
from gateway.rpc.plans import PlanServicer
from gateway.rpc.replay import ReplayServicer
from gateway.rpc.rereading import Rereading
from gateway.rpc.screening import ScreeningServicer
from gateway.rpc.statements import StatementServicer
from gateway.rpc.strangers import Strangers
from gateway.telemetry import Metrics
from gateway.tokens import Tokens, tokens_of
from keys.seal import KeyUnavailable

if TYPE_CHECKING:
    from gateway.service import Gateway

log = structlog.get_logger(__name__)

SERVICES: Final = (
    payments_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name,
    statements_pb2.DESCRIPTOR.services_by_name["StatementService"].full_name,
    operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name,
    replay_pb2.DESCRIPTOR.services_by_name["ReplayService"].full_name,
    access_pb2.DESCRIPTOR.services_by_name["AccessService"].full_name,
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
    plans_pb2.DESCRIPTOR.services_by_name["PlanService"].full_name,
    screening_pb2.DESCRIPTOR.services_by_name["ScreeningService"].full_name,
    groups_pb2.DESCRIPTOR.services_by_name["ReleaseGroupService"].full_name,
)

STREAMS_PER_CONNECTION_MAX: Final = 256
CALLS_AT_ONCE_MAX: Final = 2_000
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
METADATA_BYTES_MAX: Final = 16 * 1024
HANDSHAKE_SECONDS: Final = 20
FLUSH_SECONDS: Final = 0.5
"""How long answers that are written already get to reach their callers."""


class CannotListen(Exception):
    """The operator's: the server cannot be started as configured. Names the setting and what to do."""


class RpcServer:
    """The services of a gateway at one address."""

    def __init__(
        self,
        configuration: Configuration,
        gateway: "Gateway",
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
        reload: "Callable[[Path], Configuration] | None" = None,
        tell: "Callable[[Configuration], Awaitable[None]] | None" = None,
    ) -> None:
        """`reload` reads a configuration directory again, as `config_load.load` does; None: callers never change. `tell` is told
        what was read (`gateway.rpc.rereading`)."""
        self._listen = listen = configuration.listen
        self._directory = configuration.directory
        self._tokens = configuration.tokens
        self._clock = clock
        self._drain = Drain()
        callers = Callers(configuration.callers)
        self._door = Door(
            gateway,
            Identity(callers, Tokens(), clock, tls=listen.tls is not None),
            Limits(callers.limits),
            metrics,
            self._drain,
            clock,
            RefusedCalls(gateway.audit_store, clock),
            Quotas(gateway.quota_store),
            Patience(listen.stream_quiet_seconds, listen.stream_unread_seconds),
            tuple(ip_network(text) for text in listen.proxies),
        )
        self._rereading = Rereading(configuration, self._door, clock, reload, tell)
        self._strangers = Strangers(listen.request_seconds)
        self._watching: asyncio.Task[None] | None = None
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs do not know it
        self._server: grpc.aio.Server | None = None
        self.port = self.token_port = 0

    async def start(self) -> int:
        """Listens, and gives the port (the one asked for, or the one found for port 0). Raises `CannotListen`."""
        host, _ = _address("listen.address", self._listen.address)
        credentials = None
        if self._listen.tls is not None:
            credentials = server_credentials(self._listen.tls, self._directory)
        elif not is_loopback(host):
            raise CannotListen(
                f"listen.address {self._listen.address} can be reached from other machines, and no TLS is set: "
                "set [listen.tls] (certificate, key, key_passphrase, client_ca), or listen on 127.0.0.1"
            )
        self._door.identity.tokens = self._issuers()
        server = grpc.aio.server(
            interceptors=(self._strangers,) if self._strangers_may_come else (),
            options=_options(self._listen),
            maximum_concurrent_rpcs=CALLS_AT_ONCE_MAX,
        )
        self._add_services(server)
        self.port = _add_port(server, "listen.address", self._listen.address, credentials)
        if self._listen.token_address is not None:
            self.token_port = self._add_token_port(server, self._listen.token_address)
        await server.start()
        self._server = server
        await self._tell_health(health_pb2.HealthCheckResponse.SERVING)
        self._watching = asyncio.create_task(self._rereading.run())
        log.info(
            "rpc.listening",
            address=self._listen.address,
            port=self.port,
            tls=self._listen.tls is not None,
            token_port=self.token_port or None,
        )
        return self.port

    def reread(self) -> None:
        """Has the callers read again now, and not only when the file's time changes."""
        self._rereading.now()

    @property
    def _strangers_may_come(self) -> bool:
        """Whether a listener takes connections of everybody. Elsewhere an authority or this machine vouches for them."""
        tls = self._listen.tls
        return self._listen.token_address is not None or (tls is not None and tls.client_certificates == "none")

    def _issuers(self) -> Tokens:
        try:
            return tokens_of(self._tokens, self._directory, self._clock)
        except (KeyUnavailable, ValueError, OSError) as error:
            raise CannotListen(f"tokens: {error}") from error

    def _add_token_port(self, server: grpc.aio.Server, address: str) -> int:
        """The listener that asks for no client certificate. Never in the clear, not even on loopback."""
        _address("listen.token_address", address)
        if self._listen.tls is None:
            raise CannotListen(f"listen.token_address {address} needs [listen.tls]: a token in the clear is anybody's")
        without = self._listen.tls.model_copy(update={"client_certificates": "none"})
        return _add_port(server, "listen.token_address", address, server_credentials(without, self._directory))

    async def drain(self, seconds: float | None = None) -> None:
        """Ends politely: health says NOT_SERVING, open streams end with UNAVAILABLE, calls under way get this long to finish."""
        if self._server is None:
            return
        grace = self._listen.drain_seconds if seconds is None else seconds
        log.info("rpc.draining", seconds=grace)
        await self._health.enter_graceful_shutdown()
        self._drain.start()
        server, self._server = self._server, None
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        # Wait for our own calls here and stop the server once, at the end: it would wait for health watchers and reflection too,
        # which stay open as long as they are let, and stopping it a second time to hurry it up crashes grpc (1.85.3).
        with suppress(TimeoutError):
            await asyncio.wait_for(self._door.idle(), grace)
        await server.stop(min(grace, FLUSH_SECONDS))
        await self._door.refused.finish()
        await self._door.quotas.finish()
        log.info("rpc.stopped")

    async def run_until(self, stop: asyncio.Event) -> None:
        """Starts, waits for `stop`, drains."""
        await self.start()
        try:
            await stop.wait()
        finally:
            await self.drain()

    def _add_services(self, server: grpc.aio.Server) -> None:
        payments_pb2_grpc.add_PaymentServiceServicer_to_server(PaymentServicer(self._door), server)
        statements_pb2_grpc.add_StatementServiceServicer_to_server(StatementServicer(self._door), server)
        access_pb2_grpc.add_AccessServiceServicer_to_server(AccessServicer(self._door), server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(self._door), server)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(OperationsServicer(self._door), server)
        replay_pb2_grpc.add_ReplayServiceServicer_to_server(ReplayServicer(self._door), server)
        plans_pb2_grpc.add_PlanServiceServicer_to_server(PlanServicer(self._door), server)
        screening_pb2_grpc.add_ScreeningServiceServicer_to_server(ScreeningServicer(self._door), server)
        groups_pb2_grpc.add_ReleaseGroupServiceServicer_to_server(ReleaseGroupServicer(self._door), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    async def _tell_health(self, status: Any) -> None:
        for service in ("", *SERVICES):
            await self._health.set(service, status)


def server_credentials(tls: TlsSettings, directory: Path) -> grpc.ServerCredentials:
    """The server's certificate, its key opened in memory, and the authorities whose client certificates are believed, if any are.

    Raises `CannotListen` naming the setting.
    """
    chain = _resolved("listen.tls.certificate", tls.certificate, directory)
    authorities = None
    if tls.client_certificates == "required":
        if tls.client_ca is None:
            raise CannotListen('listen.tls.client_ca is required with client_certificates = "required"')
        authorities = _resolved("listen.tls.client_ca", tls.client_ca, directory)
    sealed_key = _resolved("listen.tls.key", tls.key, directory, private=True)
    passphrase = _resolved("listen.tls.key_passphrase", tls.key_passphrase, directory, private=True).rstrip(b"\r\n")
    try:
        key = load_pem_private_key(sealed_key, password=passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise CannotListen(
            "listen.tls.key: is not a PEM private key that opens with listen.tls.key_passphrase "
            "(check by: openssl pkey -in KEY -noout)"
        ) from None
    except TypeError:
        raise CannotListen("listen.tls.key: is not encrypted; encrypt it (openssl pkcs8 -topk8 -in KEY -out KEY.enc)") from None
    opened = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return grpc.ssl_server_credentials(
        [(opened, chain)], root_certificates=authorities, require_client_auth=authorities is not None
    )


def _resolved(setting: str, reference: str, directory: Path, *, private: bool = False) -> bytes:
    from keys.secrets import resolve

    try:
        return resolve(reference, directory, private=private)
    except KeyUnavailable as error:
        raise CannotListen(f"{setting}: {error}") from error


def _address(setting: str, address: str) -> tuple[str, int]:
    try:
        return split_address(address)
    except ValueError as error:
        raise CannotListen(f"{setting} {address}: {error}") from None


def _add_port(server: grpc.aio.Server, setting: str, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError:
        raise CannotListen(f"{setting} {address} cannot be used: taken, or not of this machine") from None


def _options(listen: ListenSettings) -> list[tuple[str, int]]:
    """Bounds for callers that misbehave, and signs of life for connections that a firewall would forget."""
    return [
        ("grpc.max_receive_message_length", listen.message_bytes_max),
        ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
        ("grpc.so_reuseport", 0),  # two servers at one address is a mistake, and not a cluster
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 3),
    ]
