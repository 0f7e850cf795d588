"""What an approval is bound to: a digest of everything that is approved. Change anything and it is another one.

So that anybody can compute it again with a JSON library and SHA-256:

    digest  = SHA-256( "bankgate approval" 0x01 content )
    content = the JSON object {"connection_id", "payment_id", "terms", "transfer"} as UTF-8

`terms` and `transfer` are objects with the fields of `formats.model.PaymentTerms` and `CreditTransfer`, and of what stands in
these, by their names. Written without blanks, keys sorted by code point, nothing escaped but what JSON must escape (RFC 8259,
section 7: quotation mark, reverse solidus, control characters, those with a short form in it). An absent value and an empty list
are left out. A date is text ("2026-11-27"). An amount is text: its digits without needless zeros, and no exponent ("1200",
"0.05"). Texts stand as they are, normalised in no way. Byte 0x01 is the version of this form.

The terms and the transfer are those that were asked for (`Payment.asked_terms`, `asked_transfer` of the store).
"""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from hashlib import sha256
from typing import Any, Final

from formats.model import CreditTransfer, PaymentTerms
from gateway.policy.subject import Subject

VERSION: Final = 1
_PREFIX: Final = b"bankgate approval" + bytes([VERSION])


def approval_digest(payment_id: str, connection_id: str, terms: PaymentTerms, transfer: CreditTransfer) -> bytes:
    """The 32 bytes that approvals of this payment name."""
    return sha256(_PREFIX + approved_content(payment_id, connection_id, terms, transfer)).digest()


def digest_of(subject: Subject) -> bytes:
    """Likewise, of a payment that is judged."""
    return approval_digest(subject.payment_id, subject.connection_id, subject.terms, subject.transfer)


def approved_content(payment_id: str, connection_id: str, terms: PaymentTerms, transfer: CreditTransfer) -> bytes:
    """The content that the digest is of, for whoever wants to see or keep it."""
    whole = {"connection_id": connection_id, "payment_id": payment_id, "terms": terms, "transfer": transfer}
    return canonical(whole)


def canonical(value: Any) -> bytes:
    """Any record of ours in the form above. Raises `TypeError` for a kind of value that has no form yet."""
    text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """As JSON knows it. Fields are found by reflection, so that none is forgotten."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return _amount(value)
    if isinstance(value, datetime):
        raise TypeError("a moment has no canonical form: nothing that is approved holds one")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _without_absent({name: one for name in _names(type(value)) if (one := getattr(value, name)) is not None})
    if isinstance(value, dict):
        return _without_absent(value)
    raise TypeError(f"a {type(value).__name__} has no canonical form")


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """Of the fields of a record."""
    return tuple(field.name for field in fields(kind))


def _without_absent(named: dict[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in named.items()}
    return {name: value for name, value in plain.items() if value is not None and value != []}


def _amount(value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError("an amount that is no number has no canonical form")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
