"""Instant payments: how a payment asks to be one, and after which refusals a normal payment may be tried instead.

Source of the local instrument: EPC121-16 (SCT Inst customer-to-PSP implementation guidelines 2025), Local Instrument: INST.
Source of the reason codes: ISO 20022 External Code Sets, ExternalStatusReason1Code. The choice among them is ours.
"""

from collections.abc import Mapping
from dataclasses import fields, replace

from formats.model import PaymentType

INST = "INST"
PROVEN_REFUSAL = "RJCT"  # of all status words the only one that says: this transaction is not, and will not be, executed

_ABORTED = "the instant clearing stopped this transaction by itself; a normal payment goes through another clearing"
_NOT_THERE = "a bank on the way is not there for instant payments, now or ever; a normal payment can wait for it"
_NOT_INSTANT = "what is refused is the instant form of the payment; the normal form is without it"

FALL_BACK_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("AB01", "AB02", "AB03", "AB04", "AB05", "AB06", "AB09", "AB10", "AB11", "ED05"), _ABORTED),
    **dict.fromkeys(("AB07", "AB08", "CNOR", "DNOR", "ED06", "PY01"), _NOT_THERE),
    **dict.fromkeys(("AG03", "AM02", "AM13", "FF03", "FF05", "TM01"), _NOT_INSTANT),
}
"""Reason codes of a rejection after which the same payment may be made as a normal one, and why it may succeed.

It is a list of what is allowed, because the money is at stake: a code that is not on it, a bank's own code, or none at all leaves
the payment rejected. Left out on purpose: what a normal payment would meet too (AC.., BE.., RC.., RR.., AG01, AG10, AM04, MD07);
what may be the echo of a file taken twice (AM05, DU.., DUPL), or a limit that a first copy has used up (AM14, AM21, AM23);
suspicion, law and people's own wish (FR.., LEGL, SL.., CUST, DS.., SP..); and what says nothing certain (FF10, MS.., NARR, TECH).
"""


def asks_instant(kind: PaymentType | None) -> bool:
    """Whether the payment type asks for an instant payment."""
    return kind is not None and kind.local_instrument == INST


def as_instant(kind: PaymentType | None) -> PaymentType:
    """The payment type with local instrument INST; everything else stays."""
    return replace(kind or PaymentType(), local_instrument=INST)


def as_normal(kind: PaymentType | None) -> PaymentType | None:
    """The payment type without local instrument INST; None if nothing else is left of it."""
    if kind is None or not asks_instant(kind):
        return kind
    normal = replace(kind, local_instrument=None)
    return normal if any(getattr(normal, field.name) is not None for field in fields(normal)) else None
