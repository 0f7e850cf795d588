"""Agricultural Bank of China 农业银行, 银企通 (ap XML) by its front program ICC.

Source: one public client of the interface, nearly alone. Certainty: MEDIUM-LOW; nothing here has been tried against the bank.
Verify each point with the bank before use. What the client leaves open is a setting of `AbcSettings` with its default.

* The 7 bytes before the XML (encryption flag, length) are the channel's framing ("abc7").
* A payment is known by its ReqSeqNo. One sent twice is not said to be paid once: after a doubt the bank is only asked, by
  CQRT04, or by CQRA61 where it said that a person handles the payment (落地). Then the reply's RespSeqNo is kept as the bank's
  reference, and its being there is how we know.
* "Other codes: failed" is one source's reading: a code that nobody listed proves nothing here.
* Of the way the bank is told that a payment is urgent (UrgencyFlag Y), and no system: `formats.dialects.rails.is_fast`.
* Statements and batches are not described: they are not asked for and not sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO, Final, Literal

from lxml import etree
from pydantic import Field, field_validator

from formats.bank import Capabilities, Validity
from formats.dialects.booking import CURRENCY, balance, day_of, yuan
from formats.dialects.dialect import Dialect, DialectSettings
from formats.dialects.facts import Facts, facts_of
from formats.dialects.looks import payment_rule
from formats.dialects.rails import is_fast
from formats.dialects.readings import none_known_otherwise, serials_of, status_of
from formats.dialects.serial import question_number, serial_of
from formats.dialects.tables import PENDING, REJECTED, SETTLED, StatusTable
from formats.dialects.text import element, element_of, optional, read_xml
from formats.dialogue import (
    Asked,
    Asking,
    BalanceInquiry,
    Dialogue,
    Heard,
    Inquiry,
    Outcome,
    Request,
    SerialShape,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.model import PaymentInitiation
from formats.report import AccountIdentification, Document, ReportRecord, Statement
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import destinations
from formats.rules.rule import Pack

_CLASS: Final = "103"
_SHEET: Final = "Agricultural Bank of China, ICC: CFRT02 and CFRT21, as one public client of the interface writes them"
_HOUR: Final = "<ReqDate/><ReqTime/>"
_OK, _BY_HAND, _FAILED, _RUNNING = "0000", "0001", "0389", "0388"
_COMPANY, _PERSON, _STATUS, _HAND, _BALANCE = "CFRT02", "CFRT21", "CQRT04", "CQRA61", "CQRA06"
_WINDOWS: Final = ((18, 22), (22, 26))  # of RespPrvData of CQRT04
_PRV_FIELDS: Final = 8  # of RespPrvData of CQRA06
_LONG, _SHORT = 17, 15  # digits of a company account with, and without, its province


class AbcSettings(DialectSettings):
    """`[bank_settings]` of a connection to Agricultural Bank of China."""

    corporation_number: str = Field(min_length=1, max_length=20, description="CorpNo: our customer number | 企业客户号")
    operator_number: str = Field(min_length=1, max_length=10, description="OpNo: the operator's number | 操作员号")
    provinces: Mapping[str, str] = Field(
        default_factory=dict, description="Account of 15 digits → its province's 2 digits | 15 位账号 → 2 位省市代码"
    )
    check_payee_name: bool = Field(default=True, description="ConFlag 1: check the payee's name | 校验收款户名")
    persons_elsewhere: bool = Field(
        default=False, description="CFRT02 is open for persons at other banks | CFRT02 已开通跨行对私付款"
    )
    result_position: Literal["both", "18", "22"] = Field(
        default="both",
        description="Place of the result in RespPrvData of CQRT04; both: where both places agree"
        " | CQRT04 结果位置；both 表示两处一致才认定",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(), description="RespCodes of queries that mean: no such record | 查询返回表示“无此记录”的代码"
    )

    @field_validator("rejected_codes")
    @classmethod
    def _are_failures(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return none_known_otherwise(codes, {*TABLE.settled, *TABLE.pending})


TABLE: Final = StatusTable(
    bank="abc",
    settled={_OK: ("Done.", "交易成功。"), "UseState.1": ("Handled by hand: paid.", "落地处理完成，付款成功。")},
    rejected={_FAILED: ("The bank did not execute the payment.", "交易失败。")},
    pending={
        _RUNNING: ("The bank is processing the payment.", "交易处理中。"),
        _BY_HAND: ("A person at the bank handles the payment; CQRA61 tells.", "落地处理，请用 CQRA61 查询。"),
        "9999": ("The bank's host did not answer: unknown; CQRT04 tells.", "主机通讯异常，结果未知，请用 CQRT04 查询。"),
        "UseState.0": ("Being handled by hand.", "落地处理中。"),
    },
)
"""RespCode and the result of CQRT04 under their digits, UseState of CQRA61 with its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    code: str
    text: str
    sequence: str  # RespSeqNo
    request: str  # ReqSeqNo, where it is repeated
    function: str  # CCTransCode, where it is repeated
    wait_flag: str
    use_state: str
    private: str  # RespPrvData


def _read(content: bytes) -> _Reply:
    """Raises `Unparsable` for what is no reply of this bank. Elements are found wherever they stand: nobody says where."""
    root = read_xml(content, "gb18030")
    if root.tag != "ap" or root.find("RespCode") is None:
        raise Unparsable("no reply of Agricultural Bank of China: not an ap with RespCode")
    return _Reply(
        code=_first(root, "RespCode"),
        text=_first(root, "RespInfo"),
        sequence=_first(root, "RespSeqNo"),
        request=_first(root, "ReqSeqNo"),
        function=_first(root, "CCTransCode"),
        wait_flag=_first(root, "WaitFlag"),
        use_state=_first(root, "UseState"),
        private=_first(root, "RespPrvData", strip=False),
    )


def _first(root: etree._Element, name: str, *, strip: bool = True) -> str:
    found = next(root.iter(name), None)
    text = "" if found is None else "".join(str(part) for part in found.itertext())
    return text.strip() if strip else text


@dataclass(frozen=True, kw_only=True, eq=False)
class Abc(Dialect[AbcSettings]):
    """See the module."""

    # -- out -----------------------------------------------------------------------------------------------------------

    def _packs_in_use(self) -> tuple[Pack, ...]:
        """The packs, and what the settings say of accounts and of persons."""
        rules = (
            payment_rule(
                _CLASS,
                _SHEET,
                lambda facts, _amount: self._split(facts.payer_account) is None,
                id="abc.payer-account",
                field="debtor_account.other_id",
                message_en="ABC wants the province's 2 digits too: give 17 digits, or set bank_settings.provinces.",
                message_zh="农业银行账户须带 2 位省市代码：请填写 17 位账号，或在 bank_settings.provinces 中配置。",
            ),
            payment_rule(
                _CLASS,
                _SHEET,
                lambda facts, _amount: self._is_closed_to(facts),
                id="abc.person-other-bank",
                field="creditor",
                message_en="CFRT21 pays ABC cards only. Is CFRT02 open for persons too, set bank_settings.persons_elsewhere.",
                message_zh="CFRT21 仅用于农行卡对私付款；如银行已开通 CFRT02 跨行对私，请设置 bank_settings.persons_elsewhere。",
            ),
        )
        return (*self.packs, Pack(name="abc-settings", rules=rules))

    def _is_closed_to(self, facts: Facts) -> bool:
        return facts.person and not facts.own_bank and not self.settings.persons_elsewhere

    def _split(self, account: str) -> tuple[str, str] | None:
        """A company account of ours as province and 15 digits; None where the province is not known."""
        if len(account) == _LONG and account.isascii() and account.isdigit():
            return account[:2], account[2:]
        province = self.settings.provinces.get(account)
        return None if province is None else (province, account)

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `Dialect.render`: CFRT21 to persons with an ABC card, CFRT02 else; one payment a request."""
        terms, transfer = self._only(self._payments(message))
        facts = facts_of(terms, transfer, _CLASS)
        serial = serial_of(transfer, self.dialogue.serial, day_of(message))
        function = _PERSON if facts.person and facts.own_bank else _COMPANY
        body = self._body(facts, transfer.amount)
        out.write(self._envelope(function, serial, optional("Amt", yuan(transfer.amount)) + body))

    def _body(self, facts: Facts, amount: Decimal) -> str:
        """Cmp and Corp in the order in which the client writes them; what is empty is left out."""
        province, account = self._split(facts.payer_account) or ("", facts.payer_account)
        payee = facts.payee_account
        splits = facts.own_bank and not facts.person and len(payee) == _LONG and payee.isascii() and payee.isdigit()
        accounts = _given(
            ("DbProv", province),
            ("DbAccNo", account),
            ("DbCur", "01"),
            ("CrProv", payee[:2] if splits else ""),
            ("CrAccNo", payee[2:] if splits else payee),
            ("CrCur", "01"),
            ("ConFlag", "1" if self.settings.check_payee_name else "0"),
        )
        texts = _given(
            ("UrgencyFlag", "Y" if is_fast(facts, amount, self.limits) else ""),
            ("OthBankFlag", "0" if facts.own_bank else "1"),
            ("CrAccName", facts.payee_name),
            ("CrBankName", facts.bank_name),
            ("CrBankNo", facts.bank_code),
            ("DbAccName", facts.payer_name),
            ("WhyUse", facts.purpose),
            ("Postscript", facts.remark),
        )
        return element_of("Cmp", accounts) + element_of("Corp", texts)

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `Dialect.inquire`."""
        number = question_number(fresh)
        match inquiry:
            case StatusInquiry():
                (one,) = inquiry.sought
                function = _HAND if one.bank_reference else _STATUS
                return self._envelope(function, number, element_of("Cme", element("CmeSeqNo", one.serial)))
            case BalanceInquiry():
                province, account = self._split(inquiry.account.number) or ("", inquiry.account.number)
                held = _given(("DbProv", province), ("DbAccNo", account), ("DbCur", "01"))
                return self._envelope(_BALANCE, number, element_of("Cmp", held))
            case _:
                raise ValueError("statements and returned payments are not described for Agricultural Bank of China")

    def _envelope(self, function: str, number: str, rest: str) -> bytes:
        """A whole request, with empty places for the hour; `Sign` stays empty, the front program signs."""
        own = self.settings
        head = _given(
            ("CCTransCode", function),
            ("ProductID", "ICC"),
            ("ChannelType", "ERP"),
            ("CorpNo", own.corporation_number),
            ("OpNo", own.operator_number),
        )
        text = f"{head}<AuthNo/>{element('ReqSeqNo', number)}{_HOUR}<Sign/>{element('FileFlag', '0')}{rest}"
        return self._encoded(element_of("ap", text), "gbk")

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the hour. The header before it is the channel's."""
        del asked
        hour = element("ReqDate", f"{wrapping.at:%Y%m%d}") + element("ReqTime", f"{wrapping.at:%H%M%S}")
        return Request(body=content.replace(_HOUR.encode(), hour.encode(), 1))

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = _read(exchange.text)
            unknown = Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
            if asked is None or _is_of_another(reply, asked):
                return unknown
            if asked.kind is Asking.PAYMENT:
                refused = reply.code in self.settings.rejected_codes and reply.code not in {_OK, _BY_HAND}
                taken = reply.code in {_OK, _BY_HAND}
                outcome = Outcome.TAKEN if taken else Outcome.REFUSED if refused else Outcome.UNKNOWN
                return Heard(outcome=outcome, code=reply.code, text=reply.text)
            if asked.kind is Asking.STATUS:
                return self._status_heard(reply, asked, unknown)
            if asked.kind is Asking.BALANCE and reply.code == _OK and any(one.balances for one in _balances(reply, asked)):
                return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)
        return unknown

    def _status_heard(self, reply: _Reply, asked: Asked, unknown: Heard) -> Heard:
        if reply.code in self.settings.not_found_codes:
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, missing=asked.serials)
        verdict = self._verdict(reply) if reply.code == _OK else None
        if verdict is None:
            return unknown
        return Heard(outcome=Outcome.TAKEN, code=verdict[1], text=reply.text, found=asked.serials)

    def _verdict(self, reply: _Reply) -> tuple[str, str] | None:
        """What an answer to CQRT04 or CQRA61 says: the status word and the bank's code; None: nothing that is known.

        There are two places for the result of CQRT04, and nobody says whether both are used. Unless the operator says which, both
        have to say the same: digits that happen to stand at the other place prove nothing.
        """
        if reply.use_state:
            code = f"UseState.{reply.use_state}"
            return (self.statuses.status(code), code) if self.statuses.explain(code) else None
        codes = [reply.private[begin:end] for begin, end in _WINDOWS]
        if self.settings.result_position != "both":
            codes = codes[:1] if self.settings.result_position == "18" else codes[1:]
        known = [code for code in codes if code in {_OK, _FAILED, _RUNNING} or code in self.settings.rejected_codes]
        if not known:
            return None
        if len(set(codes)) > 1:
            return PENDING, " ".join(codes)
        return self.statuses.status(codes[0]), codes[0]

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = _read(exchange.text)
        asked = exchange.asked
        function = _function(reply, asked)
        said = (("RespCode", reply.code), ("RespInfo", reply.text), ("RespPrvData", reply.private), ("UseState", reply.use_state))
        yield Document(
            message=f"abc.{function}",
            message_id=reply.sequence or None,
            supplementary=tuple((name, text) for name, text in said if text and not (name == "RespPrvData" and "|" in text)),
        )
        if asked is not None and _is_of_another(reply, asked):
            return
        if function == _BALANCE and reply.code == _OK:
            yield from _balances(reply, asked)
            return
        serials = serials_of(asked) or tuple(filter(None, (reply.request,)))
        if len(serials) != 1:
            return
        if function in {_COMPANY, _PERSON}:
            yield from self._of_payment(serials[0], reply)
        elif function in {_STATUS, _HAND} and reply.code == _OK and (verdict := self._verdict(reply)) is not None:
            yield status_of(serials[0], verdict[0], self.statuses.reason(verdict[1]))

    def _of_payment(self, serial: str, reply: _Reply) -> Iterator[ReportRecord]:
        """CFRT02's rules: 0000 with WaitFlag 0 is success, WaitFlag 1 or 0001 is handled by hand."""
        by_hand = reply.code == _BY_HAND or (reply.code == _OK and reply.wait_flag == "1")
        if reply.code == _OK and reply.wait_flag == "0":
            yield status_of(serial, SETTLED, self.statuses.reason(reply.code, reply.text))
        elif by_hand:
            yield status_of(serial, PENDING, self.statuses.reason(_BY_HAND, reply.text), reply.sequence or None)
        elif reply.code == _OK:
            yield status_of(serial, PENDING, self.statuses.reason("", reply.text))
        elif reply.code in self.settings.rejected_codes:
            yield status_of(serial, REJECTED, self.statuses.reason(reply.code, reply.text))


def _balances(reply: _Reply, asked: Asked | None) -> Iterator[Statement]:
    """CQRA06: ``Prov|AccNo|Cur|AccName|Bal|AvailBal|AccType|RespCode``. Raises `Unparsable`."""
    cells = [cell.strip() for cell in reply.private.split("|")]
    if len(cells) == _PRV_FIELDS + 1 and not cells[-1]:
        cells.pop()
    if len(cells) != _PRV_FIELDS:
        raise Unparsable("RespPrvData of a balance has not its eight fields")
    province, account, currency, name, booked, available, kind, code = cells
    number = (asked.account if asked is not None else None) or f"{province}{account}"
    good = code == _OK and currency in {"01", ""}  # an account in another currency is none of this connection's
    yield Statement(
        statement_id=None,
        account=AccountIdentification(other_id=number or None, currency=CURRENCY),
        balances=(
            *balance("ITBD", booked if good else "", None),
            *balance("ITAV", available if good else "", None),
        ),
        supplementary=tuple((title, text) for title, text in (("AccName", name), ("AccType", kind), ("RespCode", code)) if text),
    )


def _function(reply: _Reply, asked: Asked | None) -> str:
    """What a reply answers: its own word, what was asked, or else its shape."""
    if reply.function:
        return reply.function
    kind = asked.kind if asked is not None else None
    if kind is Asking.BALANCE or (kind is None and "|" in reply.private):
        return _BALANCE
    if kind is Asking.PAYMENT or (kind is None and not reply.use_state and not reply.private):
        return _COMPANY
    return _HAND if reply.use_state else _STATUS


def _is_of_another(reply: _Reply, asked: Asked) -> bool:
    """Whether a reply names another function than was asked, or to a payment another serial number."""
    wanted: Mapping[Asking, frozenset[str]] = {
        Asking.PAYMENT: frozenset({_COMPANY, _PERSON}),
        Asking.STATUS: frozenset({_STATUS, _HAND}),
        Asking.BALANCE: frozenset({_BALANCE}),
    }
    if reply.function and reply.function not in wanted.get(asked.kind, frozenset()):
        return True
    return asked.kind is Asking.PAYMENT and bool(reply.request) and reply.request not in asked.serials


def _given(*pairs: tuple[str, str]) -> str:
    return "".join(optional(tag, text) for tag, text in pairs)


BANK = Abc(
    name="abc",
    bank_class="103",
    base=Capabilities(
        sends={"abc.transfer": Validity()},
        reads=("abc.CFRT02", "abc.CFRT21", "abc.CQRT04", "abc.CQRA61", "abc.CQRA06"),
        currencies=frozenset({"CNY"}),
        transfers_max=1,
        horizon_days=0,  # BookingDate is named and not described
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=SerialShape(length=16), asks=frozenset({Asking.STATUS, Asking.BALANCE})),
    table=TABLE,
    packs=(
        DOMESTIC,
        widths("abc", _SHEET, Widths(payee_account=34), forbidden="|\r\n\t"),
        destinations("abc", _SHEET, _CLASS, remark=True, urgency=True),
    ),
    settings=AbcSettings(corporation_number="6600000000000001", operator_number="0001"),
)
