"""EBICS keys: hashes by hand, what is refused, certificates that say what they are for."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from keys.ebics_keys import (
    certificate_hash,
    ebics_certificate,
    key_of_certificate,
    key_of_numbers,
    own_key,
    public_key_hash,
)
from keys.keymaterial import SoftwareKey, Subject
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.ebics_workshop import NOW, public, rsa_key

# 2^2047 + 9: no product of two primes that anybody knows, and as good as one for a hash
MODULUS = 2**2047 + 9
HASH_OF_IT = hashlib.sha256(b"10001 8" + b"0" * 510 + b"9").digest()


def numbers_key(modulus: bytes, exponent: bytes = b"\x01\x00\x01") -> bytes:
    return key_of_numbers("X002", modulus, exponent, "the bank's X002").public_key_hash


def test_the_public_key_hash_is_over_digits_without_leading_zeros() -> None:
    octets = MODULUS.to_bytes(256, "big")
    assert numbers_key(octets) == HASH_OF_IT


def test_a_leading_zero_octet_changes_neither_key_nor_hash() -> None:
    assert numbers_key(b"\x00" + MODULUS.to_bytes(256, "big"), b"\x00\x01\x00\x01") == HASH_OF_IT


def test_a_leading_zero_digit_of_the_modulus_is_stripped_too() -> None:
    modulus = (1 << 2051) + 9  # its octets begin 08
    assert modulus.to_bytes(257, "big")[0] == 8
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    assert public_key_hash(key) == hashlib.sha256(b"10001 8" + b"0" * 511 + b"9").digest()


@pytest.mark.parametrize(
    ("modulus", "exponent", "words"),
    [
        (2**1023 + 9, 65537, "1024 bits"),
        (2**4199 + 9, 65537, "4200 bits"),
        (MODULUS, 3, "exponent"),
        (MODULUS, 2**70 + 1, "exponent"),
        (MODULUS + 1, 65537, "even"),
        (2**9000, 65537, "longer"),
        (0, 65537, "no RSA key"),
    ],
    ids=["short", "long", "small exponent", "large exponent", "even", "very long", "nothing"],
)
def test_a_key_that_is_not_safe_is_refused_by_its_fault(modulus: int, exponent: int, words: str) -> None:
    octets = modulus.to_bytes((modulus.bit_length() + 7) // 8 or 1, "big")
    with pytest.raises(BadSeal, match=words) as refused:
        key_of_numbers("E002", octets, exponent.to_bytes(16, "big"), "the bank's E002")
    assert refused.value.code == "key.refused"


def test_what_is_no_certificate_and_a_certificate_of_another_kind_of_key_are_refused() -> None:
    with pytest.raises(BadSeal, match="no certificate"):
        key_of_certificate("X002", b"0\x03\x02\x01\x01", "the bank's X002")
    with pytest.raises(KeyUnavailable, match="no RSA key"):
        own_key("X002", SoftwareKey(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("version", "only"),
    [("A005", "content_commitment"), ("A006", "content_commitment"), ("X002", "digital_signature"), ("E002", "key_encipherment")],
)
def test_a_certificate_says_what_its_key_is_for_and_nothing_else(version, only) -> None:
    made = ebics_certificate(version, rsa_key("A"), Subject(common_name="USER1", organization="P1"), on=NOW, days=365)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    assert [name for name in names if getattr(usage, name)] == [only]
    made.verify_directly_issued_by(made)
    key = own_key(version, rsa_key("A"), made)
    again = key_of_certificate(version, made.public_bytes(Encoding.DER), "it")
    assert again == key
    assert again.certificate_hash == certificate_hash(made.public_bytes(Encoding.DER)) == key.digest("certificate")
    assert key.digest("public-key") == key.public_key_hash != key.certificate_hash


def test_a_key_is_named_by_both_its_hashes_and_by_nothing_else() -> None:
    made = ebics_certificate("X002", rsa_key("A"), Subject(common_name="USER1"), on=NOW, days=365)
    bare, carried = own_key("X002", rsa_key("A")), own_key("X002", rsa_key("A"), made)
    assert bare.is_named_by(bare.public_key_hash)
    assert not bare.is_named_by(b"")
    assert not bare.is_named_by(carried.certificate_hash or b"")
    assert carried.is_named_by(bare.public_key_hash)
    assert carried.is_named_by(carried.certificate_hash or b"")
    assert bare.digest("certificate") == bare.public_key_hash, "a bare key has no other hash"


def test_a_certificate_of_another_key_is_refused() -> None:
    made = ebics_certificate("X002", rsa_key("A"), Subject(common_name="USER1"), on=NOW, days=365)
    with pytest.raises(KeyUnavailable, match="another key"):
        own_key("X002", rsa_key("B"), made)
    assert public("A") != public("B")
