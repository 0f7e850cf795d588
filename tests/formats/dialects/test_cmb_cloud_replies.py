"""CMB 云直联: what replies prove, every code of the notes, and what must never be believed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.banks.cmb_cloud import BANK
from formats.codes import verdict
from formats.dialogue import (
    Asked,
    Asking,
    Outcome,
)
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.report import Document, PaymentReturn, Verdict
from tests.formats.dialects.cmb_cloud_samples import (
    ACCOUNT,
    ASKING,
    DAY,
    OTHER,
    PACKAGE,
    PAYING,
    SERIAL,
    exchange,
    reply,
    row,
    statuses_of,
)

# ---- statuses ---------------------------------------------------------------------------------------------------------

CODES: list[tuple[str, str, str, Verdict]] = [
    *(("FIN", "S", "FIN.S", Verdict.SETTLED), ("FIN", "B", "FIN.B", Verdict.SETTLED)),
    *(("FIN", flag, f"FIN.{flag}", Verdict.REJECTED) for flag in "FRDC"),
    *(("FIN", "U", "FIN.U", Verdict.PENDING), ("FIN", "", "FIN", Verdict.PENDING), ("FIN", "X", "FIN.X", Verdict.PENDING)),
    *(
        (status, flag, status, Verdict.PENDING)
        for status in ("AUT", "NTE", "BNK", "OPR", "APW", "WRF")
        for flag in ("", "S", "F")
    ),
    ("ZZZ", "F", "ZZZ", Verdict.PENDING),
]


@pytest.mark.parametrize(("status", "flag", "code", "meaning"), CODES)
def test_a_status_means_what_the_notes_say_and_nothing_else_is_final(status: str, flag: str, code: str, meaning: Verdict) -> None:
    opened = reply("BB1PAYQR", row(status, flag, rtnNar="原因", trsAmt="123.45"))
    (found,) = statuses_of(opened)
    assert found.status is not None
    assert verdict(found.status) is meaning
    assert (found.reasons[0].code, found.reasons[0].text) == (f"cmb_cloud.{code}", "原因")
    assert (found.serial_number, found.account_servicer_reference, found.amount) == (SERIAL, "0028912345", "123.45")
    heard = BANK.hear(exchange(opened))
    assert (heard.outcome, heard.code, heard.found, heard.missing) == (Outcome.TAKEN, code, (SERIAL,), ())
    returns = [one for one in BANK.records(exchange(opened)) if isinstance(one, PaymentReturn)]
    assert [(one.serial_number, one.amount) for one in returns] == ([(SERIAL, "123.45")] if flag == "B" else [])


def test_every_code_of_the_tables_is_explained_in_both_languages() -> None:
    for status, flag, code, _ in CODES:
        if code not in {"FIN", "FIN.X", "ZZZ"}:
            explained = BANK.explain(code)
            assert explained is not None, (status, flag)
            assert all(explained)
    assert BANK.explain("SUC0000") is not None
    assert BANK.explain("CDCServer") is not None
    assert BANK.explain("ZZZ") is None


def test_an_empty_answer_is_missing_and_no_failure() -> None:
    opened = reply("BB1PAYQR")
    heard = BANK.hear(exchange(opened))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.TAKEN, (), (SERIAL,))
    assert statuses_of(opened) == []


def test_the_payment_of_another_proves_nothing_about_ours() -> None:
    opened = reply("BB1PAYQR", row("FIN", "F", yurRef=OTHER))
    heard = BANK.hear(exchange(opened))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())
    assert statuses_of(opened) == []


def test_in_a_batch_what_a_later_page_may_show_is_not_missing() -> None:
    asked = replace(ASKING, function="BB1QRYBD", serials=(SERIAL, OTHER), package=PACKAGE)
    for key, missing in (("", (OTHER,)), ("K2", ())):
        opened = reply("BB1QRYBD", row("FIN", "S"), y1=[{"ctnKey": key}])
        heard = BANK.hear(exchange(opened, asked))
        assert (heard.outcome, heard.found, heard.missing) == (Outcome.TAKEN, (SERIAL,), missing)


# ---- what a reply to a payment proves -----------------------------------------------------------------------------------

SETTLED_ITEM = {"reqNbr": "0028912345", "reqSts": "FIN", "rtnFlg": "S", "errCod": "SUC0000"}


@pytest.mark.parametrize(
    ("opened", "outcome", "status"),
    [
        (reply("BB1PAYOP", {"reqNbr": "0028912345", "reqSts": "BNK", "errCod": "SUC0000"}), Outcome.TAKEN, "PDNG"),
        (reply("BB1PAYOP", {"reqNbr": "", "reqSts": "AUT", "rtnFlg": ""}), Outcome.TAKEN, "PDNG"),
        (reply("BB1PAYOP", {"reqNbr": "0028912345", "reqSts": "", "errCod": ""}), Outcome.TAKEN, None),
        (reply("BB1PAYOP", SETTLED_ITEM), Outcome.TAKEN, "ACSC"),
        (reply("BB1PAYOP", {"reqNbr": "1", "reqSts": "FIN", "rtnFlg": "F"}), Outcome.TAKEN, "RJCT"),
        (reply("BB1PAYOP", {"reqNbr": "", "reqSts": "", "errCod": "CSAC054", "errTxt": "户名不符"}), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP"), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP", SETTLED_ITEM, SETTLED_ITEM), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP", {**SETTLED_ITEM, "yurRef": OTHER}), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP", {"reqNbr": "1", "reqSts": "BNK"}, code="CDC1003"), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP", code="CDC1003"), Outcome.UNKNOWN, None),
        (reply("BB1PAYOP", code=""), Outcome.UNKNOWN, None),
        (reply("BB1PAYQR", row("FIN", "S")), Outcome.UNKNOWN, None),
        (reply("NTQADINF", {"onlblv": "1.00"}), Outcome.UNKNOWN, None),
    ],
)
def test_only_what_shows_the_payment_proves_that_the_bank_has_it(opened: bytes, outcome: Outcome, status: str | None) -> None:
    assert BANK.hear(exchange(opened, PAYING)).outcome is outcome
    assert [one.status for one in statuses_of(opened, PAYING)] == ([status] if status else [])


@pytest.mark.parametrize(
    "opened",
    [
        reply("BB1PAYOP", code="CDC1003"),
        reply("BB1PAYOP", {"reqNbr": "", "reqSts": "", "errCod": "CDC1003", "errTxt": "重复"}),
    ],
)
def test_a_refusal_is_one_only_where_the_bank_confirmed_its_code(opened: bytes) -> None:
    assert BANK.hear(exchange(opened, PAYING)).outcome is Outcome.UNKNOWN
    confirmed = BANK.configured({"rejected_codes": ["CDC1003"]})
    heard = confirmed.hear(exchange(opened, PAYING))
    assert (heard.outcome, heard.code) == (Outcome.REFUSED, "CDC1003")
    assert confirmed.hear(exchange(reply("BB1PAYQR", code="CDC1003"))).outcome is Outcome.UNKNOWN


def test_a_confirmed_code_refuses_nothing_that_the_bank_shows_to_have() -> None:
    opened = reply("BB1PAYOP", {"reqNbr": "0028912345", "reqSts": "BNK", "errCod": "CDC1003"})
    assert BANK.configured({"rejected_codes": ["CDC1003"]}).hear(exchange(opened, PAYING)).outcome is Outcome.TAKEN


def test_a_batch_is_taken_where_its_number_comes_back() -> None:
    asked = replace(PAYING, function="BB1PAYBH", serials=(SERIAL, OTHER), package=PACKAGE)
    for number, outcome in ((PACKAGE, Outcome.TAKEN), ("20260105000000000008", Outcome.UNKNOWN)):
        assert BANK.hear(exchange(reply("BB1PAYBH", {"bthNbr": number}), asked)).outcome is outcome


CLEAR = b"CDCServer: request refused ErrMsg: IP 203.0.113.9 is not registered"


@pytest.mark.parametrize("asked", [PAYING, ASKING])
def test_a_refusal_in_clear_proves_nothing_unless_the_bank_said_so_to_the_operator(asked: Asked) -> None:
    assert BANK.to_open(CLEAR) is None
    kept = Exchange(reply=CLEAR, asked=asked)
    heard = BANK.hear(kept)
    assert (heard.outcome, heard.code) == (Outcome.UNKNOWN, "CDCServer")
    assert heard.text == "IP 203.0.113.9 is not registered"
    told = BANK.configured({"clear_refusal_takes_nothing": True})
    assert told.hear(kept).outcome is Outcome.NOT_TAKEN
    assert [type(one) for one in BANK.records(kept)] == [Document]


def test_a_reply_that_nobody_verified_is_never_believed() -> None:
    text = reply("BB1PAYQR", row("FIN", "S"))
    assert BANK.to_open(text) == text, "it goes to the seal, which refuses it"
    unverified = Exchange(reply=text, asked=ASKING)
    assert BANK.hear(unverified).outcome is Outcome.UNKNOWN
    with pytest.raises(Unparsable, match="nobody has verified"):
        list(BANK.records(unverified))
    inside = exchange(reply("BB1PAYOP", {"reqNbr": "1", "reqSts": "BNK", "errTxt": "CDCServer: ErrMsg: no"}), PAYING)
    assert BANK.hear(inside).outcome is Outcome.TAKEN, "what the text says is no door"


@pytest.mark.parametrize("asked", [PAYING, ASKING])
@pytest.mark.parametrize(
    "opened",
    [
        b"",
        b"\xff\xfe",
        b"busy",
        b"[]",
        b"{}",
        b'{"resultcode":1}',
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        reply("BB1PAYQR", row("FIN", "S"))[:-20],
        reply("BB1PAYQR", row("FIN", "S")).replace(b'"rtnFlg": "S"', b'"rtnFlg": "F", "rtnFlg": "S"'),
        reply("BB1PAYQR", row("FIN", "S"), z2=[{"resultcode": "SUC0000"}]),
        b'<?xml version="1.0"?><CMBSDKPGK><INFO><RETCOD>0</RETCOD></INFO></CMBSDKPGK>',
    ],
)
def test_what_cannot_be_read_proves_nothing(opened: bytes, asked: Asked) -> None:
    heard = BANK.hear(exchange(opened, asked))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())


@given(st.binary(max_size=200))
def test_whatever_comes_is_heard(opened: bytes) -> None:
    for kept in (exchange(opened, PAYING), Exchange(reply=opened, asked=PAYING), Exchange(reply=opened)):
        assert BANK.hear(kept).outcome in {Outcome.UNKNOWN, Outcome.NOT_TAKEN}


# ---- balances, statements, returns --------------------------------------------------------------------------------------


def test_a_balance_of_another_account_is_not_ours() -> None:
    asked = Asked(kind=Asking.BALANCE, function="NTQADINF", account=ACCOUNT.number)
    for number, outcome in ((ACCOUNT.number, Outcome.TAKEN), ("755900000000002", Outcome.UNKNOWN)):
        opened = reply("NTQADINF", {"accnbr": number, "onlblv": "-1.00", "avlblv": 0.1})
        assert BANK.hear(exchange(opened, asked)).outcome is outcome
        statements = list(BANK.records(exchange(opened, asked)))[1:]
        assert len(statements) == (outcome is Outcome.TAKEN)
    broken = reply("NTQADINF", {"accnbr": ACCOUNT.number, "onlblv": "1e3"})
    assert BANK.hear(exchange(broken, asked)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("control", "page", "outcome", "following"),
    [
        ([{"cotflg": "N", "trsseq": "7"}], None, Outcome.TAKEN, None),
        ([{"cotflg": "Y", "trsseq": "7"}], None, Outcome.TAKEN, "7"),
        ([{"cotflg": "Y", "trsseq": 7}], "3", Outcome.TAKEN, "7"),
        ([{"cotflg": "Y", "trsseq": "7"}], "7", Outcome.UNKNOWN, None),
        ([{"cotflg": "Y"}], None, Outcome.UNKNOWN, None),
        ([{"cotflg": "N"}, {"cotflg": "Y"}], None, Outcome.UNKNOWN, None),
        ([], None, Outcome.TAKEN, None),
    ],
)
def test_a_statement_goes_on_from_where_the_bank_says_and_never_in_a_circle(
    control: list[Any], page: str | None, outcome: Outcome, following: str | None
) -> None:
    asked = Asked(kind=Asking.STATEMENT, function="DCTRSINF", account=ACCOUNT.number, since=DAY, until=DAY, page=page)
    heard = BANK.hear(exchange(reply("DCTRSINF", ntrbptrsz1=control), asked))
    assert (heard.outcome, heard.next_page) == (outcome, following)


def test_a_list_of_returns_tells_only_those_that_came_back() -> None:
    asked = Asked(kind=Asking.RETURNS, function="BB1PAYQB", account=ACCOUNT.number, since=DAY, until=DAY)
    opened = reply("BB1PAYQB", row("FIN", "B", rtnNar="销户"), row("FIN", "S", yurRef=OTHER), row("", "", yurRef="X"))
    records = list(BANK.records(exchange(opened, asked)))
    assert [one.serial_number for one in records[1:] if isinstance(one, PaymentReturn)] == [SERIAL]
    assert len(records) == 2
    assert BANK.hear(exchange(opened, asked)).found == (SERIAL,)
