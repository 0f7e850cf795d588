"""CMB 云直联: requests as the notes show them, and what can be told of what they leave open."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.banks.cmb_cloud import BANK, BATCH, SINGLE
from formats.dialogue import (
    BadBankSettings,
    BalanceInquiry,
    DialogueBank,
    Inquiry,
    ReturnsInquiry,
    Sought,
    StatementInquiry,
    StatusInquiry,
)
from formats.errors import Unrenderable, refusing
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentType,
    RemittanceInformation,
)
from tests.formats.dialects.cmb_cloud_samples import (
    ACCOUNT,
    DAY,
    OTHER,
    PACKAGE,
    PAYING,
    SERIAL,
    TERMS,
    TRANSFER,
    WRAPPING,
    content_of,
    item_of,
)

# ---- out --------------------------------------------------------------------------------------------------------------


def test_the_notes_example_is_rebuilt_byte_for_byte() -> None:
    assert BANK.to_seal(content_of(TRANSFER), PAYING, WRAPPING).decode() == (
        '{"request":{"body":{"bb1paybmx1":[{"busCod":"N02030","busMod":"00001"}],"bb1payopx1":[{"bnkFlg":"N","brdNbr":'
        '"102100099996","ccyNbr":"10","crtAcc":"6200000000000000005","crtNam":"乙公司","dbtAcc":"755900000000001","nusAge":"货款",'
        '"stlChn":"Q","trsAmt":"123.45","yurRef":"GW20260105000000001"}]},"head":{"funcode":"BB1PAYOP","reqid":'
        '"2026010509300112312345","userid":"N123456789"}},"signature":{"sigdat":"__signature_sigdat__","sigtim":"20260105093001"}}'
    )


def test_the_form_has_the_four_fields_and_nothing_leaves_unsealed() -> None:
    content = content_of(TRANSFER)
    request = BANK.wrap(content, PAYING, replace(WRAPPING, sealed=b"R0wyTw=="))
    assert request.fields == (("UID", "N123456789"), ("FUNCODE", "BB1PAYOP"), ("ALG", "SM"), ("DATA", "R0wyTw=="))
    assert (request.body, request.charset) == (b"", "utf-8")
    partner = BANK.configured({"platform": "SAAS01"}).wrap(content, PAYING, replace(WRAPPING, sealed=b"x"))
    assert partner.fields[-1] == ("INSPLAT", "SAAS01")
    with pytest.raises(ValueError, match="sealed requests only"):
        BANK.wrap(content, PAYING, WRAPPING)


def test_what_is_stored_has_neither_hour_nor_number_of_the_request() -> None:
    content = content_of(TRANSFER)
    later = replace(WRAPPING, at=WRAPPING.at + timedelta(days=3), fresh="26010809300199999999")
    one, other = (json.loads(BANK.to_seal(content, PAYING, wrapping)) for wrapping in (WRAPPING, later))
    assert one["request"]["body"] == other["request"]["body"]
    assert one["request"]["head"]["reqid"] != other["request"]["head"]["reqid"]
    assert len(other["request"]["head"]["reqid"]) == 17 + 5


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {"bnkFlg": "N", "brdNbr": "102100099996", "stlChn": "Q"}),
        ({"creditor_agent": Agent(clearing_system_member_id="308290003020")}, {"bnkFlg": "Y"}),
        ({"supplementary": (("cn.rail", "IBPS"),)}, {"stlChn": "R"}),
        ({"supplementary": (("cn.rail", "BEPS"),)}, {"stlChn": "G"}),
        ({"supplementary": (("cn.rail", "HVPS"),)}, {"stlChn": "Q"}),
        (
            {"supplementary": (("cn.remark", "第2期"), ("cn.city", "深圳市"), ("cn.province", "广东省"))},
            {"crtAdr": "广东省深圳市"},
        ),
        ({"supplementary": (("cn.remark", "第2期"),)}, {"busNar": "第2期"}),
        ({"amount": Decimal("0.5")}, {"trsAmt": "0.50"}),
        ({"amount": Decimal(100)}, {"trsAmt": "100.00"}),
        ({"creditor": Party(name='<乙> & "子"\\')}, {"crtNam": '<乙> & "子"\\'}),
    ],
)
def test_a_fact_of_the_payment_stands_in_its_field(changes: dict[str, Any], fields: dict[str, str]) -> None:
    found = item_of(replace(TRANSFER, **changes))
    assert {name: found.get(name) for name in fields} == fields


def test_urgent_payments_go_fast_whatever_the_usual_channel_is() -> None:
    bank = BANK.configured({"usual_channel": "G"})
    urgent = replace(TERMS, payment_type=PaymentType(service_level="URGP"))
    assert item_of(TRANSFER, bank)["stlChn"] == "G"
    assert item_of(TRANSFER, bank, terms=urgent)["stlChn"] == "Q"


def test_a_later_day_is_told_and_today_is_not() -> None:
    assert "eptDat" not in item_of(TRANSFER)
    assert item_of(TRANSFER, terms=replace(TERMS, requested_execution_date=date(2026, 1, 9)))["eptDat"] == "20260109"


def test_a_batch_names_itself_and_each_of_its_payments() -> None:
    bank = BANK.configured({"batch": True})
    assert bank.capabilities.transfers_max == 1000
    assert bank.dialogue.package is not None
    second = replace(TRANSFER, amount=Decimal("1.00"), serial_number=OTHER)
    found = json.loads(content_of(TRANSFER, second, bank=bank, name=BATCH))
    assert found["funcode"] == "BB1PAYBH"
    (head,) = found["body"]["bb1bmdbhx1"]
    assert head == {"bthNbr": PACKAGE, "busCod": "N02030", "busMod": "00001", "ctnFlg": "N", "dtlNbr": "2"}
    assert [one["yurRef"] for one in found["body"]["bb1paybhx1"]] == ["GW20260105000000001", OTHER]


def test_more_payments_than_one_request_carries_are_not_written() -> None:
    assert BANK.capabilities.transfers_max == 1
    for name, transfers in ((SINGLE, (TRANSFER, TRANSFER)), (SINGLE, ()), (BATCH, (TRANSFER,)), ("pain.001.001.09", (TRANSFER,))):
        with pytest.raises(Unrenderable):
            content_of(*transfers, name=name)
    with pytest.raises(Unrenderable):
        content_of(*([TRANSFER] * 1001), bank=BANK.configured({"batch": True}), name=BATCH)


SOUGHT = Sought(serial=SERIAL, package=None, account=ACCOUNT, sent_on=DAY)


@pytest.mark.parametrize(
    ("inquiry", "function", "body"),
    [
        (StatusInquiry(sought=(SOUGHT,), on=DAY), "BB1PAYQR", {"bb1payqrx1": [{"busCod": "N02030", "yurRef": SERIAL}]}),
        (
            StatusInquiry(sought=(replace(SOUGHT, package=PACKAGE),), on=DAY),
            "BB1QRYBD",
            {"bb1qrybdx1": [{"bthNbr": PACKAGE}]},
        ),
        (
            ReturnsInquiry(account=ACCOUNT, since=date(2025, 12, 31), until=DAY),
            "BB1PAYQB",
            {"bb1payqbx1": [{"busCod": "N02030", "begDat": "20251231", "endDat": "20260105"}]},
        ),
        (BalanceInquiry(account=ACCOUNT), "NTQADINF", {"ntqadinfx": [{"accnbr": ACCOUNT.number, "bbknbr": "75"}]}),
        (
            StatementInquiry(account=ACCOUNT, since=DAY, until=DAY),
            "DCTRSINF",
            {"accnbr": ACCOUNT.number, "bbknbr": "75", "trsdat": "20260105", "trsseq": "0"},
        ),
        (
            StatementInquiry(account=ACCOUNT, since=DAY, until=DAY, page="31"),
            "DCTRSINF",
            {"accnbr": ACCOUNT.number, "bbknbr": "75", "trsdat": "20260105", "trsseq": "31"},
        ),
    ],
)
def test_questions_are_the_ones_of_the_notes(inquiry: Inquiry, function: str, body: dict[str, Any]) -> None:
    assert json.loads(BANK.inquire(inquiry, WRAPPING.fresh)) == {"funcode": function, "body": body}


def test_what_the_notes_leave_open_can_be_told() -> None:
    bank = BANK.configured(
        {
            "statement_block": "dctrsinfx1",
            "first_sequence": "1",
            "branches": {ACCOUNT.number: "21"},
            "returns_block": "bb1payqby9",
            "returns_since": "fromDat",
            "returns_until": "toDat",
        }
    )
    first = {"accnbr": ACCOUNT.number, "bbknbr": "21", "trsdat": "20260105", "trsseq": "1"}
    statement = StatementInquiry(account=ACCOUNT, since=DAY, until=DAY)
    assert json.loads(bank.inquire(statement, ""))["body"] == {"dctrsinfx1": [first]}
    returns = json.loads(bank.inquire(ReturnsInquiry(account=ACCOUNT, since=DAY, until=DAY), ""))["body"]
    assert returns == {"bb1payqby9": [{"busCod": "N02030", "fromDat": "20260105", "toDat": "20260105"}]}


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"uid": "N1234567890123456"}, "uid"),
        ({"business_code": "2030"}, "business_code"),
        ({"usual_channel": "X"}, "usual_channel"),
        ({"branches": {"1": "7"}}, "branches.1"),
        ({"returns_block": '"}'}, "returns_block"),
        ({"passwort": "x"}, "passwort"),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(table: dict[str, Any], key: str) -> None:
    with pytest.raises(BadBankSettings) as refused:
        BANK.configured(table)
    assert [name for name, _ in refused.value.problems] == [key]


def test_every_setting_is_described_in_both_languages() -> None:
    for name, field in type(BANK.settings).model_fields.items():
        english, _, chinese = (field.description or "").partition(" | ")
        assert english, name
        assert not any("一" <= character <= "鿿" for character in english), name
        assert any("一" <= character <= "鿿" for character in chinese), name
    assert isinstance(BANK, DialogueBank)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(
    amount=st.decimals(min_value="0.01", max_value="9999999999999", places=2),
    name=TEXTS,
    purpose=TEXTS,
    remark=TEXTS,
    account=st.text("0123456789", min_size=1, max_size=35),
)
def test_what_check_takes_is_read_back_as_it_was_asked(
    amount: Decimal, name: str, purpose: str, remark: str, account: str
) -> None:
    transfer = replace(
        TRANSFER,
        amount=amount,
        creditor=Party(name=name),
        creditor_account=Account(other_id=account),
        remittance_information=RemittanceInformation(unstructured=(purpose, remark)),
    )
    if refusing(BANK.check(TERMS, transfer, DAY, SINGLE)):
        return
    said = json.loads(BANK.to_seal(content_of(transfer), PAYING, WRAPPING))["request"]["body"]["bb1payopx1"][0]
    assert (said["crtAcc"], said["crtNam"], said["nusAge"], said["busNar"]) == (account, name, purpose, remark)
    assert (said["dbtAcc"], said["yurRef"]) == (ACCOUNT.number, TRANSFER.serial_number)
    assert Decimal(said["trsAmt"]) == amount
    assert len(said["trsAmt"].partition(".")[2]) == 2
    assert all(len(said[field].encode("gb18030")) <= most for field, most in (("crtNam", 62), ("nusAge", 62), ("busNar", 200)))


@pytest.mark.parametrize("value", [None, 5, "x", b"x", (None,), (("a",),), ((1, 2, 3),), frozenset()])
@pytest.mark.parametrize("name", sorted(CreditTransfer.__dataclass_fields__))
def test_check_tells_what_is_of_no_type_and_never_raises(name: str, value: object) -> None:
    broken = replace(TRANSFER)
    object.__setattr__(broken, name, value)
    assert isinstance(BANK.check(TERMS, broken, DAY, SINGLE), tuple)
