"""The production code that the model's processes run, and how it is set up: nothing of it is written anew here."""

from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from channels.channel import Guarantee
from formats.bank import bank_named
from formats.report import Document, Entry, EntryTransaction, Reason, ReportRecord, StatusReport, TransactionStatus
from gateway.apply import NewsApplier
from gateway.callers import Caller
from gateway.config import ConnectionSettings
from gateway.connection import Connection
from gateway.delivery import Courier
from gateway.store.store import Stale
from gateway.use_cases.operations import Operations
from keys.plain import PlainSeal
from tests.model.books import AMOUNT, CONNECTION, CURRENCY, END_TO_END, PAYMENT, Row, message_id, real
from tests.model.machine import BASE, Asked, Hands, Nothing, Task

FALL_BACK = frozenset({"AB06"})
Asked_ = tuple[tuple[int, int, int], ...]
"""(message, attempt, ticks ago) of the first question about each."""
_PERSON = Caller("ada", ("*",), frozenset({"operate"}))


class Even:
    """No jitter: every pause is as long as it can be."""

    def random(self) -> float:
        return 1.0


@cache
def connection(kind: str, final: bool, quiet: int, lease: int, attempts_max: int, closed: bool = False) -> Connection:
    """A connection with this guarantee and these times; a question a tick, and no pause grows. `closed`: its send window is, at
    the time of day at which every task begins; else it has none."""
    guarantee = {"kind": kind, "absence_is_final": final, "quiet_seconds": quiet}
    if kind == Guarantee.IDEMPOTENT:
        guarantee = {"kind": kind, "evidence": "letter of 2026-03-02"}
    settings = ConnectionSettings.model_validate(
        {
            "id": CONNECTION,
            "initiating_party": "ACME BV",
            "accounts": ({"iban": "NL41MOCK0000000001", "holder": "ACME BV"},),
            "channel": {"kind": "folder", "upload": "out"},
            "guarantee": guarantee,
            "schedule": {"ask_seconds": 1},
            **(
                {"send_window": {"calendar": "TARGET", "opens": "10:00", "cut_off": "11:00"}, "time_zone": "UTC"}
                if closed
                else {}
            ),
            "retry": {"first_seconds": 1, "longest_seconds": 1, "attempts_max": attempts_max, "lease_seconds": lease},
        }
    )
    return Connection(settings, bank_named("iso20022"), PlainSeal(), "", Path(), lambda: BASE, None)


class NoRules(Nothing):
    """Of the preparer: no list that changed keeps a message that was made."""

    async def may_leave(self, _: object) -> bool:
        return True


def _courier(hands: Hands, at: Connection, courier: type[Courier], asked: Asked_ = ()) -> Courier:
    """`asked`: what the process remembers."""
    channel = Asked(hands, guarantee=at.guarantee)
    made = courier(Asked(hands), at, channel, NoRules(), hands.clock, Nothing())  # type: ignore[arg-type]
    made.recorder.jitter = Even()  # type: ignore[assignment]
    made.uptime = hands.loop.time
    hands.memory = made.doubted  # since when it has been asking about an attempt, by its uptime
    made.doubted.update({(f"d{number}", attempt): -float(age) for number, attempt, age in asked})
    return made


def advancing(at: Connection, courier: type[Courier], number: int, row: Row, asked: Asked_) -> Task:
    """`Courier.advance` of the message as it was found due, as `advance_due` calls it."""

    async def advance(hands: Hands) -> None:
        with suppress(Stale):
            await _courier(hands, at, courier, asked).advance(real(("delivery", number, row)))

    return advance


def recovering(at: Connection, courier: type[Courier]) -> Task:
    """`Courier.recover`, as when a lane was taken."""
    return lambda hands: _courier(hands, at, courier).recover()


def resolving(number: int, arrived: bool, attempt: int) -> Task:
    """A person's decision about an attempt."""

    def resolve(hands: Hands) -> Coroutine[Any, Any, Any]:
        desk = Operations(None, Asked(hands), clock=hands.clock, metrics=Nothing())  # type: ignore[arg-type]
        return desk.resolve_delivery(_PERSON, f"d{number}", arrived, "the bank was asked by telephone", attempt=attempt)

    return resolve


def reading(news: str, number: int) -> Task:
    """`NewsApplier` over a file of the bank that says this of the message or its payment."""

    async def read(hands: Hands) -> None:
        applier = NewsApplier(
            Asked(hands),  # type: ignore[arg-type]
            connection_id=CONNECTION,
            inbound_file_id=1,
            clock=hands.clock,
            fall_back_codes=FALL_BACK,
        )
        with suppress(Stale):
            for record in _records(news, number):
                await applier.apply(record)
            await applier.finish()

    return read


# -- what a bank says ----------------------------------------------------------------------------------------------------------

_WRITTEN = {"received": 1, "pending": 1, "accepted": 2}  # minute; verdicts are written later


def _records(news: str, number: int) -> list[ReportRecord]:
    created = f"2026-11-25T10:{_WRITTEN.get(news, 3):02}:00Z"
    if news in {"booked", "returned"}:
        return [Document(message="camt.054.001.08", message_id="N-1", creation_date_time=created), _entry(news, number)]
    words = {"received": "ACTC", "refused whole": "RJCT", "echo": "RJCT"}
    reasons = {"refused whole": "AC04", "echo": "DU01"}
    report = StatusReport(
        original_message_id=message_id(number),
        original_message_name="pain.001.001.09",
        group_status=words.get(news),
        group_reasons=(Reason(code=reasons[news]),) if news in reasons else (),
    )
    single = {
        "pending": ("PDNG", None),
        "accepted": ("ACSP", None),
        "rejected": ("RJCT", "AC04"),
        "instant refused": ("RJCT", "AB06"),
    }
    told: list[ReportRecord] = [Document(message="pain.002.001.10", message_id="B-1", creation_date_time=created), report]
    if news in single:
        word, code = single[news]
        told.append(
            TransactionStatus(
                original_payment_information_id=f"{message_id(number)}-1",
                original_instruction_id=_instruction_id(number),
                original_end_to_end_id=END_TO_END,
                status=word,
                reasons=(Reason(code=code),) if code else (),
            )
        )
    return told


def _entry(news: str, number: int) -> Entry:
    back = news == "returned"
    transaction = EntryTransaction(
        end_to_end_id=END_TO_END,
        instruction_id=_instruction_id(number),
        message_id=message_id(number),
        amount=str(AMOUNT),
        currency=CURRENCY,
        credit_debit="CRDT" if back else "DBIT",
        return_reason="AC04" if back else None,
    )
    return Entry(
        statement_id="N1",
        amount=str(AMOUNT),
        currency=CURRENCY,
        credit_debit=transaction.credit_debit,
        status="BOOK",
        transactions=(transaction,),
    )


def _instruction_id(number: int) -> str:
    return PAYMENT if number == 0 else f"{PAYMENT}-2"
