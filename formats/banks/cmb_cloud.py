"""CMB 招商银行 云直联 (CDC): JSON over HTTPS, signed by SM2 and encrypted by SM4, without a front machine.

Source: two independent programs against this interface (the notes of this project on CMB 云直联). Tables, settings and rules:
`formats.dialects.cmb_cloud_tables`; replies: `formats.dialects.cmb_cloud_replies`; the seal: kind "cmb_cloud".

* yurRef is the identity: unique, and a repeat carries the same. It is the payment's serial number.
* The content that is stored is `{"body": …, "funcode": …}`. What is only good now stands around it: the request's own number
  (`reqid`), the hour, the signature.
* `resultcode` SUC0000 says that the call was taken up; of the payment speak reqSts and, where that is FIN, rtnFlg.
* A batch (BB1PAYBH) is taken to have the fields of a single payment in its items, which no source says: `batch` is off until
  the bank has confirmed it. Its status is asked for by its number (BB1QRYBD), the first page only.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, BinaryIO, Final, Self

from formats.bank import Capabilities, Validity
from formats.dialects import cmb_cloud_replies as replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.cmb_cloud_tables import BANK_CLASS, BATCH_MAX, PACKS, TABLE, CmbCloudSettings
from formats.dialects.dialect import Dialect
from formats.dialects.facts import Facts, facts_of
from formats.dialects.rails import Rail, is_fast, rail_of
from formats.dialects.serial import package_of, serial_of
from formats.dialogue import (
    Asked,
    Asking,
    BalanceInquiry,
    Dialogue,
    Heard,
    HeldAccount,
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

SINGLE: Final = f"cmb_cloud.{replies.PAY}"
BATCH: Final = f"cmb_cloud.{replies.BATCH}"
SERIAL: Final = SerialShape(length=20)
PLACEHOLDER: Final = "__signature_sigdat__"
_RENMINBI: Final = "10"
_CHANNELS: Final[Mapping[Rail, str]] = {Rail.HVPS: "Q", Rail.BEPS: "G", Rail.IBPS: "R"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CmbCloud(Dialect[CmbCloudSettings]):
    """See the module."""

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`. A batch has a number of its own, and one question answers for all of it."""
        made = super().configured(table)
        if not made.settings.batch:
            return made
        return replace(
            made,
            base=replace(self.base, sends={BATCH: Validity(), SINGLE: Validity()}),
            dialogue=replace(self.dialogue, package=SERIAL, serials_per_question=BATCH_MAX),
        )

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `BankFormat.render`. Raises `Unrenderable`."""
        payments = self._payments(message)
        today = day_of(message)
        items = [self._item(terms, one, today) for terms, one in payments]
        mode = {"busCod": self.settings.business_code, "busMod": self.settings.business_mode}
        if message.message_name == BATCH:
            head = {**mode, "bthNbr": package_of(message, SERIAL), "ctnFlg": "N", "dtlNbr": str(len(items))}
            body: dict[str, Any] = {"bb1bmdbhx1": [head], "bb1paybhx1": items}
        else:
            self._only(payments)
            body = {"bb1paybmx1": [mode], "bb1payopx1": items}
        out.write(_content(message.message_name.partition(".")[2], body))

    def _item(self, terms: PaymentTerms, transfer: CreditTransfer, today: date) -> dict[str, str]:
        facts = facts_of(terms, transfer, BANK_CLASS)
        wanted = {
            "bnkFlg": "Y" if facts.own_bank else "N",
            "ccyNbr": _RENMINBI,
            "crtAcc": facts.payee_account,
            "crtNam": facts.payee_name,
            "dbtAcc": facts.payer_account,
            "nusAge": facts.purpose,
            "stlChn": self._channel(facts, transfer),
            "trsAmt": yuan(transfer.amount),
            "yurRef": serial_of(transfer, SERIAL, today),
        }
        due = terms.requested_execution_date
        optional = {
            "brdNbr": facts.bank_code,
            "crtBnk": facts.bank_name,
            "crtAdr": "".join(dict.fromkeys((facts.province, facts.city))),  # 直辖市: one name for both
            "busNar": facts.remark,
            "eptDat": due.strftime("%Y%m%d") if due > today else "",
        }
        return wanted | {name: value for name, value in optional.items() if value}

    def _channel(self, facts: Facts, transfer: CreditTransfer) -> str:
        """stlChn. IBPS only where the caller names it: Q is what the bank takes by itself, and no source says what R asks for."""
        rail = rail_of(facts, transfer.amount, self.limits)
        if rail is not Rail.IN_BANK and facts.rail:
            return _CHANNELS[rail]
        return "Q" if is_fast(facts, transfer.amount, self.limits) else self.settings.usual_channel

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`."""
        del fresh  # the request's own number stands in the envelope
        settings = self.settings
        match inquiry:
            case StatusInquiry(sought=sought) if sought and sought[0].package is not None:
                return _content(replies.BATCH_STATUS, {settings.batch_question_block: [{"bthNbr": sought[0].package}]})
            case StatusInquiry(sought=sought):
                rows = [{"busCod": settings.business_code, "yurRef": one.serial} for one in sought]
                return _content(replies.STATUS, {"bb1payqrx1": rows})
            case ReturnsInquiry():
                row = {"busCod": settings.business_code}
                row |= {settings.returns_since: f"{inquiry.since:%Y%m%d}", settings.returns_until: f"{inquiry.until:%Y%m%d}"}
                return _content(replies.RETURNS, {settings.returns_block: [row]})
            case BalanceInquiry():
                return _content(replies.BALANCE, {"ntqadinfx": [self._account(inquiry.account)]})
            case StatementInquiry():
                row = self._account(inquiry.account)
                row |= {"trsdat": f"{inquiry.since:%Y%m%d}", "trsseq": inquiry.page or settings.first_sequence}
                return _content(replies.STATEMENT, {settings.statement_block: [row]} if settings.statement_block else row)

    def _account(self, account: HeldAccount) -> dict[str, str]:
        return {"accnbr": account.number, "bbknbr": self.settings.branches.get(account.number, self.settings.branch)}

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes:
        """See `DialogueBank.to_seal`: the whole JSON text, with a placeholder where the signature belongs."""
        del asked
        said = json.loads(content)
        moment = wrapping.at.strftime("%Y%m%d%H%M%S")
        # 17 digits of time and 5 random ones; our milliseconds are digits that no other request has, so that no two are equal.
        head = {"funcode": said["funcode"], "reqid": moment + wrapping.fresh[-8:], "userid": self.settings.uid}
        text = {
            "request": {"body": said["body"], "head": head},
            "signature": {"sigdat": PLACEHOLDER, "sigtim": moment},
        }
        return _written(text)

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`. Raises `ValueError` without the sealed text: nothing leaves in clear."""
        del asked
        if wrapping.sealed is None:
            raise ValueError('CMB 云直联 takes sealed requests only: [seal] kind = "cmb_cloud"')
        fields = [("UID", self.settings.uid), ("FUNCODE", json.loads(content)["funcode"]), ("ALG", "SM")]
        fields.append(("DATA", wrapping.sealed.decode("ascii")))
        if self.settings.platform:
            fields.append(("INSPLAT", self.settings.platform))
        return Request(body=b"", fields=tuple(fields), charset="utf-8")

    # -- in ------------------------------------------------------------------------------------------------------------

    def to_open(self, reply: bytes) -> bytes | None:
        """See `DialogueBank.to_open`: all of it, unless the bank's door refused in clear."""
        return None if replies.is_clear_refusal(reply) else reply

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        return replies.hear(exchange, self.settings)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        return replies.records(exchange, self.statuses)


def _content(function: str, body: Mapping[str, object]) -> bytes:
    return _written({"body": body, "funcode": function})


def _written(value: object) -> bytes:
    """JSON as the bank signs it: names sorted, no blanks, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


BANK = CmbCloud(
    name="cmb_cloud",
    bank_class="308",
    base=Capabilities(
        sends={SINGLE: Validity()},
        reads=replies.READS,
        currencies=frozenset({"CNY"}),
        transfers_max=BATCH_MAX,
        horizon_days=31,
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(
        serial=SERIAL,
        same_serial_is_safe=True,
        returns_days=7,
        asks=frozenset({Asking.STATUS, Asking.RETURNS, Asking.BALANCE, Asking.STATEMENT}),
        statement_days_max=1,
        sealed_by="keys",
        pauses=Pauses(payment=1.0, question=2.0),  # of the front machine (guide 4.3.1): the cloud's own are not known
    ),
    table=TABLE,
    packs=PACKS,
    settings=CmbCloudSettings(),
)
