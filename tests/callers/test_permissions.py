"""Permissions over the real use cases: every action × connection × account × currency × amount, against an oracle of its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from formats.model import Account, Party, PostalAddress
from formats.report import AccountIdentification, Statement
from gateway.callers import Caller, Callers, Money, caller_of
from gateway.config import CallerSettings, Configuration, ConnectionSettings
from gateway.errors import BadRequest, Forbidden, Invalid, NotFound
from gateway.payment import PaymentOrder
from gateway.service import Gateway
from gateway.store.records import NewStatement, PaymentFilter
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CONNECTIONS = ("one", "two")
ACCOUNTS = ("NL41MOCK0000000001", "NL14MOCK0000000002")
CURRENCIES = ("EUR", "USD")
AMOUNTS = (Decimal(10), Decimal(1000))
SMALL = Decimal(100)
PLACES = tuple(product(CONNECTIONS, ACCOUNTS, CURRENCIES, AMOUNTS))
OWNER = Caller("erp", ("*",), frozenset({"submit", "read", "cancel", "statements"}))


def order(place: tuple[str, str, str, Decimal], **changes: Any) -> PaymentOrder:
    connection_id, account, currency, amount = place
    reference = f"{connection_id}-{account[-1]}-{currency}-{amount}"
    values: dict[str, Any] = {
        "payment_reference": reference,
        "connection_id": connection_id,
        "amount": amount,
        "currency": currency,
        "content_sha256": hashlib.sha256(reference.encode()).digest(),
        "debtor_account": Account(iban=account),
        "creditor": Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        "creditor_account": Account(iban="DE89370400440532013000"),
    }
    return PaymentOrder(**{**values, **changes})


def connection(name: str) -> ConnectionSettings:
    accounts = [{"iban": iban, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX"} for iban in ACCOUNTS]
    values = {"id": name, "bank": "iso20022", "initiating_party": "ACME BV", "accounts": accounts}
    return ConnectionSettings.model_validate({**values, "channel": {"kind": "folder"}})


@dataclass
class House:
    gateway: Gateway
    ids: dict[tuple[str, str, str, Decimal], str]
    statements: dict[tuple[str, str, str], int]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A payment at every place, and a statement of every account in every currency on every connection."""
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: NOW)
    await store.open()
    configuration = Configuration(directory=tmp_path, connections={name: connection(name) for name in CONNECTIONS})
    gateway = Gateway(configuration, store, clock=lambda: NOW, metrics=Metrics())
    submitted = await gateway.submit(OWNER, [order(place) for place in PLACES])
    statements = {}
    for connection_id in CONNECTIONS:
        writer = store.document_writer("inbound")
        await asyncio.to_thread(writer.write, connection_id.encode())
        file, _ = await store.keep_inbound(connection_id, "f.xml", *await asyncio.to_thread(writer.finish))
        for position, (account, currency) in enumerate(product(ACCOUNTS, CURRENCIES)):
            said = Statement(statement_id="S", account=AccountIdentification(iban=account, other_id=None, currency=currency))
            statements[connection_id, account, currency] = await store.put_statement(
                NewStatement(
                    inbound_file_id=file.inbound_file_id,
                    connection_id=connection_id,
                    position=position,
                    message="camt.053",
                    statement=said,
                )
            )
    yield House(gateway, dict(zip(PLACES, (one.payment_id for one in submitted), strict=True)), statements)
    await store.close()


def permission(actions: tuple[str, ...], connections: str, account: str, money: str) -> dict[str, Any]:
    made: dict[str, Any] = {"actions": actions, "connections": [connections], "accounts": [account]}
    if money == "small":
        made["amount_max"] = {"EUR": str(SMALL)}
    elif money != "*":
        made["currencies"] = [money]
    return made


def caller(*permissions: dict[str, Any], **more: Any) -> Caller:
    return caller_of(CallerSettings.model_validate({"name": "erp", "permissions": permissions, **more}))


def inside(one: dict[str, Any], place: tuple[str, ...] | tuple[str, str, str, Decimal], money: str) -> bool:
    """The oracle: whether a place lies in a permission, written without the code under test."""
    connection_id, account, currency = place[0], place[1], place[2]
    there = one["connections"][0] in {"*", connection_id} and one["accounts"][0] in {"*", account}
    if money == "small":
        return there and currency == "EUR" and place[3] <= SMALL  # type: ignore[operator]
    return there and money in {"*", currency}


BOUNDS = tuple(product((*CONNECTIONS, "*"), (ACCOUNTS[0], "*"), ("EUR", "small", "*")))


async def outcome(awaited: Any) -> str:
    try:
        await awaited
    except (Forbidden, NotFound) as error:
        return type(error).__name__
    return "done"


@pytest.mark.parametrize("action", ["submit", "read", "cancel"])
async def test_what_a_permission_says_of_payments_is_what_the_use_cases_do(action: str, house: House) -> None:
    wrong: list[Any] = []
    gateway = house.gateway
    for bounds in BOUNDS:
        one = permission((action,), *bounds)
        who = caller(one)
        allowed = {place for place in PLACES if inside(one, place, bounds[2])}
        for place, payment_id in house.ids.items():
            asked = {
                "submit": await outcome(gateway.submit(who, [order(place)])),
                "check": await outcome(gateway.check(who, [order(place)], None)),
                "read": await outcome(gateway.payment(who, payment_id=payment_id)),
                "cancel": await outcome(gateway.cancel(who, payment_id=payment_id, reason="r")),
            }
            expected = {
                name: "done"
                if place in allowed and (name == action or (name, action) == ("check", "submit"))
                else ("NotFound" if (name, action) in {("read", "read"), ("cancel", "cancel")} else "Forbidden")
                for name in asked
            }
            wrong += [(bounds, place, name, asked[name]) for name in asked if asked[name] != expected[name]]
        seen = set()
        if action == "read":
            listed, _ = await gateway.list_payments(who, PaymentFilter(), 100, None)
            watched = {e.payment_id async for some in gateway.watch(who, "", (), True) for e in some}
            seen = {payment.payment_id for payment in listed}
            wrong += [] if seen == watched else [(bounds, "watch", seen ^ watched)]
            wrong += [] if seen == {house.ids[place] for place in allowed} else [(bounds, "list", seen)]
    assert not wrong


async def test_what_a_permission_says_of_statements_is_what_the_use_cases_do(house: House) -> None:
    wrong: list[Any] = []
    gateway = house.gateway
    for bounds in product((*CONNECTIONS, "*"), (ACCOUNTS[0], "*"), ("EUR", "*")):
        one = permission(("statements",), *bounds)
        who = caller(one)
        allowed = {row for place, row in house.statements.items() if inside(one, place, bounds[2])}
        for row in house.statements.values():
            expected = "done" if row in allowed else "NotFound"
            found = (
                await outcome(gateway.statement(who, row)),
                await outcome(gateway.entries(who, row, after_position=0, limit=5)),
            )
            wrong += [] if found == (expected, expected) else [(bounds, row, found)]
        seen = await listed(gateway, who)
        wrong += [] if seen == allowed else [(bounds, seen, allowed)]
    assert not wrong


async def listed(gateway: Gateway, who: Caller, size: int = 1) -> set[int]:
    """Every statement a caller is shown, in pages of a size."""
    seen, token = set(), None
    while True:
        rows, token = await gateway.list_statements(
            who, connection_id=None, iban=None, message_prefix=None, limit=size, token=token
        )
        assert len(rows) <= size
        seen |= {row.statement_row_id for row in rows}
        if token is None:
            return seen


async def test_permissions_are_not_mixed_with_each_other(house: House) -> None:
    """One lets account 1 pay in EUR, another account 2 in USD: neither lets account 1 pay in USD."""
    who = caller(permission(("submit",), "one", ACCOUNTS[0], "EUR"), permission(("submit",), "*", ACCOUNTS[1], "USD"))
    allowed = {
        place
        for place in PLACES
        if (place[0] == "one" and place[1:3] == (ACCOUNTS[0], "EUR")) or place[1:3] == (ACCOUNTS[1], "USD")
    }
    done = {place for place in PLACES if await outcome(house.gateway.submit(who, [order(place)])) == "done"}
    assert done == allowed


async def test_one_payment_that_is_not_allowed_keeps_all_of_the_call_from_being_stored(house: House) -> None:
    who = caller(permission(("submit", "read"), "one", "*", "small"))
    good, bad = (order(("one", ACCOUNTS[0], "EUR", amount), payment_reference=f"new-{amount}") for amount in AMOUNTS)
    with pytest.raises(Forbidden) as refused:
        await house.gateway.submit(who, [good, bad])
    assert refused.value.missing == "amount"
    assert "(payments[1])" in str(refused.value)
    with pytest.raises(NotFound):
        await house.gateway.payment(who, payment_reference=good.payment_reference)


async def test_refusals_name_what_is_missing_and_neither_accounts_nor_limits(house: House) -> None:
    who = caller(permission(("submit",), "one", ACCOUNTS[0], "small"))
    found = {}
    for missing, place in {
        "connection": ("two", ACCOUNTS[0], "EUR", AMOUNTS[0]),
        "account": ("one", ACCOUNTS[1], "EUR", AMOUNTS[0]),
        "currency": ("one", ACCOUNTS[0], "USD", AMOUNTS[0]),
        "amount": ("one", ACCOUNTS[0], "EUR", AMOUNTS[1]),
    }.items():
        with pytest.raises(Forbidden) as refused:
            await house.gateway.submit(who, [order(place)])
        found[missing] = refused.value.missing
        assert not any(secret in str(refused.value) for secret in (*ACCOUNTS, str(SMALL), "USD", "EUR"))
    assert found == {name: name for name in found}


async def test_an_account_that_the_connection_has_is_not_told_from_one_that_it_has_not(house: House) -> None:
    """To a caller who may use neither."""
    who = caller(permission(("submit",), "one", ACCOUNTS[0], "*"))
    said = set()
    for account in (ACCOUNTS[1], "DE89370400440532013000"):
        with pytest.raises(Forbidden) as refused:
            await house.gateway.submit(who, [order(("one", account, "EUR", AMOUNTS[0]))])
        said.add(str(refused.value))
    assert len(said) == 1


async def test_what_cannot_be_read_is_told_by_the_rules_and_never_let_through(house: House) -> None:
    who = caller(permission(("submit",), "one", ACCOUNTS[0], "small"))
    for changes in ({"amount": None}, {"currency": None}, {"debtor_account": None}):
        with pytest.raises((Invalid, BadRequest)):
            await house.gateway.submit(who, [order(PLACES[0], payment_reference="new", **changes)])


async def test_a_payment_that_may_be_read_and_not_cancelled_says_so(house: House) -> None:
    who = caller(permission(("read",), "*", "*", "*"), permission(("cancel",), "*", "*", "small"))
    with pytest.raises(Forbidden, match="so large an amount"):
        await house.gateway.cancel(who, payment_id=house.ids["one", ACCOUNTS[0], "EUR", AMOUNTS[1]], reason="r")


def test_dated_permissions_count_from_their_first_day_to_their_last() -> None:
    first, last = date(2026, 11, 26), date(2026, 11, 30)
    one = {**permission(("submit",), "*", "*", "*"), "valid_from": first, "valid_until": last}
    who = caller(one)
    for day, may in ((25, False), (26, True), (30, True)):
        assert who.at(date(2026, 11, day)).may("submit") is may
    assert not who.at(date(2026, 12, 1)).may("submit")
    assert who.at(date(2026, 12, 1)).actions == frozenset()
    beside = caller(one, permission(("read",), "*", "*", "*"))
    assert beside.at(date(2026, 11, 25)).may("read")
    assert not beside.at(date(2026, 11, 25)).may("submit")


def test_simple_settings_mean_what_they_meant() -> None:
    for connections, actions in product((("*",), ("one",), ("one", "two"), ()), (("submit",), ("read", "operate"), ())):
        who = caller_of(CallerSettings.model_validate({"name": "erp", "connections": connections, "actions": actions}))
        for action, connection_id in product(("submit", "read", "cancel", "operate", "replay"), ("one", "two", "three")):
            expected = action in actions and ("*" in connections or connection_id in connections)
            assert who.may(action, connection_id, Money("ANY", "XXX", Decimal(10**12))) is expected


def test_a_permission_that_bounds_amounts_is_about_nothing_without_one() -> None:
    who = caller(permission(("statements",), "*", "*", "small"))
    assert not who.may("statements", "one", Money(ACCOUNTS[0], "EUR"))


def test_a_token_whose_subject_and_client_are_two_callers_is_nobodys() -> None:
    entries = [
        {"name": "one", "token": {"issuer": "i", "subject": "s"}},
        {"name": "two", "token": {"issuer": "i", "client_id": "c"}},
    ]
    callers = Callers([CallerSettings.model_validate(entry) for entry in entries])
    names = [
        getattr(callers.by_token({"iss": issuer, "sub": subject, **client}), "name", None)
        for issuer, subject, client in (
            ("i", "s", {}),
            ("i", "x", {"client_id": "c"}),
            ("i", "x", {"azp": "c"}),
            ("i", "x", {"client_id": "x", "azp": "c"}),
            ("i", "s", {"client_id": "c"}),
            ("j", "s", {}),
            ("i", "c", {"client_id": "s"}),
        )
    ]
    assert names == ["one", "two", "two", None, None, None, None]
