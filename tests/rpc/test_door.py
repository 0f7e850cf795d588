"""Who gets in: certificates, plaintext, actions; and what a tool finds at the door (health, reflection)."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bankgate.v1 import operations_pb2, operations_pb2_grpc, payments_pb2, payments_pb2_grpc, statements_pb2, statements_pb2_grpc
from gateway import clock
from gateway.config import CallerSettings, Configuration, ListenSettings, TlsSettings
from gateway.rpc.server import SERVICES, CannotListen, RpcServer
from gateway.telemetry import Metrics

from .certificates import Authority, write_server_files
from .fakes import FakeGateway


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), str(caught.value.details())


async def test_a_known_certificate_is_its_caller(tls_server: Any, gateway: FakeGateway, batch_of: Any) -> None:
    async with tls_server.channel(tls_server.known) as channel:
        await payments_pb2_grpc.PaymentServiceStub(channel).SubmitPayments(batch_of("r"))
    assert gateway.payments["r"].caller == "erp"


async def test_an_unknown_certificate_of_the_right_authority_is_named_by_its_fingerprint(tls_server: Any, batch_of: Any) -> None:
    stranger = tls_server.authority.client("stranger")
    async with tls_server.channel(stranger) as channel:
        code, text = await code_of(payments_pb2_grpc.PaymentServiceStub(channel).SubmitPayments(batch_of("r")))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert stranger.fingerprint in text


@pytest.mark.parametrize("kind", ["none", "another authority"])
async def test_without_a_certificate_of_the_authority_nothing_gets_through(
    tls_server: Any, gateway: FakeGateway, batch_of: Any, kind: str
) -> None:
    client = None if kind == "none" else Authority("evil twin").client("known")
    async with tls_server.channel(client) as channel:
        call = payments_pb2_grpc.PaymentServiceStub(channel).SubmitPayments(batch_of("r"), timeout=5)
        code, _ = await code_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert gateway.payments == {}


async def test_plaintext_to_a_tls_port_gets_nowhere(tls_server: Any, batch_of: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{tls_server.port}") as channel:
        code, _ = await code_of(payments_pb2_grpc.PaymentServiceStub(channel).SubmitPayments(batch_of("r"), timeout=5))
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_actions_a_caller_was_not_given_are_forbidden(tls_server: Any) -> None:
    async with tls_server.channel(tls_server.known) as channel:
        for call in (
            payments_pb2_grpc.PaymentServiceStub(channel).ListPayments(payments_pb2.ListPaymentsRequest()),
            payments_pb2_grpc.PaymentServiceStub(channel).CancelPayment(payments_pb2.CancelPaymentRequest(payment_id="1")),
            statements_pb2_grpc.StatementServiceStub(channel).ListStatements(statements_pb2.ListStatementsRequest()),
            operations_pb2_grpc.OperationsServiceStub(channel).ListConnections(operations_pb2.ListConnectionsRequest()),
        ):
            code, text = await code_of(call)
            assert code is grpc.StatusCode.PERMISSION_DENIED
            assert "its actions are submit" in text
        watch = payments_pb2_grpc.PaymentServiceStub(channel).WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        code, _ = await code_of(watch.read())
        assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_caller_certificate_that_expired_meanwhile_is_refused(
    tmp_path: Path, gateway: FakeGateway, tls_settings: TlsSettings, batch_of: Any
) -> None:
    authority = Authority()
    known = authority.client("known")
    write_server_files(tmp_path, authority, authority.server())
    configuration = Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", tls=tls_settings),
        callers=(CallerSettings(name="erp", certificate_sha256=(known.fingerprint,)),),
    )
    later = known.certificate.not_valid_after_utc.replace(year=2100)
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=lambda: later)  # type: ignore[arg-type]
    port = await server.start()
    credentials = grpc.ssl_channel_credentials(authority.root.certificate_pem, known.key_pem(), known.certificate_pem)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        code, text = await code_of(payments_pb2_grpc.PaymentServiceStub(channel).SubmitPayments(batch_of("r")))
    await server.drain(0)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "expired" in text
    (line,) = gateway.audited
    assert (line.action, line.actor, line.outcome, line.address) == ("access.refused", "nobody known", "refused", "127.0.0.1")
    assert (line.object_id, "expired" in line.detail) == ("PaymentServicer.SubmitPayments", True)


async def test_plaintext_off_loopback_is_refused_naming_the_key_to_set(tmp_path: Path, gateway: FakeGateway) -> None:
    for address in ("0.0.0.0:0", "[::]:0", "some-host:0"):
        configuration = Configuration(directory=tmp_path, listen=ListenSettings(address=address))
        server = RpcServer(configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
        with pytest.raises(CannotListen, match=r"\[listen\.tls\]"):
            await server.start()


async def test_a_key_that_does_not_open_is_refused_naming_the_setting_and_not_the_passphrase(
    tmp_path: Path, gateway: FakeGateway, tls_settings: TlsSettings
) -> None:
    authority = Authority()
    write_server_files(tmp_path, authority, authority.server(), passphrase=b"another")
    configuration = Configuration(directory=tmp_path, listen=ListenSettings(address="127.0.0.1:0", tls=tls_settings))
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    with pytest.raises(CannotListen, match=r"listen\.tls\.key") as caught:
        await server.start()
    assert "only for this test" not in str(caught.value)


async def test_an_address_that_is_taken_is_refused_rather_than_shared(
    server: RpcServer, gateway: FakeGateway, plain_configuration: Configuration
) -> None:
    configuration = plain_configuration.model_copy(update={"listen": ListenSettings(address=f"127.0.0.1:{server.port}")})
    second = RpcServer(configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    with pytest.raises(CannotListen, match="taken"):
        await second.start()


async def test_health_serves_by_name_and_stops_serving_on_drain(server: RpcServer, channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", *SERVICES):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await server.drain(1)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_lists_every_service(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    answer = await call.read()
    call.cancel()
    found = {service.name for service in answer.list_services_response.service}
    assert found >= {
        "bankgate.v1.PaymentService",
        "bankgate.v1.StatementService",
        "bankgate.v1.OperationsService",
        "bankgate.v1.ReplayService",
        "grpc.health.v1.Health",
    }


async def test_calls_of_a_later_release_say_what_to_use_instead(channel: grpc.aio.Channel) -> None:
    operations = operations_pb2_grpc.OperationsServiceStub(channel)
    code, text = await code_of(operations.ListKeys(operations_pb2.ListKeysRequest()))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "bankgate keys list" in text
