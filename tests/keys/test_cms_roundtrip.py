"""What is sealed comes out again, in every way a profile can say it."""

import base64
import io
import tracemalloc
from typing import Any, BinaryIO

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.ber import CHUNK
from keys.seal import SealError
from tests.keys.workshop import NOW, Workshop, opened, sealed

CONTENT = b"<Document>" + bytes(range(256)) * 3 + b"</Document>"

PROFILES: list[tuple[str, str, dict[str, Any]]] = [
    ("us", "bank", {}),
    ("us", "bank", {"signature": "rsa-pkcs1-sha384"}),
    ("us", "bank", {"signature": "rsa-pkcs1-sha512"}),
    ("us", "bank", {"signature": "rsa-pss-sha256", "key_transport": "rsa-oaep-sha256"}),
    ("us", "bank", {"signature": "rsa-pss-sha384", "content_encryption": "aes-256-gcm"}),
    ("us", "bank", {"signature": "rsa-pss-sha512"}),
    ("us", "bank", {"include_certificate": False, "include_signing_time": False}),
    ("us", "bank", {"encoding": "pem", "content_encryption": "aes-256-gcm"}),
    ("us-ec", "bank", {"signature": "ecdsa-sha256"}),
    ("us-ec", "bank-ec", {"signature": "ecdsa-sha384", "content_encryption": "aes-256-gcm"}),
    ("us", "bank-ec", {"encoding": "pem"}),
]


@pytest.mark.parametrize(("own", "bank", "changes"), PROFILES)
def test_what_one_side_seals_the_other_opens(workshop: Workshop, own: str, bank: str, changes: dict[str, Any]) -> None:
    message = sealed(workshop.seal(own, bank, **changes), CONTENT)
    assert CONTENT not in message
    answering = "ecdsa-sha384" if bank.endswith("ec") else "rsa-pkcs1-sha256"
    assert opened(workshop.seal(bank, own, signature=answering), message) == CONTENT


SIZES = sorted({0, 1, 15, 16, 17, 127, 128, 255, 256, 65535, 65536, *(CHUNK + n for n in (-1, 0, 1)), 2 * CHUNK + 7})


@pytest.mark.parametrize("encryption", ["aes-256-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("size", SIZES)
def test_no_size_is_special(workshop: Workshop, size: int, encryption: str) -> None:
    content = bytes(i * 7 & 0xFF for i in range(size))
    message = sealed(workshop.seal("us-ec", "bank-ec", signature="ecdsa-sha256", content_encryption=encryption), content)
    assert opened(workshop.seal("bank-ec", "us-ec", signature="ecdsa-sha384"), message) == content


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=600), encoding=st.sampled_from(["der", "pem"]))
def test_any_content_comes_back(workshop: Workshop, content: bytes, encoding: str) -> None:
    message = sealed(workshop.seal("us-ec", "bank-ec", signature="ecdsa-sha256", encoding=encoding), content)
    assert opened(workshop.seal("bank-ec", "us-ec", signature="ecdsa-sha384"), message) == content


def test_sealing_starts_where_the_source_stands(workshop: Workshop) -> None:
    source, out = io.BytesIO(b"skipped" + CONTENT), io.BytesIO()
    source.seek(7)
    workshop.seal("us", "bank").seal(source, out)
    assert opened(workshop.seal("bank", "us"), out.getvalue()) == CONTENT


def _lines(text: bytes, end: bytes) -> bytes:
    return end.join(text[at : at + 64] for at in range(0, len(text), 64)) + end


def test_every_clothing_of_a_message_is_recognised(workshop: Workshop) -> None:
    bank, message = workshop.seal("bank", "us"), sealed(workshop.seal("us", "bank"), CONTENT)
    text = base64.b64encode(message)
    smime = b'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name="x.p7m"\r\n'
    clothes = {
        "pem": b"-----BEGIN CMS-----\n" + _lines(text, b"\n") + b"-----END CMS-----\n",
        "pem, other label, Windows": b"\r\n-----BEGIN PKCS7-----\r\n" + _lines(text, b"\r\n") + b"-----END PKCS7-----\r\n\r\n",
        "pem in one line": b"-----BEGIN PKCS7-----\n" + text + b"\n-----END PKCS7-----",
        "base64 in one line": text,
        "base64 in lines": b"\n" + _lines(text, b"\n"),
        "S/MIME": smime + b"Content-Transfer-Encoding: base64\r\n\r\n" + _lines(text, b"\r\n"),
    }
    for name, dressed in clothes.items():
        assert opened(bank, dressed) == CONTENT, name


def test_the_pem_form_has_lines_of_64_characters(workshop: Workshop) -> None:
    lines = sealed(workshop.seal("us", "bank", encoding="pem"), CONTENT).decode().splitlines()
    assert (lines[0], lines[-1]) == ("-----BEGIN CMS-----", "-----END CMS-----")
    assert {len(line) for line in lines[1:-2]} == {64}
    assert 0 < len(lines[-2]) <= 64


def test_a_rotation_overlaps_on_both_sides(workshop: Workshop) -> None:
    """The bank may go on using our old key, or use its new one, before the other side has switched."""
    old, new = workshop.party("rotation-old", "ec-p256"), workshop.party("rotation-new", "ec-p256")
    both_own = [workshop.decryption_key(old), workshop.decryption_key(new)]
    us = workshop.seal("us", "bank", decryption_keys=both_own)
    for certificate in (old, new):
        assert opened(us, sealed(workshop.seal("bank", certificate), CONTENT)) == CONTENT
    pinning_both = workshop.seal("us", "bank", bank_signing_certificates=["file:rotation-old.crt", "file:rotation-new.crt"])
    for signer in (old, new):
        assert opened(pinning_both, sealed(workshop.seal(signer, "us", signature="ecdsa-sha256"), CONTENT)) == CONTENT


def test_every_valid_encryption_certificate_of_the_bank_can_read(workshop: Workshop) -> None:
    message = sealed(workshop.seal("us", "bank", bank_encryption_certificates=["file:bank.crt", "file:bank-ec.crt"]), CONTENT)
    assert opened(workshop.seal("bank", "us"), message) == CONTENT
    assert opened(workshop.seal("bank-ec", "us", signature="ecdsa-sha384"), message) == CONTENT


def test_a_certificate_with_the_serial_of_another_issuer_is_not_taken_for_it(workshop: Workshop) -> None:
    certificate = workshop.certificate("bank")
    assert certificate.issued_as(certificate.issuer, certificate.serial)
    assert not certificate.issued_as(workshop.certificate("us").issuer, certificate.serial)
    assert not certificate.issued_as(certificate.issuer, certificate.serial + 1)
    assert not certificate.issued_as(b"\x30\x03\x02\x01", certificate.serial)
    printable = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "BANK ", x509.name._ASN1Type.PrintableString)])
    assert certificate.issued_as(printable.public_bytes(), certificate.serial), "names are compared as RFC 5280 says"


class Restless(io.BytesIO):
    """A source that says something else when it is read again."""

    def seek(self, *where: int) -> int:
        position = super().seek(*where)
        self.getbuffer()[-1] ^= 1
        return position


def test_a_source_that_changes_while_it_is_sealed_is_noticed(workshop: Workshop) -> None:
    with pytest.raises(SealError, match="changed"):
        workshop.seal("us", "bank").seal(Restless(CONTENT), io.BytesIO())


class Zeros(io.RawIOBase):
    """A large source that takes no memory."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def read(self, count: int = -1) -> bytes:
        piece = bytes(min(count, self._size - self._at))
        self._at += len(piece)
        return piece

    def tell(self) -> int:
        return self._at

    def seek(self, to: int, whence: int = 0) -> int:
        self._at = to
        return to


class Counter(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.parametrize("encoding", ["der", "pem"])
def test_memory_does_not_grow_with_the_file(workshop: Workshop, encoding: str, directory: Any) -> None:
    size, path, counter = (64 if encoding == "der" else 16) * 1024 * 1024, directory / "sealed", Counter()
    us, bank = workshop.seal("us", "bank", encoding=encoding), workshop.seal("bank", "us")
    assert opened(bank, sealed(us, b"")) == b"", "keys are open before memory is measured"
    tracemalloc.start()
    try:
        with path.open("wb") as out:
            us.seal(_binary(Zeros(size)), out)
        with path.open("rb") as source:
            bank.open(source, _binary(counter))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counter.size == size
    assert peak < 4 * 1024 * 1024


def _binary(stream: Any) -> BinaryIO:
    return stream  # type: ignore[no-any-return]


def test_the_kind_is_the_word_of_the_profile(workshop: Workshop) -> None:
    assert workshop.seal("us", "bank").kind == "cms"
    assert NOW.tzinfo is not None
