"""ICBC 中国工商银行, 银企互联 (NC, NetSafe Client): CMS XML in GBK, through the two local services of the bank's NC program.

Source: our collected facts on ICBC's interface, certainty high for payment, status and balance (PAYENT, QPAYENT, QACCBAL),
good for statements (QHISD of past days, QPD of today). Nothing was tried against the bank; what is open is a setting.

* A payment is named twice: `fSeqno`, the number of the request, which is never used again within the group, and `iSeqno` of each
  payment in it. The bank does not say that a number sent twice is paid once: after a doubt it is only asked (QPAYENT).
* A `PAYENT` is signed by the sign service of NC, questions are not. Dates and times of the envelope have to be near the bank's;
  the stored content has empty places for them, and everything else of it is fixed.
* `errorCode=` in place of an answer proves nothing, and so does a RetCode that is not 0: no list of proven refusals is published.
  Those that the bank confirms in writing go into `rejected_codes`.
* Of the way ICBC is told urgent (PayType 1) or normal (2), and no system: `formats.dialects.rails.is_fast`.
* Elements of the newer versions whose order is not known (BankType, PaySubNo, MCardNo and others) are not written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import BinaryIO, Final
from urllib.parse import quote

from formats.bank import Capabilities, Validity
from formats.dialects import icbc_replies as replies
from formats.dialects.booking import day_of
from formats.dialects.dialect import Dialect
from formats.dialects.facts import facts_of
from formats.dialects.icbc_tables import BANK_CLASS, OWN, TABLE, IcbcSettings
from formats.dialects.rails import is_fast
from formats.dialects.serial import package_of, serial_of
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
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord
from formats.rules.chinese import DOMESTIC

_HEAD: Final = '<?xml version="1.0" encoding="GBK"?>'
_FROM_FEN, _UNTIL_FEN = "0", "9" * 17  # MinAmt and MaxAmt: every amount that 17 digits of fen hold
_SERIAL: Final = SerialShape(length=20)
_PACKAGE: Final = SerialShape(length=20)


def _fen(amount: Decimal) -> str:
    """Yuan with at most two decimals (rule amount.scale) as whole fen."""
    return str(int(amount.scaleb(2)))


def _place(content: bytes, tag: str) -> str:
    """The text of the first such element of a content of ours."""
    found = re.search(f"<{tag}>([^<]*)</{tag}>".encode(), content)
    if found is None:
        raise ValueError(f"the content holds no {tag}")
    return found[1].decode("gbk")


def _stamped(content: bytes, at: datetime) -> bytes:
    """The content with its empty places of date and time filled. No value can look like one: values hold no "<"."""
    moments = {
        "TranDate": f"{at:%Y%m%d}",
        "TranTime": f"{at:%H%M%S%f}",
        "SignTime": _milliseconds(at),
    }
    for tag, moment in moments.items():
        content = content.replace(f"<{tag}></{tag}>".encode(), f"<{tag}>{moment}</{tag}>".encode(), 1)
    return content


def _milliseconds(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Icbc(Dialect[IcbcSettings]):
    """See the module."""

    @cached_property
    def capabilities(self) -> Capabilities:
        settings = self.settings
        most = settings.payments_per_request if settings.batch else 1
        return replace(self.base, transfers_max=most, horizon_days=settings.scheduled_days)

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """PAYENT with empty places for its times. See `BankFormat.render`."""
        payments = self._payments(message)
        on = day_of(message)
        body = elements(
            (
                ("OnlBatF", "1"),
                ("SettleMode", self.settings.settle_mode),
                ("TotalNum", str(len(payments))),
                ("TotalAmt", _fen(message.control_sum)),
                ("SignTime", ""),
                ("ReqReserved1", ""),
                ("ReqReserved2", ""),
            )
        )
        rows = "".join(self._row(terms, transfer, on) for terms, transfer in payments)
        out.write(self._cms("PAYENT", package_of(message, _PACKAGE), body + rows))

    def _cms(self, function: str, number: str, body: str) -> bytes:
        pub = elements(
            (
                ("TransCode", function),
                ("CIS", self.settings.group_cis),
                ("BankCode", BANK_CLASS),
                ("ID", self.settings.certificate_id),
                ("TranDate", ""),
                ("TranTime", ""),
                ("fSeqno", number),
            )
        )
        return self._encoded(f"{_HEAD}<CMS><eb><pub>{pub}</pub><in>{body}</in></eb></CMS>", "gbk")

    def _row(self, terms: PaymentTerms, transfer: CreditTransfer, on: date) -> str:
        """One payment, in the published order of elements."""
        facts = facts_of(terms, transfer, BANK_CLASS)
        other = not facts.own_bank
        start = terms.requested_execution_date
        city = {None: "", True: "1", False: "2"}[facts.same_city]
        may = element if self.settings.optional_elements == "empty" else optional
        return "".join(
            (
                "<rd>",
                element("iSeqno", serial_of(transfer, _SERIAL, on)),
                *(may(tag, "") for tag in ("ReimburseNo", "ReimburseNum")),
                may("StartDate", f"{start:%Y%m%d}" if start > on else ""),
                may("StartTime", ""),
                element("PayType", "1" if is_fast(facts, transfer.amount, self.limits) else "2"),
                element("PayAccNo", facts.payer_account),
                element("PayAccNameCN", facts.payer_name),
                may("PayAccNameEN", ""),
                element("RecAccNo", facts.payee_account),
                element("RecAccNameCN", facts.payee_name),
                may("RecAccNameEN", ""),
                element("SysIOFlg", "2" if other else "1"),
                may("IsSameCity", city),
                may("Prop", ("1" if facts.person else "0") if other else ""),
                may("RecICBCCode", ""),
                may("RecCityName", facts.city),
                may("RecBankNo", facts.bank_code),
                may("RecBankName", facts.bank_name),
                element("CurrType", "001"),
                element("PayAmt", _fen(transfer.amount)),
                may("UseCode", ""),
                element("UseCN", facts.purpose),
                may("EnSummary", ""),
                may("PostScript", facts.remark),
                *(may(tag, "") for tag in ("Summary", "Ref", "Oref", "ERPSqn", "BusCode", "ERPcheckno")),
                *(may(tag, "") for tag in ("CrvouhType", "CrvouhName", "CrvouhNo")),
                may("ReqReserved3", self.settings.payer_bank),
                may("ReqReserved4", ""),
                "</rd>",
            )
        )

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`."""
        match inquiry:
            case StatusInquiry():
                return self._cms("QPAYENT", fresh, _status_question(inquiry))
            case BalanceInquiry():
                account = inquiry.account.number
                row = (("iSeqno", "1"), ("AccNo", account), ("CurrType", "001"), ("ReqReserved3", ""), ("AcctSeq", ""))
                return self._cms("QACCBAL", fresh, f"{element('TotalNum', '1')}<rd>{elements(row)}</rd>")
            case StatementInquiry():
                return self._statement_question(inquiry, fresh)
            case _:
                raise ValueError("ICBC publishes no question for returned payments")

    def _statement_question(self, inquiry: StatementInquiry, fresh: str) -> bytes:
        today = inquiry.since == inquiry.until == inquiry.today
        days = () if today else (("BeginDate", f"{inquiry.since:%Y%m%d}"), ("EndDate", f"{inquiry.until:%Y%m%d}"))
        amounts = (("MinAmt", _FROM_FEN), ("MaxAmt", _UNTIL_FEN))
        body = elements((("AccNo", inquiry.account.number), *days, *amounts, ("NextTag", inquiry.page)))
        return self._cms("QPD" if today else "QHISD", fresh, body)

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        """The XML of a payment, with its times; questions are sent as they are."""
        return _stamped(content, wrapping.at) if asked.kind is Asking.PAYMENT else None

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """The form for the secure service of NC. `userID`, `ID` and `PackageID` agree in URL, form and XML, as the bank wants."""
        if asked.kind is Asking.PAYMENT and wrapping.sealed is None:
            raise ValueError("a PAYENT is signed by the sign service of NC before it is sent")
        data = _stamped(content, wrapping.at) if wrapping.sealed is None else wrapping.sealed
        number, own = _place(content, "fSeqno"), _place(content, "ID")
        settings = self.settings
        extra = (("Language", settings.language), ("zipFlag", settings.zip_flag))
        return Request(
            body=b"",
            fields=(
                ("Version", settings.version),
                ("TransCode", _place(content, "TransCode")),
                ("BankCode", BANK_CLASS),
                ("GroupCIS", _place(content, "CIS")),
                ("ID", own),
                ("PackageID", number),
                ("Cert", ""),
                ("reqData", data.decode("gbk")),
                *((name, value) for name, value in extra if value),
            ),
            charset="gbk",
            target=f"?userID={quote(own, safe='')}&PackageID={number}&SendTime={_milliseconds(wrapping.at)}",
        )

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = replies.read(exchange.text, asked)
            if reply.error:
                return self._not_accepted(asked, reply.error, "")
            if not reply.accepted:
                return self._not_accepted(asked, reply.code, reply.text)
            return self._answered(reply, asked)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)

    def _not_accepted(self, asked: Asked | None, code: str, text: str) -> Heard:
        """Only a code that the bank confirmed proves that a payment was refused; of a question it proves nothing about one."""
        kind = None if asked is None else asked.kind
        if asked is not None and kind is Asking.STATUS and code in self.settings.not_found_codes:
            return Heard(outcome=Outcome.TAKEN, code=code, text=text, missing=asked.serials)
        refused = kind is Asking.PAYMENT and code in self.settings.rejected_codes and code != replies.ACCEPTED
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=code, text=text)

    def _answered(self, reply: replies.Reply, asked: Asked | None) -> Heard:
        found: tuple[str, ...] = ()
        missing: tuple[str, ...] = ()
        page = None
        if reply.function in {"PAYENT", "QPAYENT"}:
            shown = replies.statuses(reply, asked, self.statuses)
            found = tuple(one.serial_number for one in shown if one.serial_number)
        if reply.function == "QPAYENT" and replies.is_plain(reply):
            missing = tuple(serial for serial in (asked.serials if asked else ()) if serial not in found)
        if reply.function == "QACCBAL":
            bad = next((row for row in reply.rows if child(row, "iRetCode") not in {"", replies.ACCEPTED}), None)
            if bad is not None or not reply.rows:
                return Heard(outcome=Outcome.UNKNOWN, code=child(bad, "iRetCode"), text=child(bad, "iRetMsg"))
        elif reply.function in {"QHISD", "QPD"}:
            page = child(reply.out, "NextTag") or None
        return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, next_page=page, found=found, missing=missing)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        asked = exchange.asked
        reply = replies.read(exchange.text, asked)
        yield replies.document(reply)
        if not reply.accepted:
            return
        if reply.function in {"PAYENT", "QPAYENT"}:
            yield from replies.statuses(reply, asked, self.statuses)
        elif reply.function == "QACCBAL":
            yield from replies.balances(reply, asked)
        else:
            yield from replies.statement(reply, asked, self.settings.return_words)


def _status_question(inquiry: StatusInquiry) -> str:
    """QryfSeqno is the number of the request that the payments went out in, QryiSeqno each one's own."""
    rows = "".join(
        f"<rd>{elements((('iSeqno', str(number)), ('QryiSeqno', one.serial), ('QryOrderNo', '')))}</rd>"
        for number, one in enumerate(inquiry.sought, start=1)
    )
    return elements((("QryfSeqno", inquiry.sought[0].package), ("QrySerialNo", ""))) + rows


BANK = Icbc(
    name="icbc",
    bank_class="102",
    base=Capabilities(
        sends={"icbc.PAYENT": Validity()},
        reads=("icbc.PAYENT", "icbc.QPAYENT", "icbc.QACCBAL", "icbc.QHISD", "icbc.QPD", "icbc.errorCode"),
        currencies=frozenset({"CNY"}),
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=_SERIAL, package=_PACKAGE, serials_per_question=50, sealed_by="sign_service"),
    table=TABLE,
    packs=(DOMESTIC, OWN),
    settings=IcbcSettings(group_cis="990000000000001", certificate_id="demo.y.9900"),
)
