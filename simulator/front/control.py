"""The tester's remote control of a front machine: routes of the simulator's control API.

GET    /front                    the bank's time, accounts, orders, what was executed twice, moods
POST   /front/moods              {"mood": …, "count": N, "value": …, "when": …}, or a list of such
DELETE /front/moods              all moods off
POST   /front/advance?seconds=N  turns the bank's clock, and lets happen what is due
POST   /front/credit             {"account", "amount" (yuan), "payer": {"account", "name", "purpose", …}}: money comes in
POST   /front/state              {"serial", "state", "reason"}: the order gets to that state now, and stays in it
"""

from typing import Any

from aiohttp import web

from simulator.front.amounts import fen_of, yuan
from simulator.front.books import Party, listed
from simulator.front.fates import State
from simulator.front.running import RunningFront
from simulator.ledger import Refusal
from simulator.moods import BadMood

_MOOD_FIELDS = {"mood", "count", "value", "when"}


def state(running: RunningFront) -> dict[str, Any]:
    """Everything, JSON-ready."""
    books = running.books
    accounts = [
        {"number": account.number, "name": account.name, "currency": account.currency, "balance": yuan(account.balance)}
        for account in books.accounts()
    ]
    return {
        "bank": running.front.name,
        "now": running.clock.now().isoformat(timespec="seconds"),
        "accounts": accounts,
        "orders": [listed(order) for order in books.orders()],
        "paid_twice": list(books.paid_twice()),
        "moods": running.moods.snapshot(),
    }


def set_moods(running: RunningFront, wanted: Any) -> None:
    """Raises `BadMood`; moods before the bad one stay set."""
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(entry, dict) or not isinstance(entry.get("mood"), str) or not set(entry) <= _MOOD_FIELDS:
            raise BadMood(f"a mood is an object with mood and, if wanted, {', '.join(sorted(_MOOD_FIELDS - {'mood'}))}")
        running.moods.set(entry["mood"], entry.get("count", 1), entry.get("value"), when=entry.get("when", "any"))


def credit(running: RunningFront, wanted: Any) -> None:
    """Money comes in. Raises `Refusal`."""
    payer = wanted.get("payer", {}) if isinstance(wanted, dict) else None
    amount = fen_of(str(wanted.get("amount", ""))) if isinstance(wanted, dict) else None
    fields = set(Party.__dataclass_fields__)
    if not isinstance(payer, dict) or not amount or not set(payer) <= fields:
        raise Refusal(f"the body is an object with account, amount in yuan, and payer, of {', '.join(sorted(fields))}")
    try:
        running.books.receive(str(wanted.get("account")), amount, Party(**payer), running.clock.now())
    except KeyError as error:
        raise Refusal("the bank holds no such account") from error


def force(running: RunningFront, wanted: Any) -> dict[str, Any]:
    """An order gets to a state. Raises `Refusal`."""
    if not isinstance(wanted, dict) or wanted.get("state") not in set(State) or not isinstance(wanted.get("serial"), str):
        raise Refusal(f"the body is an object with serial, state (one of {', '.join(State)}) and, if wanted, reason")
    reason = str(wanted.get("reason", ""))
    try:
        done = running.books.force(running.front.name, wanted["serial"], State(wanted["state"]), reason, running.clock.now())
    except KeyError as error:
        raise Refusal("the bank has no such order") from error
    return listed(done)


def add_front(application: web.Application, running: RunningFront) -> None:
    """Adds the routes; errors are answered by the application."""

    async def get(_request: web.Request) -> web.StreamResponse:
        running.advance(0)
        return web.json_response(state(running))

    async def post_moods(request: web.Request) -> web.StreamResponse:
        set_moods(running, await request.json())
        return web.json_response(running.moods.snapshot())

    async def delete_moods(_request: web.Request) -> web.StreamResponse:
        running.moods.clear()
        return web.json_response(running.moods.snapshot())

    async def advance(request: web.Request) -> web.StreamResponse:
        seconds = request.query.get("seconds", "")
        if not seconds.isdigit():
            raise Refusal("advance takes ?seconds=N, a whole number")
        running.advance(int(seconds))
        return web.json_response(state(running))

    async def post_credit(request: web.Request) -> web.StreamResponse:
        credit(running, await request.json())
        return web.json_response(state(running)["accounts"])

    async def post_state(request: web.Request) -> web.StreamResponse:
        return web.json_response(force(running, await request.json()))

    application.router.add_get("/front", get)
    application.router.add_post("/front/moods", post_moods)
    application.router.add_delete("/front/moods", delete_moods)
    application.router.add_post("/front/advance", advance)
    application.router.add_post("/front/credit", post_credit)
    application.router.add_post("/front/state", post_state)
