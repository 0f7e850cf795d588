"""What must be true of a gateway that talks to a front machine, beside what `tests.sim.checkers` looks at: serial numbers,
contents, replies, and who is executed how often by the bank's own books."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.lifecycle import DeliveryState
from simulator.front.books import Order
from tests.sim.checkers import Checkers

if TYPE_CHECKING:
    from tests.sim.disk import Disk
    from tests.sim.front_bank import FrontHouse

_SERIALS = """
SELECT s.serial, s.payment_key, s.attempt, p.payment_id, p.payment_reference, p.amount
FROM serial_numbers AS s JOIN payments AS p USING (payment_key)
"""


@dataclass
class FrontCheckers(Checkers):
    """`house` and `disk` are set once they are there."""

    house: "FrontHouse" = field(init=False)
    disk: "Disk" = field(init=False)
    given: dict[str, tuple[int, int]] = field(default_factory=dict)  # payment and attempt, by serial number
    contents: dict[tuple[str, ...], str] = field(default_factory=dict)  # digest of what goes out, by its serial numbers
    said: dict[str, tuple[object, ...]] = field(default_factory=dict)  # what the bank was told to do, by serial number
    payees: dict[str, str] = field(default_factory=dict)  # payment reference by the payee's account
    refused: set[str] = field(init=False, default_factory=set)  # numbers that the bank refused, at the first try
    arrived_words: set[str] = field(init=False)  # messages of which a person wrongly said that they arrived
    heard: dict[str, tuple[int, int]] = field(default_factory=dict)  # by message, at its last reply: replies kept, disk failures

    # -- after every commit --------------------------------------------------------------------------------------------

    def committed(self, by: str) -> None:
        before = {key: known.state for key, known in self.deliveries.items()}
        super().committed(by)
        self._serials()
        for key, known in self.deliveries.items():
            if before.get(key) is not known.state:
                self._moved(key, known.state, by)

    def _serials(self) -> None:
        now = {serial: (key, attempt) for serial, key, attempt, *_ in self.db.execute(_SERIALS)}
        for serial, owner in self.given.items():
            if now.get(serial) != owner:
                self.fail(f"serial number {serial} belonged to one payment, and now belongs to another or to none")
        if len(set(now.values())) != len(now):
            self.fail("a payment has two serial numbers")
        self.given = now

    def _moved(self, key: int, state: DeliveryState, by: str) -> None:
        (message_id,) = self.db.execute("SELECT message_id FROM deliveries WHERE delivery_key = ?", (key,)).fetchone()
        if state is DeliveryState.SENDING:  # what an earlier attempt heard has no part in how this one ends
            self.heard.pop(message_id, None)
        if state is DeliveryState.SENT:
            serials = self.serials_of(message_id)
            had = any(serial in self.house.orders for serial in serials) or set(serials) <= self.refused
            if not had and message_id not in self.arrived_words:
                self.fail(f"message {message_id} is sent, and the bank has never got it")
        told = self.db.execute(
            "SELECT event FROM delivery_events WHERE delivery_key = ? ORDER BY number DESC LIMIT 1", (key,)
        ).fetchone()
        recorded = told is not None and told[0] in {"confirmed", "refused"} and message_id in self.heard
        if recorded and self.heard[message_id] == (self._kept(), self.disk.failures):
            self.fail(f"{by} recorded what a reply says, and nobody has kept the reply")

    def _kept(self) -> int:
        (count,) = self.db.execute("SELECT count(*) FROM inbound_files WHERE name LIKE 'bank-payment-%'").fetchone()
        return int(count)

    # -- what leaves and comes -----------------------------------------------------------------------------------------

    def goes_out(self, serials: tuple[str, ...], content: bytes) -> None:
        """A content is about to be wrapped."""
        digest = hashlib.sha256(content).hexdigest()
        if self.contents.setdefault(serials, digest) != digest:
            self.fail(f"the payments {', '.join(serials)} go out in two different forms")

    def answered(self, message_id: str) -> None:
        """A whole reply to a payment reached us."""
        self.heard[message_id] = (self._kept(), self.disk.failures)

    def front_took(self, order: Order) -> None:
        """The bank took an order: whose is it, is it as asked, and was it executed before?"""
        serial = self.our_number(order)
        found = self.db.execute(f"{_SERIALS} WHERE s.serial = ?", (serial,)).fetchone()
        if found is None:
            self.fail(f"the bank took an order under the serial number {order.serial}, which was given to nobody")
            return
        _, _, _, payment_id, reference, amount = found
        again = ", again" if len(self.house.orders[serial]) > 1 else ""
        self.tell("bank", f"takes payment {payment_id[-4:]} under {order.serial}, fen {order.amount}{again}")
        if self.payees.get(order.payee.account) != reference:
            self.fail(f"the bank took a payment under the serial number {order.serial} of another one")
        if Decimal(amount) != Decimal(order.amount) / 100:
            self.fail(f"the bank took {order.amount} fen for payment {payment_id} of {amount}")
        words = (order.package, order.function, order.account, order.amount, order.payee)
        if self.said.setdefault(serial, words) != words:
            self.fail(f"payment {payment_id} was said in two different ways")
        message_id = self.message_of(payment_id)
        row = self.db.execute("SELECT attempt FROM deliveries WHERE message_id = ?", (message_id,)).fetchone()
        if row is None or row[0] == 0:
            self.fail(f"the bank has payment {payment_id}, and no attempt to send it is on record")
        times = self.times(payment_id)
        if times > 1 and not self.may_double(message_id):
            self.fail(f"payment {payment_id} was executed {times} times at the bank")
        if times and payment_id in self.cancelled and not self.may_double(message_id):
            self.fail(f"payment {payment_id} was executed after its cancellation was confirmed")

    def our_number(self, order: Order) -> str:
        """Of an order in a batch the bank's name is the number of the request, and that of the line or ours after it."""
        package, slash, line = order.serial.partition("/")
        if not slash or line in self.given:
            return line or package
        rows = self.db.execute(
            "SELECT s.serial FROM serial_numbers AS s JOIN payments AS p USING (payment_key) JOIN blocks AS b ON"
            " b.block_key = s.block_key JOIN deliveries AS d USING (delivery_key)"
            " WHERE d.package = ? AND p.payment_reference = ?",
            (package, self.payees.get(order.payee.account)),
        ).fetchall()
        return str(rows[0][0]) if len(rows) == 1 else order.serial

    def times(self, payment_id: str) -> int:
        """How often it was executed, or will be by what is under way, under whatever serial number."""
        return sum(self.house.executed(serial) for serial in self.serials_of_payment(payment_id))

    def cancel(self, payment_id: str) -> None:
        self.cancelled.add(payment_id)
        if self.times(payment_id) and not self.may_double(self.message_of(payment_id)):
            self.fail(f"the cancellation of payment {payment_id} was confirmed, and the bank had executed it")

    # -- who has which number ------------------------------------------------------------------------------------------

    def serials_of(self, message_id: str) -> list[str]:
        return [
            serial
            for (serial,) in self.db.execute(
                "SELECT s.serial FROM serial_numbers AS s JOIN blocks AS b USING (block_key) JOIN deliveries AS d"
                " USING (delivery_key) WHERE d.message_id = ?",
                (message_id,),
            )
        ]

    def serials_of_payment(self, payment_id: str) -> list[str]:
        rows = self.db.execute(f"{_SERIALS} WHERE p.payment_id = ?", (payment_id,))
        return [row[0] for row in rows]
