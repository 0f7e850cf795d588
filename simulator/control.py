"""The tester's remote control: HTTP with JSON, on the loopback interface only.

GET    /state                 counters, moods, what waits
POST   /moods                 {"mood": …, "count": N, "value": …, "customer": …, "sealed": …}, or a list of
                              such; count 0 switches a mood off, null leaves it on
DELETE /moods                 all moods off
POST   /advance?days=N        moves bank time, then sends out what that brought
POST   /idle                  answers when every file taken so far has been worked on
POST   /collect               fetches the ledger's answers now
GET    /books[?payments=no]   what the bank executed
GET    /accounts              the accounts of the ledger
POST   /accounts              opens one, or changes the one with that id

Of the EBICS door, where the bank has one:

GET    /ebics                 hashes of the bank's keys, users, orders with their signers and what became of them
POST   /ebics/users           {"partner": …, "user": …, "command": "activate", "lock" or "reset"}
POST   /ebics/bank-keys       the bank changes its keys
POST   /ebics/release         {"order": number}: an order that waits for paper is executed
POST   /ebics/offer           {"customer": …, "kind": "mt942", "base64": …}: puts a file on offer

Of the front machine, where the bank has one: see `simulator.front.control`. Of the verification of payee: `simulator.payee`.
"""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator.bank import Bank
from simulator.ebics.desk import Desk
from simulator.front.control import add_front
from simulator.front.running import RunningFront
from simulator.ledger import LedgerDown, Refusal
from simulator.moods import EVERYONE, BadMood
from simulator.payee import PayeeService, add_payee
from simulator.settings_base import split_address

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MOOD_FIELDS = {"mood", "count", "value", "customer", "sealed"}


class Control:
    """A listening server. `start` makes one."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.url = f"http://{host}:{port}"

    @classmethod
    async def start(
        cls,
        bank: Bank,
        listen: str,
        ebics: Desk | None = None,
        front: RunningFront | None = None,
        payee: PayeeService | None = None,
    ) -> "Control":
        """Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        runner = web.AppRunner(_whole(bank, ebics, front, payee), access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, host, int(runner.addresses[0][1]))

    async def close(self) -> None:
        await self._runner.cleanup()


def state(bank: Bank) -> dict[str, Any]:
    """Counters, moods and folders, JSON-ready."""
    return {
        "bank": dict(bank.counts),
        "moods": bank.moods.snapshot(),
        "customers": {
            customer.id: {
                **customer.counts,
                "outbox": sorted(path.name for path in customer.tree.outbox.iterdir() if path.is_file()),
                "waiting": len(list(customer.tree.incoming.iterdir())),
                "quarantine": sorted(path.name for path in customer.tree.quarantine.iterdir()),
            }
            for customer in bank.customers.values()
        },
    }


async def set_moods(bank: Bank, wanted: Any) -> None:
    """Switches moods on and off as the body of `POST /moods` says. Raises `BadMood`; moods before the bad one stay set."""
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(entry, dict) or not isinstance(entry.get("mood"), str) or not set(entry) <= _MOOD_FIELDS:
            raise BadMood(f"a mood is an object with mood and, if wanted, {', '.join(sorted(_MOOD_FIELDS - {'mood'}))}")
        customer = entry.get("customer", EVERYONE)
        if customer != EVERYONE and customer not in bank.customers:
            raise BadMood(f"there is no such customer; there are: {', '.join(sorted(bank.customers))}")
        bank.moods.set(
            entry["mood"], entry.get("count", 1), entry.get("value"), customer=customer, sealed=bool(entry.get("sealed", True))
        )
    await bank.outgoing.moods_changed()


def _whole(bank: Bank, ebics: Desk | None, front: RunningFront | None, payee: PayeeService | None) -> web.Application:
    application = _application(bank)
    if ebics is not None:
        _add_ebics(application, ebics)
    if front is not None:
        add_front(application, front)
    if payee is not None:
        add_payee(application, payee)
    return application


def _application(bank: Bank) -> web.Application:
    async def get_state(_request: web.Request) -> web.StreamResponse:
        return web.json_response(state(bank))

    async def post_moods(request: web.Request) -> web.StreamResponse:
        await set_moods(bank, await request.json())
        return web.json_response(bank.moods.snapshot())

    async def delete_moods(_request: web.Request) -> web.StreamResponse:
        bank.moods.clear()
        await bank.outgoing.moods_changed()
        return web.json_response(bank.moods.snapshot())

    async def advance(request: web.Request) -> web.StreamResponse:
        days = request.query.get("days", "")
        if not days.isdigit():
            raise Refusal("advance takes ?days=N, a whole number of calendar days")
        return web.json_response(dict(await bank.advance(int(days))))

    async def idle(_request: web.Request) -> web.StreamResponse:
        await bank.idle()
        return web.json_response({"idle": True})

    async def collect(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"answers": await bank.collect()})

    async def books(request: web.Request) -> web.StreamResponse:
        return web.json_response(await bank.books(listed=request.query.get("payments") != "no"))

    async def accounts(_request: web.Request) -> web.StreamResponse:
        return web.json_response(await bank.ledger.accounts())

    async def open_account(request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        if not isinstance(wanted, dict):
            raise Refusal("an account is a JSON object")
        return web.json_response(await bank.ledger.open_account(wanted))

    application = web.Application(middlewares=[_explain])
    application.router.add_get("/state", get_state)
    application.router.add_post("/moods", post_moods)
    application.router.add_delete("/moods", delete_moods)
    application.router.add_post("/advance", advance)
    application.router.add_post("/idle", idle)
    application.router.add_post("/collect", collect)
    application.router.add_get("/books", books)
    application.router.add_get("/accounts", accounts)
    application.router.add_post("/accounts", open_account)
    return application


def _add_ebics(application: web.Application, desk: Desk) -> None:
    async def books(_request: web.Request) -> web.StreamResponse:
        return web.json_response(desk.books())

    async def users(request: web.Request) -> web.StreamResponse:
        wanted = await _object(request, "partner", "user", "command")
        user = desk.subscribers.command(*(str(wanted[name]) for name in ("partner", "user", "command")))
        return web.json_response({"partner": user.partner_id, "user": user.id, "state": user.state.value})

    async def bank_keys(_request: web.Request) -> web.StreamResponse:
        desk.keys.change()
        return web.json_response(desk.keys.shown())

    async def release(request: web.Request) -> web.StreamResponse:
        wanted = await _object(request, "order")
        desk.release(wanted["order"])
        return web.json_response({"released": wanted["order"]})

    async def offer(request: web.Request) -> web.StreamResponse:
        wanted = await _object(request, "customer", "kind", "base64")
        try:
            data = base64.b64decode(str(wanted["base64"]), validate=True)
        except binascii.Error as error:
            raise Refusal("offer: base64 is no base64") from error
        return web.json_response({"name": desk.offer(str(wanted["customer"]), str(wanted["kind"]), data)})

    application.router.add_get("/ebics", books)
    application.router.add_post("/ebics/users", users)
    application.router.add_post("/ebics/bank-keys", bank_keys)
    application.router.add_post("/ebics/release", release)
    application.router.add_post("/ebics/offer", offer)


async def _object(request: web.Request, *names: str) -> dict[str, Any]:
    wanted = await request.json()
    if not isinstance(wanted, dict) or set(wanted) != set(names):
        raise Refusal(f"the body is an object with {', '.join(names)}")
    return wanted


@web.middleware
async def _explain(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Turns this room's errors into answers a tester can act on."""
    try:
        return await handler(request)
    except (BadMood, Refusal) as error:
        return web.json_response({"error": str(error)}, status=400)
    except json.JSONDecodeError as error:
        return web.json_response({"error": f"the body is not JSON: {error}"}, status=400)
    except LedgerDown as error:
        return web.json_response({"error": str(error)}, status=503)
