"""The weaker forms of CMS, and the trust in banks' certificates, against `openssl cms`, `openssl ca`-made lists, and back."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from keys.profiles import build_seal, parse_profile
from keys.seal import BadSeal
from tests.keys.workshop import NOW, PASSPHRASE, Workshop, opened, sealed

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")

CONTENT = b'<?xml version="1.0"?>\n<Document>\n' + bytes(range(256)) * 40 + b"\r\n</Document>"
TEXT = b"<Document>\nten thousand\n</Document>\n"
TRUST_US = ("-CAfile", "us.crt", "-certfile", "us.crt", "-no_check_time")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("openssl-forms"))
    made.party("us", "rsa-3072")
    made.party("bank", "rsa-3072")
    (made.directory / "content").write_bytes(CONTENT)
    (made.directory / "text").write_bytes(TEXT)
    return made


def openssl(workshop: Workshop, *arguments: str) -> bytes:
    done = subprocess.run(["openssl", *arguments], cwd=workshop.directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


# ---- ours, read by openssl --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"encoding": "pem"}, {"signature": "rsa-pss-sha512"}])
def test_openssl_verifies_what_we_only_sign(workshop: Workshop, tmp_path: Path, changes: dict[str, Any]) -> None:
    message = tmp_path / "message"
    message.write_bytes(sealed(workshop.seal("us", "bank", form="signed", **changes), CONTENT))
    form = changes.get("encoding", "der").upper()
    assert openssl(workshop, "cms", "-verify", "-binary", "-inform", form, "-in", str(message), *TRUST_US) == CONTENT


def test_openssl_verifies_our_multipart_signed(workshop: Workshop, tmp_path: Path) -> None:
    message, out = tmp_path / "message", tmp_path / "out"
    message.write_bytes(sealed(workshop.seal("us", "bank", form="detached"), CONTENT))
    openssl(workshop, "cms", "-verify", "-inform", "SMIME", "-in", str(message), *TRUST_US, "-out", str(out))
    assert b"Content-Transfer-Encoding: base64" in out.read_bytes(), "the part with its headers is what was signed"
    altered = message.read_bytes().replace(b"octet-stream", b"octet-streaM")
    message.write_bytes(altered)
    with pytest.raises(AssertionError, match=r"[Vv]erification failure|digest failure"):
        openssl(workshop, "cms", "-verify", "-inform", "SMIME", "-in", str(message), *TRUST_US, "-out", str(out))


@pytest.mark.parametrize("encryption", ["aes-256-cbc", "aes-256-gcm"])
def test_openssl_decrypts_what_we_only_encrypt(workshop: Workshop, tmp_path: Path, encryption: str) -> None:
    message = tmp_path / "message"
    message.write_bytes(sealed(workshop.seal("us", "bank", form="enveloped", content_encryption=encryption), CONTENT))
    key = ("-recip", "bank.crt", "-inkey", "bank.key", "-passin", f"pass:{PASSPHRASE}")
    assert openssl(workshop, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(message), *key) == CONTENT


# ---- openssl's, read by us --------------------------------------------------------------------------------------------


SIGNER = ("-signer", "bank.crt", "-inkey", "bank.key", "-passin", f"pass:{PASSPHRASE}")


@pytest.mark.parametrize("form", ["DER", "PEM", "SMIME"])
@pytest.mark.parametrize("streamed", [(), ("-stream",)])
def test_we_open_what_openssl_only_signs(workshop: Workshop, form: str, streamed: tuple[str, ...]) -> None:
    message = openssl(workshop, "cms", "-sign", "-nodetach", "-binary", "-in", "content", "-outform", form, *SIGNER, *streamed)
    assert opened(workshop.seal("us", "bank", form="signed"), message) == CONTENT


@pytest.mark.parametrize("how", [("-binary",), (), ("-binary", "-md", "sha512"), ("-binary", "-keyid", "-nocerts")])
def test_we_open_the_multipart_signed_of_openssl(workshop: Workshop, how: tuple[str, ...]) -> None:
    """Its own content headers are signed along; without -binary it signs CR LF whatever stands in the file."""
    (workshop.directory / "part").write_bytes(b"Content-Type: application/xml\n\n" + TEXT)
    message = openssl(workshop, "cms", "-sign", "-in", "part", "-outform", "SMIME", *SIGNER, *how)
    us = workshop.seal("us", "bank", form="detached")
    found = opened(us, message)
    assert found.replace(b"\r\n", b"\n") == TEXT
    with pytest.raises(BadSeal, match=r"\[signature\.invalid\]"):
        opened(us, message.replace(b"ten thousand", b"one million "))


@pytest.mark.parametrize("cipher", ["-aes-256-cbc", "-aes-256-gcm"])
@pytest.mark.parametrize("form", ["DER", "PEM", "SMIME"])
def test_we_open_what_openssl_only_encrypts(workshop: Workshop, cipher: str, form: str) -> None:
    message = openssl(workshop, "cms", "-encrypt", "-binary", "-in", "content", "-outform", form, cipher, "-recip", "us.crt")
    assert opened(workshop.seal("us", "bank", form="enveloped"), message) == CONTENT


# ---- authorities made by openssl -------------------------------------------------------------------------------------------

CA_CONFIG = """
[ca]
default_ca = own
[own]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.crt
private_key = ca.pem
default_md = sha256
default_crl_days = 30
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = names
[names]
"""


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """An authority by openssl that certified "good" and "bad", and revoked "bad"."""
    made = Workshop(tmp_path_factory.mktemp("openssl-ca"))
    made.party("us", "rsa-3072")
    directory = made.directory
    (directory / "ca.cnf").write_text(CA_CONFIG)
    (directory / "index").touch()
    (directory / "serial").write_text("10")
    (directory / "crlnumber").write_text("01")
    span = ("-startdate", f"{NOW:%Y}0101000000Z", "-enddate", f"{NOW.year + 2}0101000000Z")
    new = ("req", "-config", "ca.cnf", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(made, *new, "-subj", "/CN=Bank CA", "-keyout", "ca.pem", "-out", "ca.csr")
    own = ("ca", "-config", "ca.cnf", "-batch", "-notext", "-selfsign", "-extensions", "authority")
    openssl(made, *own, "-in", "ca.csr", "-out", "ca.crt", *span)
    for name in ("good", "bad"):
        rsa = ("req", "-config", "ca.cnf", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}")
        openssl(made, *rsa, "-keyout", f"{name}.pem", "-out", f"{name}.csr")
        openssl(made, "ca", "-config", "ca.cnf", "-batch", "-notext", "-in", f"{name}.csr", "-out", f"{name}.crt", *span)
    openssl(made, "ca", "-config", "ca.cnf", "-revoke", "bad.crt")
    openssl(made, "ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem", "-crl_lastupdate", span[1], "-crl_nextupdate", span[3])
    (directory / "content").write_bytes(CONTENT)
    return made


@pytest.mark.parametrize(("signer", "code"), [("good", None), ("bad", "signer.revoked")])
def test_a_list_that_openssl_wrote_decides(certified: Workshop, signer: str, code: str | None) -> None:
    pinned = [f"file:{name}.crt" for name in ("good", "bad")]
    table = certified.table("us", "us", bank_signing_certificates=pinned, chain=["file:ca.crt"], crl=["file:crl.pem"])
    us = build_seal(parse_profile(table), certified.directory, lambda: NOW)
    how = ("-binary", "-nodetach", "-outform", "DER", "-signer", f"{signer}.crt", "-inkey", f"{signer}.pem")
    signed = openssl(certified, "cms", "-sign", "-in", "content", *how, "-out", "signed")
    assert signed == b""
    message = openssl(certified, "cms", "-encrypt", "-binary", "-in", "signed", "-outform", "DER", "-aes-256-cbc", "us.crt")
    if code is None:
        assert opened(us, message) == CONTENT
        return
    with pytest.raises(BadSeal) as refused:
        opened(us, message)
    assert refused.value.code == code
