"""Keys in a token: SoftHSM 2 signs and decrypts, openssl and we ourselves read the result; the master key of a key store too.

Every test has a token directory of its own. SoftHSM reads SOFTHSM2_CONF when it is loaded, and a process logs in once, so each
test runs its part in a process of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keys.hsm_session import parse_reference
from keys.seal import KeyUnavailable

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so")
MODULE = next((path for path in MODULES if Path(path).exists()), None)

pytestmark = [
    pytest.mark.skipif(MODULE is None or shutil.which("softhsm2-util") is None, reason="needs SoftHSM 2 (package softhsm2)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl"),
]
pytest.importorskip("pkcs11", reason="needs the package python-pkcs11")

PIN = "120473"
URI = "pkcs11:token=bank;object={}"

PRELUDE = """
import io, json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from keys import store
from keys.algorithms import scheme_named
from keys.seal import BadSeal, KeyUnavailable
here = Path.cwd()
def answer(**found): print(json.dumps(found))
def refusal(call):
    try:
        call()
    except KeyUnavailable as problem:
        return str(problem)
    return None
"""

MAKE_KEYS = """
import pkcs11
from pkcs11 import KeyType, Attribute
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label="bank")
with token.open(user_pin=sys.argv[2], rw=True) as session:
    for number, name in enumerate(("rsa", "other")):
        session.generate_keypair(KeyType.RSA, 2048, label=name, id=bytes((number + 1,)), store=True)
    for number, curve in enumerate(("secp256r1", "secp384r1")):
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        domain = session.create_domain_parameters(KeyType.EC, parameters, local=True)
        domain.generate_keypair(label=curve, id=bytes((number + 11,)), store=True)
    for _ in range(2):
        session.generate_keypair(KeyType.RSA, 2048, label="twice", id=b"t", store=True)
    session.generate_key(KeyType.AES, 256, label="master", store=True, template={Attribute.EXTRACTABLE: False})
"""


@dataclass
class Token:
    """A directory with a token called "bank", and what the tests put beside it."""

    directory: Path

    def run(self, code: str, *arguments: str, module: str | None = MODULE) -> dict[str, Any]:
        """Runs Python code in a process of its own, and gives what it answered."""
        environment = {
            **os.environ,
            "SOFTHSM2_CONF": str(self.directory / "softhsm2.conf"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TOKEN_PIN": PIN,
        } | ({"BANKGATE_PKCS11_MODULE": module} if module else {})
        command = [sys.executable, "-c", PRELUDE + code, str(MODULE), PIN, *arguments]
        done = subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert PIN not in done.stdout + done.stderr
        return dict(json.loads(done.stdout)) if done.stdout else {}

    def openssl(self, *arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token with keys in it, made once and copied for each test."""
    directory = tmp_path_factory.mktemp("token")
    (directory / "tokens").mkdir()
    (directory / "softhsm2.conf").write_text("directories.tokendir = tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": "softhsm2.conf"}
    make = ["softhsm2-util", "--init-token", "--free", "--label", "bank", "--pin", PIN, "--so-pin", "87654321"]
    subprocess.run(make, cwd=directory, env=environment, capture_output=True, check=True)
    Token(directory).run(MAKE_KEYS)
    return directory


@pytest.fixture
def token(prepared: Path, tmp_path: Path) -> Token:
    directory = tmp_path / "own"
    shutil.copytree(prepared, directory)
    return Token(directory)


SIGN = """
uri, scheme = sys.argv[3], scheme_named(sys.argv[4])
key = store.load_private_key(uri, "env:TOKEN_PIN", here)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
Path("public").write_bytes(key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
Path("data").write_bytes(b"a payment")
Path("signature").write_bytes(key.sign(scheme, b"a payment"))
answer(shown=repr(key), verifies=scheme.verifies(key.public_key, Path("signature").read_bytes(), b"a payment"))
"""

SCHEMES = [
    *((name, "rsa") for name in ("rsa-pkcs1-sha256", "rsa-pkcs1-sha512", "rsa-pss-sha256", "rsa-pss-sha384")),
    *(("ecdsa-sha256", "secp256r1"), ("ecdsa-sha384", "secp384r1")),
]


@pytest.mark.parametrize(("scheme", "key"), SCHEMES)
def test_openssl_verifies_what_the_token_signs(token: Token, scheme: str, key: str) -> None:
    found = token.run(SIGN, URI.format(key), scheme)
    assert found["verifies"]
    assert "private key in a token" in found["shown"]
    padding = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if "pss" in scheme else ()
    digest = f"-{scheme.rpartition('-')[2]}"
    verify = ("dgst", digest, *padding, "-verify", "public", "-signature", "signature")
    assert "Verified OK" in token.openssl(*verify, "data")
    (token.directory / "data").write_bytes(b"b payment")
    with pytest.raises(AssertionError):
        token.openssl(*verify, "data")


CERTIFY = """
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
issuer = store.new_key("ec-p256")
name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
now = datetime.now(UTC)
def certify(public, called):
    builder = x509.CertificateBuilder(name("CA"), name(called), public, x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    Path(called + ".crt").write_bytes(builder.sign(issuer._key, hashes.SHA256()).public_bytes(Encoding.PEM))
def profile(key, **changes):
    from keys.profiles import build_seal, parse_profile
    uri = f"pkcs11:token=bank;object={key}?pin-source=env:TOKEN_PIN"
    table = dict(kind="cms", signing_key=uri, signing_certificate="file:us.crt", bank_encryption_certificates=["file:us.crt"],
                 bank_signing_certificates=["file:us.crt"], decryption_keys=[dict(key=uri, certificate="file:us.crt")], **changes)
    return build_seal(parse_profile(table), here, lambda: now)
certify(store.load_private_key(f"pkcs11:token=bank;object={sys.argv[3]}", "env:TOKEN_PIN", here).public_key, "us")
"""


@pytest.mark.parametrize(
    ("key", "changes"), [("rsa", {}), ("rsa", {"signature": "rsa-pss-sha256"}), ("secp256r1", {"signature": "ecdsa-sha256"})]
)
def test_a_cms_message_is_signed_and_decrypted_by_the_token(token: Token, key: str, changes: dict[str, str]) -> None:
    code = """
seal = profile(sys.argv[3], **json.loads(sys.argv[4]))
sealed, opened = io.BytesIO(), io.BytesIO()
seal.seal(io.BytesIO(b"content" * 1000), sealed)
seal.open(io.BytesIO(sealed.getvalue()), opened)
altered = bytearray(sealed.getvalue()); altered[-40] ^= 1
try:
    seal.open(io.BytesIO(altered), io.BytesIO())
    code = None
except BadSeal as problem:
    code = problem.code
answer(same=opened.getvalue() == b"content" * 1000, code=code)
"""
    found = token.run(CERTIFY + code, key, json.dumps(changes))
    assert found["same"]
    assert found["code"] in {"signature.missing", "signature.invalid"}


def test_openssl_verifies_a_cms_signature_of_the_token_and_encrypts_for_it(token: Token) -> None:
    code = """
from keys.cms_write import Signing, signed_data, measure
content = io.BytesIO(b"content")
measured = measure(content, "sha256")
own = store.own_key("file:us.crt", "pkcs11:token=bank;object=rsa", "env:TOKEN_PIN", here)
frame = signed_data(measured, Signing(own, scheme_named("rsa-pss-sha256"), None, True))
Path("signed").write_bytes(frame.before + b"content" + frame.after)
"""
    token.run(CERTIFY + code, "rsa")
    token.openssl(
        "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed", "-noverify", "-certfile", "us.crt", "-out", "out"
    )
    assert (token.directory / "out").read_bytes() == b"content"
    token.openssl("cms", "-encrypt", "-binary", "-in", "signed", "-outform", "DER", "-out", "sealed", "-aes-256-cbc", "us.crt")
    opening = """
out = io.BytesIO()
from keys.profiles import build_seal, parse_profile
uri = "pkcs11:token=bank;object=rsa?pin-source=env:TOKEN_PIN"
table = dict(kind="cms", signing_key=uri, signing_certificate="file:us.crt", bank_encryption_certificates=["file:us.crt"],
             bank_signing_certificates=["file:us.crt"], decryption_keys=[dict(key=uri, certificate="file:us.crt")])
build_seal(parse_profile(table), here, lambda: datetime.now(UTC)).open(io.BytesIO(Path("sealed").read_bytes()), out)
answer(content=out.getvalue().decode())
"""
    assert token.run(opening) == {"content": "content"}


def test_what_a_token_cannot_do_is_said_and_is_not_taken_for_a_bad_message(token: Token) -> None:
    """SoftHSM 2 has no OAEP with SHA-256."""
    code = """
seal, sealed = profile("rsa", key_transport="rsa-oaep-sha256"), io.BytesIO()
seal.seal(io.BytesIO(b"x"), sealed)
answer(refusal=refusal(lambda: seal.open(io.BytesIO(sealed.getvalue()), io.BytesIO())))
"""
    assert "the token cannot do it (ArgumentsBad)" in str(token.run(CERTIFY + code, "rsa")["refusal"])


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=bank;object=absent", "there is no such private key in the token"),
        ("pkcs11:token=absent;object=rsa", "there is no such token at"),
        ("pkcs11:token=bank;object=twice", "several keys are called so"),
        ("pkcs11:token=bank;object=rsa?module-path=/nowhere.so", "/nowhere.so cannot be loaded"),
        ("pkcs11:token=bank;object=rsa?pin-source=env:TOKEN_ABSENT", "env:TOKEN_ABSENT: the environment variable is not set"),
    ],
)
def test_what_is_missing_is_named(token: Token, uri: str, words: str) -> None:
    code = "answer(refusal=refusal(lambda: store.load_private_key(sys.argv[3], 'env:TOKEN_PIN', here)))"
    done = token.run(code.replace("sys.argv[3]", repr(uri)))
    assert words in str(done["refusal"])


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=bank", "is given as pkcs11:token=LABEL;object=LABEL"),
        ("pkcs11:object=rsa", "is given as pkcs11:token=LABEL;object=LABEL"),
        ("pkcs11:token=bank;object=rsa;surplus=1", "the attribute 'surplus' of this reference is unknown"),
        (f"pkcs11:token=bank;object=rsa?pin-value={PIN}", "a PIN never stands in a reference"),
        ("pkcs11:token=;object=rsa", "the attribute 'token' of this reference is unknown, empty"),
    ],
)
def test_a_malformed_reference_is_explained_and_a_pin_in_it_is_not_repeated(uri: str, words: str) -> None:
    with pytest.raises(KeyUnavailable, match=words) as refused:
        parse_reference(uri)
    assert PIN not in str(refused.value)


def test_a_reference_is_read_as_rfc_7512_writes_it() -> None:
    found = parse_reference("pkcs11:token=my%20bank;id=%01%ff;type=private?module-path=/a%20b.so&pin-source=env:PIN")
    assert (found.token, found.object_id, found.module, found.pin, found.label) == (
        "my bank",
        b"\x01\xff",
        "/a b.so",
        "env:PIN",
        None,
    )
    assert "a%20b" not in found.text


def test_a_module_that_is_not_named_is_asked_for(token: Token) -> None:
    code = """answer(refusal=refusal(lambda: store.load_private_key("pkcs11:token=bank;object=rsa", "env:TOKEN_PIN", here)))"""
    assert "BANKGATE_PKCS11_MODULE" in str(token.run(code, module=None)["refusal"])


def test_a_wrong_pin_is_named_and_given_to_the_token_once(token: Token) -> None:
    """Before and after the right one: a second login would be answered "already logged in", and tokens lock after a few."""
    code = """
import os
os.environ["WRONG"] = "000000"
load = lambda source: store.load_private_key("pkcs11:token=bank;object=rsa", source, here)
first, second = refusal(lambda: load("env:WRONG")), refusal(lambda: load("env:WRONG"))
right = refusal(lambda: load("env:TOKEN_PIN"))
third = refusal(lambda: load("env:WRONG"))
answer(first=first, second=second, right=right, third=third, missing=refusal(lambda: load(None)))
"""
    found = token.run(code)
    assert found["right"] is None
    assert all("the PIN is wrong" in str(found[name]) for name in ("first", "second", "third"))
    assert "name where its PIN is" in str(found["missing"])


def test_a_token_gives_electronic_signatures_of_ebics_and_a_certificate_for_them(token: Token) -> None:
    """Also over a digest that the bank told (HVE), which is all that A005 and A006 need."""
    code = """
from keys.ebics_keys import ebics_certificate, own_key
from keys.ebics_signature import order_digest, sign_order, verify_order
from keys.keymaterial import Subject
key = store.load_private_key("pkcs11:token=bank;object=rsa", "env:TOKEN_PIN", here)
digest = order_digest((b"<a>\\r\\n</a>",))
for version in ("A005", "A006"):
    verify_order(version, key.public_key, digest, sign_order(version, key, digest))
made = ebics_certificate("A006", key, Subject(common_name="USER1"), on=datetime(2026, 11, 25, tzinfo=UTC), days=365)
made.verify_directly_issued_by(made)
answer(good=own_key("A006", key, made).certificate is not None)
"""
    assert token.run(code) == {"good": True}


def test_a_token_signs_a_digest_by_every_scheme(token: Token) -> None:
    code = """
import hashlib
good = []
for name, scheme in (("rsa", "rsa-pkcs1-sha384"), ("rsa", "rsa-pss-sha256"), ("secp256r1", "ecdsa-sha256")):
    key, how = store.load_private_key(f"pkcs11:token=bank;object={name}", "env:TOKEN_PIN", here), scheme_named(scheme)
    digest = hashlib.new(how.digest, b"data").digest()
    good.append(how.verifies(key.public_key, key.sign(how, digest, prehashed=True), b"data"))
answer(good=good)
"""
    assert token.run(code) == {"good": [True, True, True]}


def test_threads_share_one_session(token: Token) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
key, scheme = store.load_private_key("pkcs11:token=bank;object=secp256r1", "env:TOKEN_PIN", here), scheme_named("ecdsa-sha256")
def sign(number):
    data = str(number).encode()
    return scheme.verifies(key.public_key, key.sign(scheme, data), data)
with ThreadPoolExecutor(4) as pool:
    answer(good=sum(pool.map(sign, range(200))))
"""
    assert token.run(code) == {"good": 200}


def test_a_session_that_ended_is_opened_anew(token: Token) -> None:
    code = """
from keys import hsm_session
key, scheme = store.load_private_key("pkcs11:token=bank;object=rsa", "env:TOKEN_PIN", here), scheme_named("rsa-pkcs1-sha256")
next(iter(hsm_session._sessions.values())).handle.close()
first = refusal(lambda: key.sign(scheme, b"x"))
answer(first=first, second=scheme.verifies(key.public_key, key.sign(scheme, b"x"), b"x"))
"""
    found = token.run(code)
    assert "SessionHandleInvalid" in str(found["first"])
    assert found["second"]


def test_the_private_key_and_the_master_key_do_not_come_out(token: Token) -> None:
    code = """
import pickle
import pkcs11
from pkcs11 import Attribute
from keys.hsm import token_master
key = store.load_private_key("pkcs11:token=bank;object=rsa", "env:TOKEN_PIN", here)
master = token_master("pkcs11:token=bank;object=master?pin-source=env:TOKEN_PIN", here)
found = []
for holder, attribute in ((key, Attribute.PRIVATE_EXPONENT), (master, Attribute.VALUE)):
    with holder._held.at_work() as (_, held):
        try:
            held[attribute]
        except pkcs11.AttributeSensitive:
            found.append("sensitive")
    try:
        pickle.dumps(holder)
    except TypeError:
        found.append("not copied")
answer(found=found)
"""
    assert token.run(code) == {"found": ["sensitive", "not copied"] * 2}


MASTER = """
from keys.keystore import KeyStore
reference = "pkcs11:token=bank;object=master?pin-source=env:TOKEN_PIN"
by = dict(who="ada", at=datetime.now(UTC))
"""


def test_a_key_store_stands_under_a_master_key_in_the_token(token: Token) -> None:
    code = """
keystore = KeyStore.create(here / "keys", reference, **by)
key = store.new_key("ec-p256")
keystore.add("us", key, ("sign",), **by)
again = KeyStore(here / "keys")
same = again.private_key("us", 1).public_key == key.public_key
from keys.keystore_master import new_master_text
Path("master").write_bytes(new_master_text(store.random_bytes)); Path("master").chmod(0o600)
keystore.change_master("file:master", **by)
keystore.change_master(reference, **by)
problems = KeyStore(here / "keys").check_all()
index = here / "keys" / "index.json"
text = index.read_text()
at = text.index('"mac_key": "') + 20
index.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
answer(same=same, problems=problems, altered=KeyStore(here / "keys").check_all())
"""
    found = token.run(MASTER + code)
    assert found["same"]
    assert found["problems"] == []
    assert "does not open the key store" in found["altered"][0]


MAKE_AND_CERTIFY = """
from gateway.main import app
from typer.testing import CliRunner
def bankgate(*words):
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return done.exit_code, done.output + (done.stderr if done.exit_code else "")
new = ("keys", "new", "us", "--common-name", "Example AG", "--kind", sys.argv[3], "--passphrase", "env:TOKEN_PIN")
uri = "pkcs11:token=bank;object=us-made"
first = bankgate(*new, "--in", uri)
again = bankgate(*new[:2], "other", *new[3:], "--in", uri)
request = bankgate("keys", "csr", uri, "--common-name", "Example AG", "--passphrase", "env:TOKEN_PIN", "--out", "us.csr")
answer(first=first, again=again, request=request)
"""


@pytest.mark.parametrize("kind", ["rsa-3072", "ec-p256", "ec-p384"])
def test_a_key_made_in_the_token_is_certified_and_never_made_twice(token: Token, kind: str) -> None:
    found = token.run(MAKE_AND_CERTIFY, kind)
    assert found["first"][0] == 0, found
    assert found["again"][0] == 1
    assert "there is such a key already" in found["again"][1]
    assert found["request"][0] == 0, found
    assert not (token.directory / "us.key").exists()
    assert "OK" in token.openssl("verify", "-CAfile", "us.crt", "-check_ss_sig", "us.crt")
    assert "Example AG" in token.openssl("req", "-in", "us.csr", "-verify", "-noout", "-subject")
    same = [
        token.openssl(*words)
        for words in (("x509", "-in", "us.crt", "-pubkey", "-noout"), ("req", "-in", "us.csr", "-pubkey", "-noout"))
    ]
    assert same[0] == same[1]


SAME_LABEL = """
from keys.hsm_make import new_token_key
said = []
for more in (";id=%41", ";id=%42", ""):
    try:
        said.append(repr(new_token_key("pkcs11:token=bank;object=us-made" + more, "env:TOKEN_PIN", here, "ec-p256")))
    except KeyUnavailable as problem:
        said.append(str(problem))
answer(said=said, one=repr(store.load_private_key("pkcs11:token=bank;object=us-made", "env:TOKEN_PIN", here)))
"""


def test_a_second_key_of_the_same_label_is_not_made_under_another_id(token: Token) -> None:
    """It would leave every reference by this label with two keys, and us without one to sign with."""
    found = token.run(SAME_LABEL)
    assert found["one"] == found["said"][0].replace(";id=%41", "")
    for refused in found["said"][1:]:
        assert "there is such a key already" in refused


XML_SIGN = """
from keys.profiles import build_seal, parse_profile
uri = f"pkcs11:token=bank;object={sys.argv[3]}?pin-source=env:TOKEN_PIN"
table = dict(kind=sys.argv[5], signing_key=uri, signing_certificate="file:us.crt", bank_signing_certificates=["file:us.crt"],
             signature=sys.argv[4])
seal, signed, opened = build_seal(parse_profile(table), here, lambda: datetime.now(UTC)), io.BytesIO(), io.BytesIO()
seal.seal(io.BytesIO(b"<Document><Amt>1.00</Amt></Document>"), signed)
Path("signed.xml").write_bytes(signed.getvalue())
seal.open(io.BytesIO(signed.getvalue()), opened)
answer(opened=opened.getvalue().decode())
"""


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="needs the program xmlsec1")
@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
@pytest.mark.parametrize(
    ("key", "signature"), [("rsa", "rsa-pkcs1-sha256"), ("secp256r1", "ecdsa-sha256"), ("secp384r1", "ecdsa-sha384")]
)
def test_xmlsec1_verifies_a_document_signed_by_the_token(token: Token, kind: str, key: str, signature: str) -> None:
    found = token.run(CERTIFY + XML_SIGN, key, signature, kind)
    assert "<Amt>1.00</Amt>" in found["opened"]
    verify = [
        "xmlsec1",
        "--verify",
        "--trusted-pem",
        "ca.crt",
        "--pubkey-cert-pem",
        "us.crt",
        "--enabled-key-data",
        "x509,rsa,ecdsa",
    ]
    token.openssl("x509", "-in", "us.crt", "-out", "ca.crt")
    signed = token.directory / "signed.xml"
    good = subprocess.run([*verify, str(signed)], cwd=token.directory, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    signed.write_bytes(signed.read_bytes().replace(b"1.00", b"9.00"))
    assert subprocess.run([*verify, str(signed)], cwd=token.directory, capture_output=True, check=False).returncode != 0
