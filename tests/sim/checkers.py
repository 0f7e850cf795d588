"""What must be true after every step, checked against the database's rows and the bank's books as they change.

Independent of the code it watches: it reads rows with SQL of its own, and of the gateway it takes only the two lifecycle tables.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.instant import payment_id_of
from gateway.lifecycle import DELIVERY_TABLE, PAYMENT_TABLE, DeliveryEvent, DeliveryState, PaymentState
from tests.sim.bank import Bank, Taken

_PAYMENT_STEPS = {(before, after) for (before, _), after in PAYMENT_TABLE.items()} | {
    (None, PaymentState.APPROVED),
    (None, PaymentState.RECEIVED),
    (PaymentState.APPROVED, PaymentState.BATCHED),
}
_STARTS = frozenset({"started", "send_again"})
_NO_STEP = frozenset({"formed", "document_attached", "stopped"})  # they leave a message where it is
WAITS_FOR_A_PERSON = frozenset({DeliveryState.IN_DOUBT, DeliveryState.REFUSED, DeliveryState.ABANDONED})


@dataclass
class Known:
    """A delivery as the last look left it."""

    state: DeliveryState
    fence: int
    attempt: int
    events: int = 0  # of its story, as far as it was replayed
    stopped: bool = False


@dataclass
class Checkers:
    """`fail` ends the life with what is wrong; `tell` writes the story. `acknowledged`: payment ids that callers were given."""

    db: sqlite3.Connection
    bank: Bank
    fail: Callable[[str], None]
    tell: Callable[[str, str], None]
    now: Callable[[], float]
    may_double: Callable[[str], bool]  # whether a person's wrong word about this message explains a double
    in_flight_max: int = 0  # 0: not looked at
    acknowledged: dict[str, str] = field(default_factory=dict)  # payment id → reference
    cancelled: set[str] = field(default_factory=set)  # payment ids whose cancellation was acknowledged
    seq: int = 0
    states: dict[int, PaymentState] = field(default_factory=dict)  # by payment key, rebuilt from events alone
    versions: dict[int, int] = field(default_factory=dict)
    ids: dict[int, tuple[str, str]] = field(default_factory=dict)  # payment id and amount, by payment key
    in_message: dict[int, dict[int, Decimal]] = field(default_factory=dict)  # delivery key → payment key → amount
    deliveries: dict[int, Known] = field(default_factory=dict)
    bytes_of: dict[str, str] = field(default_factory=dict)  # digest of what was sent, by message id
    feed: list[tuple[int, str, str]] = field(default_factory=list)  # seq, payment id, state
    told: set[tuple[int, int | None, str, str, str | None]] = field(default_factory=set)  # what events have said
    looks: int = 0

    # -- after every commit --------------------------------------------------------------------------------------------

    def committed(self, by: str) -> None:
        """Somebody changed the database."""
        self.looks += 1
        self._new_payments()
        self._events(by)
        self._payments()
        self._deliveries(by)

    def _new_payments(self) -> None:
        last = max(self.ids, default=0)
        for key, payment_id, amount in self.db.execute(
            "SELECT payment_key, payment_id, amount FROM payments WHERE payment_key > ?", (last,)
        ):
            self.ids[key] = (payment_id, amount)

    def _events(self, by: str) -> None:
        rows = self.db.execute(
            "SELECT seq, payment_key, state, previous_state, delivery_key, source, reason FROM events WHERE seq > ? ORDER BY seq",
            (self.seq,),
        ).fetchall()
        for seq, key, state_word, previous, delivery_key, source, reason in rows:
            if seq != self.seq + 1:
                self.fail(f"the event feed jumps from {self.seq} to {seq}")
            self.seq = seq
            state, before = PaymentState(state_word), None if previous is None else PaymentState(previous)
            if key not in self.ids:
                self.fail(f"event {seq} is about a payment that does not exist")
                return
            payment_id, amount = self.ids[key]
            if self.states.get(key) is not before:
                self.fail(f"event {seq} says payment {payment_id} was {before}, and the events before say {self.states.get(key)}")
            if state is not before and (before, state) not in _PAYMENT_STEPS:
                self.fail(f"event {seq} moves payment {payment_id} from {before} to {state}, which no rule allows")
            news = (key, delivery_key, state_word, source, reason)
            if state is before and news in self.told and not self._may_repeat(source):
                self.fail(f"event {seq} tells again what {source} had said of payment {payment_id}: {state_word}")
            self.told.add(news)
            self.states[key] = state
            self.feed.append((seq, payment_id, state_word))
            if state is PaymentState.BATCHED and delivery_key is not None:
                self.in_message.setdefault(delivery_key, {})[key] = Decimal(amount)
            self.tell(by, f"payment {payment_id[-4:]} is {state_word}")

    def _may_repeat(self, source: str) -> bool:
        """Whether one may say the same of a payment again."""
        del source
        return False

    def _payments(self) -> None:
        there = 0
        for key, state, version in self.db.execute("SELECT payment_key, state, version FROM payments"):
            there += 1
            if self.states.get(key) is not PaymentState(state):
                told = self.states.get(key)
                self.fail(f"payment {self.ids[key][0]} is {state}; its events rebuild {told}")
            if version < self.versions.get(key, 0):
                self.fail(f"payment {self.ids[key][0]} went back from version {self.versions[key]} to {version}")
            self.versions[key] = version
        if there != len(self.ids):
            self.fail("a payment that was stored is gone")

    def _deliveries(self, by: str) -> None:
        under_way = 0
        for key, message_id, word, fence, attempt, count, total in self.db.execute(
            "SELECT delivery_key, message_id, state, fence, attempt, payment_count, control_sum FROM deliveries"
        ).fetchall():
            state, before = DeliveryState(word), self.deliveries.get(key)
            under_way += state in {DeliveryState.SENDING, DeliveryState.IN_DOUBT}
            if before is None:
                members = self.in_message.get(key, {})
                if count != len(members) or Decimal(total) != sum(members.values(), Decimal(0)):
                    self.fail(f"message {message_id} says {count} payments of {total}; its payments say otherwise")
                self.tell(by, f"message {message_id} is formed of {count} payments, sum {total}")
                self.deliveries[key] = before = Known(DeliveryState.READY, 0, 0)
            elif fence < before.fence:
                self.fail(f"message {message_id}: the fence went back")
            elif fence == before.fence and (state, attempt) != (before.state, before.attempt):
                self.fail(f"message {message_id} changed without its fence")
            if fence != before.fence:
                if state is not before.state:
                    self.tell(by, f"message {message_id} is {word}, attempt {attempt}")
                before.fence = fence
                self._replay(key, message_id, before)
                if (before.state, before.attempt) != (state, attempt):
                    self.fail(
                        f"message {message_id} is {word}, attempt {attempt};"
                        f" its events rebuild {before.state}, attempt {before.attempt}"
                    )
        # One more may start that a stopped process had found room for.
        if self.in_flight_max and under_way > self.in_flight_max + 1:
            self.fail(f"{under_way} messages are under way or in doubt at once, and {self.in_flight_max} may be")

    def _replay(self, key: int, message_id: str, known: Known) -> None:
        """Goes on with a message's story from where the last look left it."""
        rows = self.db.execute(
            "SELECT number, event, previous_state, state, attempt FROM delivery_events WHERE delivery_key = ? AND number > ?"
            " ORDER BY number",
            (key, known.events),
        )
        for number, event, previous, word, attempt in rows.fetchall():
            if number != known.events + 1:
                self.fail(f"message {message_id}: its story jumps from {known.events} to {number}")
            first, known.events = known.events == 0, number
            if first != (event == "formed") or first != (previous is None):
                self.fail(f"message {message_id}: event {number} of its story is {event}")
            if not first and previous != known.state:
                self.fail(f"message {message_id}: event {number}, {event}, says it was {previous}, and it was {known.state}")
            following = known.state if event in _NO_STEP else DELIVERY_TABLE.get((known.state, DeliveryEvent(event)))
            if following is None or word != following:
                self.fail(f"message {message_id} went from {known.state} to {word} by {event}, which no rule allows")
            if event in _STARTS and known.stopped:
                self.fail(f"message {message_id} was stopped, and attempt {attempt} began all the same")
            self.bank.seen["outside its window"] += event == "postponed"
            if attempt - known.attempt != (event in _STARTS):
                self.fail(f"message {message_id}: attempt {known.attempt} became {attempt} by {event}")
            known.state, known.attempt, known.stopped = DeliveryState(word), attempt, known.stopped or event == "stopped"

    # -- what the bank got ---------------------------------------------------------------------------------------------

    def taken(self, taken: Taken) -> None:
        """The bank took a message and did what it asks."""
        digest = hashlib.sha256(taken.data).hexdigest()
        if self.bytes_of.setdefault(taken.message_id, digest) != digest:
            self.fail(f"message {taken.message_id} went out in two different forms")
        total = sum((Decimal(order.amount) for order in taken.orders), Decimal(0))
        row = self.db.execute(
            "SELECT delivery_key, payment_count, control_sum, attempt FROM deliveries WHERE message_id = ?", (taken.message_id,)
        ).fetchone()
        if row is None or row[3] == 0:
            self.fail(f"the bank has message {taken.message_id}, and no attempt to send it is on record")
            return
        if (len(taken.orders), total) != (row[1], Decimal(row[2])) or total != taken.control_sum:
            self.fail(
                f"message {taken.message_id}: the bank got {len(taken.orders)} payments of {total}, we say {row[1]} of {row[2]}"
            )
        if self.bank.lies:
            return
        for order in taken.orders:
            self._executed(taken, order.instruction_id, order.amount)

    def _executed(self, taken: Taken, instruction_id: str, amount: str) -> None:
        payment_id = payment_id_of(instruction_id)
        times = self.bank.payments_executed()[payment_id]
        if times > 1 and not self.may_double(taken.message_id):
            self.fail(f"payment {payment_id} was executed {times} times at the bank")
        if payment_id in self.cancelled and not self.may_double(taken.message_id):
            self.fail(f"payment {payment_id} was executed after its cancellation was confirmed")
        row = self.db.execute("SELECT amount FROM payments WHERE payment_id = ?", (payment_id,)).fetchone()
        if row is None:
            self.fail(f"the bank executed payment {payment_id}, which we do not know")
        elif Decimal(row[0]) != Decimal(amount):
            self.fail(f"the bank executed {amount} for payment {payment_id} of {row[0]}")

    # -- what callers were told ----------------------------------------------------------------------------------------

    def acknowledge(self, payment_id: str, reference: str) -> None:
        """A caller was told that this payment is stored."""
        if self.acknowledged.setdefault(payment_id, reference) != reference:
            self.fail(f"payment {payment_id} was acknowledged under two references")
        row = self.db.execute("SELECT payment_reference FROM payments WHERE payment_id = ?", (payment_id,)).fetchone()
        if row is None or row[0] != reference:
            self.fail(f"payment {reference} was acknowledged, and is not there")

    def cancel(self, payment_id: str) -> None:
        """A caller was told that this payment is cancelled, and will pay by other means."""
        self.cancelled.add(payment_id)
        if self.bank.payments_executed()[payment_id] and not self.bank.lies and not self.may_double(self.message_of(payment_id)):
            self.fail(f"the cancellation of payment {payment_id} was confirmed, and the bank had executed it")

    def message_of(self, payment_id: str) -> str:
        """The message that a payment is in, or "" for none."""
        row = self.db.execute(
            "SELECT message_id FROM payments JOIN blocks USING (block_key) JOIN deliveries USING (delivery_key)"
            " WHERE payment_id = ?",
            (payment_id,),
        ).fetchone()
        return "" if row is None else str(row[0])

    def tells_of(self, payment_id: str, kinds: frozenset[str] = frozenset()) -> bool:
        """Whether a person is told of a payment or of its message, by one of these kinds of discrepancies (none: any)."""
        message = self.rows(
            "SELECT d.delivery_id FROM payments AS p JOIN blocks USING (block_key) JOIN deliveries AS d USING (delivery_key)"
            " WHERE p.payment_id = ?",
            payment_id,
        )
        return any(
            (not kinds or kind in kinds) and (about == payment_id or (message and delivery == message[0][0]))
            for kind, about, delivery in self.rows("SELECT kind, payment_id, delivery_id FROM discrepancies")
        )

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """For the comparison at the end."""
        return self.db.execute(sql, values).fetchall()
