"""EBICS cryptography against programs that we did not write, in both directions: openssl for A005, A006 and E002, xmlsec1 for the
AuthSignature, and the engine of painfree, another client, for all of them."""

import base64
import hashlib
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from lxml import etree

from channels.ebics import envelope
from channels.ebics.names import H004, H005
from keys.ebics_auth import parse_message, verify_message
from keys.ebics_encryption import decrypted_whole, encrypted_whole, unwrapped_key, wrapped_key
from keys.ebics_signature import order_digest, sign_order, verify_order
from keys.keymaterial import clear_pem
from keys.seal import BadSeal
from tests.ebics.support.answers import data_transfer, signed
from tests.ebics.support.parties import MOMENT, SUBSCRIBER, TRANSACTION, bank_keys, key, own_keys

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
needs_xmlsec1 = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="needs the program xmlsec1")

DATA = b"<Document>\r\nline\n</Document>\x1a"
SIGNED = b"<Document>line</Document>"
PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256")
DS = "http://www.w3.org/2000/09/xmldsig#"


def run(*arguments: str, data: bytes = b"") -> bytes:
    done = subprocess.run(arguments, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Public and private test keys, in clear: they are the tests' own."""
    for name in ("A", "X", "E", "BX"):
        public = key(name).public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
        (tmp_path / f"{name}.pem").write_bytes(clear_pem(key(name)))
    return tmp_path


# ---- A005, A006 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "message", "options"), [("A005", SIGNED, ()), ("A006", hashlib.sha256(SIGNED).digest(), PSS)]
)
def test_openssl_verifies_our_electronic_signatures_and_we_its(files, version, message, options) -> None:
    digest = order_digest((DATA,))
    (files / "message").write_bytes(message)
    (files / "ours").write_bytes(sign_order(version, key("A"), digest))
    check = ("openssl", "dgst", "-sha256", "-verify", str(files / "A.pub"), *options)
    assert b"Verified OK" in run(*check, "-signature", str(files / "ours"), str(files / "message"))
    run("openssl", "dgst", "-sha256", "-sign", str(files / "A.pem"), *options, "-out", str(files / "its"), str(files / "message"))
    verify_order(version, own_keys().signature.public, digest, (files / "its").read_bytes())


# ---- E002 ---------------------------------------------------------------------------------------------------------------


def test_openssl_decrypts_what_we_encrypt_and_we_what_it_does(files) -> None:
    secret = bytes(range(16))
    (files / "wrapped").write_bytes(wrapped_key(own_keys().encryption.public, secret))
    unwrap = ("openssl", "pkeyutl", "-decrypt", "-inkey", str(files / "E.pem"), "-pkeyopt", "rsa_padding_mode:pkcs1")
    assert run(*unwrap, "-in", str(files / "wrapped")) == secret
    cipher = ("-aes-128-cbc", "-K", secret.hex(), "-iv", "0" * 32)
    plain = run("openssl", "enc", "-d", *cipher, "-nopad", "-a", "-A", data=encrypted_whole(DATA, secret))
    assert zlib.decompress(plain[: -plain[-1]]) == DATA
    its = run("openssl", "enc", "-e", *cipher, "-a", "-A", data=zlib.compress(DATA))  # pads as PKCS #7
    assert decrypted_whole(its, secret, bytes_max=1000) == DATA
    wrap = ("openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", str(files / "E.pub"))
    (files / "secret").write_bytes(secret)
    assert unwrapped_key(key("E"), run(*wrap, "-in", str(files / "secret"))) == secret


# ---- X002 ---------------------------------------------------------------------------------------------------------------


def as_xml_signature(message: bytes) -> bytes:
    """The AuthSignature under the name that XML signature programs look for: nothing that is signed inherits it or changes by
    it."""
    root = etree.fromstring(message)
    signature = root[1]
    signature.tag = f"{{{DS}}}Signature"
    return etree.tostring(root)


MESSAGES = {
    "HPB": envelope.hpb_request(H004, SUBSCRIBER, MOMENT, key("X")),
    "receipt": envelope.receipt_request(H005, "TESTHOST", TRANSACTION, stored=True, key=key("X")),
    "transfer": envelope.transfer_request(H005, "TESTHOST", TRANSACTION, number=1, last=True, segment=b"QUJD", key=key("X")),
    "answer": signed(segments=1, segment=1, transfer=data_transfer(b"order data"), by="X"),
}


@needs_xmlsec1
@pytest.mark.parametrize("name", MESSAGES)
def test_xmlsec1_verifies_our_authentication_signatures(files, name) -> None:
    check = ("xmlsec1", "--verify", "--enabled-key-data", "rsa,key-name", "--pubkey-pem", str(files / "X.pub"))
    (files / "message.xml").write_bytes(as_xml_signature(MESSAGES[name]))
    run(*check, str(files / "message.xml"))
    (files / "other.xml").write_bytes(
        as_xml_signature(MESSAGES[name]).replace(b"Phase>", b"Phase> ", 1).replace(b"HostID>", b"HostID> ", 1)
    )
    damaged = subprocess.run([*check, str(files / "other.xml")], capture_output=True, check=False)
    assert damaged.returncode != 0, "or the check above proves nothing"


@needs_xmlsec1
def test_we_verify_the_authentication_signatures_of_xmlsec1(files) -> None:
    template = etree.fromstring(as_xml_signature(MESSAGES["receipt"]))
    for name in ("DigestValue", "SignatureValue"):
        template.find(f".//{{{DS}}}{name}").text = ""
    (files / "template.xml").write_bytes(etree.tostring(template))
    run(
        "xmlsec1",
        "--sign",
        "--privkey-pem",
        str(files / "X.pem"),
        "--output",
        str(files / "signed.xml"),
        str(files / "template.xml"),
    )
    root = etree.fromstring((files / "signed.xml").read_bytes())
    root[1].tag = "{urn:org:ebics:H005}AuthSignature"
    verify_message(parse_message(etree.tostring(root)), own_keys().authentication.public)
    with pytest.raises(BadSeal):
        verify_message(parse_message(etree.tostring(root)), bank_keys().authentication.public)


def test_openssl_verifies_the_signature_value_over_the_canonical_form(files) -> None:
    root = etree.fromstring(MESSAGES["receipt"])
    info = root[1][0]
    inherited = b'<ds:SignedInfo xmlns="urn:org:ebics:H005" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
    canonical = etree.tostring(info, method="c14n").split(b">", 1)[1]
    (files / "info").write_bytes(inherited + canonical.replace(b' xmlns=""', b""))
    (files / "value").write_bytes(base64.b64decode(root.findtext(f".//{{{DS}}}SignatureValue") or ""))
    check = ("openssl", "dgst", "-sha256", "-verify", str(files / "X.pub"), "-signature", str(files / "value"))
    assert b"Verified OK" in run(*check, str(files / "info"))


# ---- another EBICS client -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_another_client_verifies_our_authentication_signatures(name) -> None:
    from painfree.ebics3.signature import verify_auth_signature

    assert verify_auth_signature(etree.fromstring(MESSAGES[name]), own_keys().authentication.public).ok
    assert not verify_auth_signature(etree.fromstring(MESSAGES[name]), bank_keys().authentication.public).ok


def test_we_verify_the_authentication_signature_of_another_client() -> None:
    from painfree.ebics3.signature import build_auth_signature

    root = etree.fromstring(MESSAGES["receipt"])
    root.remove(root[1])
    build_auth_signature(root, load_pem_private_key(clear_pem(key("X")), None))
    verify_message(parse_message(etree.tostring(root)), own_keys().authentication.public)


@pytest.mark.parametrize("version", ["A005", "A006"])
def test_another_client_and_we_verify_each_others_electronic_signatures(version) -> None:
    from painfree.ebics3.crypto import sign_digest, verify_digest

    digest, public = order_digest((DATA,)), own_keys().signature.public
    assert verify_digest(digest, sign_order(version, key("A"), digest), public, version)
    verify_order(version, public, digest, sign_digest(digest, load_pem_private_key(clear_pem(key("A")), None), version))


def test_another_client_and_we_read_each_others_order_data() -> None:
    from painfree.ebics3.pipeline import decrypt_payload, encrypt_payload

    secret = bytes(range(16))
    assert decrypt_payload(encrypted_whole(DATA, secret), secret) == DATA
    assert decrypted_whole(encrypt_payload(DATA, secret).encode(), secret, bytes_max=1000) == DATA
