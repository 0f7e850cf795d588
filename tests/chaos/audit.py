"""After the chaos: a person decides what is in doubt, and the bank's own books are held against the gateway's payments.

The person sees what a bank's hotline tells: its books, over its API. Nothing here looks into a database of either side.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.rpc.client import CallFailed, Client
from tests.chaos.callers import Ledger, Watcher, all_events
from tests.chaos.scene import ACCOUNTS, BALANCE_MINOR, SEND_LEASE_SECONDS
from tests.chaos.world import World

NOT_THERE_SECONDS = SEND_LEASE_SECONDS + 2  # every sender awake, every line whole, for longer than a send may take
OPEN = ("received", "approved", "batched", "sent")
DAYS_UNTIL_BOOKED = 3
STAND_SECONDS = 120.0
OPENING = Decimal(BALANCE_MINOR) / 100


@dataclass
class Verdict:
    """`problems` empty: the three promises held."""

    problems: list[str] = field(default_factory=list)
    doubles: int = 0
    doubled_over: Counter[str] = field(default_factory=Counter)  # payments, by connection
    lost: int = 0
    waiting: int = 0  # held for a person, and not executed
    in_doubt: int = 0  # left for a person after the calm
    decided: int = 0  # by the person
    states: Counter[str] = field(default_factory=Counter)
    settled_over: Counter[str] = field(default_factory=Counter)  # payments, by connection
    proofs: Counter[str] = field(default_factory=Counter)  # whether the bank has a message: by connection, verdict and source
    events: int = 0
    settled_total: Decimal = Decimal(0)


async def settle(world: World, verdict: Verdict, *, seconds: float = STAND_SECONDS) -> None:
    """Waits until every payment has the bank's verdict; whatever stays in doubt is decided from the bank's books meanwhile."""
    loop = asyncio.get_running_loop()
    calm_since = loop.time()
    doubted: set[str] = set()
    async with asyncio.timeout(seconds):
        while True:
            with suppress(CallFailed):
                async with world.client(0, 15.0) as client:
                    doubts = await _in_doubt(client)
                    if not doubts and not await _any_in(client, OPEN):
                        break
                    if loop.time() - calm_since > NOT_THERE_SECONDS:
                        doubted |= {one["delivery_id"] for one in doubts}
                    await _decide(world, client, doubts, verdict, sure=loop.time() - calm_since > NOT_THERE_SECONDS)
            await asyncio.sleep(0.3)
    verdict.in_doubt = len(doubted)


async def _decide(world: World, client: Client, doubts: list[dict[str, Any]], verdict: Verdict, *, sure: bool) -> None:
    """ "There" is believed at once; "not there" only when nothing can be on its way any more (`sure`)."""
    if not doubts:
        return
    await world.control("POST", "/idle")
    messages = (await world.control("GET", "/books?payments=no"))["messages"]
    for delivery in doubts:
        arrived = delivery["message_id"] in messages
        if not (arrived or sure):
            continue
        resolution = "RESOLUTION_ARRIVED" if arrived else "RESOLUTION_DID_NOT_ARRIVE"
        wanted = {
            "delivery_id": delivery["delivery_id"],
            "attempt": delivery.get("attempts", 0),  # as it was before the books were read
            "resolution": resolution,
            "reason": "looked up in the bank's books",
        }
        with suppress(CallFailed):  # the bank's news was faster
            await client.call("OperationsService", "ResolveDelivery", wanted)
            verdict.decided += 1


async def book(world: World, *, seconds: float = STAND_SECONDS) -> None:
    """Lets bank time pass until everything is booked, and waits until the gateway has read the statements."""
    for _ in range(DAYS_UNTIL_BOOKED):
        await world.control("POST", "/advance?days=1", {})
    ledgers = await _ledgers(world)
    moved = {iban: balance for iban, balance in ledgers.items() if balance != OPENING}
    async with asyncio.timeout(seconds):
        while True:
            with suppress(CallFailed):
                async with world.client(0, 15.0) as client:
                    if not await _any_in(client, (*OPEN, "accepted")) and moved.items() <= (await _closings(client)).items():
                        return
            await asyncio.sleep(0.3)


async def audit(world: World, ledger: Ledger, watcher: Watcher, verdict: Verdict) -> None:
    """Holds everything against everything; see `Verdict`."""
    books = await world.control("GET", "/books")
    async with world.client(0, 30.0) as client:
        payments = await _payments(client)
        closings = await _closings(client)
        verdict.proofs = await _proofs(client)
    compare(payments, books, ledger, verdict)
    verdict.problems += ledger.findings
    await _sums(world, payments, books, closings, verdict)
    await _feed(world, watcher, payments, verdict)


def compare(payments: dict[str, dict[str, Any]], books: dict[str, Any], ledger: Ledger, verdict: Verdict) -> None:
    """The payments and the bank's books, against what callers were promised. Fills `verdict`."""
    executed = Counter(row["instruction_id"] for row in books["payments"] if row["executed"])
    amounts = {row["instruction_id"]: row["amount"] for row in books["payments"] if row["executed"]}
    by_id = {payment["payment_id"]: payment for payment in payments.values()}
    verdict.doubles = sum(times - 1 for times in executed.values())
    verdict.problems += [f"{_told(by_id, one)} was executed {times} times" for one, times in executed.items() if times > 1]
    doubled = [by_id[one]["request"]["connection_id"] for one, times in executed.items() if times > 1 and one in by_id]
    verdict.doubled_over = Counter(doubled)
    if len(books["paid_twice"]) != sum(times > 1 for times in executed.values()):
        verdict.problems.append(f"by accounts and amounts the bank paid twice: {books['paid_twice']}")
    verdict.problems += [f"the bank executed {one}, which no payment is" for one in executed.keys() - by_id.keys()]
    for reference, wanted in ledger.requests.items():
        payment, acknowledged = payments.get(reference), ledger.payment_ids.get(reference)
        if payment is None or acknowledged != payment["payment_id"]:
            verdict.lost += 1
            verdict.problems.append(f"{reference} was acknowledged as {acknowledged}, which the gateway does not have")
            continue
        state = _state(payment)
        verdict.states[state] += 1
        verdict.settled_over[wanted["connection_id"]] += state == "settled"
        done = executed[payment["payment_id"]]
        if state == "held" and not done:
            verdict.waiting += 1  # visibly, with a reason: a person releases or refuses it
        elif state != "settled" or not done:
            verdict.lost += 1
            verdict.problems.append(f"{reference} stands {state} and was executed {done} times")
        elif Decimal(amounts[payment["payment_id"]]) != Decimal(wanted["amount"]):
            verdict.problems.append(f"{reference}: asked {wanted['amount']}, executed {amounts[payment['payment_id']]}")
    verdict.problems += [f"{one} was stored and nobody submitted it" for one in payments.keys() - ledger.requests.keys()]


async def _sums(
    world: World, payments: dict[str, dict[str, Any]], books: dict[str, Any], closings: dict[str, Decimal], verdict: Verdict
) -> None:
    """Per account, to the cent: what left it, by the ledger, by its statement, by the bank's books, by the gateway's payments."""
    ledgers = await _ledgers(world)
    settled, booked = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for payment in payments.values():
        if _state(payment) == "settled":
            settled[payment["request"]["debtor_account"]["iban"]] += Decimal(payment["request"]["amount"])
    for row in books["payments"]:
        if row["executed"]:
            booked[row["debtor_account"]] += Decimal(row["amount"])
    for account in ACCOUNTS:
        iban = account.iban
        closing = closings.get(iban, OPENING)
        sums = {
            "ledger": OPENING - ledgers[iban],
            "statement": OPENING - closing,
            "books": booked[iban],
            "gateway": settled[iban],
        }
        if len(set(sums.values())) != 1:
            verdict.problems.append(f"{account.connection_id}: the sums differ: {sums}")
    verdict.settled_total = sum(settled.values(), Decimal(0))


async def _feed(world: World, watcher: Watcher, payments: dict[str, dict[str, Any]], verdict: Verdict) -> None:
    """Every event once, in order, whichever replica is asked and however often the watcher came back."""
    feeds = []
    for replica in range(len(world.replicas)):
        async with world.client(replica, 30.0) as client:
            feeds.append([_event(event) for event in await all_events(client)])
    whole = feeds[0]
    verdict.events = len(whole)
    async with asyncio.timeout(30):
        while len(watcher.events) < len(whole):  # noqa: ASYNC110 - it hears from another process
            await asyncio.sleep(0.1)
    seen = [_event(event) for event in watcher.events]
    if any(feed != whole for feed in feeds):
        verdict.problems.append("the replicas tell different feeds")
    if seen != whole:
        missing, twice = len(set(whole) - set(seen)), len(seen) - len(set(seen))
        verdict.problems.append(
            f"the watcher saw {len(seen)} of {len(whole)} events: {missing} missing, {twice} twice, or out of order"
        )
    verdict.problems += watcher.findings
    state: dict[str, str] = {}
    for event in watcher.events:
        before = event.get("previous_state", "PAYMENT_STATE_UNSPECIFIED")
        if before != state.get(event["payment_id"], "PAYMENT_STATE_UNSPECIFIED"):
            verdict.problems.append(f"{event['payment_reference']}: an event from {before}, which was not where it stood")
        state[event["payment_id"]] = event["state"]
    for payment in payments.values():
        if state.get(payment["payment_id"]) != payment["state"]:
            verdict.problems.append(f"{payment['request']['payment_reference']}: its last event is not its state")


# -- what is asked -------------------------------------------------------------------------------------------------------------


async def _payments(client: Client) -> dict[str, dict[str, Any]]:
    """Every payment, by reference."""
    return {
        one["request"]["payment_reference"]: one for one in await _pages(client, "PaymentService", "ListPayments", "payments")
    }


async def _in_doubt(client: Client) -> list[dict[str, Any]]:
    wanted = {"states": ["DELIVERY_STATE_IN_DOUBT"]}
    return await _pages(client, "OperationsService", "ListDeliveries", "deliveries", wanted)


async def _proofs(client: Client) -> Counter[str]:
    """What told that the bank has a message, or does not: receipts, answers to questions, news, people."""
    found: Counter[str] = Counter()
    for listed in await _pages(client, "OperationsService", "ListDeliveries", "deliveries"):
        whole = await client.call("OperationsService", "GetDelivery", {"delivery_id": listed["delivery_id"]})
        for proof in whole["delivery"].get("evidence", ()):
            if proof["verdict"] != "unknown":
                found[f"{listed['connection_id']}: {proof['verdict']} by {proof['source'].split(':')[0]}"] += 1
    return found


async def _any_in(client: Client, states: Iterable[str]) -> bool:
    wanted = {"page": {"size": 1}, "states": [f"PAYMENT_STATE_{state.upper()}" for state in states]}
    return bool((await client.call("PaymentService", "ListPayments", wanted)).get("payments"))


async def _closings(client: Client) -> dict[str, Decimal]:
    """By account: what its newest camt.053 closes at."""
    newest: dict[str, tuple[str, Decimal]] = {}
    for statement in await _pages(client, "StatementService", "ListStatements", "statements", {"message": "camt.053"}):
        for balance in statement.get("balances", ()):
            if balance["type"] == "CLBD":
                amount = Decimal(balance["amount"])
                signed = -amount if balance["credit_debit"] == "DBIT" else amount
                iban = statement["account"]["iban"]
                newest[iban] = max(newest.get(iban, ("", signed)), (balance["date"], signed), key=lambda item: item[0])
    return {iban: amount for iban, (_, amount) in newest.items()}


async def _ledgers(world: World) -> dict[str, Decimal]:
    """By account: the balance in the bank's own ledger."""
    rows = await world.control("GET", "/accounts")
    ours = {account.iban for account in ACCOUNTS}
    return {row["iban"]: Decimal(row["balance"]) / 100 for row in rows if row["iban"] in ours}


async def _pages(
    client: Client, service: str, method: str, field_name: str, wanted: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = await client.call(service, method, {**(wanted or {}), "page": {"size": 1000, "token": token}})
        found += answer.get(field_name, [])
        token = answer.get("next_page_token", "")
        if not token:
            return found


def _state(payment: dict[str, Any]) -> str:
    return str(payment["state"]).removeprefix("PAYMENT_STATE_").lower()


def _event(event: dict[str, Any]) -> tuple[str, ...]:
    return (
        event["payment_id"],
        event.get("previous_state", ""),
        event["state"],
        event.get("message_id", ""),
        event["occurred_at"],
    )


def _told(by_id: dict[str, dict[str, Any]], payment_id: str) -> str:
    return str(by_id[payment_id]["request"]["payment_reference"]) if payment_id in by_id else payment_id
