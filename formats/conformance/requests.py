"""Payments of a sample, from JSON in the words of `SubmitPaymentsRequest` (bankgate.v1) into `formats.model`.

The names of the contract's `PaymentRequest` are those of the model, so the model's own dataclasses say what may stand where. A
sample has therefore the very form that `bankgate check` and `bankgate render` take. What the gateway would make up (ids, the
moment of creation) follows from the place in the sample here, so that the same sample always gives the same bytes.
"""

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from typing import Any, Union, get_args, get_origin, get_type_hints

from formats.model import CreditTransfer, Party, PaymentBlock, PaymentInitiation, PaymentTerms

_AMOUNT = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,17})?")
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
    values = {name: value for name, value in item.items() if name not in _IGNORED and value is not None}
    terms_names, transfer_names = get_type_hints(PaymentTerms), get_type_hints(CreditTransfer)
    _known(values, place, {*terms_names, *transfer_names} - {"instruction_id"})
    values["instruction_id"] = f"I{index + 1:04}"
    reference = item.get("payment_reference")
    if "end_to_end_id" not in values:
        fits = isinstance(reference, str) and 0 < len(reference) <= _REFERENCE_MAX
        values["end_to_end_id"] = reference if fits else "NOTPROVIDED"
    return SamplePayment(
        _object({name: values[name] for name in values if name in terms_names}, PaymentTerms, place),
        _object({name: values[name] for name in values if name in transfer_names}, CreditTransfer, place),
    )


def _known(values: Mapping[str, object], place: str, names: set[str]) -> None:
    for name in values:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise BadRequest(f"{place}.{name} is no field" + (f"; did you mean {close[0]}?" if close else ""))


def _object(values: object, kind: type[Any], place: str) -> Any:
    if not isinstance(values, Mapping):
        raise BadRequest(f"{place} is a JSON object")
    hints = get_type_hints(kind)
    values = {name: value for name, value in values.items() if value is not None}  # null is absent, as in the contract
    _known(values, place, set(hints))
    missing = [field.name for field in fields(kind) if field.default is field.default_factory and field.name not in values]
    if missing:
        raise BadRequest(f"{place}.{missing[0]} is missing; a sample says both sides of the payment")
    return kind(**{name: _value(value, hints[name], f"{place}.{name}") for name, value in values.items()})


def _value(value: object, hint: Any, place: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        return _object(value, hint, place)
    if get_origin(hint) is tuple:
        return _several(value, get_args(hint)[0], place)
    if not isinstance(value, str):
        raise BadRequest(f"{place} is a JSON string")
    if hint is Decimal:
        if not _AMOUNT.fullmatch(value):
            raise BadRequest(f'{place} is no amount; write it unsigned with a dot, "1250.00"')
        return Decimal(value)
    if hint is date:
        return _day(value, place)
    return value


def _day(text: str, place: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # Python takes weeks and compact forms too
        raise BadRequest(f"{place} is no date; write YYYY-MM-DD")
    return day


def _several(value: object, item: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise BadRequest(f"{place} is a JSON array")
    if get_origin(item) is tuple:  # supplementary: (name, value) pairs, objects with these names in the contract
        pairs = [one for one in value if isinstance(one, Mapping) and set(one) == {"name", "value"}]
        if len(pairs) != len(value):
            raise BadRequest(f'{place} holds objects {{"name": …, "value": …}}')
        return tuple((str(one["name"]), str(one["value"])) for one in pairs)
    return tuple(_value(one, item, f"{place}[{index}]") for index, one in enumerate(value))
