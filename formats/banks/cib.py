"""CIB 兴业银行, 银企直联 (FOX XML): single payments, batches, status, balance, statements.

Source: CIB, interface document of 银企直联, V4.0.4, and an independent implementation of it. Tables, settings and rules:
`formats.dialects.cib_tables`; replies: `formats.dialects.cib_replies`.

* TRNUID is the identity: the bank never executes one twice, and answers a repeat with what it knows. It is the payment's serial
  number, of a batch the request's.
* Nodes have a strict order, and no value holds `<`, `>` or `&` in any form: such payments are refused, nothing is escaped.
* The customer's password is written by `wrap` alone, in the sign-on that each request begins with.
* What a batch's PART_PAYOUT means for its single payments no reply tells: they stay pending for a person.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from typing import BinaryIO, Final, Self

from formats.bank import Capabilities, Validity
from formats.dialects import cib_replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.cib_tables import BANK_CLASS, BATCH_MAX, TABLE, CibSettings, is_super, packs_of
from formats.dialects.dialect import Dialect
from formats.dialects.facts import Facts, facts_of
from formats.dialects.serial import package_of, serial_of
from formats.dialects.text import element, optional
from formats.dialogue import (
    Asked,
    BalanceInquiry,
    Dialogue,
    Heard,
    Inquiry,
    Request,
    SerialShape,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord

SINGLE: Final = "cib.XFERTRNRQ"
BATCH: Final = "cib.ASYNBATCHTRSFRTRNRQ"
SERIAL: Final = SerialShape(length=17)
TRNUID_MAX: Final = 30
_HEAD: Final = '<?xml version="1.0" encoding="GBK" standalone="yes"?><FOX>'


@dataclass(frozen=True, kw_only=True, eq=False)
class Cib(Dialect[CibSettings]):
    """See the module."""

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`. Batches have a serial number of their own, and one question answers for all of one."""
        made = super().configured(table)
        batch = made.settings.batch
        return replace(
            made,
            packs=packs_of(made.settings),
            base=replace(self.base, sends={BATCH: Validity(), SINGLE: Validity()} if batch else {SINGLE: Validity()}),
            dialogue=replace(self.dialogue, package=SERIAL if batch else None, serials_per_question=BATCH_MAX if batch else 1),
        )

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `BankFormat.render`. Raises `Unrenderable`."""
        payments = self._payments(message)
        many = message.message_name == BATCH
        text = self._batch(message, payments) if many else self._single(message, *self._only(payments))
        out.write(self._encoded(text, "gbk"))

    def _single(self, message: PaymentInitiation, terms: PaymentTerms, transfer: CreditTransfer) -> str:
        facts = facts_of(terms, transfer, BANK_CLASS)
        today = day_of(message)
        trnuid = message.serial_number or serial_of(transfer, SERIAL, today)
        due = terms.requested_execution_date
        mode = "SUPER" if is_super(facts, transfer.amount, self.limits) else None
        info = (
            f"<ACCTFROM>{element('ACCTID', facts.payer_account)}{optional('NAME', facts.payer_name)}</ACCTFROM>"
            f"{self._payee(facts)}{element('CURSYM', 'RMB')}{element('TRNAMT', yuan(transfer.amount))}"
            f"{optional('PMTMODE', mode)}{element('PURPOSE', facts.purpose)}"
            f"{optional('DTDUE', self._date(due) if due > today else None)}{optional('MEMO', facts.remark)}"
        )
        return f"<XFERTRNRQ>{element('TRNUID', trnuid)}<XFERRQ><XFERINFO>{info}</XFERINFO></XFERRQ></XFERTRNRQ>"

    def _payee(self, facts: Facts) -> str:
        written = element if self.settings.empty_elements else optional
        inside = "".join(
            (
                element("ACCTID", facts.payee_account),
                element("NAME", facts.payee_name),
                written("BANKDESC", facts.bank_name),
                written("BANKNUM", facts.bank_code),
                written("CITY", facts.city),
            )
        )
        return f'<ACCTTO INTERBANK="{_flag(facts.own_bank)}" LOCAL="{_flag(facts.same_city)}">{inside}</ACCTTO>'

    def _batch(self, message: PaymentInitiation, payments: list[tuple[PaymentTerms, CreditTransfer]]) -> str:
        facts = [facts_of(terms, transfer, BANK_CLASS) for terms, transfer in payments]
        payers = {(one.payer_account, one.payer_name) for one in facts}
        if len(payers) != 1:
            english = "A batch is of one paying account."
            raise self._cannot("blocks", "batch", english, "批量付款只能有一个付款账号。")
        ((account, name),) = payers
        lines = "".join(
            _line(number, one, yuan(transfer.amount))
            for number, (one, (_, transfer)) in enumerate(zip(facts, payments, strict=True), 1)
        )
        size = len(facts) if self.settings.batch_size_unit == "lines" else len(lines.encode("gbk", "replace"))
        purposes = {one.purpose for one in facts}
        trnuid = package_of(message, SERIAL)
        body = "".join(
            (
                element("TITLE", trnuid),
                f"<ACCTFROM>{element('ACCTID', account)}{optional('NAME', name)}</ACCTFROM>",
                element("BIZTYPE", self.settings.batch_booking),
                element("TOTALCOUNT", str(len(facts))),
                element("TOTALAMOUNT", yuan(message.control_sum)),
                element("PURPOSE", purposes.pop() if len(purposes) == 1 else self.settings.batch_purpose),
                f'<XFERINFOTEXT SIZE="{size}"><![CDATA[{lines}]]></XFERINFOTEXT>',
            )
        )
        return f"<ASYNBATCHTRSFRTRNRQ>{element('TRNUID', trnuid)}<RQBODY>{body}</RQBODY></ASYNBATCHTRSFRTRNRQ>"

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`. A status question's TRNUID begins with what it asks about, so that the reply tells."""
        match inquiry:
            case StatusInquiry():
                references = dict.fromkeys(one.package or one.serial for one in inquiry.sought)
                text = "".join(
                    f"<XFERINQTRNRQ>{element('TRNUID', (reference + fresh[-13:])[:TRNUID_MAX])}"
                    f"<XFERINQRQ>{element('CLIENTREF', reference)}</XFERINQRQ></XFERINQTRNRQ>"
                    for reference in references
                )
            case BalanceInquiry():
                text = self._statement(inquiry.account.number, fresh, "")
            case StatementInquiry():
                text = self._statement(inquiry.account.number, fresh, self._days(inquiry))
            case _:
                raise TypeError("CIB has no list of returned payments; they stand in its statements")
        return text.encode("gbk")

    def _statement(self, account: str, fresh: str, days: str) -> str:
        asked = (
            f"{element('VERSION', '2.0')}<ACCTFROM>{element('ACCTID', account)}</ACCTFROM>{days}"
            f"{optional('SELTYPE', self.settings.select_type)}"
        )
        return f"<SCUSTSTMTTRNRQ>{element('TRNUID', fresh)}<SCUSTSTMTRQ>{asked}</SCUSTSTMTRQ></SCUSTSTMTTRNRQ>"

    def _days(self, inquiry: StatementInquiry) -> str:
        inside = "".join(
            (
                element("DTSTART", self._date(inquiry.since)),
                element("DTEND", self._date(inquiry.until)),
                element("PAGE", inquiry.page or "1"),
                element("TRNTYPE", self.settings.transaction_type),
            )
        )
        return f"<INCTRAN>{inside}</INCTRAN>"

    def _date(self, day: date) -> str:
        return day.strftime("%Y-%m-%d" if self.settings.dashed_dates else "%Y%m%d")

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the sign-on of this moment before the content. Raises `Unrenderable` for a password that the
        bank cannot be told."""
        del asked
        password = wrapping.secrets.get("password", "")
        if not password or any(character in "<>&" for character in password) or not password.isascii():
            english = "The password is missing, or holds what CIB takes in no value (< > &)."
            raise self._cannot("secrets.password", "password", english, "密码缺失或含有银行不接受的字符（< > &）。")
        sign_on = "".join(
            (
                element("DTCLIENT", wrapping.at.strftime("%Y-%m-%d %H:%M:%S")),
                element("CID", self.settings.customer_id),
                element("USERID", self.settings.user_id),
                element("USERPASS", password),
                element("GENUSERKEY", "N"),
                element("LANGUAGE", "CHS"),
                element("APPID", "5"),
                element("APPVER", self.settings.app_version),
            )
        )
        before = f"{_HEAD}<SIGNONMSGSRQV1><SONRQ>{sign_on}</SONRQ></SIGNONMSGSRQV1><SECURITIES_MSGSRQV1>"
        body = b"".join((before.encode("gbk"), content, b"</SECURITIES_MSGSRQV1></FOX>"))
        return Request(body=body, charset="gbk", content_type="application/x-fox")

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        return cib_replies.hear(exchange, self.settings)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        return cib_replies.records(exchange, self.statuses)


def _line(number: int, facts: Facts, amount: str) -> str:
    values = (
        *(str(number), facts.payee_account, facts.payee_name, _flag(facts.own_bank), _flag(facts.same_city)),
        *(facts.bank_code, facts.bank_name, facts.city, amount, facts.purpose, facts.remark),
    )
    return "".join(f"{value}|" for value in values) + "\n"


def _flag(yes: bool | None) -> str:
    return "Y" if yes else "N"


_EXAMPLE: Final = CibSettings(customer_id="1000000000", user_id="gw01")

BANK = Cib(
    name="cib",
    bank_class=BANK_CLASS,
    base=Capabilities(
        sends={SINGLE: Validity()},
        reads=cib_replies.READS,
        currencies=frozenset({"CNY"}),
        transfers_max=BATCH_MAX,
        horizon_days=15,
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(
        serial=SERIAL,
        same_serial_is_safe=True,
        repeat_after_seconds=900.0,
        quiet=((time(0, 0), time(1, 0)),),
        secrets=("password",),
        secret_elements=("USERPASS",),
    ),
    table=TABLE,
    packs=packs_of(_EXAMPLE),
    settings=_EXAMPLE,
)
