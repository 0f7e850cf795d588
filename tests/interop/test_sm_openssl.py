"""SM2, SM3 and SM4 against a program that we did not write, `openssl`, both ways; the envelope opened and built by it."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.keys import app
from keys import der, store
from keys.keyring import days_left
from keys.seal import KeyUnavailable
from keys.sm import (
    DEFAULT_USER_ID,
    Sm4Key,
    SmPublicKey,
    decrypt,
    encrypt,
    sign,
    sm3,
    sm4_decrypt,
    sm4_encrypt,
    verify,
)
from keys.sm_keys import encrypted_pem, identity, load_identity, load_private_key, take_over
from tests.keys.sealing import opened, sealed
from tests.keys.sm_workshop import NEEDS, NEEDS_REASON, PASSPHRASE, SmWorkshop, openssl, valid_now

pytestmark = pytest.mark.skipif(NEEDS, reason=NEEDS_REASON)

CONTENT = b'<?xml version="1.0"?>\r\n<Document>\n' + bytes(range(256)) * 20 + b"\n</Document>"
USER_IDS = [DEFAULT_USER_ID, b"N123456789000000", b"x"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> SmWorkshop:
    made = SmWorkshop(tmp_path_factory.mktemp("sm-openssl"))
    made.party("us")
    made.party("bank")
    return made


# ---- the primitives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_id", USER_IDS)
def test_openssl_verifies_what_we_sign_and_we_what_it_signs(workshop: SmWorkshop, tmp_path: Path, user_id: bytes) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "signature").write_bytes(sign(CONTENT, workshop.private("us"), user_id))
    how = ("-rawin", "-digest", "sm3", "-pkeyopt", f"distid:{user_id.decode()}", "-in", str(tmp_path / "content"))
    public, clear = str(workshop.path("us.pub")), str(workshop.path("us.clear"))
    said = openssl("pkeyutl", "-verify", *how, "-pubin", "-inkey", public, "-sigfile", str(tmp_path / "signature"))
    assert b"Successfully" in said
    theirs = openssl("pkeyutl", "-sign", *how, "-inkey", clear)
    key = workshop.keys["us"].public
    assert verify(theirs, CONTENT, key, user_id)
    assert not verify(theirs, CONTENT, key, user_id + b"y")


def test_openssl_dgst_verifies_what_we_sign_and_we_what_it_signs(workshop: SmWorkshop, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "signature").write_bytes(sign(CONTENT, workshop.private("us")))
    how = ("dgst", "-sm3", "-sigopt", f"distid:{DEFAULT_USER_ID.decode()}")
    content = str(tmp_path / "content")
    said = openssl(*how, "-verify", str(workshop.path("us.pub")), "-signature", str(tmp_path / "signature"), content)
    assert b"Verified OK" in said
    assert verify(openssl(*how, "-sign", str(workshop.path("us.clear")), content), CONTENT, workshop.keys["us"].public)


@pytest.mark.parametrize("size", [1, 16, 255])
def test_sm2_encryption_both_ways(workshop: SmWorkshop, size: int) -> None:
    data = os.urandom(size)
    public, clear = str(workshop.path("bank.pub")), str(workshop.path("bank.clear"))
    ours = encrypt(data, workshop.keys["bank"].public)
    assert openssl("pkeyutl", "-decrypt", "-inkey", clear, content=ours) == data
    theirs = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public, content=data)
    assert decrypt(theirs, workshop.private("bank")) == data


def test_sm3_is_the_same(tmp_path: Path) -> None:
    for data in (b"", b"abc", CONTENT):
        assert openssl("dgst", "-sm3", "-binary", content=data) == sm3(data)


@pytest.mark.parametrize("mode", ["cbc", "ecb"])
@pytest.mark.parametrize("size", [0, 15, 16, 1000])
def test_sm4_both_ways(mode: Any, size: int) -> None:
    data, secret, vector = os.urandom(size), os.urandom(16), os.urandom(16) if mode == "cbc" else None
    how = ("enc", f"-sm4-{mode}", "-K", secret.hex(), *(("-iv", vector.hex()) if vector else ()))
    assert openssl(*how, "-d", content=sm4_encrypt(data, Sm4Key(secret), mode, vector)) == data
    assert sm4_decrypt(openssl(*how, content=data), Sm4Key(secret), mode, vector) == data


# ---- keys at rest -----------------------------------------------------------------------------------------------------

ENCRYPTIONS: dict[str, tuple[str, ...]] = {
    "as openssl likes it best": (),
    "aes-128": ("-v2", "aes-128-cbc"),
    "aes-256, SHA-512": ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"),
    "sm4": ("-v2", "sm4-cbc"),
    "SHA-1": ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"),
}


def test_openssl_reads_the_key_that_the_command_takes_over(workshop: SmWorkshop, tmp_path: Path) -> None:
    number = workshop.private("us").number()
    (tmp_path / "bank.txt").write_bytes(base64.b64encode(number))
    (tmp_path / "word").write_text(PASSPHRASE, encoding="utf-8")
    (tmp_path / "word").chmod(0o600)
    word = ("--passphrase", f"file:{tmp_path / 'word'}")
    how = ("import", str(tmp_path / "bank.txt"), "ours", "--sm2", *word, "--out-dir", str(tmp_path))
    assert CliRunner().invoke(app, how).exit_code == 0
    shown = openssl("pkey", "-in", str(tmp_path / "ours.key"), "-passin", f"pass:{PASSPHRASE}", "-text", "-noout")
    assert number.hex() in shown.decode().replace(":", "").replace("\n", "").replace(" ", "")
    public = openssl("pkey", "-in", str(tmp_path / "ours.key"), "-passin", f"pass:{PASSPHRASE}", "-pubout")
    assert public.split() == (tmp_path / "ours.pub").read_bytes().split()


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_we_open_keys_that_openssl_encrypts(workshop: SmWorkshop, encryption: str) -> None:
    path = workshop.path("by-openssl.key")
    how = ("-topk8", *ENCRYPTIONS[encryption], "-passout", f"pass:{PASSPHRASE}")
    path.write_bytes(openssl("pkcs8", *how, "-in", str(workshop.path("us.clear"))))
    path.chmod(0o600)
    assert load_private_key("file:by-openssl.key", "file:passphrase", workshop.directory).public == workshop.keys["us"].public
    with pytest.raises(KeyUnavailable, match="does not open"):
        load_private_key("file:by-openssl.key", "file:wrong", workshop.directory)


@pytest.mark.parametrize("how", [("-scrypt",), ("-v2", "des3"), ("-v1", "PBE-SHA1-3DES")], ids=repr)
def test_keys_that_are_encrypted_otherwise_are_refused_with_a_way_out(workshop: SmWorkshop, how: tuple[str, ...]) -> None:
    path = workshop.path("otherwise.key")
    path.write_bytes(openssl("pkcs8", "-topk8", *how, "-passout", f"pass:{PASSPHRASE}", "-in", str(workshop.path("us.clear"))))
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="does not open this key"):
        load_private_key("file:otherwise.key", "file:passphrase", workshop.directory)


def test_the_keys_we_write_open_in_openssl_with_their_passphrase_alone(workshop: SmWorkshop, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(encrypted_pem(workshop.keys["us"], b"word", store.random_bytes))
    public = openssl("pkey", "-in", str(tmp_path / "key"), "-passin", "pass:word", "-pubout")
    assert identity("a key", public).public == workshop.keys["us"].public
    with pytest.raises(AssertionError):
        openssl("pkey", "-in", str(tmp_path / "key"), "-passin", "pass:wrong", "-noout")


def test_certificates_and_keys_of_openssl_in_every_form(workshop: SmWorkshop) -> None:
    certificate, public, clear = (str(workshop.path(f"us.{end}")) for end in ("crt", "pub", "clear"))
    expected = workshop.keys["us"].public
    found = load_identity("file:us.crt", workshop.directory)
    assert (found.public, found.problem(valid_now())) == (expected, None)
    assert found.not_after is not None
    assert days_left(found.not_after, valid_now()) > 3000
    for data in (
        openssl("x509", "-in", certificate, "-outform", "DER"),
        openssl("pkey", "-pubin", "-in", public, "-outform", "DER"),
        openssl("x509", "-in", certificate, "-text"),
    ):
        assert identity("a key", data).public == expected
    for data in (openssl("ec", "-in", clear), openssl("ec", "-in", clear, "-no_public"), openssl("pkey", "-in", clear)):
        assert take_over("a key", data, None).public == expected
    p256 = openssl("pkey", "-pubout", content=openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
    with pytest.raises(KeyUnavailable, match="neither a certificate nor a public key of SM2"):
        identity("a key", p256)


# ---- the envelope, by its parts ---------------------------------------------------------------------------------------


def test_openssl_opens_our_envelope_step_by_step(workshop: SmWorkshop, tmp_path: Path) -> None:
    """Unwraps the key, decrypts the content and verifies the signature, each with openssl alone."""
    message = sealed(workshop.seal("us", "bank"), CONTENT)
    _, recipients, encrypted = der.parse(message).children()[1].children()[0].children()
    wrapped = recipients.children()[0].children()[3].as_octets()
    secret = openssl("pkeyutl", "-decrypt", "-inkey", str(workshop.path("bank.clear")), content=wrapped)
    _, algorithm, hidden = encrypted.children()
    vector = algorithm.children()[1].as_octets()
    inside = openssl("enc", "-d", "-sm4-cbc", "-K", secret.hex(), "-iv", vector.hex(), content=hidden.content)
    signed = der.parse(inside).children()[1].children()[0].children()
    content = signed[2].children()[1].children()[0].as_octets()
    assert content == CONTENT
    signer = signed[-1].children()[0].children()
    attributes = der.tlv(der.SET, signer[3].content)
    assert der.tlv(der.OCTET_STRING, openssl("dgst", "-sm3", "-binary", content=CONTENT)) in attributes
    (tmp_path / "attributes").write_bytes(attributes)
    (tmp_path / "signature").write_bytes(signer[5].as_octets())
    how = ("dgst", "-sm3", "-sigopt", f"distid:{DEFAULT_USER_ID.decode()}", "-verify", str(workshop.path("us.pub")))
    assert b"Verified OK" in openssl(*how, "-signature", str(tmp_path / "signature"), str(tmp_path / "attributes"))


@pytest.mark.parametrize("attributes", [True, False])
def test_we_open_an_envelope_that_openssl_built_step_by_step(workshop: SmWorkshop, tmp_path: Path, attributes: bool) -> None:
    """Every signature and every encryption in it is openssl's; only the brackets around them are not."""
    bank, us = (load_identity(f"file:{name}.crt", workshop.directory) for name in ("bank", "us"))
    digest = openssl("dgst", "-sm3", "-binary", content=CONTENT)
    values = {"1.2.840.113549.1.9.3": der.oid("1.2.840.113549.1.7.1"), "1.2.840.113549.1.9.4": der.tlv(der.OCTET_STRING, digest)}
    encoded = sorted(der.sequence(der.oid(kind), der.set_of((value,))) for kind, value in values.items())
    (tmp_path / "signed").write_bytes(der.set_of(encoded) if attributes else CONTENT)
    how = ("dgst", "-sm3", "-sigopt", f"distid:{DEFAULT_USER_ID.decode()}", "-sign", str(workshop.path("bank.clear")))
    signature = openssl(*how, str(tmp_path / "signed"))
    sm3_algorithm = der.algorithm("1.2.156.10197.1.401")
    signer = der.sequence(
        der.integer(1),
        der.sequence(bank.issuer or b"", der.integer(bank.serial)),
        sm3_algorithm,
        der.tlv(0xA0, *encoded) if attributes else b"",
        der.algorithm("1.2.156.10197.1.301.1"),
        der.tlv(der.OCTET_STRING, signature),
    )
    content = der.sequence(der.oid("1.2.840.113549.1.7.1"), der.tlv(0xA0, der.tlv(der.OCTET_STRING, CONTENT)))
    inside = der.sequence(der.integer(1), der.set_of((sm3_algorithm,)), content, der.set_of((signer,)))
    signed = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tlv(0xA0, inside))
    secret, vector = openssl("rand", "16"), openssl("rand", "16")
    hidden = openssl("enc", "-sm4-cbc", "-K", secret.hex(), "-iv", vector.hex(), content=signed)
    wrapped = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", str(workshop.path("us.pub")), content=secret)
    recipient = der.sequence(
        der.integer(0),
        der.sequence(us.issuer or b"", der.integer(us.serial)),
        der.algorithm("1.2.156.10197.1.301.3"),
        der.tlv(der.OCTET_STRING, wrapped),
    )
    cipher = der.algorithm("1.2.156.10197.1.104.2", der.tlv(der.OCTET_STRING, vector))
    info = der.sequence(der.oid("1.2.840.113549.1.7.1"), cipher, der.tlv(0x80, hidden))
    enveloped = der.sequence(der.integer(0), der.set_of((recipient,)), info)
    message = der.sequence(der.oid("1.2.840.113549.1.7.3"), der.tlv(0xA0, enveloped))
    taken = workshop.seal("us", "bank", signed_attributes="required" if attributes else "optional")
    assert opened(taken, message) == CONTENT


def test_openssl_and_we_agree_on_public_keys(workshop: SmWorkshop) -> None:
    text = openssl("pkey", "-in", str(workshop.path("us.clear")), "-pubout", "-outform", "DER")
    assert SmPublicKey.of("openssl's", text[-65:]) == workshop.private("us").public
