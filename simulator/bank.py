"""The bank behind the doors: takes files, opens them, feeds the ledger, sends the ledger's answers out."""

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from keys.seal import BadSeal, KeyUnavailable
from simulator.books import summarise
from simulator.customer import Customer
from simulator.fast_reader import Unreadable
from simulator.fast_writer import STATUS_REPORT
from simulator.ledger import Answer, Ledger, LedgerDown, Refusal
from simulator.moods import INSTANT_REFUSAL, Mood, Moods
from simulator.outgoing import Item, Outgoing
from simulator.recalling import RESOLUTION, SILENT, resolution, verdict, wishes
from simulator.records import Records
from simulator.refusing import asks_instant, refusal
from simulator.seals import open_file

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_SECONDS = 0.5
"""Between two attempts to reach a ledger that is down."""


@dataclass(frozen=True, slots=True)
class Received:
    """A sealed file that lies in a customer's vault."""

    customer: Customer
    name: str
    path: Path


class Bank:
    """One worker takes the files one after the other, in the order they came. All methods belong to the event loop."""

    def __init__(self, base: Path, customers: Mapping[str, Customer], ledger: Ledger, moods: Moods, records: Records) -> None:
        self.base = base  # where relative paths of the settings start
        self.customers = customers
        self.ledger = ledger
        self.moods = moods
        self.records = records
        self.counts: Counter[str] = Counter()
        self.recalled: Counter[str] = Counter()  # how often each request for cancellation came, by its id
        self.outgoing = Outgoing(moods, records, self.counts)
        self._owners = {account: customer for customer in customers.values() for account in customer.settings.accounts}
        self._queue: asyncio.Queue[Received] = asyncio.Queue()
        self._collecting = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: list[asyncio.TimerHandle] = []

    async def start(self, collect_seconds: float = 0.0) -> None:
        """Begins to work: first on what an earlier run left in the vault. `collect_seconds` 0: no collecting by itself."""
        for customer in self.customers.values():
            await self.outgoing.serve_left_over(customer)
            for path in sorted(customer.tree.incoming.iterdir()):
                self._queue.put_nowait(Received(customer, path.name.split("-", 1)[1], path))
        self._tasks.append(asyncio.ensure_future(self._work()))
        if collect_seconds:
            self._tasks.append(asyncio.ensure_future(self._collect_now_and_then(collect_seconds)))

    async def close(self) -> None:
        """Stops working; what is unfinished stays in the vault."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.outgoing.close()

    def take(self, customer: Customer, name: str, file: Path) -> None:
        """The bank takes a whole file: on return it is in the vault, and nothing of it is left where the customer can see."""
        if customer.settings.sftp is not None and customer.settings.sftp.show_taken:
            shutil.copyfile(file, customer.tree.taken / name)
        target = customer.tree.incoming / f"{self.records.next('received'):08d}-{name}"
        file.rename(target)
        customer.counts["files_taken"] += 1
        self._queue.put_nowait(Received(customer, name, target))

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Acts at once, or after some seconds if the bank is still there then."""
        if not seconds:
            act()
            return
        self._timers = [timer for timer in self._timers if timer.when() > asyncio.get_running_loop().time()]
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    async def idle(self) -> None:
        """Returns once every file taken so far has been worked on and its answers are collected."""
        joined = asyncio.ensure_future(self._queue.join())
        await asyncio.wait({joined, self._tasks[0]}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        if self._tasks[0].done():
            self._tasks[0].result()  # the worker ended: what ended it is raised here, instead of waiting for ever

    async def collect(self) -> int:
        """Fetches the ledger's answers and hands them to the way out; how many there were. Raises `LedgerDown`."""
        async with self._collecting:
            answers = await self.ledger.collect()
            items = [item for answer in answers if (item := await self._taken_over(answer)) is not None]
            await self.ledger.confirm(answers)
            for item in items:
                await self.outgoing.accept(item)
            return len(answers)

    async def advance(self, days: int) -> Mapping[str, Any]:
        """Moves bank time, and sends out what that brought. Raises `Refusal` or `LedgerDown`."""
        outcome = await self.ledger.advance(days)
        await self.collect()
        return outcome

    async def books(self, *, listed: bool = True) -> dict[str, Any]:
        """What the ledger executed; see `simulator.books`. Raises `LedgerDown`."""
        return summarise(await self.ledger.payments(), listed=listed)

    # ------------------------------------------------------------------------------------------------------------------------

    async def _taken_over(self, answer: Answer) -> Item | None:
        if self.records.handed_out(answer.key):
            return None
        owners = (self._owners.get(name) for name in answer.account_names)
        customer = self.customers.get(answer.customer or "") or next((owner for owner in owners if owner), None)
        if customer is None:
            self.counts["answers_of_no_customer"] += 1
            self.records.hand_out(answer.key)
            return None
        path = customer.tree.answers / f"{self.records.next('answer'):08d}-{answer.kind}.xml"
        unfinished = customer.tree.work / path.name
        if isinstance(answer.body, bytes):
            unfinished.write_bytes(answer.body)
        else:
            await asyncio.to_thread(shutil.copyfile, answer.body, unfinished)
        unfinished.rename(path)
        self.records.hand_out(answer.key)
        return Item(customer, answer.kind, path)

    async def _collect_now_and_then(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.collect()
            except LedgerDown:
                self.counts["ledger_down"] += 1  # the next tick is the retry
            except OSError:
                log.exception("answers could not be written")

    async def _work(self) -> None:
        while True:
            received = await self._queue.get()
            try:
                await self._work_on(received)
            except OSError:
                received.customer.counts["files_failed"] += 1
                log.exception("customer %s: a file stays in the vault, it could not be worked on", received.customer.id)
            finally:
                self._queue.task_done()

    async def _work_on(self, received: Received) -> None:
        customer = received.customer
        opened = customer.tree.work / "opened"
        try:
            await asyncio.to_thread(open_file, customer.seal, received.path, opened)
        except BadSeal as error:
            self._quarantine(received, error.code, error)
            return
        except KeyUnavailable as error:
            self._quarantine(received, "key.unavailable", error)
            return
        if await self._refused_instant(received, opened) or await self._asked_back(received, opened):
            opened.unlink()
            return
        try:
            state = await self._submit(customer, opened)
        except Refusal as error:
            self._quarantine(received, "ledger.refused", error)
            return
        if self.moods.take(Mood.TAKE_TWICE, customer.id):
            self.counts["files_taken_twice"] += 1
            await self._submit(customer, opened)
        opened.unlink()
        received.path.rename(customer.tree.done / received.path.name)
        self.records.settle(customer.id, received.name, state, "")
        await self._persist(self.collect)

    async def _refused_instant(self, received: Received, opened: Path) -> bool:
        """Whether a mood refused the file because it asks for instant payments; then it is answered and never executed."""
        customer = received.customer
        if self.moods.peek(Mood.REFUSE_INSTANT, customer.id) is None or not await asyncio.to_thread(asks_instant, opened):
            return False
        number = self.records.next("answer")
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        setting = self.moods.take(Mood.REFUSE_INSTANT, customer.id)
        code = str(setting.value) if setting else INSTANT_REFUSAL
        try:
            report, count = await asyncio.to_thread(refusal, opened, f"SIM-{number}", created, code)
        except Unreadable:
            return False  # the ledger says what is wrong with it
        received.path.rename(customer.tree.done / received.path.name)  # first: a file that was refused is never executed later
        self.records.settle(customer.id, received.name, "rejected", code)
        customer.counts["files_rejected"] += 1
        customer.counts["payments_rejected"] += count
        path = customer.tree.answers / f"{number:08d}-{STATUS_REPORT}.xml"
        path.write_bytes(report)
        await self.outgoing.accept(Item(customer, STATUS_REPORT, path))
        return True

    async def _asked_back(self, received: Received, opened: Path) -> bool:
        """Whether the file is a request for cancellation; then it is answered, and the ledger never sees it."""
        customer = received.customer
        found = await asyncio.to_thread(wishes, opened)
        if found is None:
            return False
        payments = await self._persist(self.ledger.payments)
        setting = self.moods.take(Mood.RECALLS, customer.id)
        mood = None if setting is None else str(setting.value)
        received.path.rename(customer.tree.done / received.path.name)  # first: one that was answered is not answered again
        self.records.settle(customer.id, received.name, "recalls", "")
        customer.counts["recalls"] += len(found)
        self.recalled.update(wish.cancellation_id for wish in found)
        if not found or mood == SILENT:
            return True
        number = self.records.next("answer")
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        path = customer.tree.answers / f"{number:08d}-{RESOLUTION}.xml"
        path.write_bytes(resolution(number, created, [(wish, *verdict(wish, payments, mood)) for wish in found]))
        await self.outgoing.accept(Item(customer, RESOLUTION, path))
        return True

    async def _submit(self, customer: Customer, file: Path) -> str:
        verdict = await self._persist(lambda: self.ledger.submit(customer.id, file))
        state = "rejected" if verdict.status == "RJCT" else "executed"
        customer.counts[f"files_{state}"] += 1
        customer.counts["payments_accepted"] += verdict.accepted
        customer.counts["payments_rejected"] += verdict.rejected
        return state

    async def _persist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks the ledger until it is there again: a file once taken is not lost because the ledger is down."""
        while True:
            try:
                return await ask()
            except LedgerDown as error:
                self.counts["ledger_down"] += 1
                log.warning("the ledger is down: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    def _quarantine(self, received: Received, code: str, error: Exception) -> None:
        customer = received.customer
        name = received.path.name
        received.path.rename(customer.tree.quarantine / name)
        (customer.tree.quarantine / f"{name}.error.txt").write_text(f"{code}\n{error}\n", encoding="utf-8")
        self.records.settle(customer.id, received.name, "quarantined", code)
        customer.counts["files_quarantined"] += 1
        log.warning("customer %s: a file was put into quarantine [%s]", customer.id, code)
