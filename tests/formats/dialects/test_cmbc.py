"""CMBC: the sheet's example byte for byte, and what every reply proves."""

import io
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.banks.cmbc import BANK, PAYS
from formats.dialects.tables import PENDING, REJECTED, SETTLED
from formats.dialogue import Asked, Asking, BadBankSettings, HeldAccount, Outcome, Sought, StatusInquiry, Wrapping
from formats.errors import Unparsable, Unrenderable, refusing
from formats.exchange import Exchange
from formats.model import Account, CreditTransfer, Party, RemittanceInformation
from formats.report import TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, URGENT, message_of, transfer

TABLE = {"client_id": "2000000001", "user_id": "2000000001001"}
SERIAL = "GW260105000001"
PAYER = replace(TERMS, debtor_account=Account(other_id="600000001"), payment_type=URGENT)
WRAPPING = Wrapping(
    at=datetime(2026, 1, 5, 9, 30, 1, tzinfo=timezone(timedelta(hours=8))), fresh="2" * 20, secrets={"password": "******"}
)
ASKED = Asked(kind=Asking.PAYMENT, function="Xfer", account="600000001", serials=(SERIAL,))
ASKS = replace(ASKED, kind=Asking.STATUS, function="status")

# The sheet's own example, without the line breaks it is printed with.
EXAMPLE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<CMBC header="100" version="100" security="none" lang="chs" trnCode="Xfer"><requestHeader>'
    "<dtClient>2026-01-05 09:30:01</dtClient><clientId>2000000001</clientId><userId>2000000001001</userId>"
    "<userPswd>******</userPswd><language>chs</language><appId>nsbdes</appId><appVer>201</appVer></requestHeader><xDataBody><trnId>GW260105000001</trnId>"
    "<insId>GW260105000001</insId><acntNo>600000001</acntNo><acntName>甲公司</acntName><acntToNo>6200000000000000005</acntToNo>"
    "<acntToName>乙公司</acntToName><externBank>1</externBank><localFlag>3</localFlag><rcvCustType>1</rcvCustType>"
    "<bankCode>102100099996</bankCode><bankName>某银行某支行</bankName><amount>123.45</amount><explain>货款</explain></xDataBody></CMBC>"
)


def payment(**changes: object) -> CreditTransfer:
    agent = transfer().creditor_agent
    assert agent is not None
    base = transfer(
        creditor_agent=replace(agent, name="某银行某支行"), supplementary=(("cn.rail", "HVPS"),), serial_number=SERIAL
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def rendered(one: CreditTransfer, *, urgent: bool = True) -> str:
    out = io.BytesIO()
    BANK.render(message_of(PAYS, one, terms=replace(PAYER, payment_type=URGENT if urgent else None)), out)
    return out.getvalue().decode()


def reply(function: str, body: str, code: str = "0") -> bytes:
    header = f"<responseHeader><status><code>{code}</code><message>话</message></status></responseHeader>"
    root = f'<CMBC trnCode="{function}">{header}<xDataBody>{body}</xDataBody></CMBC>'
    return f'<?xml version="1.0" encoding="GBK"?>{root}'.encode("gbk")


def state(code: str, serial: str = SERIAL) -> str:
    return f"<insId>{serial}</insId><statusId><statusCode>{code}</statusCode></statusId>"


def statuses(content: bytes, asked: Asked | None) -> list[tuple[str | None, str | None]]:
    try:
        records = list(BANK.records(Exchange(reply=content, asked=asked)))
    except Unparsable:
        return []
    return [(one.serial_number, one.status) for one in records if isinstance(one, TransactionStatus)]


def test_the_example_of_the_sheet_is_rebuilt_byte_for_byte() -> None:
    content = rendered(payment())
    assert "Pswd" not in content
    request = BANK.configured(TABLE).wrap(content.encode(), ASKED, WRAPPING)
    assert request.body == EXAMPLE.encode()
    assert request.content_type == "application/x-NS-BDES"
    with pytest.raises(Unrenderable, match=r"cmbc\.password"):
        BANK.wrap(content.encode(), ASKED, replace(WRAPPING, secrets={}))


@pytest.mark.parametrize(
    ("rail", "urgent", "amount", "flag"),
    [
        *(
            ("", True, "1.00", "5"),
            ("", True, "1000000.01", "3"),
            ("", False, "1000000.00", "2"),
            ("", False, "1000000.01", "3"),
            ("BEPS", True, "1.00", "2"),
        ),
        *(("HVPS", False, "1.00", "3"), ("IBPS", False, "1.00", "5")),
    ],
)
def test_the_way_is_the_callers_else_by_urgency_and_amount(rail: str, urgent: bool, amount: str, flag: str) -> None:
    said = (("cn.rail", rail),) if rail else ()
    assert f"<localFlag>{flag}</localFlag>" in rendered(payment(supplementary=said, amount=Decimal(amount)), urgent=urgent)


def test_only_a_status_can_be_asked_with_the_banks_own_number_where_it_is_known() -> None:
    sought = Sought(serial=SERIAL, package=None, account=HeldAccount(number="1"), sent_on=DAY)
    content = BANK.inquire(StatusInquiry(sought=(sought,), on=DAY), "7" * 20).decode()
    assert f"<trnId>{'7' * 20}</trnId><insId>{SERIAL}</insId></xDataBody>" in content
    known = BANK.inquire(StatusInquiry(sought=(replace(sought, bank_reference="31"),), on=DAY), "7" * 20).decode()
    assert f"<insId>{SERIAL}</insId><svrId>31</svrId>" in known
    assert BANK.dialogue.asks == {Asking.STATUS}
    assert not BANK.dialogue.same_serial_is_safe


@pytest.mark.parametrize(("code", "status"), [("0", SETTLED), ("1", PENDING), ("2", PENDING), ("99", PENDING), ("00", PENDING)])
def test_only_status_code_0_is_paid_and_none_is_failed_by_itself(code: str, status: str) -> None:
    content = reply("qryXfer", state(code))
    heard = BANK.hear(Exchange(reply=content, asked=ASKS))
    assert (heard.outcome, heard.code, heard.found) == (Outcome.TAKEN, code, (SERIAL,))
    assert statuses(content, ASKS) == [(SERIAL, status)]


def test_codes_that_the_bank_confirmed_are_failures() -> None:
    bank = BANK.configured({**TABLE, "rejected_codes": ["8", "E1", "0"], "not_found_codes": ["E2"]})
    records = list(bank.records(Exchange(reply=reply("qryXfer", state("8")), asked=ASKS)))
    assert [one.status for one in records if isinstance(one, TransactionStatus)] == [REJECTED]
    assert bank.hear(Exchange(reply=reply("Xfer", "", "E1"), asked=ASKED)).outcome is Outcome.REFUSED
    assert bank.hear(Exchange(reply=reply("qryXfer", "", "E1"), asked=ASKS)).outcome is Outcome.UNKNOWN
    assert bank.hear(Exchange(reply=reply("qryXfer", "", "E2"), asked=ASKS)).missing == (SERIAL,)
    assert bank.hear(Exchange(reply=reply("Xfer", ""), asked=ASKED)).outcome is Outcome.TAKEN


UNPROVEN = {
    "empty": b"",
    "garbage": b"\xff\xfe\x00",
    "another bank's": b"<FOX><SIGNONMSGSRSV1/></FOX>",
    "cut": reply("Xfer", state("0"))[:-5],
    "network": reply("Xfer", "", "WEC02"),
    "query": reply("Xfer", "", "WEC32"),
    "a refusal": reply("Xfer", "", "WEC11"),
    "another payment's": reply("Xfer", state("0", "GW260105000002")),
    "a state of nobody's": reply("Xfer", "<statusCode>0</statusCode>"),
}


@pytest.mark.parametrize("content", UNPROVEN.values(), ids=UNPROVEN)
def test_what_proves_nothing_is_unknown(content: bytes) -> None:
    for asked in (ASKED, ASKS):
        heard = BANK.hear(Exchange(reply=content.replace(b"Xfer", b"qryXfer") if asked is ASKS else content, asked=asked))
        assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())
        assert statuses(content, asked) == []


def test_a_query_that_shows_no_state_says_neither_found_nor_missing() -> None:
    heard = BANK.hear(Exchange(reply=reply("qryXfer", f"<insId>{SERIAL}</insId>"), asked=ASKS))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())


@pytest.mark.parametrize(
    ("key", "value"), [("client_id", "a b"), ("user_id", ""), ("name_width", 0), ("beps_cap", -1), ("typo", 1)]
)
def test_settings_that_are_wrong_are_named_by_their_key(key: str, value: object) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured({**TABLE, key: value})
    assert [name for name, _ in raised.value.problems] == [key]


TEXTS = st.text(alphabet=st.sampled_from("甲乙公司aZ09 -/&<>|]。€é𠮷\n"), min_size=1, max_size=40)


@given(name=TEXTS, purpose=TEXTS, cents=st.integers(min_value=1, max_value=2 * 10**15))
def test_whatever_check_takes_is_within_its_widths_and_reads_back_the_same(name: str, purpose: str, cents: int) -> None:
    one = payment(
        creditor=Party(name=name),
        remittance_information=RemittanceInformation(unstructured=(purpose,)),
        amount=Decimal(cents).scaleb(-2),
    )
    if refusing(BANK.check(PAYER, one, DAY)):
        return
    values = {tag: unescape(value) for tag, value in re.findall(r"<(\w+)>([^<]*)</\1>", rendered(one))}
    assert (values["acntToName"], values["explain"], values["insId"]) == (name, purpose, SERIAL)
    assert int(values["amount"].replace(".", "")) == cents
    assert len(values["amount"].replace(".", "")) <= 15
    assert len(name.encode("gbk")) <= 60


def test_the_answer_to_a_payment_pays_nothing_whatever_its_status_code() -> None:
    """statusCode is told of qryXfer only; and payments over IBPS are always asynchronous."""
    assert statuses(reply("Xfer", state("0")), ASKED) == [(SERIAL, PENDING)]
    assert statuses(reply("Xfer", state("0")), None) == [(SERIAL, PENDING)]
    assert statuses(reply("", state("0")), ASKED) == [(SERIAL, PENDING)]
    assert statuses(reply("qryXfer", state("0")), ASKS) == [(SERIAL, SETTLED)]


def test_a_status_that_answers_a_payment_of_ours_is_another_answer() -> None:
    assert statuses(reply("qryXfer", state("0")), ASKED) == []
    assert statuses(reply("Xfer", state("0")), ASKS) == []
