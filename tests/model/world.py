"""The world around the production code: two senders, the network, the bank, a reader, a person and time.

A state is a value, and `World.steps` gives every state that may follow, with a sentence that says what happened. A process may
stop between any two of its requests, for however long; it may be killed at any moment, and the next one knows nothing. So a
sender is either idle or at a `Node`. No lane keeps two senders apart: the engine's exclusion is a comfort, and no part of the
proof.

What the world may not do is the promise that each guarantee rests on, and stands in `Rules`: bytes land at the latest `flight`
ticks after the channel was called, or never; a receipt and "it is there" are true; what else is true depends on the guarantee.
"""

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from channels.channel import Fate, FateReport, InDoubt, NotSent, Receipt, Refused
from gateway.errors import TooLate
from gateway.lifecycle import PAYMENT_TABLE, DeliveryEvent, PaymentEvent, PaymentState, advance
from gateway.store.store import Stale
from tests.model import books as b
from tests.model import tasks
from tests.model.books import Books, Pay, Row
from tests.model.machine import BASE, Machine, Node, Request, TimeIsUp
from tests.model.state import FLYING, IDLE, LOST, TAKEN, TURNED_AWAY, Bank, Copy, Process, Rules, State

STARTS = frozenset({DeliveryEvent.STARTED.value, DeliveryEvent.SEND_AGAIN.value})
BEFORE_A_MESSAGE = frozenset({PaymentState.RECEIVED, PaymentState.HELD, PaymentState.AWAITING_APPROVAL, PaymentState.APPROVED})
DECISIONS = (
    PaymentEvent.HOLD,
    PaymentEvent.RELEASE,
    PaymentEvent.REQUIRE_APPROVAL,
    PaymentEvent.APPROVE,
    PaymentEvent.REFUSE,
    PaymentEvent.CANCEL,
)


class Call(NamedTuple):
    """A request to the store with what it met, and what it came to."""

    before: Books
    request: Request
    offset: int
    after: Books
    answer: Hashable


class CodeRaised(Exception):
    """The production code raised what nobody expects of it."""


class World:
    """Every state and what may follow it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.machine = Machine(b.encode, _real)
        self.at = tasks.connection(rules.kind, rules.final, rules.quiet, rules.lease, rules.attempts_max)
        self.closed = tasks.connection(rules.kind, rules.final, rules.quiet, rules.lease, rules.attempts_max, rules.windows)
        self.delivery_rows: set[tuple[str, str]] = set()  # of the delivery table
        self.payment_rows: set[tuple[str, str]] = set()  # of the payment table
        self.calls: dict[Hashable, Call] = {}  # one of each kind
        self._executed: dict[tuple[Books, int, int], tuple[Books, Process, str]] = {}
        self.cut = False  # whether the last state asked about would have begun an attempt too many
        # After so many ticks in one task every comparison of times has come out: more of them change nothing.
        self.long = max(rules.quiet, rules.lease, rules.flight + 1)

    def first(self) -> State:
        rules = self.rules
        pay = Pay(state="received" if rules.decisions else "approved", may_fall_back=rules.instant)
        messages = 2 if rules.instant or rules.stops else 1
        return State(
            Books((None,) * messages, pay),
            (IDLE,) * rules.senders,
            (IDLE, IDLE) if rules.fine else (),
            (Bank(),) * messages,
        )

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Every state that may follow, and what happened."""
        for words, after in self._steps(state):
            yield words, _forget(after)

    def _steps(self, state: State) -> Iterator[tuple[str, State]]:
        self.cut = False
        for place, sender in enumerate(state.senders):
            yield from self._sender(state, place, sender)
        yield from self._network(state)
        yield from self._bank(state)
        yield from self._news(state)
        yield from self._person(state)
        for place, other in enumerate(state.others):
            if other.node >= 0:
                yield from self._work(state, place, other, "others", "reader" if place == 0 else "person")
        yield from self._decide(state)
        yield from self._time(state)

    # -- senders -------------------------------------------------------------------------------------------------------------

    def _sender(self, state: State, place: int, sender: Process) -> Iterator[tuple[str, State]]:
        who = f"worker {place + 1}"
        if sender.node < 0:
            yield from self._begin(state, place, who)
            return
        request: Any = self.machine.nodes[sender.node].request
        if request[0] == "send":
            yield from self._carry(state, place, sender, request[1], who)
        elif request[0] == "fate":
            yield from self._asked(state, place, sender, request[1], who)
        else:
            yield from self._work(state, place, sender, "senders", who)
            return
        yield f"{who} is killed", self._crash(state, place)

    def _begin(self, state: State, place: int, who: str) -> Iterator[tuple[str, State]]:
        books = state.books
        for number, row in enumerate(books.rows):
            if row is None:
                continue
            in_time = (row.state == "sending" and row.lease == 0) or (row.state == "in_doubt" and row.due == 0)
            if row.state == "ready" or in_time:
                yield from self._advance(state, place, number, row, who)
        if any(row is not None and row.state == "sending" for row in books.rows):
            node = self.machine.start("recover", "takes the lane over", tasks.recovering(self.at, self.rules.courier))
            after, _ = self._execute(state, "senders", place, Process(node.number))
            yield f"{who} takes the lane over and looks for what was left sending", after

    def _advance(self, state: State, place: int, number: int, row: Row, who: str) -> Iterator[tuple[str, State]]:
        seen: Any = b.found(number, row, 0)
        remembered = state.senders[place].asked
        asked = tuple(one for one in remembered if one[0] == number)
        for closed in (False, True) if self.rules.windows else (False,):
            at = self.closed if closed else self.at
            task = tasks.advancing(at, self.rules.courier, number, seen[2], asked)
            node = self._through(self.machine.start(("advance", seen, asked, closed), f"advances message {number + 1}", task), 0)
            if node.request is not None:
                words = f"{who} finds message {number + 1} {row.state} and due{', outside the window' if closed else ''}"
                yield words, self._at(state, "senders", place, Process(node.number, asked=remembered))

    def _through(self, node: Node, offset: int) -> Node:
        """Past what writes nothing and whose answer is always the same: no steps of their own."""
        while node.request is not None and node.request[0] in {"evidence", "delivery_blocks"}:  # type: ignore[index]
            _, key = b.call(Books((), Pay()), node.request, offset)
            node = self.machine.answer(node, key, offset)
        return node

    def _carry(self, state: State, place: int, sender: Process, number: int, who: str) -> Iterator[tuple[str, State]]:
        node = self.machine.nodes[sender.node]
        age, copy = sender.offset - node.born, sender.copy
        words = f"message {number + 1}"
        if not copy.where:
            if age <= self.rules.flight:
                flying = sender._replace(copy=Copy(FLYING, self.rules.flight - age, number))
                yield f"the bytes of {words} leave {who}", self._at(state, "senders", place, flying)
            yield f"{who}: not one byte of {words} left", self._reply(state, place, sender, ("not sent",))
            yield f"{who}: the bank's door refuses {words} before the first byte", self._reply(state, place, sender, ("refused",))
        elif copy.where == TAKEN:
            yield f"{who} gets the bank's receipt for {words}", self._reply(state, place, sender, ("receipt",))
        if copy.where == TURNED_AWAY or (copy.where == TAKEN and self.rules.door_lies):
            yield f"{who} hears that the bank's door refused {words}", self._reply(state, place, sender, ("refused",))
        yield f"{who} cannot tell whether {words} arrived", self._reply(state, place, sender, ("in doubt",))
        timed_out = self.machine.answer(node, TimeIsUp, sender.offset)
        if timed_out.request != node.request:
            yield f"{who} has no answer about {words} in its time", self._go(state, place, sender, timed_out)

    def _reply(self, state: State, place: int, sender: Process, key: Hashable) -> State:
        node = self.machine.answer(self.machine.nodes[sender.node], key, sender.offset)
        return self._go(state, place, sender, self._through(node, sender.offset))

    def _go(self, state: State, place: int, sender: Process, node: Node) -> State:
        """The sender no longer waits for the channel; bytes still under way go on without it."""
        known = {(number, attempt) for number, attempt, _ in sender.asked}
        new = ((int(whose[-1]), attempt, 0) for whose, attempt in node.memory if (int(whose[-1]), attempt) not in known)
        process = self._process(node, sender.offset)._replace(asked=tuple(sorted((*sender.asked, *new))))
        return self._at(self._let_go(state, sender), "senders", place, process)

    def _let_go(self, state: State, sender: Process) -> State:
        copy = sender.copy
        if copy.where != FLYING:
            return state
        return state._replace(network=tuple(sorted((*state.network, (copy.message, copy.left)))))

    def _crash(self, state: State, place: int) -> State:
        return self._at(self._let_go(state, state.senders[place]), "senders", place, IDLE)

    def _asked(self, state: State, place: int, sender: Process, number: int, who: str) -> Iterator[tuple[str, State]]:
        rules, there = self.rules, state.bank[number].has_it
        answers = [Fate.UNKNOWN]
        answers += [Fate.ARRIVED] if there else []
        absent_is_true = rules.kind == "queryable" and rules.final
        answers += [Fate.DID_NOT_ARRIVE] if not (there and absent_is_true) else []
        for fate in answers:
            words = f"{who} asks the bank about message {number + 1}: {fate.value.replace('_', ' ')}"
            yield words, self._reply(state, place, sender, ("fate", fate))

    # -- requests to the store -----------------------------------------------------------------------------------------------

    def _work(self, state: State, place: int, process: Process, side: str, who: str) -> Iterator[tuple[str, State]]:
        request: Any = self.machine.nodes[process.node].request
        if request[0] == "change_delivery" and request[4] in STARTS:
            row = state.books.rows[request[1]]
            if row is not None and row.attempt >= self.rules.attempts:
                self.cut = True
                return
        after, words = self._execute(state, side, place, process)
        yield f"{who} {words}", after
        killed = self._crash(state, place) if side == "senders" else self._at(state, side, place, IDLE)
        yield f"{who} is killed before it {words}", killed

    def _execute(self, state: State, side: str, place: int, process: Process) -> tuple[State, str]:
        """One transaction of the store, and the process after its answer."""
        key = (state.books, process.node, process.offset)
        done = self._executed.get(key)
        if done is None:
            done = self._executed[key] = self._execute_once(*key)
        books, following, words = done
        if process.asked:
            following = following._replace(asked=process.asked)
        return self._at(state._replace(books=books), side, place, following), words

    def _execute_once(self, before: Books, number: int, offset: int) -> tuple[Books, Process, str]:
        node = self.machine.nodes[number]
        books, key = b.call(before, node.request, offset)
        following = self._through(self.machine.answer(node, key, offset), offset)
        if key != ("stale",):
            self._note(before, books, node.request)
        assert node.asked is not None
        self.calls.setdefault(_kind(before, node.request), Call(before, node.asked, offset, books, key))
        return books, self._process(following, offset), _in_words(node.request, key)

    def _note(self, before: Books, after: Books, request: Any) -> None:
        """Which rows of the tables the production code went through."""
        pay = before.pay
        if request[0] == "change_delivery":
            self.delivery_rows.add((request[3], request[4]))
            if request[8] is not None and pay.message == request[1] and (pay.state, request[8]) in PAYMENT_TABLE:
                self.payment_rows.add((pay.state, request[8]))
        elif request[0] == "change_payments":
            self.payment_rows.update((pay.state, change[1]) for change in request[1])
            if after.pay.state == PaymentState.HELD and pay.state in {PaymentState.APPROVED, PaymentState.BATCHED}:
                self.payment_rows.add((pay.state, "hold"))

    def _run(self, state: State, node: Node) -> tuple[State, bool]:
        """A task from its first request to its end in one go; whether it changed anything."""
        key = (state.books, node.number, -1)
        done = self._executed.get(key)
        if done is None:
            before, process = state.books, Process(node.number)
            books = before
            while process.node >= 0:
                books, process, _ = self._execute_once(books, process.node, 0)
            done = self._executed[key] = (books, IDLE, "")
        return state._replace(books=done[0]), done[0] != state.books

    def _process(self, node: Node, offset: int) -> Process:
        if node.request is not None:
            return Process(node.number, offset)
        if node.raised is not None and not isinstance(node.raised, Stale | TooLate):
            raise CodeRaised(f"{node.words}: {node.raised!r}") from node.raised
        return IDLE

    @staticmethod
    def _at(state: State, side: str, place: int, process: Process) -> State:
        processes = state.senders if side == "senders" else state.others
        changed = (*processes[:place], process, *processes[place + 1 :])
        return state._replace(senders=changed) if side == "senders" else state._replace(others=changed)

    # -- the network and the bank --------------------------------------------------------------------------------------------

    def _network(self, state: State) -> Iterator[tuple[str, State]]:
        for place, sender in enumerate(state.senders):
            if sender.copy.where != FLYING:
                continue
            number = sender.copy.message
            words = f"the bytes of message {number + 1} from worker {place + 1}"
            taken = self._at(state, "senders", place, sender._replace(copy=Copy(TAKEN)))
            yield f"{words} reach the bank, which takes them", self._take(taken, number)
            away = self._at(state, "senders", place, sender._replace(copy=Copy(TURNED_AWAY)))
            yield f"{words} reach the bank, whose door refuses them", away
            yield f"{words} are lost", self._at(state, "senders", place, sender._replace(copy=Copy(LOST)))
        for item in dict.fromkeys(state.network):
            rest = list(state.network)
            rest.remove(item)
            gone = state._replace(network=tuple(rest))
            words = f"bytes of message {item[0] + 1} that nobody waits for"
            yield f"{words} reach the bank, which takes them", self._take(gone, item[0])
            yield f"{words} are lost", gone

    def _take(self, state: State, number: int) -> State:
        bank = state.bank[number]
        again = bank.has_it
        if again and self.rules.knows_copies:
            bank = bank._replace(copies=self.rules.verdicts)  # where the bank speaks, it speaks of the copy as well
        else:
            bank = bank._replace(executed=min(2, bank.executed + 1))
        return state._replace(bank=(*state.bank[:number], bank, *state.bank[number + 1 :]))

    def _bank(self, state: State) -> Iterator[tuple[str, State]]:
        if not self.rules.verdicts:
            return
        for number, bank in enumerate(state.bank):
            for verdict, executed in self._verdicts(bank, instant=self.rules.instant and number == 0):
                after = bank._replace(verdict=verdict, executed=executed)
                words = f"the bank's verdict on message {number + 1}: {verdict}"
                yield words, state._replace(bank=(*state.bank[:number], after, *state.bank[number + 1 :]))

    def _verdicts(self, bank: Bank, *, instant: bool) -> list[tuple[str, int]]:
        if bank.executed and not bank.verdict:
            refused = [("instant refused", 0)] if instant and bank.executed == 1 else []
            lies = [("instant refused and executed", bank.executed)] if instant and self.rules.lies_about_instant else []
            return [("settled", bank.executed), ("rejected", bank.executed), *refused, *lies]
        return [("returned", bank.executed)] if bank.verdict == "settled" else []

    # -- the reader, people, time --------------------------------------------------------------------------------------------

    def _news(self, state: State) -> Iterator[tuple[str, State]]:
        """Whatever is true may be said at any time, once, twice, late and in any order."""
        for number, bank in enumerate(state.bank):
            for news in self._true(bank):
                node = self.machine.start(("read", news, number), f"reads: {news}", tasks.reading(news, number))
                words = f"the reader applies news of message {number + 1}: {news}"
                if not state.others:
                    after, changed = self._run(state, node)
                    if changed:
                        yield words, after
                elif state.others[0].node < 0:
                    yield words.replace("applies", "begins"), self._at(state, "others", 0, Process(node.number))

    def _true(self, bank: Bank) -> list[str]:
        if not bank.has_it:
            return []
        said = ["received"]
        if self.rules.verdicts:
            said += ["pending", "accepted"]
            said += {
                "": [],
                "settled": ["booked"],
                "rejected": ["rejected", "refused whole"],
                "returned": ["booked", "returned"],
                "instant refused": ["instant refused"],
                "instant refused and executed": ["instant refused", "booked"],
            }[bank.verdict]
        return [*said, "echo"] if bank.copies and self.rules.knows_copies else said

    def _person(self, state: State) -> Iterator[tuple[str, State]]:
        if self.rules.person == "none":
            return
        for number, row in enumerate(state.books.rows):
            if row is None or row.state != "in_doubt":
                continue
            there = state.bank[number].has_it
            for arrived in (True, False):
                late = there if arrived else not there and (row.doubt or 0) >= self.rules.quiet
                if self.rules.person == "right" and not late:
                    continue
                task = tasks.resolving(number, arrived, row.attempt)
                node = self.machine.start(("resolve", number, arrived, row.attempt), "decides", task)
                words = f"a person decides that message {number + 1} {'arrived' if arrived else 'did not arrive'}"
                if state.others:
                    if state.others[1].node < 0:
                        yield words.replace("decides", "begins to decide"), self._at(state, "others", 1, Process(node.number))
                    continue
                after, changed = self._run(state, node)
                if changed:
                    yield words, after._replace(mistaken=after.mistaken or not late)

    def _decide(self, state: State) -> Iterator[tuple[str, State]]:
        """What comes before a message, straight from the payment table; and what a person may still do with a held payment."""
        pay = state.pay
        if pay.state == PaymentState.APPROVED:
            number = next((n for n, row in enumerate(state.books.rows) if row is None), None)
            if number is not None:
                self.payment_rows.add((pay.state, "batch"))
                batched = pay._replace(
                    state=advance(PAYMENT_TABLE, pay.state, PaymentEvent.BATCH).value, version=pay.version + 1, message=number
                )
                books = b.with_row(state.books, number, Row())._replace(pay=batched)
                yield f"the payment is put into message {number + 1}", state._replace(books=books)
        row = state.books.rows[0]
        if self.rules.stops and row is not None and not row.stopped and row.state in {"ready", "sending", "in_doubt"}:
            stopped = b.with_row(state.books, 0, row._replace(stopped=True))
            yield "message 1 is stopped because of another payment in it", state._replace(books=stopped)
        if not self.rules.decisions or pay.state not in BEFORE_A_MESSAGE:
            return
        for event in DECISIONS:
            ends = event in {PaymentEvent.REFUSE, PaymentEvent.CANCEL}
            if (pay.state, event) in PAYMENT_TABLE and (pay.message is None or ends):
                self.payment_rows.add((pay.state, event.value))
                after = pay._replace(state=PAYMENT_TABLE[PaymentState(pay.state), event].value, version=min(pay.version + 1, 9))
                yield f"policy, a person or the caller: {event.value}", state._replace(books=state.books._replace(pay=after))

    def _time(self, state: State) -> Iterator[tuple[str, State]]:
        flying = [*state.network, *((p.copy.message, p.copy.left) for p in state.senders if p.copy.where == FLYING)]
        if any(left == 0 for _, left in flying):
            return  # it lands, or is lost, before that
        rows = tuple(None if row is None else b.later(row, self.rules.quiet) for row in state.books.rows)
        after = state._replace(
            books=state.books._replace(rows=rows),
            senders=tuple(self._older(p) for p in state.senders),
            network=tuple((number, left - 1) for number, left in state.network),
        )
        if after != state:
            yield "a tick passes", after

    def _older(self, process: Process) -> Process:
        """A tick counts for a process that is about to begin an attempt, waits for the channel, or asks the bank. What the others
        have yet to write does not depend on when they write it."""
        if process.asked:
            asked = tuple((number, attempt, min(self.rules.quiet, age + 1)) for number, attempt, age in process.asked)
            process = process._replace(asked=asked)
        if process.node < 0:
            return process
        request: Any = self.machine.nodes[process.node].request
        if request[0] not in {"send", "fate"} and not (request[0] == "change_delivery" and request[4] in STARTS):
            return process
        copy = process.copy
        if copy.where == FLYING:
            copy = copy._replace(left=copy.left - 1)
        return process._replace(offset=min(self.long, process.offset + 1), copy=copy)


def _forget(state: State) -> State:
    """Fences and versions are compared for equality alone: while nobody remembers one, all are alike. (With several processes,
    counting on makes fewer states than beginning anew.) And what a process remembers of an attempt that is over is of no use."""
    if any(process.asked for process in state.senders):
        attempts = [(number, row.attempt) for number, row in enumerate(state.books.rows) if row and row.state == "in_doubt"]
        state = state._replace(
            senders=tuple(p._replace(asked=tuple(one for one in p.asked if one[:2] in attempts)) for p in state.senders)
        )
    if state.others or len(state.senders) > 1 or state.senders[0].node >= 0:
        return state
    rows = tuple(None if row is None else row._replace(fence=1) for row in state.books.rows)
    return state._replace(books=state.books._replace(rows=rows, pay=state.books.pay._replace(version=0)))


def _real(key: Any) -> Any:
    """Answers of the channel; those of the store are the books'."""
    match key:
        case ("receipt",):
            return Receipt(evidence="model", detail="ok", at=BASE)
        case ("not sent",):
            return NotSent("nothing left")
        case ("refused",):
            return Refused("403", "forbidden")
        case ("in doubt",):
            return InDoubt("cut")
        case ("fate", fate):
            return FateReport(fate=fate, evidence="model", detail="asked")
        case ("stale",):
            return Stale("moved")
    return b.real(key)


def _kind(before: Books, request: Any) -> Hashable:
    """Requests are of one kind that meet the same: fences and versions that fit, or do not; and times aside."""
    pay = before.pay._replace(version=0)
    rows = tuple(row and (row.state, row.stopped, row.attempt > 0, row.doubt is None) for row in before.rows)
    if request[0] == "change_delivery":
        row = before.rows[request[1]]
        return (request[0], request[1], row and row.fence == request[2], *request[3:6], *request[8:], rows, pay)
    if request[0] == "change_payments":
        fits = tuple(change[0] == before.pay.version for change in request[1])
        return (request[0], fits, tuple(change[1:] for change in request[1]), *request[2:], rows, pay)
    return (request[0], rows, pay) if request[0] == "add_evidence" else (request, rows, pay)


def _in_words(request: Any, key: Hashable) -> str:
    name = request[0].replace("_", " ")
    if request[0] != "change_delivery":
        return f"{'asks for' if name in {'delivery', 'evidence'} or name.startswith(('list', 'find')) else 'calls'} {name}"
    words = f"commits {request[4]} of message {request[1] + 1}: {request[3]} → {request[5]}"
    return f"{words}, in vain: it has moved" if key == ("stale",) else words
