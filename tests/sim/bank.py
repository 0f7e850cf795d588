"""The other side of the wire: a bank that executes what reaches it whole, keeps books, and answers late, twice and out of order.

It lies within the bounds of its declared guarantee. BLIND: what it took is gone from the folder, and it knows nothing. QUERYABLE:
for some of the quiet time it says "not there" of what is on its way or has just arrived. IDEMPOTENT: it knows a message again,
executes one copy, and says DU01 of the other, or nothing at all.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.instant import payment_id_of
from gateway.lifecycle import PaymentState
from tests.gateway.conftest import Files

QUIET = 1200.0  # seconds, as the connection is configured
LEASE = 300.0  # likewise: how long one send may take
IDLE_CUT = 200.0  # a session in which nothing happens for so long is cut by the bank
ON_THE_WAY = 250.0  # the longest between the last byte that leaves us and the file's being there
NOT_LISTED = 250.0  # the longest in which a bank that can be asked does not know yet what it has

_ORDER = re.compile(
    r"<InstrId>([\w-]+)</InstrId><EndToEndId>([\w/-]+)</EndToEndId>.*?<InstdAmt Ccy=\"EUR\">([\d.]+)</InstdAmt>", re.DOTALL
)
_BLOCK = re.compile(r"<PmtInfId>([\w-]+)</PmtInfId>(.*?)</PmtInf>", re.DOTALL)
_HEAD = re.compile(r"<MsgId>(\w+)</MsgId>.*?<NbOfTxs>(\d+)</NbOfTxs><CtrlSum>([\d.]+)</CtrlSum>", re.DOTALL)


@dataclass
class Order:
    """One payment as a message asks for it."""

    instruction_id: str
    end_to_end_id: str
    amount: str
    block: str  # payment information id


@dataclass
class Taken:
    """A message that reached the bank whole."""

    name: str
    message_id: str
    data: bytes
    orders: list[Order]
    control_sum: Decimal
    number: int  # of its copies
    at: float
    listed_at: float


@dataclass
class Bank:
    """`later(seconds, call)`: the world's own timers. `tell`: notes in the story what happens here."""

    dice: random.Random
    later: Callable[[float, Callable[[], None]], None]
    now: Callable[[], float]
    tell: Callable[[str], None]
    on_take: Callable[[Taken], None]
    idempotent: bool = False
    lies: bool = False  # it executes what it says it refused; then it books every debit under a reference of its own
    days: float = 0.0  # how late its answers may be
    arrived: dict[str, Taken] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)  # names of files that it could not read, and said so
    unreadable: set[str] = field(default_factory=set)  # the messages in them
    executed: Counter[str] = field(default_factory=Counter)  # by instruction id: how often it was acted upon
    paid: Counter[str] = field(default_factory=Counter)  # by payment: how often money moved
    verdicts: dict[str, PaymentState] = field(default_factory=dict)  # by instruction id
    refused: set[str] = field(default_factory=set)  # payments refused as instant ones
    offers: dict[str, bytes] = field(default_factory=dict)
    pending: int = 0  # news not offered yet
    written: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    # -- what reaches it -----------------------------------------------------------------------------------------------

    def take(self, name: str, data: bytes) -> None:
        """A file is there, whole."""
        text = data.decode()
        head = _HEAD.search(text)
        assert head is not None
        orders = [Order(*found, block) for block, part in _BLOCK.findall(text) for found in _ORDER.findall(part)]
        before = self.arrived.get(name)
        taken = Taken(
            name=name,
            message_id=head[1],
            data=data,
            orders=orders,
            control_sum=Decimal(head[3]),
            number=1 if before is None else before.number + 1,
            at=self.now(),
            listed_at=self.now() + self.dice.choice([0.0, 0.0, NOT_LISTED * self.dice.random()]),
        )
        self.arrived[name] = taken
        self.tell(f"has message {head[1]} with {len(orders)} payments" + (f", copy {taken.number}" if before else ""))
        if before is not None and self.idempotent:
            self._know_again(head[1])
            return
        self._execute_all(head[1], orders, "<Cd>INST</Cd>" in text)
        self.on_take(taken)

    def tear(self, name: str, part: bytes | None) -> None:
        """Only the first part of a file arrived; under no name that it looks for (None), or under the file's own.

        There it rejects what it cannot read, if that says at least what message it is, or waits for the rest for ever.
        """
        if part is None:
            self.tell(f"has a part of {name}, under no name that it reads")
            return
        head = re.search(rb"<MsgId>(\w+)</MsgId>", part)
        if head is None or self.dice.random() < 0.4 or name in self.arrived:
            self.tell(f"has a part of {name}, under its name, and never reads it")
            return
        self.rejected.add(name)
        self.unreadable.add(head[1].decode())
        self.seen["torn message rejected"] += 1
        self.tell(f"rejects the part of {name} that it has")
        why = "<StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>"
        self._say([Files.pain002(head[1].decode(), group="RJCT", reasons=why)])

    def lists(self, name: str) -> bool:
        """Whether it says that it has the file."""
        taken = self.arrived.get(name)
        return taken is not None and taken.listed_at <= self.now()

    def _know_again(self, message_id: str) -> None:
        if self.dice.random() < 0.3:
            self.seen["copy taken in silence"] += 1
            return
        seen = "<StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>"
        self._say([Files.pain002(message_id, group="RJCT", reasons=seen)])
        self.seen["copy answered with DU01"] += 1

    # -- what it does with it ------------------------------------------------------------------------------------------

    def _execute_all(self, message_id: str, orders: list[Order], instant: bool) -> None:
        if instant and self.dice.random() < 0.3:
            self._refuse_whole(message_id, orders)
            return
        for order in orders:
            if instant and self.dice.random() < 0.4:
                self._refuse(message_id, order)
            else:
                self._decide(message_id, order)

    def _refuse_whole(self, message_id: str, orders: list[Order]) -> None:
        why = "<StsRsnInf><Rsn><Cd>TM01</Cd></Rsn></StsRsnInf>"
        whole = Files.pain002(message_id, group="RJCT", reasons=why)
        blocks = (
            f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{block}</OrgnlPmtInfId><PmtInfSts>RJCT</PmtInfSts>{why}</OrgnlPmtInfAndSts>"
            for block in dict.fromkeys(order.block for order in orders)
        )
        part = Files.pain002(message_id, body="".join(blocks))
        self._say([Files.pain002(message_id, group="ACTC"), self.dice.choice([whole, part])])
        self._lie(message_id, orders)

    def _refuse(self, message_id: str, order: Order) -> None:
        """Perhaps accepted first; the refusal is written later, whenever it comes."""

        def status(word: str, minute: int, reason: str | None = None) -> str:
            one = Files.transaction(order.instruction_id, order.end_to_end_id, word, reason)
            text = Files.pain002(message_id, body=Files.block(order.block, one))
            return text.replace("T10:00:00Z", f"T10:{minute:02}:00Z")

        self._say([status("ACTC", 1), *self.dice.choice([[], [status("ACSP", 2)]]), status("RJCT", 3, "AB06")])
        self._lie(message_id, [order])

    def _lie(self, message_id: str, orders: list[Order]) -> None:
        for order in orders:
            self.refused.add(order.instruction_id)
            if self.lies and self.dice.random() < 0.9:
                self.executed[order.instruction_id] += 1
                self.paid[payment_id_of(order.instruction_id)] += 1
                self._say([self._debit(message_id, order)])

    def _debit(self, message_id: str, order: Order) -> str:
        references = self.dice.choice(
            [
                f"<EndToEndId>{order.end_to_end_id}</EndToEndId>",
                f"<MsgId>{message_id}</MsgId><InstrId>{order.instruction_id}</InstrId>",
            ]
        )
        own = f"<AcctSvcrRef>{self.dice.randrange(10**9)}</AcctSvcrRef>"
        return str(Files.camt054(Files.entry(order.amount, own + references)))

    def _decide(self, message_id: str, order: Order) -> None:
        verdict = self.dice.choice([PaymentState.SETTLED] * 3 + [PaymentState.REJECTED, PaymentState.RETURNED])
        self.executed[order.instruction_id] += 1
        if self.executed[order.instruction_id] > 1:
            verdict = self.verdicts[order.instruction_id]  # the same payment meets the same fate, once more
        self.verdicts[order.instruction_id] = verdict

        def status(word: str, reason: str | None = None) -> str:
            one = Files.transaction(order.instruction_id, order.end_to_end_id, word, reason)
            return str(Files.pain002(message_id, group=self.dice.choice([None, "PART"]), body=Files.block(order.block, one)))

        early = [status("ACTC"), status("ACSP")]
        if verdict is PaymentState.REJECTED:
            last = [status("RJCT", "AC04")]
        else:
            last = [self._debit(message_id, order)]
            self.paid[payment_id_of(order.instruction_id)] += 1
        if verdict is PaymentState.RETURNED:
            why = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
            references = f"<EndToEndId>{order.end_to_end_id}</EndToEndId>"
            last.append(Files.camt054(Files.entry(order.amount, references, direction="CRDT", details=why)))
        self._say([news for news in early if self.dice.random() < 0.8] + last)

    # -- what it says --------------------------------------------------------------------------------------------------

    def _say(self, news: list[str]) -> None:
        for text in news:
            copies = self.dice.choice([1, 1, 1, 2])  # the same again, and the same said in another file
            for _ in range(copies):
                self.written += 1
                name = f"news-{self.written}.xml"
                data = text.encode() + b"<!-- %d -->" % self.dice.randrange(2)
                delay = self.dice.choice([1.0, 60.0, 900.0]) * self.dice.random() + self.days * 86400 * self.dice.random()
                self.pending += 1
                self.seen["answers twice"] += copies > 1
                self.later(delay, lambda name=name, data=data: self._offer(name, data))  # type: ignore[misc]

    def _offer(self, name: str, data: bytes) -> None:
        if self.dice.random() < 0.15:  # it is seen while it is being written
            self.offers[name] = data[: self.dice.randrange(len(data))]
            self.seen["answer torn"] += 1
            self.tell(f"offers the first {len(self.offers[name])} of {len(data)} bytes of {name}")
            self.later(30 + 600 * self.dice.random(), lambda: self._whole(name, data))
            return
        self._whole(name, data)

    def _whole(self, name: str, data: bytes) -> None:
        self.pending -= 1
        self.offers[name] = data
        self.tell(f"offers {name}")

    def payments_executed(self) -> Counter[str]:
        """How often each payment was executed, whichever attempt of it."""
        total: Counter[str] = Counter()
        for instruction_id, times in self.executed.items():
            total[payment_id_of(instruction_id)] += times
        return total
