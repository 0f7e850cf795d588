"""The customer protocol: what it proves of an order, and what it does not."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Fate
from channels.ebics.errors import BadAnswer
from channels.ebics.protocol import order_ids_in_ptk, read_hac, verdict

SINCE = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def step(action: str, *, order="A001", partner="PARTNER1", kind="CCT", at="2026-11-25T12:30:00Z", reason="TS01") -> str:
    named = (("PartnerID", partner), ("UserID", "USER1"), ("OrderType", kind), ("OrderID", order), ("TimeStamp", at))
    others = "".join(f"<Othr><Id>{value}</Id><SchmeNm><Prtry>{name}</Prtry></SchmeNm></Othr>" for name, value in named if value)
    told = f"<Rsn><Cd>{reason}</Cd></Rsn>" if reason else ""
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{action}</OrgnlPmtInfId><StsRsnInf><Orgtr><Nm>x</Nm><Id><OrgId>{others}</OrgId></Id></Orgtr>"
        f"{told}<AddtlInf>a line</AddtlInf></StsRsnInf></OrgnlPmtInfAndSts>"
    )


def hac(*steps: str) -> bytes:
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt><GrpHdr><MsgId>1</MsgId></GrpHdr>'
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>EBICS</OrgnlMsgId></OrgnlGrpInfAndSts>{''.join(steps)}</CstmrPmtStsRpt></Document>"
    ).encode()


def fate(*steps: str) -> Fate:
    found = verdict(read_hac(hac(*steps)), order_id="A001", partner_id="PARTNER1", order_types=frozenset({"CCT"}), since=SINCE)
    return found.fate


def test_a_step_is_read_with_all_that_names_it() -> None:
    (found,) = read_hac(hac(step("FILE_UPLOAD")))
    assert (found.action, found.order_id, found.order_type, found.reason) == ("FILE_UPLOAD", "A001", "CCT", "TS01")
    assert (found.partner_id, found.user_id, found.at) == ("PARTNER1", "USER1", "2026-11-25T12:30:00Z")
    assert found.additional == ("a line",)


def test_an_upload_that_may_still_be_refused_counts_as_an_order_that_the_bank_has() -> None:
    assert fate(step("FILE_UPLOAD")) is Fate.UNKNOWN
    assert fate(step("FILE_UPLOAD"), step("ES_VERIFICATION", reason="DS0H")) is Fate.UNKNOWN
    assert fate(step("FILE_UPLOAD"), step("ES_VERIFICATION", reason="DS01")) is Fate.ARRIVED
    assert fate(step("FILE_UPLOAD"), step("VEU_FORWARDING", reason="DS06")) is Fate.ARRIVED


def test_a_final_step_proves_the_order() -> None:
    assert fate(step("ORDER_HAC_FINAL_POS", reason="")) is Fate.ARRIVED
    assert fate(step("FILE_UPLOAD"), step("ES_VERIFICATION"), step("ORDER_HAC_FINAL_POS", reason="")) is Fate.ARRIVED


def test_a_negative_end_proves_that_nothing_is_left_to_execute() -> None:
    assert fate(step("FILE_UPLOAD"), step("ORDER_HAC_FINAL_NEG", reason="")) is Fate.DID_NOT_ARRIVE


def test_silence_a_failed_upload_and_other_steps_prove_nothing() -> None:
    assert fate() is Fate.UNKNOWN
    assert fate(step("FILE_UPLOAD", reason="TA01")) is Fate.UNKNOWN
    assert fate(step("ES_VERIFICATION")) is Fate.UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"order": "A002"},
        {"partner": "PARTNER2"},
        {"kind": "CDD"},
        {"at": "2026-11-25T11:59:59Z"},
        {"at": "2026-05-25T12:30:00Z"},
        {"at": "yesterday"},
        {"at": ""},
    ],
)
def test_the_same_number_of_another_order_proves_nothing(change) -> None:
    """Four characters come again: after a while, for another customer, for another order type."""
    assert fate(step("ORDER_HAC_FINAL_POS", **change)) is Fate.UNKNOWN
    assert fate(step("ORDER_HAC_FINAL_NEG", **change)) is Fate.UNKNOWN


def test_a_time_with_an_offset_is_compared_as_a_moment() -> None:
    assert fate(step("ES_VERIFICATION", reason="DS01", at="2026-11-25T13:00:01+01:00")) is Fate.ARRIVED
    assert fate(step("ES_VERIFICATION", reason="DS01", at="2026-11-25T12:59:59+01:00")) is Fate.UNKNOWN


def test_what_is_no_customer_protocol_is_refused() -> None:
    for data in (b"", b"<Document/>", b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"/>', b"<!DOCTYPE a><a/>"):
        with pytest.raises(BadAnswer):
            read_hac(data)


@given(st.binary(max_size=60), st.floats(0, 1))
def test_a_damaged_protocol_is_read_or_the_one_named_error(part: bytes, where: float) -> None:
    whole = hac(step("FILE_UPLOAD"))
    at = int(where * len(whole))
    try:
        read_hac(whole[:at] + part + whole[at:])
    except BadAnswer:
        return


def test_numbers_of_orders_are_found_in_the_text_protocol_as_hints() -> None:
    text = "Dateisendung CCT  Auftragsnummer: N0AB\r\nÜbertragung beendet, XN0ABX N0AC".encode("latin-1")
    assert {"N0AB", "N0AC"} <= order_ids_in_ptk(text)
    assert "XN0A" not in order_ids_in_ptk(text)
