"""The short way of writing a transfer gives what the long way gives, or leaves it to the long way."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from formats.model import Account, Agent, CreditTransfer, Party, PostalAddress, RemittanceInformation
from formats.pain001 import any_transaction
from formats.pain001_usual import usual_transaction
from formats.pain001_versions import VERSIONS
from tests.formats.test_pain001 import ACCOUNTS, AGENTS, AMOUNTS, BICS, COUNTRY, LETTERS, REMITTANCES, maybe

VERSION = VERSIONS["pain.001.001.09"]
ODD = st.sampled_from(["", "a&b", "<", "x" * 36, "x" * 141, "\r", "\x00", "é", "中", "]]>", "a" * 35]) | LETTERS
PLAIN = CreditTransfer(
    instruction_id="I-1",
    end_to_end_id="E-1",
    amount=Decimal("12.50"),
    currency="EUR",
    creditor=Party(
        name="Payee",
        postal_address=PostalAddress(street_name="Street", building_number="1", post_code="1", town_name="Lyon", country="FR"),
    ),
    creditor_account=Account(iban="FR1420041010050500013M02606"),
    remittance_information=RemittanceInformation(unstructured=("Invoice 1",)),
)
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "instruction_id": ODD,
    "end_to_end_id": ODD,
    "amount": AMOUNTS | st.decimals(Decimal("0.01"), Decimal("9999999.99"), places=2),
    "currency": st.sampled_from(["EUR", "USD", "JPY", "EUX"]),
    "creditor": st.builds(Party, name=maybe(ODD)),
    "creditor_account": ACCOUNTS,
    "creditor_agent": st.builds(Agent, bic=BICS) | AGENTS,
    "uetr": st.sampled_from(["7a562c67-ca16-48ba-b074-65581be6f001", "7a562c67"]),
    "purpose": st.sampled_from(["SALA", "x"]),
    "remittance_information": st.builds(RemittanceInformation, unstructured=ODD.map(lambda line: (line,))) | REMITTANCES,
}
ADDRESSES = dict.fromkeys(("street_name", "building_number", "post_code", "town_name", "room"), ODD) | {"country": COUNTRY}


@st.composite
def nearly_usual(draw: st.DrawFn) -> CreditTransfer:
    """A usual transfer with a value or two changed."""
    transfer = PLAIN
    for name in draw(st.sets(st.sampled_from(sorted(CHANGES)), max_size=2)):
        transfer = replace(transfer, **{name: draw(CHANGES[name])})
    place = transfer.creditor.postal_address
    if place is not None:
        for name in draw(st.sets(st.sampled_from(sorted(ADDRESSES)), max_size=1)):
            changed: dict[str, Any] = {name: draw(st.none() | ADDRESSES[name])}
            place = replace(place, **changed)
        transfer = replace(transfer, creditor=replace(transfer.creditor, postal_address=place))
    return transfer


def outcome(write: Any, transfer: CreditTransfer) -> str | None:
    """The text, None for a transfer that is left to the other way, or "" for a refusal."""
    try:
        text: str | None = write(transfer, VERSION)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        return ""
    return text


@given(nearly_usual())
def test_both_ways_write_the_same(transfer: CreditTransfer) -> None:
    short, long = outcome(usual_transaction, transfer), outcome(any_transaction, transfer)
    event("short" if short else "refused" if short == "" else "left")
    assert short is None or short == long


def test_the_short_way_is_taken_for_usual_payments() -> None:
    assert usual_transaction(PLAIN, VERSION) == any_transaction(PLAIN, VERSION)


@pytest.mark.parametrize("value", [b"bytes", ["list"], 7])
@pytest.mark.parametrize("field", ["instruction_id", "end_to_end_id"])
def test_what_is_no_text_is_not_written_as_if_it_were(field: str, value: Any) -> None:
    assert not outcome(usual_transaction, replace(PLAIN, **{field: value}))
    assert not outcome(usual_transaction, replace(PLAIN, creditor=Party(name=value)))
