"""What the store holds of one payment and its messages, and what each of its methods does to that: pure functions.

Only what decides is kept: state, attempt, fence, lease, due time, age of the doubt, the stop mark; of the payment state, version,
the bank's word and how many attempts it had; and which discrepancies were told. Times are ticks from now. A lease that is over is
0. A doubt is as old as the quiet time at most, for then it is simply old. A message is due or not (0 or None): when exactly it is
due next decides nothing, as whoever finds it due may be late anyway. `test_conformance.py` holds
these functions to `SqliteStore`.
"""

from collections.abc import Hashable
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from formats.model import Account, Agent, Party, PaymentTerms
from gateway.lifecycle import (
    ATTEMPT_STARTS,
    DELIVERY_TABLE,
    NOTHING_GOES_OUT,
    PAYMENT_TABLE,
    DeliveryEvent,
    DeliveryState,
    PaymentEvent,
    PaymentState,
    advance,
    moves,
)
from gateway.store.records import (
    Candidate,
    Delivery,
    DeliveryBlock,
    MessageNewsResult,
    Reason,
    RefusedAttempt,
)
from gateway.store.store import Stale
from tests.model.machine import BASE, Request, TimeIsUp, moment, ticks

OLD = 9  # ticks; of a doubt that is over, whose age nobody asks for any more
CONNECTION = "bank"
PAYMENT = "p" * 32
END_TO_END = "E2E-1"
NOT_KEPT = frozenset({"duplicate_reported", "unmatched", "mismatch"})  # discrepancies that no promise of the model speaks of
AMOUNT, CURRENCY = Decimal("10.00"), "EUR"


class Row(NamedTuple):
    """A message and where it stands."""

    state: str = "ready"
    attempt: int = 0
    fence: int = 1
    lease: int | None = None
    due: int | None = 0
    doubt: int | None = None
    stopped: bool = False


class Pay(NamedTuple):
    """The payment. `message`: the number of the message it is in; None: in none."""

    state: str = "received"
    version: int = 0
    message: int | None = None
    attempts: int = 1
    word: str | None = None
    may_fall_back: bool = False
    refused_at: str | None = None  # when the bank wrote the report that refused the instant attempt


class Books(NamedTuple):
    """All of it. `told`: (kind, whose) of the discrepancies."""

    rows: tuple[Row | None, ...]
    pay: Pay
    told: frozenset[tuple[str, str]] = frozenset()


def message_id(number: int) -> str:
    return f"MESSAGE-{number}"


def delivery_id(number: int) -> str:
    return f"d{number}"


def _number(identification: str) -> int:
    return int(identification[-1])


# -- requests as words ---------------------------------------------------------------------------------------------------------


def _kinds(discrepancies: Any) -> frozenset[tuple[str, str]]:
    return frozenset((one.kind, one.delivery_id or one.payment_id or "") for one in discrepancies if one.kind not in NOT_KEPT)


def encode(request: Request) -> Hashable:
    """A request without what decides nothing: reasons, texts, evidence."""
    name, args, named = request.name, request.args, dict(request.named)
    if name in {"send", "fate"}:
        return (name, _number(args[0].key))
    if name == "change_delivery":
        (change,) = args
        return (
            name,
            _number(change.delivery_id),
            change.fence,
            change.state.value,
            change.event.value,
            change.next_state.value,
            ticks(change.due_at),
            ticks(change.lease_until),
            None if change.payment_event is None else change.payment_event.value,
            _kinds(change.discrepancies),
        )
    if name == "change_payments":
        changes, found, holds = (*args, (), ())[:3]
        return (
            name,
            tuple(
                (c.version, c.event.value, c.state.value, c.bank_status, c.next_attempt and c.next_attempt.report_created)
                for c in changes
            ),
            _kinds(found),
            tuple(sorted((_kinds([h.held]), _kinds([h.left])) for h in holds)),
        )
    if name == "apply_message_news":
        (news,) = args
        return (name, _number(news.delivery_id), news.event.value, news.bank_status, PAYMENT in news.except_payment_ids)
    if name == "add_discrepancies":
        return (name, _kinds(args[0]))
    if name == "add_evidence":
        return (name, _number(args[0]), ticks(args[2]))
    if name == "list_deliveries":
        return (name, tuple(state.value for state in args[0].states))
    if name == "list_payments":
        return (name, _number(args[0].delivery_id))
    if name in {"find_candidates", "evidence"}:
        return (name,)
    if name == "delivery_by_message_id":
        return (name, _number(args[1]))
    assert name in {"delivery", "delivery_blocks", "refused_attempts"}, f"the books have no {name}{args}{named}"
    return (name, _number(args[0]))


# -- answers from words --------------------------------------------------------------------------------------------------------


def real(key: Any) -> Any:
    """The answer that the words stand for."""
    if isinstance(key, BaseException) or key is TimeIsUp or key is None:
        return key
    kind, *parts = key
    return _ANSWERS[kind](*parts)


def _delivery(number: int, row: Row) -> Delivery:
    """`row` has its times as ticks of the task's own clock."""
    return Delivery(
        delivery_id=delivery_id(number),
        connection_id=CONNECTION,
        message_id=message_id(number),
        message_name="pain.001.001.09",
        file_name=f"{message_id(number)}.xml",
        creation_date_time=BASE,
        state=DeliveryState(row.state),
        reason=Reason(),
        payment_count=1,
        control_sum=AMOUNT,
        attempt=row.attempt,
        fence=row.fence,
        lease_until=None if row.lease is None else moment(row.lease),
        due_at=None if row.due is None else moment(row.due),
        document_id=1,
        document_sha256="00" * 32,
        document_size=1,
        created_at=BASE,
        updated_at=BASE,
        doubt_since=None if row.doubt is None else moment(row.doubt),
        stopped=row.stopped,
    )


def _candidates(pay: Pay) -> list[Candidate]:
    def candidate(attempt: int, number: int | None) -> Candidate:
        return Candidate(
            payment_id=PAYMENT,
            version=pay.version,
            state=PaymentState(pay.state),
            connection_id=CONNECTION,
            delivery_id=None if number is None else delivery_id(number),
            message_id=None if number is None else message_id(number),
            payment_information_id=None if number is None else f"{message_id(number)}-1",
            end_to_end_id=END_TO_END,
            uetr=None,
            amount=AMOUNT,
            currency=CURRENCY,
            bank_status=pay.word if attempt == pay.attempts else None,
            account_servicer_reference=None,
            caller="erp",
            payment_reference="R-1",
            attempt=attempt,
            attempts=pay.attempts,
            may_fall_back=pay.may_fall_back,
            report_created=pay.refused_at,
        )

    now = candidate(pay.attempts, pay.message)
    return [now] if pay.attempts == 1 else [now, candidate(1, 0)]


def _refused_attempt(pay: Pay) -> RefusedAttempt:
    return RefusedAttempt(
        payment_id=PAYMENT,
        amount=AMOUNT,
        uetr=None,
        delivery_id=delivery_id(0),
        message_id=message_id(0),
        payment_information_id=f"{message_id(0)}-1",
        reason=Reason(),
        report_created=pay.refused_at,
        refused_at=None,
    )


class _Listed(NamedTuple):
    """What `refuse_part` reads of a payment."""

    payment_id: str
    may_fall_back: bool
    payment_information_id: str


_ANSWERS: dict[str, Any] = {
    "none": lambda: None,
    "stale": lambda: Stale("moved"),
    "delivery": _delivery,
    "deliveries": lambda *found: ([_delivery(number, row) for number, row in found], None),
    "candidates": _candidates,
    "result": lambda changed, against: MessageNewsResult(
        changed=changed, contradicted=(PAYMENT,) * against, contradicted_count=against
    ),
    "empty": list,
    "blocks": lambda number: [
        DeliveryBlock(payment_information_id=f"{message_id(number)}-1", terms=_TERMS, count=1, control_sum=AMOUNT)
    ],
    "refused": lambda pay: [_refused_attempt(pay)],
    "payments": lambda number, pay: (
        [_Listed(PAYMENT, pay.may_fall_back, f"{message_id(number)}-1")] if pay.message == number else [],
        None,
    ),
}
_TERMS = PaymentTerms(
    debtor=Party(name="ACME BV"),
    debtor_account=Account(iban="NL41MOCK0000000001"),
    debtor_agent=Agent(bic="MOCKNL2AXXX"),
    requested_execution_date=BASE.date(),
)


# -- what the methods do -------------------------------------------------------------------------------------------------------


@cache
def _to_task(row: Row, offset: int) -> Row:
    """The row with its times as ticks of a task that began `offset` ticks ago."""
    return row._replace(
        lease=None if row.lease is None else row.lease + offset,
        due=None,  # no task looks at it
        doubt=None if row.doubt is None else offset - row.doubt,
    )


def _left(at: int | None, offset: int) -> int | None:
    return None if at is None else max(0, at - offset)


def later(row: Row, quiet: int) -> Row:
    """The row one tick later."""
    doubted = row.doubt is not None and row.state == DeliveryState.IN_DOUBT
    return row._replace(lease=_left(row.lease, 1), doubt=min(quiet, row.doubt + 1) if doubted else row.doubt)


def found(number: int, row: Row | None, offset: int) -> Hashable:
    """The answer that is this row."""
    return None if row is None else ("delivery", number, _to_task(row, offset))


def with_row(books: Books, number: int, row: Row) -> Books:
    return books._replace(rows=(*books.rows[:number], row, *books.rows[number + 1 :]))


def call(books: Books, request: Any, offset: int) -> tuple[Books, Hashable]:
    """The books after a request of a task that began `offset` ticks ago, and the answer."""
    return _METHODS[request[0]](books, offset, *request[1:])


def _change_delivery(
    books: Books,
    offset: int,
    number: int,
    fence: int,
    state: str,
    event: str,
    following: str,
    due: int | None,
    lease: int | None,
    payment_event: str | None,
    kinds: frozenset[tuple[str, str]],
) -> tuple[Books, Hashable]:
    row = books.rows[number]
    assert row is not None
    assert advance(DELIVERY_TABLE, state, event) == following
    starts = event in ATTEMPT_STARTS
    if (row.fence, row.state) != (fence, state) or (row.stopped and starts):
        return books, ("stale",)
    doubts = event == DeliveryEvent.LOST_TRACK
    after = Row(
        following,
        row.attempt + starts,
        fence + 1,
        _left(lease, offset),
        None if due is None else 0,
        0 if doubts else None if row.doubt is None else OLD,
        row.stopped,
    )
    books = with_row(books, number, after)._replace(told=books.told | kinds)
    if payment_event is not None and books.pay.message == number:
        books = _move(books, payment_event)
    return books, found(number, after, offset)


def _move(books: Books, event: str) -> Books:
    """Moves the payment along with its message, where the table moves it."""
    pay = books.pay
    following = moves(PAYMENT_TABLE, PaymentEvent(event)).get(PaymentState(pay.state))
    if following is None or following == pay.state:
        return books
    message = None if event == PaymentEvent.UNBATCH else pay.message
    return books._replace(pay=pay._replace(state=following.value, version=pay.version + 1, message=message))


def _change_payments(books: Books, _offset: int, changes: Any, kinds: Any, holds: Any) -> tuple[Books, Hashable]:
    pay, rows = books.pay, books.rows
    for version, event, state, word, created in changes:
        if version != pay.version:
            return books, ("stale",)
        assert advance(PAYMENT_TABLE, pay.state, event) == state
        pay = pay._replace(state=state, version=pay.version + 1, word=pay.word if word is None else word)
        if event == PaymentEvent.INSTANT_REFUSED:
            pay = pay._replace(attempts=2, message=None, word=None, may_fall_back=False, refused_at=created)
    books = books._replace(pay=pay, rows=rows, told=books.told | kinds)
    for held, left in holds:
        books = _hold_back(books, held, left)
    return books, ("none",)


def _hold_back(books: Books, held: frozenset[tuple[str, str]], left: frozenset[tuple[str, str]]) -> Books:
    pay = books.pay
    stays = pay.state == PaymentState.APPROVED
    if pay.state == PaymentState.BATCHED:
        assert pay.message is not None
        row = books.rows[pay.message]
        assert row is not None
        stays = row.state == DeliveryState.READY
        books = with_row(books, pay.message, row._replace(stopped=True, due=0 if stays else row.due))
    nothing = stays or pay.state in NOTHING_GOES_OUT
    if stays:
        pay = pay._replace(state=advance(PAYMENT_TABLE, pay.state, PaymentEvent.HOLD).value, version=pay.version + 1)
    return books._replace(pay=pay, told=books.told | (held if nothing else left))


def _apply_message_news(books: Books, _offset: int, number: int, event: str, word: str, excepted: bool) -> tuple[Books, Hashable]:
    pay = books.pay
    if pay.message != number or excepted:
        return books, ("result", 0, 0)
    follow = moves(PAYMENT_TABLE, PaymentEvent(event))
    following = follow.get(PaymentState(pay.state))
    if following is None:
        return books, ("result", 0, 1)
    level = pay.state == PAYMENT_TABLE[PaymentState.SENT, PaymentEvent(event)] and pay.word != word
    if following == pay.state and not level:
        return books, ("result", 0, 0)
    pay = pay._replace(state=following.value, version=pay.version + 1, word=word)
    return books._replace(pay=pay), ("result", 1, 0)


def _add_evidence(books: Books, _offset: int, number: int, due: int | None) -> tuple[Books, Hashable]:
    row = books.rows[number]
    assert row is not None
    return with_row(books, number, row._replace(due=None if due is None else 0)), ("none",)


def _list_deliveries(books: Books, offset: int, states: tuple[str, ...]) -> tuple[Books, Hashable]:
    matching = [(number, _to_task(row, offset)) for number, row in enumerate(books.rows) if row and row.state in states]
    return books, ("deliveries", *matching)


def _refused(books: Books, _offset: int, number: int) -> tuple[Books, Hashable]:
    return books, ("refused", books.pay) if books.pay.attempts == 2 and number == 0 else ("empty",)


_METHODS: dict[str, Any] = {
    "change_delivery": _change_delivery,
    "change_payments": _change_payments,
    "apply_message_news": _apply_message_news,
    "add_discrepancies": lambda books, _offset, kinds: (books._replace(told=books.told | kinds), ("none",)),
    "add_evidence": _add_evidence,
    "evidence": lambda books, _offset: (books, ("empty",)),
    "list_deliveries": _list_deliveries,
    "list_payments": lambda books, _offset, number: (books, ("payments", number, books.pay)),
    "find_candidates": lambda books, _offset: (books, ("candidates", books.pay)),
    "delivery": lambda books, offset, number: (books, found(number, books.rows[number], offset)),
    "delivery_by_message_id": lambda books, offset, number: (books, found(number, books.rows[number], offset)),
    "delivery_blocks": lambda books, _offset, number: (books, ("blocks", number)),
    "refused_attempts": _refused,
}
