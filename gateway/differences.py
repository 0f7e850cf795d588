"""In which fields a repeated reference differs from what was stored under it."""

from collections.abc import Collection
from dataclasses import fields
from datetime import date
from typing import Any

from formats.instant import asks_instant
from formats.model import PaymentTerms
from gateway.instant import InstantChoice
from gateway.payment import PaymentOrder
from gateway.store.records import Payment
from gateway.validation import Checked

_TERMS = (
    "debtor",
    "debtor_account",
    "debtor_agent",
    "ultimate_debtor",
    "requested_execution_date",
    "payment_type",
    "charge_bearer",
)
_TRANSFER = (
    "end_to_end_id",
    "amount",
    "currency",
    "creditor",
    "creditor_account",
    "creditor_agent",
    "purpose",
    "purpose_proprietary",
    "ultimate_creditor",
    "remittance_information",
    "supplementary",
)


def differing_fields(stored: Payment, order: PaymentOrder, checked: Checked, stored_on: Collection[date]) -> tuple[str, ...]:
    """Paths in the words of the request. Values that bankgate filled in by itself then and now are not compared.

    `stored_on`: the days that "today" can have meant at the bank when the payment was stored. Empty: the caller said the same in
    other words, for instance a default spelt out.
    """
    found: list[str] = []
    if stored.connection_id != order.connection_id:
        found.append("connection_id")
    if (None if stored.group is None else stored.group.name) != order.release_group:
        found.append("release_group")
    if _effective(stored.instant, stored.asked_terms) is not _effective(order.instant, checked.terms):
        found.append("instant")
    for name in _TERMS:
        old, new = getattr(stored.asked_terms, name), getattr(checked.terms, name)
        if name == "requested_execution_date" and order.requested_execution_date is None and old in stored_on:
            continue  # "today" then and "today" now are the same wish
        found += _differences(name, old, new)
    for name in _TRANSFER:
        found += _differences(name, getattr(stored.transfer, name), getattr(checked.transfer, name))
    if order.uetr is not None and order.uetr != stored.asked_transfer.uetr:
        found.append("uetr")
    return tuple(found)


def differing_orders(first: PaymentOrder, first_checked: Checked, order: PaymentOrder, checked: Checked) -> tuple[str, ...]:
    """The same for two orders of one call: where the later one says something else than the first."""
    found = [name for name in ("connection_id", "release_group") if getattr(first, name) != getattr(order, name)]
    if _effective(first.instant, first_checked.terms) is not _effective(order.instant, checked.terms):
        found.append("instant")
    for name in _TERMS:
        found += _differences(name, getattr(first_checked.terms, name), getattr(checked.terms, name))
    for name in _TRANSFER:
        found += _differences(name, getattr(first_checked.transfer, name), getattr(checked.transfer, name))
    if order.uetr is not None and order.uetr != first.uetr:
        found.append("uetr")
    return tuple(found)


def _effective(choice: InstantChoice | None, terms: PaymentTerms) -> InstantChoice:
    """What a choice, or none, comes to."""
    return choice or (InstantChoice.INSTANT if asks_instant(terms.payment_type) else InstantChoice.NORMAL)


def _differences(path: str, old: Any, new: Any) -> list[str]:
    if old == new:
        return []
    if type(old) is type(new) and hasattr(old, "__dataclass_fields__"):
        return [
            place
            for field in fields(old)
            for place in _differences(f"{path}.{field.name}", getattr(old, field.name), getattr(new, field.name))
        ]
    return [path]
