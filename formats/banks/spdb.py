"""SPDB 上海浦东发展银行, 银企直连: packets in XML, GBK, by the two local services of the bank's program (sign server, gateway).

Source: our collected facts on SPDB's packets, certainty good for payment (8800), status (8804) and balance (4402); nothing was
tried against the bank. What they leave open is a setting. No statement is described, so none is asked for; the
batch transactions of collection and payroll (AQ52 to AQ54) and the e-bank approvals (DO48, DO49) are not built.

* `elecChequeNo` is a payment's number for ever. `packetID` is the packet's, and a new one at each exchange: the bank refuses one
  that it has seen that day (EYY8990), also in a repeat byte for byte.
* The body is what is signed and stored, and the same at each send. The head around it is made at each exchange.
* The 6 digits of length before a packet, which count themselves, are the channel's: `wrap` gives the XML without them.
* The bank does not say that an elecChequeNo sent twice is paid once: after a doubt it is only asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import BinaryIO, Final, Self

from formats.bank import Capabilities, Validity
from formats.dialects import spdb_replies as replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect
from formats.dialects.facts import facts_of
from formats.dialects.serial import package_of, serial_of
from formats.dialects.spdb_tables import ACCEPTED, BANK_CLASS, TABLE, SpdbSettings, packs_of
from formats.dialects.text import child, element, elements, optional
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
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord

_SHAPE: Final = SerialShape(length=14, alphabet="letters_and_digits")  # as long as in the published example
_ROWS: Final = "20"  # queryNumber of 8804: more rows than one elecChequeNo has


@dataclass(frozen=True, kw_only=True, eq=False)
class Spdb(Dialect[SpdbSettings]):
    """See the module."""

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`: with the widths that the bank stated."""
        made = super().configured(table)
        return replace(made, packs=packs_of(made.settings))

    @cached_property
    def capabilities(self) -> Capabilities:
        settings = self.settings
        most = settings.payments_per_request if settings.batch else 1
        return replace(self.base, transfers_max=most, horizon_days=settings.scheduled_days)

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """The body of 8800, which is what is signed. See `BankFormat.render`."""
        payments = self._payments(message)
        on = day_of(message)
        totals = (
            ("authMasterID", self.settings.authorising_customer),
            ("totalNumber", str(len(payments))),
            ("totalAmount", yuan(message.control_sum)),
            ("packageNo", package_of(message, _SHAPE)),
        )
        items = "".join(self._item(terms, transfer, on) for terms, transfer in payments)
        out.write(self._body(f"{elements(totals)}{self._lists(items)}"))

    def _body(self, inside: str) -> bytes:
        return self._encoded(f"<body>{inside}</body>", "gbk")

    def _lists(self, items: str) -> str:
        return f'<lists name="{self.settings.list_name}">{items}</lists>'

    def _day(self, day: date) -> str:
        return f"{day:%Y%m%d}" if self.settings.date_form == "yyyyMMdd" else day.isoformat()

    def _item(self, terms: PaymentTerms, transfer: CreditTransfer, on: date) -> str:
        """One payment, in the published order of elements."""
        settings = self.settings
        facts = facts_of(terms, transfer, BANK_CLASS)
        start = terms.requested_execution_date
        may = element if settings.optional_elements == "empty" else optional
        location = {None: settings.remit_location, True: "0", False: "1"}[facts.same_city]
        return "".join(
            (
                "<list>",
                element("elecChequeNo", serial_of(transfer, _SHAPE, on)),
                element("acctNo", facts.payer_account),
                element("acctName", facts.payer_name),
                may("bespeakDate", self._day(start) if start > on else ""),
                element("payeeAcctNo", facts.payee_account),
                element("payeeName", facts.payee_name),
                element("payeeType", "1" if facts.person else "0"),
                may("payeeBankName", facts.bank_name),
                may("payeeAddress", ""),
                element("amount", yuan(transfer.amount)),
                element("sysFlag", "0" if facts.own_bank else "1"),
                element("remitLocation", location),
                element("note", facts.purpose),
                may("payeeBankSelectFlag", "1" if facts.bank_code else ""),
                may("payeeBankNo", facts.bank_code),
                may("payPurpose", settings.payment_purpose),
                "</list>",
            )
        )

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`. Nothing of a question has to be fresh but the packet's head."""
        del fresh
        match inquiry:
            case StatusInquiry():
                return self._body(self._status_question(inquiry))
            case BalanceInquiry():
                return self._body(self._lists(f"<list>{element('acctNo', inquiry.account.number)}</list>"))
            case _:
                raise ValueError("our facts on SPDB describe no statement and no list of returned payments")

    def _status_question(self, inquiry: StatusInquiry) -> str:
        """By elecChequeNo, from the day of the first send until today: an answer never misses a later repeat."""
        (one,) = inquiry.sought
        settings = self.settings
        may = element if settings.optional_elements == "empty" else optional
        return "".join(
            (
                element("acctNo", one.account.number),
                # The day before too: our clock may be ahead of the bank's around midnight, and "none" would be believed.
                element("beginDate", self._day(one.sent_on - timedelta(days=1))),
                element("endDate", self._day(max(one.sent_on, inquiry.on))),
                element("elecChequeNo", one.serial),
                may("acceptNo", ""),
                may("serialNo", ""),
                element("queryNumber", _ROWS),
                element("beginNumber", str(settings.first_number)),
                element("singleOrBatchFlag", settings.status_flag or str(int(settings.batch))),
            )
        )

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        """The body, of payments and questions."""
        del asked, wrapping
        return content

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """The packet around what the sign server made of the body; without the digits of its length."""
        del content  # it is in what was signed
        settings, at = self.settings, wrapping.at
        if wrapping.sealed is None or b"<" in wrapping.sealed:
            raise ValueError("the body of a packet is signed by the sign server before it is sent")
        between = settings.time_stamp_separator
        head = elements(
            (
                ("transCode", replies.FUNCTIONS[asked.kind]),
                ("signFlag", "1"),
                ("packetID", wrapping.fresh[-settings.packet_digits :]),
                ("masterID", settings.customer_number),
                ("timeStamp", f"{at:%Y}{between}{at:%m}{between}{at:%d} {at:%H:%M:%S}"),
            )
        )
        before = (
            f"<?xml version='1.0' encoding='{settings.declared_encoding}'?><packet><head>{head}"
            f"{optional('yqzlNo', settings.yqzl_number)}</head><body><signature>"
        )
        body = b"".join((before.encode("gbk"), wrapping.sealed, b"</signature></body></packet>"))
        return Request(body=body, charset="gbk")

    # -- in ------------------------------------------------------------------------------------------------------------

    def to_open(self, reply: bytes) -> bytes | None:
        """The signature, of which the sign server makes the clear body."""
        return replies.signed_part(reply)

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        try:
            reply = replies.read(exchange)
            return self._heard(reply, exchange.asked)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)

    def _heard(self, reply: replies.Reply, asked: Asked | None) -> Heard:
        code, text = reply.code, reply.text
        unknown = Heard(outcome=Outcome.UNKNOWN, code=code, text=text)
        kind = None if asked is None else asked.kind
        serials = () if asked is None else asked.serials
        if code != ACCEPTED:
            if kind is Asking.STATUS and code in self.settings.not_found_codes:
                return Heard(outcome=Outcome.TAKEN, code=code, text=text, missing=serials)
            refused = kind is Asking.PAYMENT and code in self.settings.rejected_codes
            return replace(unknown, outcome=Outcome.REFUSED) if refused else unknown
        if reply.function == "8800":
            if not replies.all_taken(reply, asked):
                return unknown
            return Heard(outcome=Outcome.TAKEN, code=code, text=text, found=serials)
        if reply.function == "8804":
            found = tuple(one.serial_number for one in replies.statuses(reply, asked, self.statuses) if one.serial_number)
            nothing = not reply.items and set(child(reply.body, "totalCount")) == {"0"}
            if not reply.items and not nothing:
                return unknown
            return Heard(outcome=Outcome.TAKEN, code=code, text=text, found=found, missing=serials if nothing else ())
        return Heard(outcome=Outcome.TAKEN, code=code, text=text) if reply.items else unknown

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = replies.read(exchange)
        yield replies.document(reply)
        if reply.body is None:
            return
        if reply.function == "8800":
            yield from replies.taken(reply, exchange.asked, self.statuses)
        elif reply.function == "8804":
            yield from replies.statuses(reply, exchange.asked, self.statuses)
        else:
            yield from replies.balances(reply, exchange.asked)


_EXAMPLE: Final = SpdbSettings(customer_number="2000000001")

BANK = Spdb(
    name="spdb",
    bank_class="310",
    base=Capabilities(
        sends={"spdb.8800": Validity()},
        reads=("spdb.8800", "spdb.8804", "spdb.4402"),
        currencies=frozenset({"CNY"}),
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=_SHAPE, package=_SHAPE, asks=frozenset({Asking.STATUS, Asking.BALANCE}), sealed_by="sign_service"),
    table=TABLE,
    packs=packs_of(_EXAMPLE),
    settings=_EXAMPLE,
)
