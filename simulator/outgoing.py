"""Answers on their way out: the moods that spoil them, the seal, the name, the outbox."""

import asyncio
import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from keys.seal import KeyUnavailable
from simulator import garbage
from simulator.customer import Customer
from simulator.moods import Mood, Moods, Setting
from simulator.records import Records
from simulator.seals import seal_file

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """One answer in clear, kept in the customer's vault until it is served: a restart serves what is still there."""

    customer: Customer
    kind: str
    path: Path


class Outgoing:
    """Serves answers. Everything runs on the event loop, one answer after the other; sealing is done in a thread."""

    def __init__(self, moods: Moods, records: Records, counts: Counter[str]) -> None:
        self._moods = moods
        self._records = records
        self._counts = counts
        self._held: list[Item] = []
        self._late: set[asyncio.TimerHandle] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def accept(self, item: Item) -> None:
        """Takes over one answer; it is in the outbox on return, unless a mood keeps it."""
        customer = item.customer.id
        if self._moods.take(Mood.SILENT, customer):
            item.path.rename(item.customer.tree.withheld / item.path.name)
            self._counts["answers_withheld"] += 1
            return
        if setting := self._moods.take(Mood.REORDER, customer):
            self._held.append(item)
            if setting.left == 0:
                await self._serve_held()
            return
        if setting := self._moods.take(Mood.DELAY_ANSWERS_SECONDS, customer):
            self._later(float(setting.value), item)
            return
        await self._serve(item)

    async def moods_changed(self) -> None:
        """Serves what waits for companions that can no longer come, because the reordering was switched off."""
        if self._held and not any(self._moods.peek(Mood.REORDER, item.customer.id) for item in self._held):
            await self._serve_held()

    async def serve_left_over(self, customer: Customer) -> None:
        """After a restart: serves what a mood or the end of the program kept."""
        for path in sorted(customer.tree.answers.iterdir()):
            await self._serve(Item(customer, path.name.split("-", 1)[1].removesuffix(".xml"), path))

    def emptied(self, customer: Customer, name: str) -> None:
        """The customer took `name` out of the outbox: a bank that serves it twice puts it there again."""
        again = customer.tree.again / name
        if again.exists():
            again.rename(customer.tree.outbox / name)
            self._counts["answers_duplicated"] += 1

    async def close(self) -> None:
        """Late and held answers stay in the vault and are served at the next start."""
        for timer in self._late:
            timer.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------------------------

    async def _serve_held(self) -> None:
        held, self._held = self._held[::-1], []
        for item in held:
            await self._serve(item)

    def _later(self, seconds: float, item: Item) -> None:
        def due() -> None:
            self._late.discard(timer)
            task = asyncio.ensure_future(self._serve(item))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._late.add(timer)

    async def _serve(self, item: Item) -> None:
        async with self._one_at_a_time:
            try:
                await self._serve_now(item)
            except KeyUnavailable:
                self._counts["answers_unsealed"] += 1
                log.exception("customer %s: an answer stays in the vault, it cannot be sealed", item.customer.id)

    async def _serve_now(self, item: Item) -> None:
        customer = item.customer
        if setting := self._moods.take(Mood.GARBAGE, customer.id):
            await self._serve_garbage(item, setting)
        sealed = await self._sealed(customer, item.path)
        name = self._name(customer, item.kind)
        second = await self._second(item, sealed, name)
        self._publish(customer, sealed, name)
        if second is not None:
            self._publish(customer, second, self._name(customer, item.kind))
            self._counts["answers_duplicated"] += 1
        item.path.rename(customer.tree.served / item.path.name)
        self._counts["answers_served"] += 1

    async def _serve_garbage(self, item: Item, setting: Setting) -> None:
        customer = item.customer
        plain = customer.tree.work / "garbage"
        seed = self._records.next("garbage")
        plain.write_bytes(garbage.make(str(setting.value), item.path.read_bytes(), seed))
        broken = await self._sealed(customer, plain) if setting.sealed else _copy(plain, customer.tree.work / "broken")
        plain.unlink()
        self._publish(customer, broken, self._name(customer, item.kind))
        self._counts["garbage_served"] += 1

    async def _second(self, item: Item, sealed: Path, name: str) -> Path | None:
        """The file to serve beside the answer, if it is to be served twice at once."""
        customer = item.customer
        setting = self._moods.take(Mood.DUPLICATE_ANSWERS, customer.id)
        if setting is None:
            return None
        if setting.value == "same_name":
            _copy(sealed, customer.tree.again / name)
            return None
        if setting.value == "resealed":
            return await self._sealed(customer, item.path)
        return _copy(sealed, customer.tree.work / "duplicate")

    async def _sealed(self, customer: Customer, plain: Path) -> Path:
        target = customer.tree.work / f"sealed-{self._records.next('work')}"
        await asyncio.to_thread(seal_file, customer.seal, plain, target)
        return target

    def _name(self, customer: Customer, kind: str) -> str:
        return f"{kind}-{self._records.next(f'answers/{customer.id}')}.xml{customer.suffix}"

    def _publish(self, customer: Customer, sealed: Path, name: str) -> None:
        os.utime(sealed)  # "oldest first" is by the time of publication
        sealed.rename(customer.tree.outbox / name)


def _copy(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    return target
