"""Attacks on who one is, by name, against a real server with real TLS and an issuer at a real HTTPS address."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from gateway.callers import Callers
from gateway.config import CallerSettings, Configuration, ListenSettings, TlsSettings
from gateway.rpc.client import CallFailed, Client, ClientTls, Target
from gateway.rpc.server import METADATA_BYTES_MAX, CannotListen, RpcServer
from gateway.telemetry import Metrics
from tests.support.jose import ISSUER, OTHER, key_set, keyed_with_the_public_key, public, unsigned

from .certificates import Authority, Issued
from .fakes import FakeGateway
from .secured import CODE, KeyAddress, Secured, fresh, key_address, secured

AUTHORITY = Authority()
CERTIFIED, BOTH, STRANGER = (AUTHORITY.client(name) for name in ("certified", "both", "stranger"))
CALLERS: list[dict[str, Any]] = [
    {"name": "certified", "certificate_sha256": [CERTIFIED.fingerprint]},
    {"name": "token", "token": {"issuer": ISSUER, "subject": "erp"}},
    {"name": "client", "token": {"issuer": ISSUER, "client_id": "batch"}},
    {"name": "both", "certificate_sha256": [BOTH.fingerprint], "token": {"issuer": ISSUER, "subject": "both"}},
    {"name": "near", "token": {"issuer": ISSUER, "subject": "near"}, "addresses": ["192.0.2.0/24"]},
]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Secured, KeyAddress]]:
    async with key_address(tmp_path, AUTHORITY) as keys, secured(tmp_path, CALLERS, authority=AUTHORITY, keys=keys.url) as made:
        yield made, keys


def thumbprint(client: Issued) -> str:
    return base64.urlsafe_b64encode(client.certificate.fingerprint(SHA256())).rstrip(b"=").decode()


async def test_everybody_comes_in_by_what_their_entry_asks_for(house: tuple[Secured, KeyAddress]) -> None:
    made, keys = house
    assert await made.call(CERTIFIED) == (CODE.OK, "")
    assert await made.call(None, fresh()) == (CODE.OK, "")
    assert await made.call(None, fresh(sub="somebody", client_id="batch")) == (CODE.OK, "")
    assert await made.call(BOTH, fresh(sub="both")) == (CODE.OK, "")
    assert await made.call(BOTH, fresh(sub="both", cnf={"x5t#S256": thumbprint(BOTH)})) == (CODE.OK, "")
    assert keys.asked == 1
    assert not made.refusals()


async def test_our_own_client_shows_a_token_over_tls(house: tuple[Secured, KeyAddress]) -> None:
    made, _ = house
    tls = ClientTls(ca=AUTHORITY.root.certificate_pem, certificate=None, key=None)
    async with Client(Target(f"localhost:{made.server.token_port}", tls, fresh())) as client:
        await client.call("PaymentService", "ListPayments")
    async with Client(Target(f"localhost:{made.server.token_port}", tls, expired())) as client:
        with pytest.raises(CallFailed) as refused:
            await client.call("PaymentService", "ListPayments")
    assert refused.value.code == "UNAUTHENTICATED"


Case = tuple[Issued | None, list[str], str]


def cases() -> dict[str, Case]:
    good, bound = fresh(), fresh(sub="both", cnf={"x5t#S256": thumbprint(STRANGER)})
    return {
        "nothing at all": (None, [], "nothing-shown"),
        "a certificate of nobody": (STRANGER, [], "certificate-unknown"),
        "a certificate of nobody beside a good token": (STRANGER, [good], "certificate-unknown"),
        "the token of one with the certificate of another": (CERTIFIED, [good], "two-callers"),
        "the stolen token of a caller who needs a certificate too": (None, [fresh(sub="both")], "certificate-missing"),
        "the certificate of a caller who needs a token too": (BOTH, [], "token-missing"),
        "a token bound to another certificate": (BOTH, [bound], "token-binding"),
        "a bound token without its certificate": (None, [fresh(cnf={"x5t#S256": thumbprint(CERTIFIED)})], "token-binding"),
        "a token bound to what cannot be checked": (None, [fresh(cnf={"jkt": "x"})], "token-binding"),
        "two tokens": (None, [good, good], "token-malformed"),
        "alg none": (None, [unsigned()], "token-algorithm"),
        "HS256 signed with the public key": (None, [keyed_with_the_public_key()], "token-algorithm"),
        "another audience": (None, [fresh(aud="another")], "token-audience"),
        "another issuer": (None, [fresh(iss="https://evil.example")], "token-issuer"),
        "an expired token": (None, [expired()], "token-expired"),
        "a token that is not yet": (None, [fresh(nbf=datetime.now(UTC) + timedelta(hours=1))], "token-not-yet"),
        "an unknown kid": (None, [fresh("nobody", key=OTHER)], "token-key"),
        "a key of its own in jwk": (None, [fresh(key=OTHER, header={"jwk": public("ec", "ES256", OTHER)})], "token-own-key"),
        "a key of its own at jku": (None, [fresh(key=OTHER, header={"jku": "https://evil.example"})], "token-own-key"),
        "a key of its own at x5u": (None, [fresh(key=OTHER, header={"x5u": "https://evil.example"})], "token-own-key"),
        "a good token of a subject without an entry": (None, [fresh(sub="nobody", client_id="nobody")], "token-unknown"),
        "an address outside the list": (None, [fresh(sub="near")], "address"),
    }


def expired() -> str:
    ago = datetime.now(UTC) - timedelta(hours=1)
    return fresh(iat=ago, exp=ago + timedelta(minutes=5))


async def test_every_attack_is_refused_counted_and_says_why_without_the_token(house: tuple[Secured, KeyAddress]) -> None:
    made, keys = house
    wrong = {}
    for name, (client, tokens, reason) in cases().items():
        before = made.refusals().get(("", reason), 0)
        code, text = await made.call(client, *tokens)
        counted = made.refusals().get(("", reason), 0) - before
        if (
            code is not CODE.UNAUTHENTICATED
            or counted != 1
            or any(part in text for one in tokens for part in one.split(".") if part)
        ):
            wrong[name] = (code, text, counted)
    assert not wrong
    assert keys.asked == 1


async def test_other_schemes_of_authorization_are_refused(house: tuple[Secured, KeyAddress]) -> None:
    made, _ = house
    for shown in (f"Basic {fresh()}", "Bearer", "Bearer  ", fresh()):
        assert (await made.call(None, metadata=[("authorization", shown)]))[0] is CODE.UNAUTHENTICATED
    assert (await made.call(None, metadata=[("authorization", f"bearer {fresh()}")]))[0] is CODE.OK


async def test_keys_rotate_without_a_new_start_and_the_old_one_stops_counting(house: tuple[Secured, KeyAddress]) -> None:
    made, keys = house
    keys.content = key_set("ec")
    assert (await made.call(None, fresh()))[0] is CODE.OK
    assert (await made.call(None, fresh("ed")))[0] is CODE.UNAUTHENTICATED
    issuer = made.server._door.identity.tokens._by_issuer[ISSUER]._keys
    keys.content = key_set("ed")
    issuer._tried_at -= 60  # a minute later
    assert (await made.call(None, fresh("ed")))[0] is CODE.OK
    assert (await made.call(None, fresh()))[0] is CODE.UNAUTHENTICATED
    assert keys.asked == 2


@pytest.mark.parametrize(("status", "content"), [(302, b""), (503, b""), (200, b"x" * 300_000), (200, b"<html>")])
async def test_an_address_that_gives_no_keys_lets_nobody_in(
    status: int, content: bytes, house: tuple[Secured, KeyAddress]
) -> None:
    made, keys = house
    keys.status, keys.content = status, content
    code, text = await made.call(None, fresh())
    assert code is CODE.UNAVAILABLE
    assert "cannot be read just now" in text


async def test_an_address_with_a_certificate_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with (
        key_address(tmp_path / "other", Authority("somebody else")) as keys,
        secured(tmp_path, CALLERS, authority=AUTHORITY, keys=keys.url) as made,
    ):
        assert (await made.call(None, fresh()))[0] is CODE.UNAVAILABLE
        assert keys.asked == 0


async def test_certificates_of_another_authority_and_expired_ones_do_not_get_as_far_as_a_call(
    house: tuple[Secured, KeyAddress],
) -> None:
    made, _ = house
    assert (await made.call(Authority("test authority").client("certified")))[0] is CODE.UNAVAILABLE
    assert (await made.call(of_yesterday(CERTIFIED)))[0] is CODE.UNAVAILABLE


def of_yesterday(client: Issued) -> Issued:
    """A certificate of the same key and authority that has ended."""
    was, root = client.certificate, AUTHORITY.root
    end = datetime.now(UTC) - timedelta(minutes=1)
    builder = x509.CertificateBuilder().subject_name(was.subject).issuer_name(was.issuer).public_key(client.key.public_key())
    builder = builder.serial_number(7).not_valid_before(end - timedelta(days=1)).not_valid_after(end)
    return Issued(builder.sign(root.key, SHA256()), client.key)


async def test_a_certificate_that_ends_while_its_connection_lives_is_refused(house: tuple[Secured, KeyAddress]) -> None:
    made, _ = house
    made.server._door.identity._clock = lambda: datetime.now(UTC) + timedelta(days=2)
    assert (await made.call(CERTIFIED))[0] is CODE.UNAUTHENTICATED
    assert made.refusals() == {("", "certificate-expired"): 1}


async def test_forwarded_addresses_count_only_from_a_proxy_that_is_believed(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set("ec"))
    shown = [("x-forwarded-for", "192.0.2.7")]
    spoofed = [("x-forwarded-for", "192.0.2.7, 203.0.113.9")]  # the first was sent by the caller, the second is the proxy's word
    async with secured(tmp_path, CALLERS, authority=AUTHORITY, keys="file:keys.json") as made:
        assert (await made.call(None, fresh(sub="near"), metadata=shown))[0] is CODE.UNAUTHENTICATED
    async with secured(
        tmp_path, CALLERS, authority=AUTHORITY, keys="file:keys.json", proxies=["127.0.0.0/8", "203.0.113.10"]
    ) as made:
        assert (await made.call(None, fresh(sub="near"), metadata=shown))[0] is CODE.OK
        assert (await made.call(None, fresh(sub="near"), metadata=spoofed))[0] is CODE.UNAUTHENTICATED


async def test_tokens_are_never_taken_in_the_clear_where_others_can_listen(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set("ec"))
    table = {
        "directory": tmp_path,
        "tokens": [{"issuer": ISSUER, "audience": ["bankgate"], "keys": "file:keys.json"}],
        "callers": [CALLERS[1]],
    }
    for listen, setting in (
        ({"address": "0.0.0.0:0"}, "listen.address"),
        ({"address": "127.0.0.1:0", "token_address": "127.0.0.1:0"}, "listen.token_address"),
    ):
        configuration = Configuration.model_validate({**table, "listen": listen})
        server = RpcServer(configuration, FakeGateway(), metrics=Metrics(), clock=lambda: datetime.now(UTC))  # type: ignore[arg-type]
        with pytest.raises(CannotListen, match=setting):
            await server.start()


async def test_metadata_that_is_too_large_is_refused_before_anything_looks_at_it(house: tuple[Secured, KeyAddress]) -> None:
    made, keys = house
    code, _ = await made.call(None, metadata=[("authorization", "Bearer " + "a" * METADATA_BYTES_MAX)])
    assert code is CODE.RESOURCE_EXHAUSTED
    assert keys.asked == 0


async def test_a_request_cannot_say_who_its_caller_is(house: tuple[Secured, KeyAddress]) -> None:
    """Mass assignment: fields that the contract does not have, and metadata with a caller's name, change nothing."""
    made, _ = house
    payment = types_pb2.PaymentRequest(payment_reference="M-1", connection_id="house", amount="1.00", currency="EUR")
    unknown = b"\xfa\x3e\x05admin\xf8\x3f\x01"  # field 1007, "admin", and field 1023, 1
    raw = payments_pb2.SubmitPaymentsRequest(payments=[payment]).SerializeToString() + unknown
    async with made.channel(CERTIFIED) as channel:
        call = channel.unary_unary("/bankgate.v1.PaymentService/SubmitPayments")
        await call(raw, metadata=[("caller", "token"), ("bankgate-caller", "token")])
    assert {one.caller for one in made.gateway.payments.values()} == {"certified"}


async def test_a_stream_ends_within_seconds_when_its_certificate_is_taken_out(house: tuple[Secured, KeyAddress]) -> None:
    made, _ = house
    door = made.server._door
    async with made.channel(CERTIFIED) as channel, asyncio.timeout(20):
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        call = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        await _until(lambda: len(door.streams) == 1)
        others = [CallerSettings.model_validate(entry) for entry in CALLERS[1:]]
        door.change(Callers(others), door.identity.tokens)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
    assert ended.value.code() is CODE.UNAUTHENTICATED
    await _until(lambda: not door.streams)


async def test_a_stream_ends_when_its_token_does(house: tuple[Secured, KeyAddress]) -> None:
    made, _ = house
    door = made.server._door
    async with made.channel() as channel, asyncio.timeout(20):
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        shown = [("authorization", f"Bearer {fresh()}")]
        call = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest(), metadata=shown)
        await _until(lambda: len(door.streams) == 1)
        await door.look_at_streams()
        assert len(door.streams) == 1
        door.identity.tokens._by_issuer[ISSUER]._now = lambda: datetime.now(UTC) + timedelta(minutes=7)
        await door.look_at_streams()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
    assert ended.value.code() is CODE.UNAUTHENTICATED
    assert "expired" in (ended.value.details() or "")


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the server says nothing of itself that could be waited for
            await asyncio.sleep(0.01)


def test_the_plain_default_asks_for_client_certificates_and_believes_no_proxy() -> None:
    assert ListenSettings().proxies == ()
    tls = TlsSettings(certificate="file:c", key="file:k", key_passphrase="env:P")
    assert tls.client_certificates == "required"
