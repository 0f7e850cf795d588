"""A desk over a bank that answers at once: the least plugin of that kind, whose files are lines of words.

status SERIAL WORD [CODE [REFERENCE]]      entry SERIAL CRDT|DBIT AMOUNT      returned SERIAL CODE
back AMOUNT ACCOUNT NAME DAY [REFERENCE [SERIAL]]      a credit that is a reversal; "-" stands for nothing
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, BinaryIO

from formats.bank import Capabilities, Validity
from formats.dialogue import Asked, Dialogue, Heard, Inquiry, Outcome, Request, SerialShape, Wrapping
from formats.errors import Violation
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import (
    AccountIdentification,
    Document,
    Entry,
    EntryTransaction,
    PaymentReturn,
    Reason,
    ReportRecord,
    Statement,
    TransactionStatus,
)
from keys.plain import PlainSeal
from tests.gateway.conftest import ACCOUNT, Desk

CAPABILITIES = Capabilities(sends={"talking.pay": Validity()}, reads=("talking.",), time_zone="Asia/Shanghai", transfers_max=3)
DIALOGUE = Dialogue(serial=SerialShape(length=16), package=SerialShape(length=20))


@dataclass(frozen=True, kw_only=True)
class TalkingBank:
    """See the module."""

    name: str = "talking"
    capabilities: Capabilities = CAPABILITIES
    dialogue: Dialogue = DIALOGUE

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        del terms, transfer, on, message_name
        return ()

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        lines = [f"package {message.serial_number}"]
        lines += [f"pay {one.serial_number} {one.amount}" for block in message.blocks for one in block.transfers()]
        out.write("\n".join(lines).encode())

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        yield Document(message="talking.answer")
        for number, line in enumerate(source.read().decode().splitlines()):
            yield from _RECORDS[line.split()[0]](number, *line.split()[1:])

    def configured(self, table: Mapping[str, object]) -> "TalkingBank":
        del table
        return self

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        return f"{inquiry!r} {fresh}".encode()

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        del fresh, at
        return None

    def token_of(self, reply: bytes) -> str | None:
        del reply
        return None

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        del content, asked, wrapping
        return None

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        del asked, wrapping
        return Request(body=content)

    def to_open(self, reply: bytes) -> bytes | None:
        del reply
        return None

    def hear(self, exchange: Exchange) -> Heard:
        del exchange
        return Heard(outcome=Outcome.UNKNOWN)

    def explain(self, code: str) -> tuple[str, str] | None:
        del code
        return None


def _status(_: int, serial: str, word: str, code: str = "", reference: str | None = None) -> Iterator[ReportRecord]:
    yield TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=word,
        reasons=(Reason(code=code, text="银行的话"),) if code else (),
        account_servicer_reference=reference,
        serial_number=serial,
    )


def _returned(_: int, serial: str, code: str) -> Iterator[ReportRecord]:
    yield PaymentReturn(
        original_message_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        original_uetr=None,
        amount="10.00",
        currency="EUR",
        settlement_date=None,
        reasons=(Reason(code=code, text="账号不符"),),
        serial_number=serial,
    )


def _entry(number: int, serial: str, direction: str, amount: str) -> Iterator[ReportRecord]:
    account = AccountIdentification(iban=ACCOUNT, currency="EUR")
    yield Statement(statement_id=f"S-{number}", account=account, balances=(), entry_count=1)
    yield Entry(
        statement_id=f"S-{number}",
        amount=amount,
        currency="EUR",
        credit_debit=direction,
        reversal=direction == "CRDT",
        status="BOOK",
        transactions=(EntryTransaction(serial_number=serial),),
    )


def _back(number: int, *words: str) -> Iterator[ReportRecord]:
    amount, other, name, day, reference, serial = (None if word == "-" else word for word in (*words, "-", "-")[:6])
    yield Statement(statement_id=f"S-{number}", account=AccountIdentification(iban=ACCOUNT, currency="EUR"), entry_count=1)
    transaction = EntryTransaction(
        counterparty_account=other,
        counterparty_name=name,
        account_servicer_reference=reference,
        serial_number=serial,
        remittance_information=("退票",),
    )
    yield Entry(
        statement_id=f"S-{number}",
        amount=amount or "",
        currency="EUR",
        credit_debit="CRDT",
        reversal=True,
        status="BOOK",
        booking_date=day,
        transactions=(transaction,),
    )


_RECORDS: dict[str, Callable[..., Iterator[ReportRecord]]] = {
    "status": _status,
    "returned": _returned,
    "entry": _entry,
    "back": _back,
}


class NeverSeals(PlainSeal):
    """What is sealed at each exchange is not sealed before."""

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        raise AssertionError("a message of such a bank is not sealed when it is prepared")


async def talking(make_desk: Callable[..., Awaitable[Desk]], **settings: Any) -> Desk:
    """A desk whose bank is a `TalkingBank`."""
    desk = await make_desk(message=None, **settings)
    connection = replace(desk.connection, bank=TalkingBank(), seal=NeverSeals())
    desk.connection = connection
    desk.preparer = replace(desk.preparer, connection=connection)
    desk.courier = replace(desk.courier, connection=connection, preparer=desk.preparer)
    desk.intake = replace(desk.intake, connection=connection)
    return desk
