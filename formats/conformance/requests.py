"""Payments of a sample, from JSON in the words of `SubmitPaymentsRequest` (bankgate.v1) into `formats.model`.

The names of the contract's `PaymentRequest` are those of the model, so the model's own dataclasses say what may stand where. A
sample has therefore the very form that `bankgate check` and `bankgate render` take. What the gateway would make up (ids, the
moment of creation) follows from the place in the sample here, so that the same sample always gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from typing import Final

from formats.json_form import BadForm, from_json
from formats.model import CreditTransfer, Party, PaymentBlock, PaymentInitiation, PaymentTerms

_TERMS: Final = frozenset(PaymentTerms.__dataclass_fields__)
_TRANSFER: Final = frozenset(CreditTransfer.__dataclass_fields__) - {"instruction_id"}
_IGNORED = frozenset({"payment_reference", "connection_id"})  # the caller's and the gateway's; no bank sees them
_REFERENCE_MAX = 35  # an end-to-end id; a payment reference that fits is the default, as in the gateway


class BadRequest(ValueError):
    """A sample that says no payments. Names the field and the way out."""


@dataclass(frozen=True, slots=True)
class SamplePayment:
    """One payment of a sample: both halves of the model."""

    terms: PaymentTerms
    transfer: CreditTransfer


def payments_of(content: object) -> tuple[SamplePayment, ...]:
    """The payments of a sample's JSON. Raises `BadRequest`."""
    payments = content["payments"] if isinstance(content, Mapping) and set(content) == {"payments"} else None
    if not isinstance(payments, list) or not payments:
        raise BadRequest('a sample is {"payments": [ … ]} with at least one payment, as in SubmitPaymentsRequest')
    return tuple(_payment(item, index) for index, item in enumerate(payments))


def day_of(payments: Sequence[SamplePayment]) -> date:
    """The day on which a sample is sent: its first execution date."""
    return min(payment.terms.requested_execution_date for payment in payments)


def initiation_of(payments: Sequence[SamplePayment], message_name: str, on: date) -> PaymentInitiation:
    """One bank message of the payments: equal terms share a block, in the order of their first payment."""
    blocks: dict[PaymentTerms, list[CreditTransfer]] = {}
    for payment in payments:
        blocks.setdefault(payment.terms, []).append(payment.transfer)
    return PaymentInitiation(
        message_id="SAMPLE-1",
        message_name=message_name,
        creation_date_time=datetime.combine(on, time(12), UTC),
        initiating_party=Party(name=payments[0].terms.debtor.name),
        blocks=tuple(
            PaymentBlock(
                payment_information_id=f"SAMPLE-1-{number}",
                terms=terms,
                count=len(transfers),
                control_sum=sum((transfer.amount for transfer in transfers), Decimal(0)),
                transfers=partial(tuple, transfers),
            )
            for number, (terms, transfers) in enumerate(blocks.items(), start=1)
        ),
    )


def _payment(item: object, index: int) -> SamplePayment:
    place = f"payments[{index}]"
    if not isinstance(item, Mapping):
        raise BadRequest(f"{place} is no JSON object")
    values = {name: value for name, value in item.items() if name not in _IGNORED}
    reference = item.get("payment_reference")
    if values.get("end_to_end_id") is None:
        fits = isinstance(reference, str) and 0 < len(reference) <= _REFERENCE_MAX
        values["end_to_end_id"] = reference if fits else "NOTPROVIDED"
    if isinstance(values.get("supplementary"), list):
        values["supplementary"] = [_pair(field) for field in values["supplementary"]]
    terms = {name: value for name, value in values.items() if name in _TERMS}
    others = {name: value for name, value in values.items() if name not in _TERMS}
    for name in others:
        if name not in _TRANSFER:
            close = get_close_matches(name, [*_TERMS, *_TRANSFER], n=1)
            raise BadRequest(f"{place}.{name} is no field" + (f"; did you mean {close[0]}?" if close else ""))
    try:
        return SamplePayment(
            from_json(PaymentTerms, terms, {}, place),
            from_json(CreditTransfer, others, {"instruction_id": f"I{index + 1:04}"}, place),
        )
    except BadForm as error:
        raise BadRequest(str(error)) from None


def _pair(field: object) -> object:
    """A `SupplementaryField` ({"name": …, "value": …}) as the model has it; anything else is left to be refused."""
    if isinstance(field, Mapping) and set(field) == {"name", "value"}:
        return [field["name"], field["value"]]
    return field
