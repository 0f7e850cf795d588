"""Ping An Bank 平安银行, B2Bi 银企直联: a header of 222 bytes and a body in XML, to the bank's local B2Bi client.

Source: our collected facts on B2Bi, certainty good for payment (4004), status (4005) and balance (4001); nothing was tried
against the bank. What they leave open is a setting. Not built, because not described: the fields of statements (4013) and of
batches (4018, and with it 4015), what the answers to fast payments (KHKF03, KHKF04) mean, and the newer JSON interface.

* `ThirdVoucher` is a payment's number, and the bank says that the same one is never paid twice (MA4045 is its answer to a repeat,
  also to one with other content: the gateway asks then). So after a doubt the same payment may go out again.
* The code of the header says whether the request was processed. What became of the payment says Stt of 4005 alone, and IsBack
  says whether it came back.
* Of the way Ping An is told urgent (SysFlag Y) or normal (N), and no system: `formats.dialects.rails.is_fast`. What its S
  (special) is for is not described.
* Signing is the client's: the header says that nothing is signed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Self

from formats.bank import Capabilities, Validity
from formats.dialects import pingan_replies as replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect
from formats.dialects.facts import facts_of
from formats.dialects.pingan_tables import BANK_CLASS, DOUBT, TABLE, PinganSettings, packs_of
from formats.dialects.rails import is_fast
from formats.dialects.serial import serial_of
from formats.dialects.text import child, element, optional
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
from formats.report import ReportRecord

_SERIAL: Final = SerialShape(length=20)
_PROTOCOLS: Final = {"tcp": "01", "http": "02"}
_TAIL: Final = "0" + "000" + "0" + "0" + " " * 12 + "0" * 10 + "0"
"""Bytes 193 to 221: no continuation, no count, not signed, no algorithm, no signature, no attachment. Their places are inferred
from the header's length; zeros and blanks are safe under each reading."""


def _head(charset: str) -> str:
    return f'<?xml version="1.0" encoding="{charset.upper()}"?>'


@dataclass(frozen=True, kw_only=True, eq=False)
class Pingan(Dialect[PinganSettings]):
    """See the module."""

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`: with the rules for the encoding in use."""
        made = super().configured(table)
        return replace(made, packs=packs_of(made.settings))

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """The body of 4004, in the published order of elements. See `BankFormat.render`."""
        terms, transfer = self._only(self._payments(message))
        facts = facts_of(terms, transfer, BANK_CLASS)
        may = self._may
        city = {None: self.settings.city_flag, True: "1", False: "2"}[facts.same_city]
        inside = "".join(
            (
                element("ThirdVoucher", serial_of(transfer, _SERIAL, day_of(message))),
                may("CstInnerFlowNo", ""),
                element("CcyCode", "RMB"),
                element("OutAcctNo", facts.payer_account),
                element("OutAcctName", facts.payer_name),
                may("OutAcctAddr", ""),
                may("InAcctBankNode", facts.bank_code),
                may("InAcctRecCode", ""),
                element("InAcctNo", facts.payee_account),
                element("InAcctName", facts.payee_name),
                may("InAcctBankName", facts.bank_name),
                may("InAcctProvinceCode", ""),
                may("InAcctCityName", facts.city),
                element("TranAmount", yuan(transfer.amount)),
                may("AmountCode", ""),
                may("UseEx", facts.purpose),
                element("UnionFlag", "1" if facts.own_bank else "0"),
                element("SysFlag", "Y" if is_fast(facts, transfer.amount, self.limits) else "N"),
                element("AddrFlag", city),
                *(may(tag, "") for tag in ("RealFlag", "MainAcctNo", "Mobile")),
            )
        )
        out.write(self._body(inside))

    def _may(self, tag: str, value: str) -> str:
        return element(tag, value) if self.settings.optional_elements == "empty" else optional(tag, value)

    def _body(self, inside: str) -> bytes:
        charset = self.settings.charset
        return self._encoded(f"{_head(charset)}<Result>{inside}</Result>", charset)

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`. Nothing of a question has to be fresh but the header."""
        del fresh
        match inquiry:
            case StatusInquiry():
                (one,) = inquiry.sought
                return self._body(element("OrigThirdVoucher", one.serial) + self._may("OrigFrontLogNo", ""))
            case BalanceInquiry():
                account = element("Account", inquiry.account.number) + element("CcyCode", "RMB")
                return self._body(account + self._may("CcyType", self.settings.currency_type))
            case _:
                raise ValueError("our facts on Ping An describe no statement and no list of returned payments")

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """The header and the body. Lengths count bytes."""
        settings = self.settings
        charset = "utf-8" if content.startswith(_head("utf-8").encode()) else "gbk"  # as it was rendered, perhaps a while ago
        header = "".join(
            (
                replies.VERSION.decode(),
                replies.CHARSETS[charset],
                _PROTOCOLS[settings.protocol],
                settings.customer_code.ljust(20),
                f"{len(content):010d}",
                replies.FUNCTIONS[asked.kind].ljust(6),
                settings.operator.ljust(5),
                "01",
                f"{wrapping.at:%Y%m%d%H%M%S}",
                wrapping.fresh.ljust(20),
                settings.request_code.ljust(6),
                " " * 100,
                _TAIL,
            )
        ).encode("ascii")
        if len(header) != replies.HEADER_BYTES:
            raise ValueError(f"a header of {len(header)} bytes; it has {replies.HEADER_BYTES}")
        return Request(body=header + content, charset=charset)

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = replies.read(exchange.text, asked)
            if not reply.accepted:
                return self._not_accepted(reply, asked)
            return self._answered(reply, asked)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)

    def _not_accepted(self, reply: replies.Reply, asked: Asked | None) -> Heard:
        """Only a code that the bank confirmed proves that a payment was refused; a repeat's (MA4045) never does."""
        code, kind = reply.code, None if asked is None else asked.kind
        if asked is not None and kind is Asking.STATUS and code in self.settings.not_found_codes:
            return Heard(outcome=Outcome.TAKEN, code=code, text=reply.text, missing=asked.serials)
        refused = kind is Asking.PAYMENT and code in self.settings.rejected_codes and code not in DOUBT
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=code, text=reply.text)

    def _answered(self, reply: replies.Reply, asked: Asked | None) -> Heard:
        serials = asked.serials if asked is not None else ()
        heard = Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)
        if reply.function == "4004":
            return replace(heard, found=serials)
        if reply.function == "4005":
            known = any(True for _ in replies.outcome(reply, asked, self.statuses))
            return replace(heard, found=serials) if known else replace(heard, missing=serials)
        if not child(reply.root, "TotalAmount") and not child(reply.root, "Balance"):
            return replace(heard, outcome=Outcome.UNKNOWN)
        return heard

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        asked = exchange.asked
        reply = replies.read(exchange.text, asked)
        yield replies.document(reply)
        if not reply.accepted:
            return
        if reply.function == "4004":
            yield from replies.taken(reply, asked, self.statuses)
        elif reply.function == "4005":
            yield from replies.outcome(reply, asked, self.statuses)
        else:
            yield from replies.balances(reply, asked)


_EXAMPLE: Final = PinganSettings(customer_code="00901025000000000001")

BANK = Pingan(
    name="pingan",
    bank_class="307",
    base=Capabilities(
        sends={"pingan.4004": Validity()},
        reads=("pingan.4004", "pingan.4005", "pingan.4001"),
        currencies=frozenset({"CNY"}),
        transfers_max=1,
        horizon_days=0,
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(
        serial=_SERIAL,
        same_serial_is_safe=True,
        returns_days=7,  # T+2 of working days, and a holiday between
        asks=frozenset({Asking.STATUS, Asking.BALANCE}),
    ),
    table=TABLE,
    packs=packs_of(_EXAMPLE),
    settings=_EXAMPLE,
)
