"""Requests into orders and back: nothing lost, nothing guessed, every unreadable value named."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bankgate.v1 import types_pb2 as pb
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PostalAddress, RemittanceInformation
from gateway.instant import InstantChoice
from gateway.payment import PaymentOrder
from gateway.rpc.convert import ITEMS_MAX, TEXT_MAX, order_of
from gateway.rpc.present import request_message

DATES = {"requested_execution_date", "birth_date", "document_date"}
AMOUNTS = {"amount", "remitted_amount"}


def full(message: Any, path: str = "") -> Any:
    """A message with every field set to a value that tells where it stands, so that any field forgotten or mixed up shows."""
    for field in message.DESCRIPTOR.fields:
        place = f"{path}{field.name}"
        if field.message_type is not None:
            for target in (
                (getattr(message, field.name).add() for _ in range(2)) if field.is_repeated else (getattr(message, field.name),)
            ):
                full(target, f"{place}.")
            continue
        if field.enum_type is not None:
            setattr(message, field.name, field.enum_type.values[-1].number)
            continue
        value = (
            f"2026-01-{1 + len(place) % 28:02}" if field.name in DATES else f"{len(place)}.5" if field.name in AMOUNTS else place
        )
        if field.is_repeated:
            getattr(message, field.name).extend([value, value + "'"])
        else:
            setattr(message, field.name, value)
    return message


def read_back(order: PaymentOrder) -> pb.PaymentRequest:
    assert order.requested_execution_date is not None
    assert order.amount is not None
    terms = PaymentTerms(
        debtor=order.debtor or Party(),
        debtor_account=order.debtor_account or Account(),
        debtor_agent=order.debtor_agent or Agent(),
        requested_execution_date=order.requested_execution_date,
        payment_type=order.payment_type,
        charge_bearer=order.charge_bearer,
        ultimate_debtor=order.ultimate_debtor,
    )
    transfer = CreditTransfer(
        instruction_id="i",
        end_to_end_id=order.end_to_end_id or "",
        amount=order.amount,
        currency=order.currency or "",
        creditor=order.creditor or Party(),
        creditor_account=order.creditor_account,
        creditor_agent=order.creditor_agent,
        uetr=order.uetr,
        purpose=order.purpose,
        purpose_proprietary=order.purpose_proprietary,
        ultimate_creditor=order.ultimate_creditor,
        remittance_information=order.remittance_information,
        supplementary=order.supplementary,
    )
    return request_message(
        order.payment_reference, order.connection_id, terms, transfer, order.instant, release_group=order.release_group or ""
    )


def test_no_field_of_the_contract_is_lost_or_mixed_up_on_its_way_in_and_out() -> None:
    request = full(pb.PaymentRequest())
    assert read_back(order_of(request)) == request


def test_an_empty_request_is_an_order_of_absent_values_without_problems() -> None:
    order = order_of(pb.PaymentRequest())
    assert order.problems == ()
    given_values = {name for name in order.__dataclass_fields__ if getattr(order, name) not in (None, "", ())}
    assert given_values == {"content_sha256"}


def test_an_empty_part_is_an_absent_part() -> None:
    order = order_of(pb.PaymentRequest(creditor=pb.Party(), creditor_account=pb.Account(), creditor_agent=pb.Agent()))
    assert (order.creditor, order.creditor_account, order.creditor_agent, order.problems) == (None, None, None, ())
    remittance = pb.RemittanceInformation(unstructured=["", "b"], structured=[pb.StructuredRemittance()])
    address = pb.PostalAddress(address_line=["", "x"])
    order = order_of(pb.PaymentRequest(remittance_information=remittance, creditor=pb.Party(postal_address=address)))
    assert order.remittance_information == RemittanceInformation(unstructured=("b",))
    assert order.creditor == Party(postal_address=PostalAddress(address_line=("x",)))


@pytest.mark.parametrize("text", ["0", "1", "0.01", "12.50", "999999999999999999.99", "007.10"])
def test_plain_decimals_are_amounts_to_the_last_digit(text: str) -> None:
    order = order_of(pb.PaymentRequest(amount=text))
    assert (order.amount, order.problems) == (Decimal(text), ())


@pytest.mark.parametrize(
    "text",
    ["-1", "+1", "1,50", "1.000,00", "1e3", ".5", "1.", "1 000", " 1", "1\n", "NaN", "Infinity", "٣", "0x10", "9" * 19, "1_0"],
)
def test_anything_else_is_no_amount_and_is_named(text: str) -> None:
    order = order_of(pb.PaymentRequest(amount=text))
    assert order.amount is None
    assert [(problem.field, problem.rule) for problem in order.problems] == [("amount", "amount.format")]


@pytest.mark.parametrize(
    "text", ["2026-13-01", "2026-02-30", "20261125", "2026-W48-3", "25.11.2026", "2026-11-25T00:00", "٢٠٢٦-11-25"]
)
def test_what_is_no_calendar_date_is_named(text: str) -> None:
    order = order_of(pb.PaymentRequest(requested_execution_date=text))
    assert order.requested_execution_date is None
    assert [(problem.field, problem.rule) for problem in order.problems] == [("requested_execution_date", "date.format")]


def test_every_choice_of_instant_is_read_and_a_number_of_a_later_contract_is_named() -> None:
    read = {order_of(pb.PaymentRequest(instant=number)).instant for number in (0, 1, 2, 3)}  # type: ignore[arg-type]
    assert read == {None, *InstantChoice}
    order = order_of(pb.PaymentRequest(instant=9))  # type: ignore[arg-type]
    assert (order.instant, [problem.rule for problem in order.problems]) == (None, ["instant.unknown"])


def test_parts_of_a_party_left_blank_by_a_template_are_absent() -> None:
    blank = pb.Party(
        name="n",
        postal_address=pb.PostalAddress(town_name=""),
        organisation=pb.OrganisationIdentification(lei=""),
        person=pb.PrivateIdentification(),
    )
    order = order_of(pb.PaymentRequest(creditor=blank, creditor_agent=pb.Agent(bic="B", postal_address=pb.PostalAddress())))
    assert (order.creditor, order.problems) == (Party(name="n"), ())
    assert order.creditor_agent == Agent(bic="B")


def test_every_problem_of_a_request_is_found_at_once_with_its_path() -> None:
    request = pb.PaymentRequest(
        amount="x",
        requested_execution_date="x",
        purpose="SALA",
        purpose_proprietary="own",
        payment_type=pb.PaymentType(service_level="SEPA", service_level_proprietary="own"),
        debtor_account=pb.Account(iban="DE1", other_id="1"),
        creditor_account=pb.Account(currency="EUR"),
        creditor=pb.Party(
            name="n", organisation=pb.OrganisationIdentification(lei="l"), person=pb.PrivateIdentification(birth_date="x")
        ),
        remittance_information=pb.RemittanceInformation(
            structured=[pb.StructuredRemittance(), pb.StructuredRemittance(remitted_amount="x", document_date="x")]
        ),
    )
    found = {(problem.field, problem.rule) for problem in order_of(request).problems}
    assert found == {
        ("amount", "amount.format"),
        ("requested_execution_date", "date.format"),
        ("purpose_proprietary", "choice.code-or-proprietary"),
        ("payment_type.service_level_proprietary", "choice.code-or-proprietary"),
        ("debtor_account.iban", "account.iban-or-other"),
        ("creditor_account.iban", "account.iban-or-other"),
        ("creditor.person", "party.organisation-or-person"),
        ("creditor.person.birth_date", "date.format"),
        ("remittance_information.structured[1].document_date", "date.format"),
        ("remittance_information.structured[1].remitted_amount", "amount.format"),
    }


def test_texts_longer_than_any_bank_takes_are_named_wherever_they_stand() -> None:
    long = "x" * (TEXT_MAX + 1)
    request = pb.PaymentRequest(
        end_to_end_id=long,
        creditor=pb.Party(postal_address=pb.PostalAddress(address_line=["ok", long])),
        supplementary=[pb.SupplementaryField(name="a.b", value=long)],
    )
    fields = {problem.field for problem in order_of(request).problems if problem.rule == "text.length-max"}
    assert fields == {"end_to_end_id", "creditor.postal_address.address_line[1]", "supplementary[0].value"}


def test_a_payment_with_too_much_in_it_is_refused_as_a_whole() -> None:
    request = pb.PaymentRequest(remittance_information=pb.RemittanceInformation(unstructured=["x" * 100] * 1000))
    order = order_of(request)
    assert [problem.rule for problem in order.problems] == ["request.size-max"]
    assert order.remittance_information is None


def test_what_is_refused_for_the_length_of_its_lists_is_not_looked_at_item_by_item() -> None:
    """Else one call of 16 MiB with nothing but tiny wrong lines makes millions of violations, and takes hours to make them."""
    lines = ["№"] * (ITEMS_MAX // 2)
    one = pb.StructuredRemittance(additional_information="№")
    remittance = pb.RemittanceInformation(unstructured=lines, structured=[one] * (ITEMS_MAX - len(lines) + 1))
    order = order_of(pb.PaymentRequest(creditor=pb.Party(name="A"), remittance_information=remittance))
    assert [problem.rule for problem in order.problems] == ["request.items-max"]
    assert order.creditor is not None
    assert (order.creditor.name, order.remittance_information) == ("A", None)
    remittance.structured.pop()
    kept = order_of(pb.PaymentRequest(remittance_information=remittance))
    assert not kept.problems
    assert kept.remittance_information is not None
    assert len(kept.remittance_information.unstructured) == ITEMS_MAX // 2


def test_equal_parts_are_one_object_and_changed_parts_are_not() -> None:
    first = order_of(pb.PaymentRequest(debtor=pb.Party(name="A")))
    second = order_of(pb.PaymentRequest(debtor=pb.Party(name="A")))
    third = order_of(pb.PaymentRequest(debtor=pb.Party(name="B")))
    assert first.debtor is second.debtor
    assert third.debtor is not None
    assert third.debtor.name == "B"


texts = st.text(max_size=12)


@given(reference=texts, name=texts, iban=texts, lines=st.lists(texts, max_size=3), amount=texts, day=texts)
@settings(max_examples=150)
def test_any_text_gives_an_order_and_equal_requests_give_equal_digests(
    reference: str, name: str, iban: str, lines: list[str], amount: str, day: str
) -> None:
    def make() -> pb.PaymentRequest:
        return pb.PaymentRequest(
            payment_reference=reference,
            creditor=pb.Party(name=name),
            creditor_account=pb.Account(iban=iban),
            remittance_information=pb.RemittanceInformation(unstructured=lines),
            amount=amount,
            requested_execution_date=day,
        )

    order = order_of(make())
    assert order == order_of(make())
    changed = make()
    changed.payment_reference += "x"
    assert order_of(changed).content_sha256 != order.content_sha256


@given(
    amount=st.decimals(min_value=Decimal("0.00001"), max_value=Decimal("999999999999.99999"), places=5),
    day=st.dates(min_value=date(1900, 1, 1), max_value=date(2999, 12, 31)),
)
@settings(max_examples=100)
def test_amounts_and_dates_survive_the_way_in_and_out(amount: Decimal, day: date) -> None:
    request = full(pb.PaymentRequest())
    order = replace(order_of(request), amount=amount, requested_execution_date=day)
    again = order_of(read_back(order))
    assert (again.amount, again.requested_execution_date, again.problems) == (amount, day, order.problems)
