"""CMS against a program that we did not write: `openssl cms`, in both directions."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from keys.seal import BadSeal
from tests.keys.workshop import PASSPHRASE, Workshop, opened, sealed

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")

CONTENT = b'<?xml version="1.0"?>\r\n<Document>\n' + bytes(range(256)) * 200 + b"\n</Document>"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("openssl"))
    made.party("us", "rsa-3072")
    made.party("bank", "rsa-3072")
    made.party("us-ec", "ec-p256")
    made.party("bank-ec", "ec-p384")
    (made.directory / "content").write_bytes(CONTENT)
    return made


def openssl(workshop: Workshop, *arguments: str) -> None:
    """Runs `openssl cms` among the files of the workshop; its own words are shown when it fails."""
    done = subprocess.run(["openssl", "cms", *arguments], cwd=workshop.directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


# ---- ours, read by openssl --------------------------------------------------------------------------------------------

SEALED_BY_US: list[tuple[str, str, dict[str, Any]]] = [
    ("us", "bank", {}),
    ("us", "bank", {"encoding": "pem"}),
    ("us", "bank", {"signature": "rsa-pkcs1-sha512", "include_signing_time": False, "include_certificate": False}),
    ("us", "bank", {"signature": "rsa-pss-sha256", "key_transport": "rsa-oaep-sha256"}),
    ("us", "bank", {"signature": "rsa-pss-sha384", "content_encryption": "aes-256-gcm"}),
    ("us-ec", "bank", {"signature": "ecdsa-sha256"}),
    ("us-ec", "bank-ec", {"signature": "ecdsa-sha384", "content_encryption": "aes-256-gcm"}),
    ("us", "bank-ec", {}),
]


@pytest.mark.parametrize(("own", "bank", "changes"), SEALED_BY_US)
@pytest.mark.parametrize("content", [CONTENT, b""], ids=["content", "empty"])
def test_openssl_opens_what_we_seal(
    workshop: Workshop, tmp_path: Path, own: str, bank: str, changes: dict[str, Any], content: bytes
) -> None:
    message, inside, out = (str(tmp_path / name) for name in ("message", "inside", "out"))
    Path(message).write_bytes(sealed(workshop.seal(own, bank, **changes), content))
    form = "PEM" if changes.get("encoding") == "pem" else "DER"
    key = ("-recip", f"{bank}.crt", "-inkey", f"{bank}.key", "-passin", f"pass:{PASSPHRASE}")
    openssl(workshop, "-decrypt", "-binary", "-inform", form, "-in", message, *key, "-out", inside)
    trust = ("-CAfile", f"{own}.crt", "-certfile", f"{own}.crt", "-no_check_time")
    openssl(workshop, "-verify", "-binary", "-inform", "DER", "-in", inside, *trust, "-out", out)
    assert Path(out).read_bytes() == content


def test_openssl_refuses_what_we_seal_once_it_is_altered(workshop: Workshop, tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    message = bytearray(sealed(workshop.seal("us", "bank", content_encryption="aes-256-gcm"), CONTENT))
    message[-200] ^= 1
    (tmp_path / "message").write_bytes(message)
    key = ("-recip", "bank.crt", "-inkey", "bank.key", "-passin", f"pass:{PASSPHRASE}")
    with pytest.raises(AssertionError):
        openssl(workshop, "-decrypt", "-binary", "-inform", "DER", "-in", str(tmp_path / "message"), *key)


# ---- openssl's, read by us --------------------------------------------------------------------------------------------

RSA_SIGNER = ("-signer", "bank.crt", "-inkey", "bank.key")
EC_SIGNER = ("-signer", "bank-ec.crt", "-inkey", "bank-ec.key")
SIGNERS: dict[str, tuple[str, ...]] = {
    "rsa": RSA_SIGNER,
    "rsa, streamed": (*RSA_SIGNER, "-stream"),
    "rsa, sha384, by key identifier": (*RSA_SIGNER, "-md", "sha384", "-keyid"),
    "rsa, sha512, no certificates": (*RSA_SIGNER, "-md", "sha512", "-nocerts"),
    "pss": (*RSA_SIGNER, "-keyopt", "rsa_padding_mode:pss"),
    "pss, salt as long as the digest": (*RSA_SIGNER, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"),
    "ecdsa": EC_SIGNER,
    "ecdsa, sha384, streamed": (*EC_SIGNER, "-md", "sha384", "-stream"),
    "cades": (*RSA_SIGNER, "-cades"),
}
RECIPIENTS: dict[str, tuple[str, ...]] = {
    "cbc": ("-aes-256-cbc", "-recip", "us.crt"),
    "cbc, streamed": ("-aes-256-cbc", "-stream", "-recip", "us.crt"),
    "aes-128": ("-aes-128-cbc", "-recip", "us.crt"),
    "gcm": ("-aes-256-gcm", "-recip", "us.crt"),
    "gcm, streamed": ("-aes-256-gcm", "-stream", "-recip", "us.crt"),
    "by key identifier": ("-aes-256-cbc", "-keyid", "-recip", "us.crt"),
    "oaep": (
        *("-aes-256-cbc", "-recip", "us.crt", "-keyopt", "rsa_padding_mode:oaep"),
        *("-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"),
    ),
    "ecdh": ("-aes-256-cbc", "-recip", "us-ec.crt"),
    "ecdh, by key identifier, aes128 wrap": ("-aes-256-gcm", "-keyid", "-aes128-wrap", "-recip", "us-ec.crt"),
    "ecdh, sha256": ("-aes-256-cbc", "-recip", "us-ec.crt", "-keyopt", "ecdh_kdf_md:sha256"),
    "several": ("-aes-256-cbc", "-recip", "bank.crt", "-recip", "bank-ec.crt", "-recip", "us.crt"),
}


def sign(workshop: Workshop, tmp_path: Path, *arguments: str) -> Path:
    how = ("-binary", "-nodetach", "-outform", "DER", "-passin", f"pass:{PASSPHRASE}")
    openssl(workshop, "-sign", "-in", "content", *how, "-out", str(tmp_path / "signed"), *arguments)
    return tmp_path / "signed"


def encrypt(workshop: Workshop, inside: Path, *arguments: str, form: str = "DER") -> bytes:
    out = inside.with_name("encrypted")
    openssl(workshop, "-encrypt", "-binary", "-in", str(inside), "-outform", form, "-out", str(out), *arguments)
    return out.read_bytes()


def everything(workshop: Workshop, **changes: Any) -> Any:
    """A profile of ours that knows all keys of the workshop."""
    pinned = {"bank_signing_certificates": ["file:bank-ec.crt", "file:bank.crt"]}
    own = {"decryption_keys": [workshop.decryption_key("us-ec"), workshop.decryption_key("us")]}
    return workshop.seal("us", "bank", **pinned, **own, **changes)


@pytest.mark.parametrize("signer", SIGNERS)
def test_we_open_what_openssl_signs(workshop: Workshop, tmp_path: Path, signer: str) -> None:
    message = encrypt(workshop, sign(workshop, tmp_path, *SIGNERS[signer]), *RECIPIENTS["cbc"])
    assert opened(everything(workshop), message) == CONTENT


@pytest.mark.parametrize("recipient", RECIPIENTS)
def test_we_open_what_openssl_encrypts(workshop: Workshop, tmp_path: Path, recipient: str) -> None:
    streamed = sign(workshop, tmp_path, *RSA_SIGNER, "-stream")
    assert opened(everything(workshop), encrypt(workshop, streamed, *RECIPIENTS[recipient])) == CONTENT


@pytest.mark.parametrize("form", ["PEM", "SMIME"])
def test_we_open_every_form_that_openssl_writes(workshop: Workshop, tmp_path: Path, form: str) -> None:
    signed = sign(workshop, tmp_path, *RSA_SIGNER)
    for streamed in ((), ("-stream",)):
        assert opened(everything(workshop), encrypt(workshop, signed, *RECIPIENTS["cbc"], *streamed, form=form)) == CONTENT


def test_signatures_without_attributes_are_taken_where_the_profile_says_so(workshop: Workshop, tmp_path: Path) -> None:
    for signer in (RSA_SIGNER, EC_SIGNER):
        message = encrypt(workshop, sign(workshop, tmp_path, *signer, "-noattr"), *RECIPIENTS["gcm"])
        assert opened(everything(workshop, signed_attributes="optional"), message) == CONTENT
        assert refusal(workshop, message).code == "attributes.missing"


def refusal(workshop: Workshop, message: bytes) -> BadSeal:
    with pytest.raises(BadSeal) as refused:
        opened(everything(workshop), message)
    return refused.value


def test_sha1_and_triple_des_are_refused_by_name(workshop: Workshop, tmp_path: Path) -> None:
    weak_signature = refusal(
        workshop, encrypt(workshop, sign(workshop, tmp_path, *RSA_SIGNER, "-md", "sha1"), *RECIPIENTS["cbc"])
    )
    assert weak_signature.code == "algorithm.refused"
    assert "SHA-1" in weak_signature.detail
    weak_cipher = refusal(workshop, encrypt(workshop, sign(workshop, tmp_path, *RSA_SIGNER), "-des3", "-recip", "us.crt"))
    assert weak_cipher.code == "algorithm.refused"
    assert "triple DES" in weak_cipher.detail
    oaep_sha1 = ("-aes-256-cbc", "-recip", "us.crt", "-keyopt", "rsa_padding_mode:oaep")
    weak_transport = refusal(workshop, encrypt(workshop, sign(workshop, tmp_path, *RSA_SIGNER), *oaep_sha1))
    assert weak_transport.code == "algorithm.refused"


def test_what_openssl_leaves_out_is_missed(workshop: Workshop, tmp_path: Path) -> None:
    unsigned = encrypt(workshop, workshop.directory / "content", *RECIPIENTS["cbc"])
    assert refusal(workshop, unsigned).code == "signature.missing"
    assert refusal(workshop, sign(workshop, tmp_path, *RSA_SIGNER).read_bytes()).code == "encryption.missing"
    for_another = encrypt(workshop, sign(workshop, tmp_path, *RSA_SIGNER), "-aes-256-cbc", "-recip", "bank.crt")
    assert refusal(workshop, for_another).code == "recipient.unknown"
    by_another = encrypt(workshop, sign(workshop, tmp_path, "-signer", "us.crt", "-inkey", "us.key"), *RECIPIENTS["cbc"])
    assert refusal(workshop, by_another).code == "signer.unknown"
    both = sign(workshop, tmp_path, *RSA_SIGNER, *EC_SIGNER)
    assert refusal(workshop, encrypt(workshop, both, *RECIPIENTS["cbc"])).code == "signature.several"


def test_the_keys_we_write_open_in_openssl_with_their_passphrase_alone(workshop: Workshop) -> None:
    def opens(word: str) -> bool:
        command = ["openssl", "pkey", "-in", "us.key", "-passin", f"pass:{word}", "-noout"]
        return subprocess.run(command, cwd=workshop.directory, capture_output=True, check=False).returncode == 0

    assert opens(PASSPHRASE)
    assert not opens("another")
