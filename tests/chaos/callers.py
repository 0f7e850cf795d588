"""Those who use the gateway during a chaos run: callers that submit until they are answered, and one who watches every event."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.cast import creditor_iban
from gateway.rpc.client import CallFailed, Client
from tests.chaos.scene import ACCOUNTS, Account
from tests.chaos.world import World

AGAIN = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
"""What an ERP may be told while the gateway is in trouble. Anything else is a finding."""

PAUSE_SECONDS = 0.15
SILENCE_SECONDS = 4.0  # a watcher that hears nothing for so long looks elsewhere


def request(reference: str, account: Account, number: int) -> dict[str, Any]:
    """A payment in the JSON form of `PaymentRequest`; no two have the same amount and payee."""
    return {
        "payment_reference": reference,
        "connection_id": account.connection_id,
        "debtor_account": {"iban": account.iban},
        "amount": f"{number % 97 + 1}.{number % 100:02d}",
        "currency": "EUR",
        "payment_type": {"service_level": "SEPA"},
        "charge_bearer": "SLEV",
        "creditor": {"name": f"Supplier {number}"},
        "creditor_account": {"iban": creditor_iban(number)},
    }


@dataclass
class Ledger:
    """What callers know: what they asked for, when first, and what they were answered."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted_at: dict[str, float] = field(default_factory=dict)
    payment_ids: dict[str, str] = field(default_factory=dict)  # acknowledged
    repeats: int = 0  # calls made again, by wish or because no answer came
    findings: list[str] = field(default_factory=list)

    def answered(self, answer: dict[str, Any]) -> None:
        """Notes an acknowledgement. One reference has one payment, whoever is asked and however often."""
        for payment in answer["payments"]:
            reference, payment_id = payment["payment_reference"], payment["payment_id"]
            if self.payment_ids.setdefault(reference, payment_id) != payment_id:
                self.findings.append(f"{reference} was acknowledged as two payments")


@dataclass
class Caller:
    """Submits batch after batch, each until it is answered, through whichever replica chance names."""

    name: str
    world: World
    ledger: Ledger
    chance: random.Random
    accounts: Sequence[Account] = ACCOUNTS
    pause: float = PAUSE_SECONDS
    number: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    async def run(self, stop: asyncio.Event, most: int) -> None:
        """Until `stop` is set or so many payments are submitted; the batch under way is carried to its end."""
        while not stop.is_set() and self.number < most:
            batch = self._batch()
            if self.chance.random() < 0.25:  # the same at once through every replica
                self.ledger.repeats += 1
                await asyncio.gather(*(self._stubbornly(batch, replica) for replica in range(len(self.world.replicas))))
            else:
                await self._stubbornly(batch)
            if self.chance.random() < 0.2:  # the answer was mislaid
                self.ledger.repeats += 1
                await self._stubbornly(batch)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.chance.uniform(0.3, 1.7) * self.pause)

    def _batch(self) -> list[dict[str, Any]]:
        batch = []
        for _ in range(self.chance.choice((1, 1, 2, 3, 5, 8))):
            self.number += 1
            account = self.chance.choice(self.accounts)
            reference = f"CHAOS-{self.name}-{self.number:05d}"
            batch.append(request(reference, account, self.chance.randrange(1_000_000)))
            self.ledger.requests[reference] = batch[-1]
            self.ledger.submitted_at[reference] = asyncio.get_running_loop().time()
        return batch

    async def _stubbornly(self, batch: list[dict[str, Any]], first: int | None = None) -> None:
        """After any error the same again, elsewhere perhaps, until it is answered. `first`: the replica that is asked first."""
        replica = self._any_replica() if first is None else first
        while True:
            try:
                async with self.world.client(replica) as client:
                    answer = await client.call("PaymentService", "SubmitPayments", {"payments": batch})
            except CallFailed as failure:
                self.failed[failure.code] += 1
                self.ledger.repeats += 1
                if failure.code not in AGAIN:
                    self.ledger.findings.append(f"a submission was answered {failure.code}: {failure.text[:200]}")
                await asyncio.sleep(self.chance.uniform(0.1, 0.4))
                replica = self._any_replica()
            else:
                self.ledger.answered(answer)
                return

    def _any_replica(self) -> int:
        return self.chance.randrange(len(self.world.replicas))


@dataclass
class Watcher:
    """Follows the events with its resume token, hangs up now and then, and comes back to any replica."""

    world: World
    chance: random.Random
    events: list[dict[str, Any]] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    token: str = ""
    returns: int = 0
    findings: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            replica = self.chance.randrange(len(self.world.replicas))
            patience = self.chance.randrange(5, 80)  # events until it hangs up
            try:
                async with self.world.client(replica) as client:
                    await self._follow(client, patience)
            except CallFailed as failure:
                if failure.code not in AGAIN:
                    self.findings.append(f"the event stream ended with {failure.code}: {failure.text[:200]}")
            except TimeoutError:
                pass  # a frozen replica says nothing
            self.returns += 1
            await asyncio.sleep(0.1)

    async def _follow(self, client: Client, patience: int) -> None:
        stream = client.watch(self.token, (), stop_at_end=False)
        try:
            for _ in range(patience):
                async with asyncio.timeout(SILENCE_SECONDS):
                    event = await anext(stream)
                self.token = event["resume_token"]
                self.events.append(event)
                self.heard_at.append(asyncio.get_running_loop().time())
        except StopAsyncIteration:
            pass
        finally:
            await stream.aclose()  # type: ignore[attr-defined]


async def all_events(client: Client) -> list[dict[str, Any]]:
    """The feed from its beginning to its end."""
    return [event async for event in client.watch("", (), stop_at_end=True)]
