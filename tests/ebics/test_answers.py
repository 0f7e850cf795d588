"""Answers: read when they are the bank's, refused by one named error when they are not, and never believed before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics.answers import Answer, read_answer, read_hev, read_key_answer, unproved_codes
from channels.ebics.errors import BadAnswer
from channels.ebics.names import H004, H005, VERSIONS
from keys.ebics_encryption import decrypted, unwrapped_key
from tests.ebics.support.answers import data_transfer, signed, unsigned
from tests.ebics.support.parties import TRANSACTION, bank_keys, key, own_keys

BANK = bank_keys().authentication
HEV = (
    b'<ebicsHEVResponse xmlns="http://www.ebics.org/H000"><SystemReturnCode><ReturnCode>000000</ReturnCode>'
    b'<ReportText>[EBICS_OK] OK</ReportText></SystemReturnCode><VersionNumber ProtocolVersion="H004">02.50</VersionNumber>'
    b'<VersionNumber ProtocolVersion="H005">03.00</VersionNumber></ebicsHEVResponse>'
)


def refusal(message: bytes, version=H005) -> BadAnswer:
    with pytest.raises(BadAnswer) as refused:
        read_answer(message, version, BANK)
    return refused.value


@pytest.mark.parametrize("version", ["H004", "H005"])
def test_the_answer_to_a_downloads_first_message_is_read_whole(version) -> None:
    message = signed(version, segments=2, segment=1, last=False, transfer=data_transfer(b"order data"))
    answer = read_answer(message, VERSIONS[version], BANK)
    assert (answer.technical, answer.business, answer.report) == ("000000", "000000", "[EBICS_X] text")
    assert (answer.phase, answer.transaction_id, answer.segments) == ("Initialisation", TRANSACTION, 2)
    assert (answer.segment, answer.last) == (1, False)
    assert answer.encryption is not None
    assert answer.encryption.key_digest == own_keys().encryption.public_key_hash
    assert answer.order_data is not None
    wrapped = unwrapped_key(key("E"), answer.encryption.wrapped_key)
    assert b"".join(decrypted((answer.order_data,), wrapped)) == b"order data"


def test_what_we_answer_in_tests_is_valid_by_the_schema(h005) -> None:
    from keys.ebics_auth import parse_message

    h005.assertValid(parse_message(signed(segments=2, segment=1, transfer=data_transfer(b"x"))))


def test_the_answer_to_an_upload_names_the_order() -> None:
    answer = read_answer(signed("H004", order_id="A001"), H004, BANK)
    assert answer.order_id == "A001"
    assert answer.fine


def test_a_transaction_is_one_number_in_small_and_capital_letters() -> None:
    assert read_answer(signed(transaction=TRANSACTION.lower()), H005, BANK).transaction_id == TRANSACTION


@pytest.mark.parametrize("code", ["990000", "069999", "019999", "123456"])
def test_a_code_that_nobody_knows_never_stops_the_reading(code) -> None:
    answer = read_answer(signed(technical=code, business=code), H005, BANK)
    assert answer.says(code)


@pytest.mark.parametrize("place", ["technical", "business"])
def test_the_end_of_a_download_is_seen_in_the_header_and_in_the_body(place) -> None:
    assert read_answer(signed(phase="Receipt", **{place: "011000"}), H005, BANK).says("011000")


def test_an_answer_that_is_not_the_banks_is_not_believed() -> None:
    assert refusal(unsigned()).code == "signature.missing"
    assert refusal(signed(by="O")).code == "signature.invalid"
    assert refusal(signed().replace(b"000000", b"090004", 1)).code == "signature.invalid"
    assert refusal(signed(root="ebicsKeyManagementResponse")).code == "structure"
    assert "version" in refusal(signed("H004")).detail


def test_a_bank_that_changed_its_keys_is_heard_though_not_believed() -> None:
    message = signed(by="O", technical="091008", transaction=None)
    assert refusal(message).code == "signature.invalid"
    assert unproved_codes(message, H005) == ("091008", "000000")
    with pytest.raises(BadAnswer):
        unproved_codes(b"<html/>", H005)


def test_an_error_of_the_bank_is_believed_when_signed_only() -> None:
    assert read_answer(signed(technical="061099", business="000000", transaction=None), H005, BANK).technical == "061099"
    assert refusal(unsigned(technical="061099")).code == "signature.missing"


@pytest.mark.parametrize(
    "parts",
    [
        {"technical": "0"},
        {"technical": ""},
        {"business": "00000x"},
        {"transaction": "1234"},
        {"segments": 5000},
        {"segments": -1},
        {"segment": "one"},
        {"order_id": "a001"},
        {"transfer": data_transfer(order_data="é")},
        {"transfer": data_transfer(order_data="A" * (1024 * 1024 + 100))},
        {"transfer": data_transfer(order_data="")},
        {"transfer": data_transfer(b"x").replace('Version="E002"', 'Version="E001"')},
        {"transfer": data_transfer(order_data="QUJD", info=False) * 2},
    ],
)
def test_a_signed_answer_that_is_malformed_is_refused_too(parts) -> None:
    assert refusal(signed(**parts)).code in {"structure", "content.too-large", "algorithm.refused", "signature.misplaced"}


def test_base64_that_a_bank_breaks_into_lines_is_read() -> None:
    text = "QUJD\r\nREVG\n"
    answer = read_answer(signed(segments=1, segment=1, transfer=data_transfer(order_data=text)), H005, BANK)
    assert answer.order_data == b"QUJDREVG"


def test_hev_is_read_and_an_error_of_it_too() -> None:
    found = read_hev(HEV)
    assert (found.code, found.versions) == ("000000", (("H004", "02.50"), ("H005", "03.00")))
    failed = read_hev(
        b'<ebicsHEVResponse xmlns="http://www.ebics.org/H000"><SystemReturnCode><ReturnCode>091011</ReturnCode>'
        b"</SystemReturnCode></ebicsHEVResponse>"
    )
    assert (failed.code, failed.versions) == ("091011", ())


def test_the_answer_to_keys_is_read_and_only_in_its_own_root() -> None:
    answer = read_key_answer(unsigned(root="ebicsKeyManagementResponse", phase=None, technical="091002"), H005)
    assert answer.technical == "091002"
    with pytest.raises(BadAnswer):
        read_key_answer(signed(), H005)


# ---- anything at all ----------------------------------------------------------------------------------------------------

SAMPLE = signed(segments=2, segment=1, order_id="A001", transfer=data_transfer(b"order data"))
PARTS = [
    "<",
    ">",
    "/",
    "header",
    "body",
    "ReturnCode",
    ' authenticate="true"',
    "000000",
    "<!DOCTYPE x>",
    "<?p?>",
    "&#0;",
    "\0",
    "é",
]


def believed(message: bytes) -> Answer | None:
    try:
        return read_answer(message, H005, BANK)
    except BadAnswer:
        return None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_the_one_named_error(data: bytes) -> None:
    assert believed(data) is None


@given(st.integers(0, len(SAMPLE)), st.integers(0, 60), st.sampled_from(PARTS))
def test_a_damaged_answer_says_what_was_signed_or_nothing(at: int, count: int, part: str) -> None:
    damaged = SAMPLE[:at] + part.encode() + SAMPLE[at + count :]
    found = believed(damaged)
    if found is not None:  # what is not authenticated may differ: the order data, which is not what decides
        whole = believed(SAMPLE)
        assert whole is not None
        assert (found.technical, found.business, found.transaction_id) == (whole.technical, whole.business, whole.transaction_id)
        assert (found.segment, found.segments, found.last, found.order_id) == (1, 2, False, "A001")


@given(st.integers(0, len(SAMPLE) - 1))
def test_an_answer_that_is_cut_anywhere_says_nothing(at: int) -> None:
    assert believed(SAMPLE[:at]) is None


@given(st.binary(max_size=200), st.integers(0, len(HEV)))
def test_hev_is_read_or_the_one_named_error_too(data: bytes, at: int) -> None:
    for message in (data, HEV[:at] + data + HEV[at:]):
        try:
            read_hev(message)
        except BadAnswer:
            continue
