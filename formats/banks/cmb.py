"""CMB 招商银行, 银企直连 with the front machine FBSdk (CMBSDKPGK XML): payments, status, returns, balance, statements.

Source: CMB, 银企直连开发指南 4.3.1, and two independent implementations of it (one of API document 5.37.0). Tables, settings and
rules: `formats.dialects.cmb_tables`; replies: `formats.dialects.cmb_replies`. The newer generation, 云直联, is another plugin.

* YURREF is the identity, unique for the enterprise and the business code: a doubt is asked about by it (NTQRYSTY), and a repeat
  has the same one.
* A query shows payments of its days only, so that it asks for the day of sending and those beside it: midnight lies between the
  bank's clock and ours.
* Of the way CMB is told fast (STLCHN F) or normal (N), and no system: `formats.dialects.rails.is_fast`.
* Payments for a later day (EPTDAT) are not sent: our sources do not say under which day a query would show them.
* The login's name is written by `wrap`; the stored content has an empty place for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import BinaryIO, Final

from formats.bank import Capabilities, Validity
from formats.dialects import cmb_replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.cmb_tables import BANK_CLASS, BATCH_MAX, PACKS, SHORT_NAME, TABLE, CmbSettings, address_of
from formats.dialects.dialect import Dialect
from formats.dialects.facts import facts_of
from formats.dialects.rails import is_fast
from formats.dialects.serial import serial_of
from formats.dialects.text import element, elements, gbk_length, optional
from formats.dialogue import (
    Asked,
    Asking,
    BalanceInquiry,
    Dialogue,
    Heard,
    Inquiry,
    Pauses,
    Request,
    ReturnsInquiry,
    SerialShape,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord

PAYS: Final = "cmb.DCPAYMNT"
SERIAL: Final = SerialShape(length=20)
RENMINBI: Final = "10"
_DAY: Final = timedelta(days=1)
_REPEATS: Final = timedelta(days=5)  # after the first send: with the day before it, the week that one question may be about
_HEAD: Final = '<?xml version="1.0" encoding="GBK"?>'
_NOBODY: Final = b"<LGNNAM></LGNNAM>"


@dataclass(frozen=True, kw_only=True, eq=False)
class Cmb(Dialect[CmbSettings]):
    """See the module."""

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `BankFormat.render`. Raises `Unrenderable`."""
        day = day_of(message)
        payments = [self._payment(terms, transfer, day) for terms, transfer in self._payments(message)]
        settings = self.settings
        mode = optional("BUSMOD", settings.business_mode) or element("MODALS", settings.business_mode_alias)
        head = f"<SDKPAYRQX>{element('BUSCOD', settings.business_code)}{mode}</SDKPAYRQX>"
        out.write(self._package("DCPAYMNT", head + "".join(payments)))

    def _payment(self, terms: PaymentTerms, transfer: CreditTransfer, day: date) -> str:
        facts = facts_of(terms, transfer, BANK_CLASS)
        name = "CRTNAM" if gbk_length(facts.payee_name) <= SHORT_NAME else "LRVEAN"
        fields = elements(
            (
                ("YURREF", serial_of(transfer, SERIAL, day)),
                ("DBTACC", facts.payer_account),
                ("DBTBBK", self.settings.branch_of(facts.payer_account)),
                ("TRSAMT", yuan(transfer.amount)),
                ("CCYNBR", RENMINBI),
                ("STLCHN", "F" if is_fast(facts, transfer.amount, self.limits) else "N"),
                ("NUSAGE", facts.purpose),
            )
        )
        payee = (
            f"{optional('BUSNAR', facts.remark)}{element('CRTACC', facts.payee_account)}{element(name, facts.payee_name)}"
            f"{optional('BRDNBR', facts.bank_code)}{element('BNKFLG', 'Y' if facts.own_bank else 'N')}"
            f"{optional('CRTBNK', facts.bank_name)}{optional('CRTADR', address_of(facts))}"
        )
        return f"<DCOPDPAYX>{fields}{payee}</DCOPDPAYX>"

    def _package(self, function: str, blocks: str) -> bytes:
        info = f"<INFO>{element('FUNNAM', function)}{element('DATTYP', '2')}{element('LGNNAM', None)}</INFO>"
        return self._encoded(f"{_HEAD}<CMBSDKPGK>{info}{blocks}</CMBSDKPGK>", "gbk")

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`."""
        del fresh
        match inquiry:
            case StatusInquiry():
                return self._package("NTQRYSTY", "".join(self._status(inquiry)))
            case BalanceInquiry():
                return self._package("GetAccInfo", f"<SDKACINFX>{self._account(inquiry.account.number)}</SDKACINFX>")
            case StatementInquiry():
                days = self._days(inquiry.since, inquiry.until)
                return self._package("GetTransInfo", f"<SDKTSINFX>{self._account(inquiry.account.number)}{days}</SDKTSINFX>")
            case ReturnsInquiry():
                block = self.settings.returns_block
                days = element("BUSCOD", self.settings.business_code) + self._days(inquiry.since, inquiry.until)
                return self._package("NTPAYQYB", f"<{block}>{days}</{block}>")

    def _status(self, inquiry: StatusInquiry) -> Iterator[str]:
        for one in inquiry.sought:
            until = max(one.sent_on, min(one.sent_on + _REPEATS, inquiry.on))
            asked = elements((("BUSCOD", self.settings.business_code), ("YURREF", one.serial)))
            yield f"<NTQRYSTYX1>{asked}{self._days(one.sent_on - _DAY, until)}</NTQRYSTYX1>"

    def _account(self, number: str) -> str:
        return elements((("BBKNBR", self.settings.branch_of(number)), ("ACCNBR", number)))

    @staticmethod
    def _days(since: date, until: date) -> str:
        return elements((("BGNDAT", since.strftime("%Y%m%d")), ("ENDDAT", until.strftime("%Y%m%d"))))

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the login's name goes into its place. Also as the form field of HTTP WEB."""
        del asked, wrapping
        body = content.replace(_NOBODY, element("LGNNAM", self.settings.login_name).encode("gbk"), 1)
        return Request(body=body, fields=(("REQDATA", body.decode("gbk")),), charset="gbk")

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        return cmb_replies.hear(exchange, self.settings)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        return cmb_replies.records(exchange, self.statuses)


BANK = Cmb(
    name="cmb",
    bank_class=BANK_CLASS,
    base=Capabilities(
        sends={PAYS: Validity()},
        reads=cmb_replies.READS,
        currencies=frozenset({"CNY"}),
        transfers_max=BATCH_MAX,
        horizon_days=0,
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(
        serial=SERIAL,
        same_serial_is_safe=True,
        returns_days=5,
        asks=frozenset({Asking.STATUS, Asking.RETURNS, Asking.BALANCE, Asking.STATEMENT}),
        statement_days_max=7,
        pauses=Pauses(payment=1.0, question=2.0),
    ),
    table=TABLE,
    packs=PACKS,
    settings=CmbSettings(login_name="demouser", branch_code="75", business_mode="00001"),
)
