"""Judging against a limit for a month: payments a second, by how many were judged in that month before.

python -m bench.limits [--past 10000 200000] [--judged 400] [--store sqlite postgres]

The limit is by caller, by account that pays, and for all of a currency. What came before went through the same lane without
a limit.
"""

import argparse
import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bench import setting
from bench.fleet import server
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.lifecycle import PaymentState
from gateway.payment import new_payment_id
from gateway.policies import load_policies
from gateway.policy.verdict import Finding
from gateway.review import Check, Judging, Reviewer
from gateway.review_checks import PolicyCheck
from gateway.store.factory import open_store
from gateway.store.postgres.migrate import migrate
from gateway.store.records import NewPayment, Reason
from gateway.store.store import Store
from gateway.telemetry import Metrics

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
DAYS = 24
ACCOUNTS = [f"NL{number:02}MOCK{number:010}" for number in range(10)]
POLICY = """
id = "month"
version = 1
valid_from = 2026-01-01
default = "pass"

[[limits]]
id = "month"
period = "month"
amount = "9000000000.00"
currency = "EUR"
per = ["caller"]
outcome = "hold"

[[limits]]
id = "month-of-an-account"
period = "month"
amount = "9000000000.00"
currency = "EUR"
per = ["debtor_account"]
outcome = "hold"

[[limits]]
id = "month-of-all"
period = "month"
amount = "9000000000.00"
currency = "EUR"
outcome = "hold"
"""


@dataclass
class HandClock:
    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment


class Silent:
    """Says nothing of any payment."""

    name = "silent"

    def digest(self, now: datetime) -> str:  # noqa: ARG002 - the same at all times
        return "silent"

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        return [() for _ in judging.subjects]


@dataclass
class One:
    """`gateway.review.Checks` of one check."""

    check: Check

    async def refresh(self) -> None:
        return None

    @property
    def configured(self) -> bool:
        return True

    @property
    def all(self) -> Sequence[Check]:
        return (self.check,)

    def digest(self, now: datetime) -> str:
        return self.check.digest(now)


def payment(number: int) -> NewPayment:
    payment_id = new_payment_id()
    return NewPayment(
        payment_id=payment_id,
        caller="erp",
        payment_reference=f"r{number}-{payment_id[:8]}",
        connection_id="bank-a",
        terms=PaymentTerms(
            debtor=Party(name="Acme"),
            debtor_account=Account(iban=ACCOUNTS[number % len(ACCOUNTS)]),
            debtor_agent=Agent(bic="MOCKNL2A"),
            requested_execution_date=date(2026, 11, 26),
        ),
        transfer=CreditTransfer(
            instruction_id=payment_id,
            end_to_end_id=f"e{number}",
            amount=Decimal(number % 9000 + 1) / 100,
            currency="EUR",
            creditor=Party(name=f"Creditor {number % 500}"),
            creditor_account=Account(other_id=f"{number % 500:010}"),
        ),
        content_sha256=hashlib.sha256(payment_id.encode()).digest(),
        state=PaymentState.RECEIVED,
        reason=Reason(code="bankgate.received"),
    )


async def measure(store: Store, clock: HandClock, past: Sequence[int], judged: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "policies").mkdir()
        (directory / "policies" / "month.toml").write_text(POLICY, encoding="utf-8")
        limits = Reviewer(store, One(PolicyCheck(load_policies(directory), store)), clock, Metrics())
    without = Reviewer(store, One(Silent()), clock, Metrics())
    there = 0
    for count in past:
        while there < count:
            clock.moment = START + timedelta(days=DAYS) * there / max(past)
            some = min(2_000, count - there)
            await store.submit([payment(there + place) for place in range(some)])
            there += some
            await without._judge_new()
        for size in (judged, 20):
            await store.submit([payment(there + place) for place in range(size)])
            there += size
            started = time.perf_counter()
            await limits._judge_new()
            took = time.perf_counter() - started
            print(f"  {count:8,} before, {size:4} at once: {size / took:8,.0f} payments/s", flush=True)
        one = time.perf_counter()
        for place in range(20):
            await store.submit([payment(there + place)])
            there += 1
            await limits._judge_new()
        print(f"  {count:8,} before, one at a time: {20 / (time.perf_counter() - one):8,.0f} payments/s", flush=True)


@asynccontextmanager
async def opened(kind: str, clock: HandClock) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            store: Store = open_store("sqlite:///store.db", Path(folder), clock)
            await store.open()
            try:
                yield store
            finally:
                await store.close()
            return
        with server() as cluster:
            url = cluster.url(cluster.create_database())
            migrate(url)
            store = open_store(url, Path(folder), clock)
            await store.open()
            try:
                yield store
            finally:
                await store.close()


async def main(kinds: Sequence[str], past: Sequence[int], judged: int) -> None:
    print(f"limits of a month: {setting.machine()}")
    for kind in kinds:
        clock = HandClock()
        async with opened(kind, clock) as store:
            print(kind)
            await measure(store, clock, sorted(past), judged)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--past", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--judged", type=int, default=400)
    parser.add_argument("--store", nargs="+", default=["sqlite", "postgres"])
    given = parser.parse_args()
    asyncio.run(main(given.store, given.past, given.judged))
