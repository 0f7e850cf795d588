"""What an approval is bound to: nothing that is approved can change without the digest changing, and anybody can compute it."""

import hashlib
import json
from dataclasses import fields, is_dataclass, make_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from formats.model import Account, CreditTransfer, Party, PaymentTerms, StructuredRemittance
from gateway.policy.digest import approval_digest, approved_content, canonical, digest_of
from tests.policy.cases import NOW, subject

ONE = subject("1250.00")


def sample(kind: Any) -> Any:
    """A value of a kind, with every field of what is in it filled."""
    kinds = [one for one in get_args(kind) if one is not NoneType] if isinstance(kind, UnionType) else [kind]
    kind = kinds[0]
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return (sample(parts[0]),) if parts[-1] is Ellipsis else tuple(sample(part) for part in parts)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: sample(hints[field.name]) for field in fields(kind)})
    return {str: "text", Decimal: Decimal("1.5"), date: date(2026, 11, 26)}[kind]


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case str():
            return f"{value}."
        case Decimal():
            return value + Decimal("0.01")
        case date():
            return value.replace(year=value.year + 1)
    raise AssertionError(f"a field of an unknown kind: {value!r}")


def changed(value: Any, path: str = "") -> Any:
    """(place, the same value with that place changed, emptied or longer), for every place in it."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            here = f"{path}.{field.name}"
            inner = getattr(value, field.name)
            if field.default is None:
                yield f"{here} left out", replace(value, **{field.name: None})
            for place, one in changed(inner, here):
                yield place, replace(value, **{field.name: one})
    elif isinstance(value, tuple):
        yield f"{path} longer", (*value, value[0])
        for place, one in changed(value[0], f"{path}[0]"):
            yield place, (one, *value[1:])
    else:
        yield path, other(value)


FULL = replace(ONE, terms=sample(PaymentTerms), transfer=sample(CreditTransfer))


def test_every_field_of_the_model_is_approved() -> None:
    seen = {digest_of(FULL): "as it is"}
    places = [
        *((f"terms{place}", replace(FULL, terms=terms)) for place, terms in changed(FULL.terms)),
        *((f"transfer{place}", replace(FULL, transfer=transfer)) for place, transfer in changed(FULL.transfer)),
        ("payment", replace(FULL, payment_id="other")),
        ("connection", replace(FULL, connection_id="other")),
    ]
    assert len(places) > 250
    for place, one in places:
        digest = digest_of(one)
        assert digest not in seen, f"{place} has the digest of {seen.get(digest)}"
        seen[digest] = place


def test_a_field_that_the_model_gets_later_is_approved_too() -> None:
    later = make_dataclass(
        "Later", [("new_field", str | None, None)], bases=(CreditTransfer,), frozen=True, slots=True, kw_only=True
    )
    named = {field.name: getattr(ONE.transfer, field.name) for field in fields(ONE.transfer)}
    digests = [approval_digest("p", "c", ONE.terms, later(**named, new_field=value)) for value in (None, "a", "b")]
    assert len(set(digests)) == 3
    assert digests[0] == approval_digest("p", "c", ONE.terms, ONE.transfer), "what was approved before stays approved"


def test_money_is_the_same_however_its_zeros_are_kept() -> None:
    def of(amount: str) -> bytes:
        return digest_of(replace(ONE, transfer=replace(ONE.transfer, amount=Decimal(amount))))

    assert of("1250.00") == of("1250") == of("1.25E+3")
    assert of("1250.00") != of("125000")


def test_a_third_party_computes_the_same_with_json_and_sha256() -> None:
    """The form as docs/policies.md states it, without any code of ours."""
    content = {
        "payment_id": "00000000000000000000000000000001",
        "connection_id": "house",
        "terms": {
            "debtor": {"name": "Example AG"},
            "debtor_account": {"iban": "DE89370400440532013000"},
            "debtor_agent": {"bic": "COBADEFFXXX"},
            "requested_execution_date": "2026-11-26",
        },
        "transfer": {
            "instruction_id": "00000000000000000000000000000001",
            "end_to_end_id": "INV-1",
            "amount": "1250",
            "currency": "EUR",
            "creditor": {"name": "Supplier Ltd"},
            "creditor_account": {"iban": "IE29AIBK93115212345678"},
        },
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    assert approved_content(ONE.payment_id, ONE.connection_id, ONE.terms, ONE.transfer) == text
    assert hashlib.sha256(b"bankgate approval\x01" + text).digest() == digest_of(ONE)


def test_the_form_does_not_change_between_releases() -> None:
    """An approval that was given before an update must count after it. A new form needs a new version byte."""
    rich = replace(ONE.transfer, creditor=Party(name='苏州"示例"\\贸易\x1f'), creditor_account=Account(other_id="6222"))
    assert approval_digest("p1", "house", ONE.terms, rich).hex() == (
        "9542e5902dbd2fab9a6e445cc55c782fceb90bc92a901ef1f69f2252de40d0e1"
    )


@pytest.mark.parametrize("value", [1.5, NOW, b"x", {1, 2}, object(), Decimal("NaN"), datetime(2026, 1, 1)])  # noqa: DTZ001 - is refused
def test_a_value_without_a_form_is_refused_and_not_guessed(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical({"field": value})


def test_what_is_absent_and_what_is_empty_text_are_two_things() -> None:
    assert canonical(StructuredRemittance(document_number="")) != canonical(StructuredRemittance())
