"""SM2, SM3 and SM4 against the vectors of the standards and of one bank, in every form; and keys at rest."""

import base64
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import sm, sm_curve, store
from keys.seal import BadSeal, KeyUnavailable
from keys.sm import (
    Message,
    Sm4Key,
    SmPrivateKey,
    SmPublicKey,
    decrypt,
    der_signature,
    encrypt,
    identity_digest,
    raw_signature,
    sign,
    sm3,
    sm4_decrypt,
    sm4_encrypt,
    sm4_gcm_decrypt,
    sm4_gcm_encrypt,
    verify,
)
from keys.sm_keys import encrypted_pem, identity, public_pem, take_over
from tests.keys.sm_workshop import NEEDS, NEEDS_REASON

pytestmark = pytest.mark.skipif(NEEDS, reason=NEEDS_REASON)


def key_of(number: str) -> SmPrivateKey:
    return SmPrivateKey("a test key", bytes.fromhex(number), store.random_bytes)


@pytest.fixture(scope="module")
def key() -> SmPrivateKey:
    return sm.new_private_key(store.random_bytes)


# ---- the worked example of GB/T 32918.5 -------------------------------------------------------------------------------

EXAMPLE = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
EXAMPLE_PUBLIC = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
EXAMPLE_SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)


def test_gbt_32918_5_public_key() -> None:
    assert key_of(EXAMPLE).public.point == EXAMPLE_PUBLIC


def test_gbt_32918_5_identity_and_message_digest() -> None:
    public = SmPublicKey(EXAMPLE_PUBLIC)
    assert identity_digest(public).hex().upper() == "B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3"
    message = Message(public)
    message.update(b"message ")
    message.update(b"digest")
    assert message.digest().hex().upper() == "F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640"


def test_gbt_32918_5_signature() -> None:
    public = SmPublicKey(EXAMPLE_PUBLIC)
    assert verify(EXAMPLE_SIGNATURE, b"message digest", public, form="raw")
    assert verify(der_signature(EXAMPLE_SIGNATURE), b"message digest", public)
    assert not verify(EXAMPLE_SIGNATURE, b"message digesT", public, form="raw")
    assert not verify(EXAMPLE_SIGNATURE, b"message digest", public, b"another id", form="raw")
    assert not verify(EXAMPLE_SIGNATURE, b"message digest", public), "raw bytes are no DER"


def test_gbt_32905_sm3() -> None:
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm3(b"hello, world").hex() == "02df30dff15f2ccb72bffdcb44e68d4d09974036dc7a6927e556fbef421c7f34"


def test_gbt_32907_sm4() -> None:
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert sm4_encrypt(block, Sm4Key(block), "ecb")[:16].hex() == "681edf34d206965e86b3e94f536e4246"


def test_rfc_8998_sm4_gcm() -> None:
    """RFC 8998, appendix A.1."""
    key = Sm4Key(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    nonce = bytes.fromhex("00001234567800000000ABCD")
    associated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plain = bytes.fromhex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDDEEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
    )
    encrypted = sm4_gcm_encrypt(plain, key, nonce, associated)
    assert encrypted[:16].hex().upper() == "17F399F08C67D5EE19D0DC9969C4BB7D"
    assert encrypted[-16:].hex().upper() == "83DE3541E4C2B58177E065A9BF7B62EC"
    assert sm4_gcm_decrypt(encrypted, key, nonce, associated) == plain


# ---- the end-to-end vector of one bank: CMB 云直联 --------------------------------------------------------------------

CMB_UID = b"N123456789"
CMB_ID = CMB_UID.ljust(16, b"0")  # user id and initialisation vector
CMB_KEY = Sm4Key(b"0123456789abcdef")
CMB_PRIVATE = "a05c76ef1c3dc603749cff805c92f0ccdbbe21dc1bb581e343c6c7881e520d23"
CMB_PUBLIC = (
    "04cde386e4bdbd55193f9f3c97b9dc5a0ba3feaffe89e38015f04e19e5b17e0b29"
    "66caf84ddd96688f776e78d361ed4b7ce83406a736674a5fbf85b3b407da4cc0"
)
CMB_TEXT = (
    b'{"request":{"body":{"bb1payqrx1":[{"busCod":"N02030","yurRef":"GW20260101000001"}]},"head":{"funcode":"BB1PAYQR",'
    b'"reqid":"2026010112000000012345","userid":"N123456789"}},"signature":{"sigdat":"__signature_sigdat__",'
    b'"sigtim":"20260101120000"}}'
)
CMB_SIGNATURE = "yLKJiPTHT66plOnGKa8mxSXlDPEaeTeJQI7X9B/BNWEI1RV9nuJas5BOHs1abFPFXVbp7MAYaiQuR1peYSWo3g=="


def test_cmb_public_key() -> None:
    assert key_of(CMB_PRIVATE).public == SmPublicKey.of("the bank", bytes.fromhex(CMB_PUBLIC))


def test_cmb_signature_is_raw_and_under_the_padded_uid() -> None:
    public = key_of(CMB_PRIVATE).public
    assert verify(base64.b64decode(CMB_SIGNATURE), CMB_TEXT, public, CMB_ID, "raw")
    assert not verify(base64.b64decode(CMB_SIGNATURE), CMB_TEXT, public, form="raw"), "the default id is not theirs"


def test_cmb_request_is_encrypted_by_sm4_cbc() -> None:
    signed = CMB_TEXT.replace(b"__signature_sigdat__", CMB_SIGNATURE.encode())
    encrypted = sm4_encrypt(signed, CMB_KEY, "cbc", CMB_ID)
    assert len(encrypted) == 320
    assert base64.b64encode(encrypted).startswith(b"GL2OKeesNXsHeqJ5p7VVASB6GshohmMmBYrocZs0pL6ciP0J")
    assert sm3(encrypted).hex() == "cb185b69b1e3a8bbc0d7128219f0eeb27d1846d1ff2ad7d6dd9921a85f159c50"
    assert sm4_decrypt(encrypted, CMB_KEY, "cbc", CMB_ID) == signed


# ---- signatures -------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    data=st.binary(max_size=200), user_id=st.binary(max_size=40), form=st.sampled_from(["der", "raw"]), flip=st.integers(0, 511)
)
def test_a_signature_holds_for_its_message_key_and_user_id_alone(
    key: SmPrivateKey, data: bytes, user_id: bytes, form: sm.SignatureForm, flip: int
) -> None:
    signature = sign(data, key, user_id, form)
    assert verify(signature, data, key.public, user_id, form)
    assert not verify(signature, data + b"x", key.public, user_id, form)
    assert not verify(signature, data, SmPublicKey(EXAMPLE_PUBLIC), user_id, form)
    at = flip // 8 % len(signature)
    altered = signature[:at] + bytes((signature[at] ^ 1 << flip % 8,)) + signature[at + 1 :]
    assert not verify(altered, data, key.public, user_id, form)


def test_r_and_s_are_filled_up_on_the_left() -> None:
    """A bank library is known that fills up one byte at most."""
    short = (5).to_bytes(32, "big") + (7).to_bytes(32, "big")
    assert raw_signature(der_signature(short)) == short


@pytest.mark.parametrize(
    "signature",
    [
        *(b"", b"\x30\x00", b"\x30\x06\x02\x01\x00\x02\x01\x01", b"\x30\x06\x02\x01\xff\x02\x01\x01", b"\x30\x80\x00\x00"),
        der_signature(EXAMPLE_SIGNATURE) + b"\x00",
        b"\x30\x81\x46" + der_signature(EXAMPLE_SIGNATURE)[2:],  # a length longer than need be
        b"\x30\x26\x02\x21\x01" + bytes(32) + b"\x02\x01\x01",
    ],
)
def test_what_is_no_strict_der_is_no_signature(signature: bytes) -> None:
    assert not verify(signature, b"message digest", SmPublicKey(EXAMPLE_PUBLIC))


# ---- encryption -------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    data=st.binary(min_size=1, max_size=255),
    form=st.sampled_from(["der", "c1c3c2", "c1c2c3"]),
    prefix=st.booleans(),
    flip=st.integers(0),
)
def test_what_is_encrypted_in_any_form_is_decrypted_and_never_altered(
    key: SmPrivateKey, data: bytes, form: sm.CipherForm, prefix: bool, flip: int
) -> None:
    encrypted = encrypt(data, key.public, form, prefix=prefix)
    assert decrypt(encrypted, key, form) == data
    at = flip % len(encrypted)
    altered = encrypted[:at] + bytes((encrypted[at] ^ 0x40,)) + encrypted[at + 1 :]
    with pytest.raises(BadSeal) as refused:
        decrypt(altered, key, form)
    assert refused.value.code == "decryption.failed"


def test_the_bare_forms_are_what_they_are_called(key: SmPrivateKey) -> None:
    new, old = (encrypt(b"twelve bytes", key.public, form) for form in ("c1c3c2", "c1c2c3"))
    assert len(new) == len(old) == 65 + 32 + 12
    assert new[:1] == old[:1] == b"\x04"
    assert decrypt(new[:65] + new[97:] + new[65:97], key, "c1c2c3") == b"twelve bytes"
    with pytest.raises(BadSeal):
        decrypt(new, key, "c1c2c3")


def test_a_point_that_begins_with_04_is_not_taken_for_a_prefix() -> None:
    """X itself may begin with 04: the length says it for keys, the curve for encrypted bytes."""
    for number in range(1, 2000):
        x, y = sm_curve.public_of(number, 0)
        if x >> 248 == 4:
            break
    point = sm_curve.packed(x, y)
    assert point[:1] == b"\x04"
    assert SmPublicKey.of("a key", point) == SmPublicKey.of("a key", b"\x04" + point) == SmPublicKey(point)
    # A ciphertext whose C1 is that point: it is cut at the right place, and only then found to be no real one.
    bare = point + bytes(32) + b"hidden"
    assert sm._cipher(bare, "c1c3c2") == sm._cipher(b"\x04" + bare, "c1c3c2")


@pytest.mark.parametrize("size", [0, 256])
def test_sm2_encrypts_no_more_than_it_can(key: SmPrivateKey, size: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        encrypt(bytes(size), key.public)


@pytest.mark.parametrize("form", ["der", "c1c3c2", "c1c2c3"])
@settings(max_examples=50)
@given(data=st.binary(max_size=150))
def test_any_bytes_are_refused_by_name(key: SmPrivateKey, form: sm.CipherForm, data: bytes) -> None:
    with pytest.raises(BadSeal):
        decrypt(data, key, form)


# ---- SM4 --------------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(data=st.binary(max_size=100), secret=st.binary(min_size=16, max_size=16), flip=st.integers(0))
def test_sm4_in_every_mode(data: bytes, secret: bytes, flip: int) -> None:
    key = Sm4Key(secret)
    assert sm4_decrypt(sm4_encrypt(data, key, "ecb"), key, "ecb") == data
    assert sm4_decrypt(sm4_encrypt(data, key, "cbc", secret), key, "cbc", secret) == data
    encrypted = sm4_gcm_encrypt(data, key, secret[:12], b"beside")
    assert sm4_gcm_decrypt(encrypted, key, secret[:12], b"beside") == data
    at = flip % len(encrypted)
    for altered in (encrypted[:at] + bytes((encrypted[at] ^ 1,)) + encrypted[at + 1 :], encrypted[:-1], encrypted[:3]):
        with pytest.raises(BadSeal):
            sm4_gcm_decrypt(altered, key, secret[:12], b"beside")


def test_sm4_says_what_it_needs() -> None:
    key = Sm4Key(bytes(16))
    for arguments in (("cbc", None), ("cbc", bytes(15)), ("ecb", bytes(16))):
        with pytest.raises(ValueError, match=r"vector|IV"):
            sm4_encrypt(b"", key, *arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="16 bytes"):
        Sm4Key(bytes(8))
    for broken in (b"", bytes(15), bytes(32)):
        with pytest.raises(BadSeal):
            sm4_decrypt(broken, key, "cbc", bytes(16))
    assert "00" not in repr(key)


# ---- keys -------------------------------------------------------------------------------------------------------------


def test_public_keys_are_taken_in_every_form(key: SmPrivateKey) -> None:
    point = key.public.point
    compressed = bytes((2 + point[-1] % 2,)) + point[:32]
    for data in (point, b"\x04" + point, compressed):
        assert SmPublicKey.of("a key", data) == key.public
        assert identity("a key", data.hex().encode()).public == key.public
        assert identity("a key", base64.b64encode(data)).public == key.public
    assert identity("a key", public_pem(key.public)).public == key.public


@pytest.mark.parametrize(
    "data",
    [b"", bytes(64), b"\x04" + bytes(64), b"\x02" + b"\xff" * 32, EXAMPLE_PUBLIC[:-1] + b"\x14", EXAMPLE_PUBLIC[:63], b"text"],
)
def test_what_is_no_point_of_the_curve_is_no_key(data: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        SmPublicKey.of("a key", data)
    with pytest.raises(KeyUnavailable):
        identity("a key", data)


@settings(max_examples=10)
@given(st.integers(1, sm_curve.N - 2), st.integers(0, 1 << 320))
def test_the_blinding_does_not_change_the_public_key(number: int, blinding: int) -> None:
    assert sm_curve.public_of(number, blinding) == sm_curve.public_of(number, 0)


@pytest.mark.parametrize("number", [bytes(32), bytes(31), b"\xff" * 32, sm_curve.N.to_bytes(32, "big"), bytes(33)])
def test_what_is_no_number_of_the_curve_is_no_private_key(number: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        SmPrivateKey("a key", number, store.random_bytes)


def test_a_private_key_shows_nothing_and_is_not_copied(key: SmPrivateKey) -> None:
    import copy
    import pickle

    assert key.number().hex() not in repr(key) + str(key) + format(key)
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copying(key)


def test_private_keys_are_taken_over_as_banks_hand_them_out(key: SmPrivateKey) -> None:
    number = key.number()
    for data in (number, number.hex().encode() + b"\n", number.hex().upper().encode(), base64.b64encode(number)):
        assert take_over("a key", data, None).public == key.public
    pem = encrypted_pem(key, b"word", store.random_bytes, iterations=1000)
    assert take_over("a key", pem, b"word").public == key.public
    for data, word in ((pem, b"wrong"), (pem, None), (b"text", None), (pem + pem, b"word"), (public_pem(key.public), None)):
        with pytest.raises(KeyUnavailable):
            take_over("a key", data, word)


def test_no_private_key_is_written_in_clear(key: SmPrivateKey) -> None:
    with pytest.raises(KeyUnavailable, match="without a passphrase"):
        encrypted_pem(key, b"", store.random_bytes)
    assert key.number() not in base64.b64decode(b"".join(encrypted_pem(key, b"word", store.random_bytes).splitlines()[1:-1]))


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, key: SmPrivateKey) -> None:
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    with pytest.raises(KeyUnavailable, match=r"pip install bankgate\[sm\]"):
        sign(b"", key)
    assert sm3(b"")  # SM3 and SM4 need no other library
