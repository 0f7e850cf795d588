"""Bank of China: what leaves, byte for byte, and what each reply proves. Names and numbers are made up."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from formats.banks.boc import BANK
from formats.dialogue import Asking, BadBankSettings, BalanceInquiry, HeldAccount, Outcome, ReturnsInquiry
from formats.errors import Unparsable, Unrenderable, refusing
from formats.model import Account, PaymentType
from formats.report import Document, Entry, Statement
from tests.formats.dialects.payments import TERMS, transfer
from tests.formats.dialects.talk import (
    AT,
    DAY,
    FRESH,
    WRAPPING,
    asked,
    content_of,
    heard,
    records,
    statement_question,
    status_question,
    statuses,
    wrapped,
)

ACCOUNT = "700000000001"
OURS = replace(TERMS, debtor_account=Account(other_id=ACCOUNT))
SERIAL = "260105000001"
PAYMENT = transfer(serial_number=SERIAL, supplementary=())
PERSON = transfer(serial_number="260105000002", supplementary=(("cn.payee_type", "person"),))
SETTINGS = {
    "terminal_id": "E000000000001",
    "customer_id": "10000001",
    "operator_id": "10000002",
    "bank_numbers": {ACCOUNT: "40142"},
}
OK = "<status><rspcod>B001</rspcod><rspmsg>ok</rspmsg></status>"
EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<bocb2e version="120" security="true" locale="zh_CN"><head><termid>E000000000001</termid><trnid>260105000001</trnid>\
<custid>10000001</custid><cusopr>10000002</cusopr><trncod>b2e0009</trncod><token>TOKEN</token></head>
<trans><trn-b2e0009-rq><ceitinfo></ceitinfo><transtype></transtype><b2e0009-rq><insid>260105000001</insid><obssid></obssid>\
<fractn><fribkn>40142</fribkn><actacn>700000000001</actacn><actnam>甲公司</actnam></fractn>\
<toactn><toibkn>102100099996</toibkn><actacn>6200000000000000005</actacn><toname>乙公司</toname><toaddr></toaddr>\
<tobknm>某银行深圳某支行</tobknm></toactn>\
<trnamt>123.45</trnamt><trncur>CNY</trncur><priolv>0</priolv><furinfo>货款</furinfo><trfdate>20260105</trfdate><trftime></trftime>\
<comacn></comacn></b2e0009-rq></trn-b2e0009-rq></trans></bocb2e>
"""


def reply(function: str, body: str, charset: str = "UTF-8") -> bytes:
    text = (
        f'<?xml version="1.0" encoding="{charset}"?><bocb2e version="120"><head><trnid>1</trnid></head>'
        f"<trans><trn-{function}-rs>{body}</trn-{function}-rs></trans></bocb2e>"
    )
    return text.encode(charset)


def status(code: str, text: str = "") -> str:
    return f"<status><rspcod>{code}</rspcod><rspmsg>{text}</rspmsg></status>"


def item(function: str, code: str, serial: str = SERIAL, more: str = "") -> str:
    return f"<{function}-rs>{status(code)}<insid>{serial}</insid><obssid></obssid>{more}</{function}-rs>"


# -- out ---------------------------------------------------------------------------------------------------------------


def test_a_payment_leaves_as_the_known_example_is() -> None:
    assert wrapped(BANK, content_of(BANK, OURS, PAYMENT)).decode() == EXAMPLE


def test_what_is_stored_has_no_token_and_is_the_same_each_time() -> None:
    content = content_of(BANK, OURS, PAYMENT)
    assert b"<token></token>" in content
    assert content == content_of(BANK, OURS, PAYMENT)
    assert BANK.wrap(content, asked(Asking.PAYMENT), replace(WRAPPING, token="a<b")).body.count(b"<token>a&lt;b</token>") == 1


def test_the_sign_in_takes_the_password_at_its_exchange_only() -> None:
    content = BANK.sign_in(FRESH, AT)
    assert content is not None
    assert b"******" not in content
    body = wrapped(BANK, content, Asking.SIGN_IN).decode()
    assert (
        "<trn-b2e0001-rq><b2e0001-rq><custdt>20260105093001</custdt><oprpwd>******</oprpwd></b2e0001-rq></trn-b2e0001-rq>" in body
    )
    bare = BANK.configured({**SETTINGS, "sign_in_wrapped": False}).sign_in(FRESH, AT)
    assert bare is not None
    assert b"<trn-b2e0001-rq><custdt>" in bare


def test_a_payment_never_carries_the_password() -> None:
    assert b"******" not in wrapped(BANK, content_of(BANK, OURS, PAYMENT))


def test_persons_and_companies_do_not_share_a_request() -> None:
    for kind, taken, refused in (("company", PAYMENT, PERSON), ("person", PERSON, PAYMENT)):
        bank = BANK.configured({**SETTINGS, "batch": True, "batch_kind": kind})
        assert refusing(bank.check(OURS, taken, OURS.requested_execution_date)) == ()
        assert [one.rule for one in refusing(bank.check(OURS, refused, OURS.requested_execution_date))] == ["boc.batch-kind"]
        with pytest.raises(Unrenderable, match="batch-kind"):
            content_of(bank, OURS, PAYMENT, PERSON)
    assert content_of(bank, OURS, PERSON, replace(PERSON, serial_number="260105000003")).count(b"<b2e0061-rq>") == 2


def test_without_batches_a_request_holds_one_payment() -> None:
    with pytest.raises(Unrenderable, match=r"1 to 1 payments"):
        content_of(BANK, OURS, PAYMENT, replace(PAYMENT, serial_number="260105000003"))


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({}, {}, "<acttyp>119</acttyp><bocflag>0</bocflag><cuspriolv></cuspriolv></b2e0061-rq>"),
        ({}, {"person_account_type": "188", "person_priority": "1"}, "<acttyp>188</acttyp><bocflag>0</bocflag><cuspriolv>1<"),
        ({}, {"person_fields": "payee"}, "<cuspriolv></cuspriolv></toactn><trnamt>"),
        ({}, {"currency_code": "001"}, "<trncur>001</trncur>"),
        ({}, {"version": "100"}, '<bocb2e version="100" security="true" lang="chs">'),
        ({"amount": Decimal("100")}, {}, "<trnamt>100.00</trnamt>"),
    ],
)
def test_each_setting_changes_what_it_says(changes: dict[str, Any], settings: dict[str, str], said: str) -> None:
    bank = BANK.configured({**SETTINGS, **settings})
    assert said in content_of(bank, OURS, replace(PERSON, **changes)).decode()


def test_an_urgent_payment_says_so() -> None:
    urgent = replace(OURS, payment_type=PaymentType(service_level="URGP"))
    assert b"<priolv>1</priolv>" in content_of(BANK, urgent, PAYMENT)


def test_the_questions_are_asked_in_the_known_words() -> None:
    status_content = BANK.inquire(status_question(ACCOUNT, "1", "2"), FRESH).decode()
    assert "<trnid>260105345678</trnid>" in status_content
    assert (
        "<trn-b2e0007-rq><b2e0007-rq><insid>1</insid><obssid></obssid></b2e0007-rq>"
        "<b2e0007-rq><insid>2</insid><obssid></obssid></b2e0007-rq></trn-b2e0007-rq>" in status_content
    )
    balance = BANK.inquire(BalanceInquiry(account=HeldAccount(number=ACCOUNT)), FRESH).decode()
    assert "<b2e0005-rq><account><ibknum>40142</ibknum><actacn>700000000001</actacn></account></b2e0005-rq>" in balance
    statement = BANK.inquire(statement_question(ACCOUNT, "51"), FRESH).decode()
    assert (
        "<b2e0035-rq><ibknum>40142</ibknum><actacn>700000000001</actacn><type></type><datescope><from>20260105</from>"
        "<to>20260105</to></datescope><amountscope><from></from><to></to></amountscope><begnum>51</begnum><recnum>50</recnum>"
        "<direction></direction></b2e0035-rq>" in statement
    )
    with pytest.raises(ValueError, match="came back"):
        BANK.inquire(ReturnsInquiry(account=HeldAccount(number=ACCOUNT), since=DAY, until=DAY), FRESH)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"terminal_id": "000000000001"}, "terminal_id"),
        ({"encoding": "UTF-16"}, "encoding"),
        ({"terminal": "E000000000001"}, "terminal"),
        ({"directions": {"1": "DEBIT"}}, "directions.1"),
        ({"page_size": 0}, "page_size"),
    ],
)
def test_bad_settings_name_their_key(settings: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as caught:
        BANK.configured({**SETTINGS, **settings})
    assert [name for name, _ in caught.value.problems] == [key]


# -- replies to payments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["b2e0009", "b2e0061"])
@pytest.mark.parametrize(
    ("message", "of_item", "outcome"),
    [
        ("B001", "B001", Outcome.TAKEN),
        ("B001", "B054", Outcome.TAKEN),
        ("B001", "X777", Outcome.TAKEN),  # received as a message; what became of it is asked
        ("B002", "B001", Outcome.TAKEN),
        ("B054", "B054", Outcome.TAKEN),
        ("B059", "B059", Outcome.TAKEN),
        ("B266", "B266", Outcome.TAKEN),
        ("X777", "B001", Outcome.UNKNOWN),
        ("X777", "X777", Outcome.UNKNOWN),
        ("", "", Outcome.UNKNOWN),
        ("1033", "1033", Outcome.SIGN_IN),
        ("B107", "B107", Outcome.SIGN_IN),
        ("B001", "F001", Outcome.REFUSED),
        ("F001", "F001", Outcome.REFUSED),
    ],
)
def test_what_a_reply_to_a_payment_proves(function: str, message: str, of_item: str, outcome: Outcome) -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
    content = reply(function, status(message) + item(function, of_item))
    assert heard(bank, content, asked(Asking.PAYMENT, SERIAL)).outcome is outcome


def test_nothing_is_refused_by_a_code_that_nobody_listed() -> None:
    content = reply("b2e0009", status("F001") + item("b2e0009", "F001"))
    assert heard(BANK, content, asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN


def test_a_batch_is_refused_only_where_every_payment_is() -> None:
    bank = BANK.configured({**SETTINGS, "batch": True, "rejected_codes": ["F001"]})
    question = asked(Asking.PAYMENT, "1", "2")
    one = status("B001") + item("b2e0009", "F001", "1")
    assert heard(bank, reply("b2e0009", one), question).outcome is Outcome.TAKEN
    both = one + item("b2e0009", "F001", "2")
    assert heard(bank, reply("b2e0009", both), question).outcome is Outcome.REFUSED
    mixed = one + item("b2e0009", "B001", "2")
    assert heard(bank, reply("b2e0009", mixed), question).outcome is Outcome.TAKEN
    assert statuses(bank, reply("b2e0009", mixed), question) == [("1", "RJCT", "boc.F001"), ("2", "PDNG", "boc.B001")]


def test_a_reply_to_a_payment_never_says_that_it_was_paid() -> None:
    content = reply("b2e0009", OK + item("b2e0009", "B001"))
    assert statuses(BANK, content, asked(Asking.PAYMENT, SERIAL)) == [(SERIAL, "PDNG", "boc.B001")]


def test_a_reply_about_another_payment_proves_nothing_of_this_one() -> None:
    content = reply("b2e0009", OK + item("b2e0009", "B001", "999999999999"))
    assert heard(BANK, content, asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("code", "outcome"), [("E999", Outcome.UNKNOWN), ("F001", Outcome.REFUSED), ("B107", Outcome.SIGN_IN)])
def test_what_a_hard_error_proves(code: str, outcome: Outcome) -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
    assert heard(bank, reply("b2eerror", status(code)), asked(Asking.PAYMENT, SERIAL)).outcome is outcome


# -- replies to questions about payments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "word", "found"),
    [
        ("B001", "ACSC", True),
        ("B054", "PDNG", True),
        ("B059", "PDNG", True),
        ("B266", "PDNG", True),
        ("F001", "RJCT", True),
        ("X777", None, False),
        ("B002", None, False),
        ("", None, False),
    ],
)
def test_what_an_item_of_a_status_proves(code: str, word: str | None, found: bool) -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
    content, question = reply("b2e0007", OK + item("b2e0007", code)), asked(Asking.STATUS, SERIAL)
    told = heard(bank, content, question)
    assert (told.outcome, told.found, told.missing) == (Outcome.TAKEN, (SERIAL,) * found, ())
    assert statuses(bank, content, question) == ([(SERIAL, word, f"boc.{code}")] if word else [])


def test_an_unknown_code_beside_a_number_of_the_bank_is_pending_and_kept() -> None:
    content = reply("b2e0007", OK + item("b2e0007", "X777", more="<hostseqno>H1</hostseqno>"))
    assert statuses(BANK, content, asked(Asking.STATUS, SERIAL)) == [(SERIAL, "PDNG", "boc.X777")]


def test_an_unknown_code_without_one_is_kept_with_the_document() -> None:
    content = reply("b2e0007", OK + item("b2e0007", "X777"))
    (document,) = records(BANK, content, asked(Asking.STATUS, SERIAL))
    assert isinstance(document, Document)
    assert ("item[1]", f"{SERIAL} X777") in document.supplementary


@pytest.mark.parametrize("message", ["X777", "B054", ""])
def test_an_item_of_a_message_that_was_not_answered_settles_nothing(message: str) -> None:
    content, question = reply("b2e0007", status(message) + item("b2e0007", "B001")), asked(Asking.STATUS, SERIAL)
    assert heard(BANK, content, question).outcome is Outcome.UNKNOWN
    assert statuses(BANK, content, question) == [(SERIAL, "PDNG", "boc.B001")]


def test_two_items_of_one_payment_that_differ_prove_nothing() -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
    content = reply("b2e0007", OK + item("b2e0007", "B001") + item("b2e0007", "F001"))
    assert statuses(bank, content, asked(Asking.STATUS, SERIAL)) == [(SERIAL, "PDNG", "boc.B001")]


def test_what_a_whole_answer_leaves_out_is_missing_and_what_a_cut_one_does_is_not() -> None:
    question = asked(Asking.STATUS, SERIAL, "260105000002")
    assert heard(BANK, reply("b2e0007", OK + item("b2e0007", "B001")), question).missing == ("260105000002",)
    assert heard(BANK, reply("b2e0007", status("B002") + item("b2e0007", "B001")), question).missing == ()
    nameless = reply("b2e0007", OK + item("b2e0007", "B001") + item("b2e0007", "B001", ""))
    assert heard(BANK, nameless, question).missing == ()


def test_codes_that_mean_no_such_record_are_missing_and_never_a_status() -> None:
    bank = BANK.configured({**SETTINGS, "not_found_codes": ["N404"]})
    question = asked(Asking.STATUS, SERIAL)
    for content in (reply("b2e0007", OK + item("b2e0007", "N404")), reply("b2e0007", status("N404"))):
        told = heard(bank, content, question)
        assert (told.outcome, told.found, told.missing) == (Outcome.TAKEN, (), (SERIAL,))
        assert statuses(bank, content, question) == []


def test_a_token_comes_only_from_a_sign_in_that_succeeded() -> None:
    good = f"{OK}<b2e0001-rs><token>T1</token><serverdt>20260105093001</serverdt></b2e0001-rs>"
    assert BANK.token_of(reply("b2e0001", good)) == "T1"
    assert BANK.token_of(reply("b2e0001", f"{OK}<token>T2</token>")) == "T2"
    assert BANK.token_of(reply("b2e0001", good.replace("B001", "B999"))) is None
    assert BANK.token_of(reply("b2e0005", good)) is None
    assert BANK.token_of(reply("b2e0001", OK)) is None
    assert BANK.token_of(b"") is None


# -- accounts ----------------------------------------------------------------------------------------------------------


def row(amount: str = "1.00", direction: str = "", payer: str = ACCOUNT, payee: str = "2") -> str:
    return (
        f"<b2e0035-rs><fractn><actacn>{payer}</actacn></fractn><toactn><actacn>{payee}</actacn></toactn><txndate>20260105</txndate>"
        f"<trnamt>{amount}</trnamt><trncur>001</trncur><direction>{direction}</direction></b2e0035-rs>"
    )


@pytest.mark.parametrize(
    ("code", "total", "page", "rows", "following"),
    [
        ("B001", "5", None, 2, "3"),
        ("B001", "5", "3", 2, "5"),
        ("B001", "5", "5", 1, None),
        ("B001", "2", None, 2, None),
        ("B002", "", None, 2, "3"),
        ("B002", "2", None, 2, "3"),
        ("B001", "", None, 2, None),
        ("B001", "5", None, 0, None),
    ],
)
def test_the_pages_of_a_statement_follow_each_other_to_the_end(
    code: str, total: str, page: str | None, rows: int, following: str | None
) -> None:
    content = reply("b2e0035", f"{status(code)}<totalnum>{total}</totalnum><notenum>{rows}</notenum>{row() * rows}")
    told = heard(BANK, content, asked(Asking.STATEMENT, account=ACCOUNT, page=page))
    assert (told.outcome, told.next_page) == (Outcome.TAKEN, following)


def entries(content: bytes, settings: dict[str, object]) -> list[Entry]:
    found = records(BANK.configured({**SETTINGS, **settings}), content, asked(Asking.STATEMENT, account=ACCOUNT))
    return [one for one in found if isinstance(one, Entry)]


def test_the_side_of_a_line_is_what_the_operator_says_else_what_the_accounts_tell() -> None:
    content = reply("b2e0035", OK + row(direction="2") + row(payer="2", payee=ACCOUNT) + row(payer="3", payee="4"))
    assert [one.credit_debit for one in entries(content, {})] == ["DBIT", "CRDT", None]
    assert [one.credit_debit for one in entries(content, {"directions": {"2": "CRDT"}})] == ["CRDT", "CRDT", None]


def test_a_negative_line_is_a_reversal_of_its_amount() -> None:
    (line,) = entries(reply("b2e0035", OK + row("-1,234.50")), {})
    assert (line.amount, line.reversal) == ("1234.50", True)


def test_an_amount_that_is_none_is_told_and_not_guessed() -> None:
    with pytest.raises(Unparsable):
        entries(reply("b2e0035", OK + row("12.3.4")), {})


def test_a_balance_that_the_bank_did_not_give_is_no_answer() -> None:
    body = f"{OK}<b2e0005-rs>{status('X1')}<account><actacn>1</actacn></account><balance></balance></b2e0005-rs>"
    question = asked(Asking.BALANCE, account=ACCOUNT)
    assert heard(BANK, reply("b2e0005", body), question).outcome is Outcome.UNKNOWN
    good = body.replace("X1", "B001").replace("<balance></balance>", "<balance><bokbal>1.00</bokbal></balance>")
    assert heard(BANK, reply("b2e0005", good), question).outcome is Outcome.TAKEN
    (_, statement) = records(BANK, reply("b2e0005", good), question)
    assert isinstance(statement, Statement)
    assert [(one.type, one.amount) for one in statement.balances] == [("ITBD", "1.00")]


def test_each_code_of_the_tables_is_explained_in_both_languages() -> None:
    for code in ("B001", "B002", "B054", "B059", "B266", "1033", "B107"):
        words = BANK.explain(code)
        assert words is not None
        assert all(words)
    assert BANK.explain("X777") is None
