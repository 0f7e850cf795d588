"""E002: the way of order data, piece by piece, in bounds, and tolerant of how others pad."""

import base64
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from keys.ebics_encryption import (
    SEGMENT_CHARS_MAX,
    compressed_whole,
    decoded,
    decrypted,
    decrypted_whole,
    encrypted,
    encrypted_whole,
    inflated_whole,
    new_transaction_key,
    segments,
    unwrapped_key,
    wrapped_key,
)
from keys.seal import BadSeal
from tests.keys.ebics_workshop import public, rsa_key

KEY = bytes(range(16))


def by_hand(plain: bytes, pad: bytes) -> bytes:
    """Padded and encrypted, in base64."""
    encryptor = Cipher(algorithms.AES128(KEY), modes.CBC(bytes(16))).encryptor()
    return base64.b64encode(encryptor.update(plain + pad) + encryptor.finalize())


def opened(text: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES128(KEY), modes.CBC(bytes(16))).decryptor()
    return decryptor.update(base64.b64decode(text)) + decryptor.finalize()


@given(st.binary(max_size=200), st.integers(1, 25))
def test_order_data_comes_back_whatever_the_cuts(data: bytes, groups: int) -> None:
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    texts = list(segments(encrypted(pieces, KEY), 4 * groups))
    assert all(len(text) == 4 * groups for text in texts[:-1])
    assert 0 < len(texts[-1]) <= 4 * groups
    assert b"".join(decrypted(texts, KEY)) == data
    odd = b"".join(texts)
    assert b"".join(decrypted((odd[:5], odd[5:6], odd[6:]), KEY)) == data


@given(st.binary(max_size=100))
def test_the_padding_we_write_is_ansi_x923_after_the_compressed_data(data: bytes) -> None:
    whole = opened(encrypted_whole(data, KEY))
    compressed, pad = zlib.compress(data), whole[-whole[-1] :]
    assert whole == compressed + pad
    assert 1 <= whole[-1] <= 16
    assert pad == bytes(len(pad) - 1) + bytes((len(pad),))


def test_a_full_block_of_padding_follows_data_that_fills_its_last_block() -> None:
    data = next(bytes(n) for n in range(5000) if len(zlib.compress(bytes(n))) % 16 == 0)
    assert len(opened(encrypted_whole(data, KEY))) == len(zlib.compress(data)) + 16


@pytest.mark.parametrize("kind", ["x923", "pkcs7", "random", "zeros"])
def test_every_padding_that_clients_write_is_read(kind: str) -> None:
    data = b"order data " * 9
    compressed = zlib.compress(data)
    count = 16 - len(compressed) % 16
    pad = {
        "x923": bytes(count - 1) + bytes((count,)),
        "pkcs7": bytes((count,)) * count,
        "random": b"\x07" * (count - 1) + bytes((count,)),
        "zeros": bytes(count),
    }[kind]
    assert decrypted_whole(by_hand(compressed, pad), KEY, bytes_max=1000) == data


@pytest.mark.parametrize(
    "text",
    [
        by_hand(b"", bytes(16)),
        by_hand(zlib.compress(b"x" * 40)[:10], b"\x00" * 5 + b"\x06"),
        by_hand(zlib.compress(b"x"), bytes(32 + 16 - len(zlib.compress(b"x")))),
        base64.b64encode(b"no whole block"),
        b"",
    ],
    ids=["nothing", "cut", "long tail", "no block", "empty"],
)
def test_what_a_wrong_key_or_a_change_may_lead_to_is_one_error(text: bytes) -> None:
    with pytest.raises(BadSeal) as refused:
        decrypted_whole(text, KEY, bytes_max=1000)
    assert refused.value.code == "decryption.failed"


@pytest.mark.parametrize("texts", [(b"AA=A",), (b"AAAA", b"A"), (b"AA==", b"AAAA"), (b"!!!!",), ("Ä".encode(),)])
def test_what_is_no_base64_is_named(texts: tuple[bytes, ...]) -> None:
    with pytest.raises(BadSeal) as refused:
        list(decoded(texts))
    assert refused.value.code == "structure"


def test_a_bomb_is_stopped_at_the_bound_and_nothing_beyond_it_is_made() -> None:
    bomb = by_hand(zlib.compress(bytes(50_000_000))[:4096], b"")
    pieces = decrypted((bomb,), KEY, bytes_max=3_000_000)
    assert [len(next(pieces)) for _ in range(2)] == [1024 * 1024] * 2
    with pytest.raises(BadSeal) as refused:
        next(pieces)
    assert refused.value.code == "content.too-large"


def test_a_segment_is_at_most_a_mebibyte_and_cut_after_whole_groups() -> None:
    for chars in (0, 6, SEGMENT_CHARS_MAX + 4):
        with pytest.raises(ValueError, match="segment"):
            next(segments((b"x",), chars))


def test_the_transaction_key_comes_back_and_another_key_gives_another() -> None:
    key = new_transaction_key()
    wrapped = wrapped_key(public("E"), key)
    assert unwrapped_key(rsa_key("E"), wrapped) == key
    assert unwrapped_key(rsa_key("B"), wrapped) != key


def test_a_badly_wrapped_key_shows_only_when_decrypting() -> None:
    """Otherwise our answers would tell a sender which of their guesses were well padded (Bleichenbacher)."""
    for wrapped in (bytes(256), b"\xff" * 256, b"short", wrapped_key(public("E"), b"seventeen octets!")):
        assert len(unwrapped_key(rsa_key("E"), wrapped)) == 16


def test_key_management_data_is_compressed_only_and_bounded() -> None:
    assert inflated_whole(compressed_whole(b"<a/>"), bytes_max=10) == b"<a/>"
    with pytest.raises(BadSeal) as refused:
        inflated_whole(compressed_whole(bytes(2_000_000)), bytes_max=1_500_000)
    assert refused.value.code == "content.too-large"
