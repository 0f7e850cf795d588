"""A005, A006: what is signed is N(D), in any cut; what was not signed so does not verify."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import given
from hypothesis import strategies as st

from keys.ebics_signature import normalised, order_digest, sign_order, verify_order
from keys.keymaterial import SoftwareKey
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.ebics_workshop import public, rsa_key

DATA = b"<Document>\r\n<A>1</A>\n</Document>\x1a"
BARE = b"<Document><A>1</A></Document>"


def test_line_ends_and_ctrl_z_are_not_signed() -> None:
    assert normalised(DATA) == BARE
    assert order_digest((DATA,)) == hashlib.sha256(BARE).digest() != hashlib.sha256(DATA).digest()


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_the_digest_does_not_depend_on_how_the_data_is_cut(pieces: list[bytes]) -> None:
    assert order_digest(pieces) == order_digest([b"".join(pieces)])


def test_a005_is_pkcs1_over_the_normalised_data_hashed_once() -> None:
    signature = sign_order("A005", rsa_key("A"), order_digest((DATA,)))
    public("A").verify(signature, BARE, padding.PKCS1v15(), hashes.SHA256())
    verify_order("A005", public("A"), order_digest((BARE,)), signature)


def test_a006_is_pss_over_the_digest_so_that_the_data_is_hashed_twice() -> None:
    signature = sign_order("A006", rsa_key("A"), order_digest((DATA,)))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    public("A").verify(signature, hashlib.sha256(BARE).digest(), pss, hashes.SHA256())
    verify_order("A006", public("A"), order_digest((BARE,)), signature)


@pytest.mark.parametrize("version", ["A005", "A006"])
def test_a_signature_over_the_raw_bytes_by_another_key_or_process_is_refused(version) -> None:
    digest = order_digest((DATA,))
    raw = sign_order(version, rsa_key("A"), hashlib.sha256(DATA).digest())
    other = sign_order(version, rsa_key("B"), digest)
    crossed = sign_order("A006" if version == "A005" else "A005", rsa_key("A"), digest)
    for signature in (raw, other, crossed, b"", b"\x00" * 256):
        with pytest.raises(BadSeal) as refused:
            verify_order(version, public("A"), digest, signature)
        assert refused.value.code == "signature.invalid"


def test_an_older_process_is_refused_by_name() -> None:
    with pytest.raises(BadSeal, match="A004"):
        verify_order("A004", public("A"), bytes(32), bytes(256))


def test_only_an_rsa_key_and_a_whole_digest_are_signed_with() -> None:
    with pytest.raises(KeyUnavailable, match="RSA"):
        sign_order("A006", SoftwareKey(ec.generate_private_key(ec.SECP256R1())), bytes(32))
    with pytest.raises(ValueError, match="32"):
        sign_order("A006", rsa_key("A"), b"too short")
