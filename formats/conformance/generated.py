"""The promise `check` makes: a payment it takes can be rendered, and what is rendered keeps to the schema.

Tried with payments made from the bank's own samples by changing some of their fields to values at and beyond every edge, from a
seed. Many break rules: those show that check does not raise. Those that pass are rendered together and put to the schema.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from formats.conformance.card import Case, Found
from formats.conformance.dice import Dice
from formats.conformance.outbound import rendered, schema_fault, total_faults
from formats.conformance.requests import SamplePayment
from formats.conformance.samples import Problem, RequestSample, bank_for
from formats.conformance.values import value_faults
from formats.dialogue import DialogueBank
from formats.errors import Unrenderable, refusing
from formats.model import (
    Account,
    Agent,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)

MIXTURES_A_MESSAGE = 160
PASSING_MIN = 12  # fewer payments that pass would prove nothing

_TEXTS = (
    *(
        "A",
        "Müller & Söhne <GmbH>",
        'O\'Neill "Q"',
        "x" * 35,
        "x" * 36,
        "x" * 70,
        "x" * 71,
        "x" * 140,
        "x" * 141,
        "",
        " ",
        "a  b",
    ),
    *("李伟", "Ελλάδα", "Łódź", "a\nb", "a\x00b", "]]>", "€ 5", "/x", "x/", "a//b", "😀", "\u202ex"),
)
_CODES = ("SALA", "SUPP", "X", "xx", "LONGER", "", "A1")
_COUNTRIES = ("DE", "FR", "CH", "GB", "US", "CN", "XX", "d", "")
_ADDRESSES = (
    None,
    PostalAddress(town_name="Paris", country="FR"),
    PostalAddress(country="DE"),
    PostalAddress(address_line=("Street 1", "75001 Paris")),
    PostalAddress(town_name="Paris", country="FR", address_line=("x" * 70, "y" * 70)),
    PostalAddress(town_name="Paris", country="FR", address_line=("x" * 71,)),
    PostalAddress(town_name="Paris", country="FR", address_line=("1", "2", "3")),
    PostalAddress(
        street_name="Main", building_number="1" * 17, post_code="1", town_name="T" * 35, country="DE", room="5", floor="2"
    ),
    PostalAddress(),
)
_ACCOUNTS = (
    Account(iban="DE89370400440532013000"),
    Account(iban="DE89370400440532013001"),
    Account(iban="FR1420041010050500013M02606"),
    Account(iban="CH9300762011623852957", currency="CHF"),
    Account(iban="GB29 NWBK"),
    Account(other_id="0012-345678", other_scheme="BBAN"),
    Account(other_id="x" * 35),
    Account(),
)
_AGENTS = (
    Agent(bic="COBADEFFXXX"),
    Agent(bic="BNPAFRPP"),
    Agent(bic="bnpafrpp"),
    Agent(clearing_system_id="USABA", clearing_system_member_id="021000021"),
    Agent(name="Bank", postal_address=PostalAddress(town_name="Paris", country="FR")),
    Agent(bic="COBADEFFXXX", lei="529900T8BM49AURSDO55"),
    Agent(),
)
_ORGANISATIONS = (
    OrganisationIdentification(bic="COBADEFF"),
    OrganisationIdentification(lei="529900T8BM49AURSDO55"),
    OrganisationIdentification(lei="529900T8BM49AURSDO56"),
    OrganisationIdentification(other=(OtherIdentification(id="12", scheme_code="TXID", issuer="X"),)),
    OrganisationIdentification(other=(OtherIdentification(id="12", scheme_code="TXID", scheme_proprietary="Y"),)),
    OrganisationIdentification(),
)
_PERSONS = (
    PrivateIdentification(birth_date=date(1970, 2, 28), city_of_birth="Paris", country_of_birth="FR"),
    PrivateIdentification(birth_date=date(1970, 2, 28)),
    PrivateIdentification(other=(OtherIdentification(id="P1", scheme_proprietary="PASSPORT"),)),
    PrivateIdentification(),
)
_REMITTANCES = (
    None,
    RemittanceInformation(unstructured=("Invoice 1",)),
    RemittanceInformation(unstructured=("x" * 140,)),
    RemittanceInformation(unstructured=("x" * 141,)),
    RemittanceInformation(unstructured=("one", "two")),
    RemittanceInformation(
        structured=(StructuredRemittance(creditor_reference_type="SCOR", creditor_reference="RF18539007547034"),)
    ),
    RemittanceInformation(
        structured=(StructuredRemittance(creditor_reference_type="SCOR", creditor_reference="RF19539007547034"),)
    ),
    RemittanceInformation(
        structured=(StructuredRemittance(creditor_reference_type="QRR", creditor_reference="210000000003139471430009017"),)
    ),
    RemittanceInformation(
        structured=(
            StructuredRemittance(
                document_type="CINV", document_number="7", document_date=date(2026, 1, 2), remitted_amount=Decimal("1.5")
            ),
        )
    ),
    RemittanceInformation(unstructured=("x",), structured=(StructuredRemittance(additional_information="y"),)),
    RemittanceInformation(structured=(StructuredRemittance(),)),
    RemittanceInformation(),
)
_PAYMENT_TYPES = (
    None,
    PaymentType(service_level="SEPA"),
    PaymentType(service_level="SEPA", local_instrument="INST"),
    PaymentType(service_level="URGP"),
    PaymentType(service_level="NURG", category_purpose="SALA"),
    PaymentType(service_level="sepa"),
    PaymentType(service_level="SEPA", service_level_proprietary="X"),
    PaymentType(instruction_priority="HIGH"),
    PaymentType(instruction_priority="LOW"),
    PaymentType(local_instrument_proprietary="x" * 36),
    PaymentType(),
)
_AMOUNTS = tuple(
    map(
        Decimal,
        ("0.01", "1", "1.10", "1.001", "1.0001", "0", "-1", "1E+2", "999999999.99", "1000000000.00", "100000.01", "NaN", "1E+30"),
    )
)
_PARTY: dict[str, tuple[Any, ...]] = {
    "name": _TEXTS,
    "postal_address": _ADDRESSES,
    "organisation": _ORGANISATIONS,
    "person": _PERSONS,
    "country_of_residence": _COUNTRIES,
}
_TRANSFER: dict[str, tuple[Any, ...]] = {
    "end_to_end_id": _TEXTS,
    "amount": _AMOUNTS,
    "currency": ("EUR", "CHF", "USD", "GBP", "JPY", "KWD", "XXX", "eur", ""),
    "creditor_account": _ACCOUNTS,
    "creditor_agent": (None, *_AGENTS),
    "uetr": (None, "7a562c67-ca16-48ba-b074-65581be6f001", "7A562C67-CA16-48BA-B074-65581BE6F001", "x"),
    "purpose": _CODES,
    "purpose_proprietary": _TEXTS,
    "ultimate_creditor": (None, Party(name="Factory 7"), Party(), Party(name="x" * 71)),
    "remittance_information": _REMITTANCES,
}
_TERMS: dict[str, tuple[Any, ...]] = {
    "debtor_account": _ACCOUNTS,
    "debtor_agent": _AGENTS,
    "payment_type": _PAYMENT_TYPES,
    "charge_bearer": (None, "SLEV", "SHAR", "DEBT", "CRED", "slev", ""),
    "ultimate_debtor": (None, Party(name="Holding"), Party()),
}
_DAYS = (0, 0, 0, 1, 30, 400, -1)


_Change = tuple[str, str, Any]
"""Part of the payment ("terms", "transfer", "debtor", "creditor"), field of it, value."""

_CHANGES: tuple[_Change, ...] = tuple(
    (part, field, value)
    for part, fields in (("terms", _TERMS), ("transfer", _TRANSFER), ("debtor", _PARTY), ("creditor", _PARTY))
    for field, values in fields.items()
    for value in values
)


def generated(request: RequestSample, seed: str, count: int) -> Iterator[tuple[str, SamplePayment]]:
    """Payments like those of a sample, with what was changed: those of the sample, each change alone, and `count` mixtures."""
    for index, payment in enumerate(request.payments):
        yield f"payments[{index}] as it is", payment
    for number, change in enumerate(_CHANGES):
        yield _words(change), _changed(request.payments[number % len(request.payments)], change)
    for number in range(count):
        dice = Dice(f"{seed}/{number}")
        payment = dice.pick(request.payments)
        changes = [dice.pick(_CHANGES) for _ in range(2 + dice.below(2))]
        day = request.on + timedelta(days=dice.pick(_DAYS))
        for change in (*changes, ("terms", "requested_execution_date", day)):
            payment = _changed(payment, change)
        yield ", ".join([*map(_words, changes), f"day={day}"]), payment


def _words(change: _Change) -> str:
    part, field, value = change
    return f"{part}.{field}={value!r:.120}"


def _changed(payment: SamplePayment, change: _Change) -> SamplePayment:
    part, field, value = change
    terms, transfer = payment.terms, payment.transfer
    match part:
        case "terms":
            return replace(payment, terms=replace(terms, **{field: value}))
        case "transfer":
            return replace(payment, transfer=replace(transfer, **{field: value}))
        case "debtor":
            return replace(payment, terms=replace(terms, debtor=replace(terms.debtor, **{field: value})))
        case _:
            return replace(payment, transfer=replace(transfer, creditor=replace(transfer.creditor, **{field: value})))


def judge_check_then_render(case: Case) -> Found:
    """What check takes, render writes, and it keeps to the schema and says the same counts, sums and accounts."""
    if not case.bank.capabilities.sends:
        return Found(looked_at="", not_applicable="the bank takes no messages (capabilities.sends is empty)")
    problems = []
    tried = passed = 0
    for message, request in _starts(case):
        bank = bank_for(case.bank, request.settings)
        taken = []
        for what, payment in generated(request, f"{case.bank.name}/{message}", MIXTURES_A_MESSAGE):
            tried += 1
            if not refusing(bank.check(payment.terms, payment.transfer, request.on, message)):
                taken.append((what, payment))
        passed += len(taken)
        if len(taken) < PASSING_MIN:
            direction = f"Give {request.file} payments of more kinds, or look whether {case.plugin} refuses too much."
            problem = f"only {len(taken)} of the payments made from it pass check in {message}; that proves nothing."
            problems.append(Problem(place=request.file, problem=problem, direction=direction, subject=message))
        problems += _broken_promises(case, request, message, taken)
    if not tried:
        direction = "Write a request with its expected message first (samples-sent)."
        problems.append(Problem(place="requests/", problem="there is no payment to start from.", direction=direction))
    return Found(looked_at=f"{tried} generated payments, {passed} of them taken", problems=tuple(problems))


def _starts(case: Case) -> Iterator[tuple[str, RequestSample]]:
    """Every message with the first sample that shows it on a day on which the bank takes it."""
    seen = set()
    for request in case.samples.requests:
        sends = bank_for(case.bank, request.settings).capabilities.sends
        for message in request.expected:
            if message not in seen and message in sends and sends[message].covers(request.on):
                seen.add(message)
                yield message, request


def _broken_promises(
    case: Case, request: RequestSample, message: str, taken: Sequence[tuple[str, SamplePayment]]
) -> Iterator[Problem]:
    """The first payment that was taken and cannot be sent. All go into one message; only if that fails each is looked at."""
    if isinstance(case.bank, DialogueBank):  # one account a request and few payments: each goes alone
        together = next(filter(None, (_fault(case, request, message, [payment]) for _, payment in taken)), "")
    else:
        together = _fault(case, request, message, [payment for _, payment in taken]) if taken else ""
    if not together:
        return
    for what, payment in taken:
        fault = _fault(case, request, message, [payment])
        if fault:
            direction = f"Add the rule that refuses it to check of {case.plugin}, or teach render to write it."
            problem = f"check takes a payment with {what} in {message}, and then: {fault}."
            yield Problem(place=case.plugin, problem=problem, direction=direction, subject=message)
            return
    problem = f"{len(taken)} payments in {message} are each taken and written well, and not together: {together}."
    direction = f"Look at how render of {case.plugin} writes several payments and blocks."
    yield Problem(place=case.plugin, problem=problem, direction=direction, subject=message)


def _fault(case: Case, request: RequestSample, message: str, payments: Sequence[SamplePayment]) -> str:
    try:
        document = rendered(case, payments, message, request)
    except Unrenderable as error:
        return f"render refuses it ({error})"
    if isinstance(case.bank, DialogueBank):
        return next(value_faults(document, payments), "")
    fault = schema_fault(document, message)
    if not fault and message.startswith("pain.001."):
        fault = next(total_faults(document, payments, message, request), "")
    return fault
