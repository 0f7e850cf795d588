"""What gpg says is believed only whole, in order, and without a word of trouble. Needs no gpg."""

import pytest

from keys.openpgp_status import Expected, judge, listed, sealed_well, usable
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.sealing import NOW

FINGERPRINT = "A" * 40
GOOD = (
    f"ENC_TO {'B' * 16} 18 0",
    f"DECRYPTION_KEY {'B' * 40} {'B' * 40} -",
    "BEGIN_DECRYPTION",
    "DECRYPTION_INFO 2 9 0",
    "PLAINTEXT 62 1795651200 ",
    "NEWSIG",
    f"GOODSIG {'A' * 16} GOODSIG somebody",
    f"VALIDSIG {FINGERPRINT} 2026-11-26 1795651200 0 4 0 22 10 00 {FINGERPRINT}",
    "DECRYPTION_OKAY",
    "GOODMDC",
    "END_DECRYPTION",
)
EXPECTED = Expected(frozenset({FINGERPRINT}), frozenset({"B" * 16}), False)


def test_the_right_status_lines_are_believed() -> None:
    judge(0, GOOD, EXPECTED)
    aead = tuple("DECRYPTION_INFO 0 9 2" if line.startswith("DECRYPTION_INFO") else line for line in GOOD if line != "GOODMDC")
    judge(0, aead, EXPECTED)


@pytest.mark.parametrize("missing", range(1, len(GOOD)))
def test_each_status_line_is_needed(missing: int) -> None:
    with pytest.raises(BadSeal):
        judge(0, GOOD[:missing] + GOOD[missing + 1 :], EXPECTED)


@pytest.mark.parametrize(
    "extra",
    [
        *("NODATA 3", "BADMDC", "DECRYPTION_FAILED", "ERROR x 1", "FAILURE decrypt 1", "UNEXPECTED 0", f"NO_PUBKEY {'A' * 16}"),
        *(f"BADSIG {'A' * 16} x", f"ERRSIG {'A' * 16} 1 8 00 1 9", f"EXPKEYSIG {'A' * 16} x", "NEWSIG", "PLAINTEXT 62 0 "),
        GOOD[6],
        GOOD[7],
    ],
)
def test_no_status_line_of_trouble_is_overlooked(extra: str) -> None:
    for at in range(len(GOOD) + 1):
        with pytest.raises(BadSeal):
            judge(0, (*GOOD[:at], extra, *GOOD[at:]), EXPECTED)


def test_order_and_exit_code_count() -> None:
    with pytest.raises(BadSeal):
        judge(2, GOOD, EXPECTED)
    outside = (*GOOD[4:8], *GOOD[:4], *GOOD[8:])  # content and signature outside the encryption
    with pytest.raises(BadSeal):
        judge(0, outside, EXPECTED)


def test_a_seal_that_gpg_did_not_finish_is_no_seal() -> None:
    done = ("SIG_CREATED S 22 10 00 1 F", "BEGIN_ENCRYPTION 2 9", "END_ENCRYPTION")
    sealed_well(0, done, "F")
    for code, lines in ((2, done), (0, done[1:]), (0, done[:2]), (0, (*done, "INV_RECP 5 F")), (0, ())):
        with pytest.raises(KeyUnavailable):
            sealed_well(code, lines, "F")


# ---- key listings -----------------------------------------------------------------------------------------------------

PRIMARY, SUBKEY = "C" * 40, "D" * 40


def listing(*, validity: str = "-", bits: int = 4096, expires: str = "", abilities: str = "sc", sub_validity: str = "-") -> bytes:
    return f"""tru::1:0:0:3:1:5
pub:{validity}:{bits}:1:{PRIMARY[-16:]}:1700000000:{expires}::-:::{abilities}::::::23::0:
fpr:::::::::{PRIMARY}:
uid:-::::1700000000::X::Bank, fpr\\x3aBank::::::::::0:
sub:{sub_validity}:255:18:{SUBKEY[-16:]}:1700000000:1900000000:::::e::::::23:
fpr:::::::::{SUBKEY}:
""".encode()


def test_a_pinned_primary_key_stands_for_its_subkeys_and_a_subkey_for_itself() -> None:
    keys = listed(listing())
    assert [(key.fingerprint, key.primary) for key in keys] == [(PRIMARY, PRIMARY), (SUBKEY, PRIMARY)]
    assert usable(PRIMARY, "signing", keys, NOW)[1] is None
    assert usable(PRIMARY, "encryption", keys, NOW)[1] is None
    assert usable(SUBKEY, "encryption", keys, NOW)[1] is None
    assert usable(SUBKEY, "signing", keys, NOW)[1] == f"the key {SUBKEY} is not made for signing"


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"validity": "r"}, "revoked"),
        ({"validity": "d"}, "disabled"),
        ({"validity": "i"}, "not signed by itself"),
        ({"bits": 1024}, "too weak"),
        ({"expires": "1700000001"}, "has expired on 2023-11-14"),
        ({"sub_validity": "r"}, "revoked"),
    ],
)
def test_a_key_that_may_not_be_used_says_why(how: dict[str, str], word: str) -> None:
    for pin in (PRIMARY, SUBKEY):
        problem = usable(pin, "encryption", listed(listing(**how)), NOW)[1]  # type: ignore[arg-type]
        assert word in (problem or "")
