"""Bank codes, cards, payment systems, the branch directory: the domestic facts of China."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.bank import bank_named
from formats.codes import explain, meanings
from formats.dialects.cnaps import check_digit, has_shape, is_consistent, passes_luhn
from formats.dialects.directory import read_directory
from formats.dialects.facts import facts_of
from formats.dialects.rails import Limits, Rail, over_cap, rail_of
from formats.errors import Unparsable
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
)
from formats.pain001_versions import VERSIONS
from formats.rules import RuleSet
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_codes import caps
from formats.rules.rule import Setting

DAY = date(2026, 11, 26)
ICBC = {"group_cis": "990000000000001", "certificate_id": "demo.y.9900"}
TERMS = PaymentTerms(
    debtor=Party(name="甲公司"),
    debtor_account=Account(other_id="755900000000001"),
    debtor_agent=Agent(clearing_system_member_id="308584000013"),
    requested_execution_date=DAY,
)
TRANSFER = CreditTransfer(
    instruction_id="I1",
    end_to_end_id="E1",
    amount=Decimal("123.45"),
    currency="CNY",
    creditor=Party(name="乙公司"),
    creditor_account=Account(other_id="6200000000000000005"),
    creditor_agent=Agent(clearing_system_member_id="102100099996", name="某银行某支行"),
    remittance_information=RemittanceInformation(unstructured=("货款",)),
)
SETTING = Setting(DAY, VERSIONS["pain.001.001.09"], 365, None)


def broken(transfer: CreditTransfer, *packs: object) -> dict[str, str]:
    """Rule → field of what is broken."""
    found = RuleSet(packs or (DOMESTIC,)).check(TERMS, transfer, SETTING)  # type: ignore[arg-type]
    return {violation.rule: violation.field for violation in found}


# Head offices' numbers as they are published everywhere.
KNOWN = (
    *("102100099996", "308584000013", "103100000026", "104100000004", "105100000017", "402584009991", "313141052422"),
    *("403100000004", "314305506621"),
)


@pytest.mark.parametrize("code", KNOWN)
def test_the_check_digit_of_a_known_bank_code_is_right(code: str) -> None:
    assert is_consistent(code)


@given(st.from_regex(r"[0-9]{11}", fullmatch=True), st.integers(0, 10), st.integers(1, 9))
def test_every_single_wrong_digit_of_a_bank_code_is_noticed(first: str, place: int, by: int) -> None:
    code = first + check_digit(first)
    wrong = code[:place] + str((int(code[place]) + by) % 10) + code[place + 1 :]
    assert is_consistent(code)
    assert not is_consistent(wrong)


@pytest.mark.parametrize("code", ["", "12345678901", "1234567890123", "10210009999a", "１０２１０００９９９９", " 102100099996"])
def test_what_is_not_twelve_ascii_digits_is_no_bank_code(code: str) -> None:
    assert not has_shape(code)


@pytest.mark.parametrize(
    ("number", "right"), [("4111111111111111", True), ("4111111111111112", False), ("", False), ("6٢", False)]
)
def test_luhn_by_known_numbers(number: str, right: bool) -> None:
    assert passes_luhn(number) is right


def test_a_good_domestic_payment_breaks_no_rule() -> None:
    assert broken(TRANSFER) == {}


@pytest.mark.parametrize(
    ("changed", "rule", "field"),
    [
        (replace(TRANSFER, currency="EUR"), "cn.currency", "currency"),
        (replace(TRANSFER, creditor_account=None), "cn.payee-account", "creditor_account.other_id"),
        (replace(TRANSFER, creditor=Party()), "payee.required", "creditor.name"),
        (replace(TRANSFER, creditor_account=Account(other_id="6200 0001")), "cn.account-shape", "creditor_account.other_id"),
        (
            replace(TRANSFER, creditor_agent=Agent(clearing_system_member_id="10210009999")),
            "cn.bank-code-shape",
            "creditor_agent.clearing_system_member_id",
        ),
        (
            replace(TRANSFER, creditor_agent=Agent(clearing_system_member_id="102100099995")),
            "cn.bank-code-check-digit",
            "creditor_agent.clearing_system_member_id",
        ),
        (
            replace(TRANSFER, creditor=Party(name="张三", person=PrivateIdentification())),
            "cn.card-number",
            "creditor_account.other_id",
        ),
    ],
)
def test_each_domestic_rule_is_broken_by_its_case(changed: CreditTransfer, rule: str, field: str) -> None:
    assert broken(changed)[rule] == field


def test_a_company_account_need_not_pass_the_check_of_cards() -> None:
    assert broken(replace(TRANSFER, creditor_account=Account(other_id="6200000000000000006"))) == {}


def test_widths_count_two_bytes_a_chinese_character_and_name_the_field() -> None:
    pack = widths("x", "sheet", Widths(payee_name=6, purpose=3))
    assert broken(TRANSFER, pack) == {"x.purpose-width": "remittance_information.unstructured[0]"}
    assert "x.payee-name-width" in broken(replace(TRANSFER, creditor=Party(name="乙公司X")), pack)


def test_a_character_outside_the_encoding_is_shown_with_its_code_point() -> None:
    pack = widths("x", "sheet", Widths())
    found = RuleSet((pack,)).check(TERMS, replace(TRANSFER, creditor=Party(name="𠮷公司")), SETTING)
    assert [(one.rule, one.field) for one in found] == [("x.encoding", "creditor.name")]
    assert "U+20BB7" in found[0].message_en
    assert "U+20BB7" in found[0].message_zh


def test_a_forbidden_character_is_refused_however_it_is_written() -> None:
    pack = widths("x", "sheet", Widths(), forbidden="<>&")
    for name in ("A<B", "A&amp;B", "A&#60;B"):
        assert "x.forbidden-characters" in broken(replace(TRANSFER, creditor=Party(name=name)), pack)


# -- payment systems -------------------------------------------------------------------------------------------------------

LIMITS = Limits(beps=Decimal(100), ibps=Decimal(200))
URGENT = replace(TERMS, payment_type=PaymentType(service_level="URGP"))


@pytest.mark.parametrize(
    ("terms", "amount", "said", "rail"),
    [
        (TERMS, "100.00", {}, Rail.BEPS),
        (TERMS, "100.01", {}, Rail.HVPS),
        (URGENT, "200.00", {}, Rail.IBPS),
        (URGENT, "200.01", {}, Rail.HVPS),
        (TERMS, "1.00", {"cn.rail": "HVPS"}, Rail.HVPS),
        (TERMS, "900.00", {"cn.own_bank": "yes"}, Rail.IN_BANK),
        (URGENT, "1.00", {"cn.rail": "BEPS"}, Rail.BEPS),
    ],
)
def test_the_payment_system_follows_urgency_amount_and_wish(
    terms: PaymentTerms, amount: str, said: dict[str, str], rail: Rail
) -> None:
    transfer = replace(TRANSFER, supplementary=tuple(said.items()))
    assert rail_of(facts_of(terms, transfer, "308"), Decimal(amount), LIMITS) is rail


def test_a_wish_above_the_cap_is_refused_and_names_the_cap() -> None:
    transfer = replace(TRANSFER, supplementary=(("cn.rail", "IBPS"),), amount=Decimal("200.01"))
    assert over_cap(facts_of(TERMS, transfer, "308"), transfer.amount, LIMITS) == Decimal(200)
    found = RuleSet((caps(LIMITS, "308"),)).check(TERMS, transfer, SETTING)
    assert [one.rule for one in found] == ["cn.rail-cap"]
    assert "200.00" in found[0].message_zh


def test_the_facts_of_a_payment_are_taken_from_its_iso_fields() -> None:
    agent = Agent(
        clearing_system_member_id="308584000013",
        name="招商银行深圳分行",
        postal_address=PostalAddress(town_name="深圳", country_sub_division="广东"),
    )
    lines = RemittanceInformation(unstructured=("货款", "合同 2026-1"))
    facts = facts_of(URGENT, replace(TRANSFER, creditor_agent=agent, remittance_information=lines), "308")
    assert (facts.own_bank, facts.person, facts.urgent, facts.same_city) == (True, False, True, None)
    assert (facts.city, facts.province, facts.purpose, facts.remark) == ("深圳", "广东", "货款", "合同 2026-1")


# -- the branch directory --------------------------------------------------------------------------------------------------

LIST = (
    "行号,行名,城市\n102100099996,中国工商银行总行,北京\n308584000013,招商银行深圳分行,深圳\n308100005019,招商银行北京分行,北京\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_branches_are_found_by_words_of_name_and_city_and_by_number(encoding: str) -> None:
    directory = read_directory(LIST.encode(encoding))
    assert len(directory) == 3
    assert [one.code for one in directory.search("招商 北京")] == ["308100005019"]
    assert [one.code for one in directory.search("3085")] == ["308584000013"]
    assert directory.search("  ") == []
    assert directory.get("102100099996") is not None


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        (b"a,b\n1,2\n", "must name the columns", 1),
        ("code,name\n02100099996,行\n".encode(), "12 digits", 2),
        (b"\xff\xff\xff", "neither UTF-8 nor GB18030", None),
    ],
)
def test_a_directory_that_cannot_be_used_says_where(content: bytes, problem: str, line: int | None) -> None:
    with pytest.raises(Unparsable, match=problem) as caught:
        read_directory(content)
    assert caught.value.line == line


# -- the banks' own codes in plain words -------------------------------------------------------------------------------------


def test_a_banks_own_code_is_explained_under_its_name_and_at_every_bank_that_has_it() -> None:
    assert explain("cib.PAYOUT") == ("Paid.", "已付款")
    (one,) = meanings("cib.PAYOUT")
    assert (one.kind_en, one.text_zh) == ("code of the bank cib", "已付款")
    assert {one.kind_en for one in meanings("7")} >= {"code of the bank icbc"}
    assert meanings("cib.NEVER") == ()
    assert "ask the bank" in explain("cib.NEVER")[0]
    assert not any("bank" in one.kind_en for one in meanings("AC04"))


def test_a_purpose_outside_the_list_that_the_bank_agreed_to_is_refused_with_the_list() -> None:
    bank = bank_named("icbc").configured({**ICBC, "purposes": ["工资", "货款"]})  # type: ignore[attr-defined]
    other = replace(TRANSFER, remittance_information=RemittanceInformation(unstructured=("旅游",)))
    found = [one for one in bank.check(TERMS, other, DAY) if one.rule == "cn.purpose-agreed"]
    assert [one.field for one in found] == ["remittance_information.unstructured[0]"]
    assert "工资, 货款" in found[0].message_zh
    assert not [one for one in bank.check(TERMS, TRANSFER, DAY) if one.rule == "cn.purpose-agreed"]
    unlimited = bank_named("icbc").configured(ICBC)  # type: ignore[attr-defined]
    assert not [one for one in unlimited.check(TERMS, other, DAY) if one.rule == "cn.purpose-agreed"]
