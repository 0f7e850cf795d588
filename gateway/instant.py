"""Instant, normal, or instant and else normal: what a caller may choose, and how the two attempts of one payment are told apart.

A payment is made at most twice: once as an instant payment and, if the bank provably refused that, once as a normal one. The
second attempt has an instruction id of its own (the first has the payment id, decision 3), a UETR and a message of its own; only
the end-to-end id, which is the caller's, is the same in both.
"""

from enum import StrEnum

SECOND = "-2"  # ends the instruction id of a second attempt: 32 + 2 of the 35 characters that InstrId has
_PAYMENT_ID_LENGTH = 32


class InstantChoice(StrEnum):
    NORMAL = "normal"
    INSTANT = "instant"
    INSTANT_ELSE_NORMAL = "instant_else_normal"


def instruction_id_of(payment_id: str, attempt: int) -> str:
    """[InstrId] of the first (1) or second (2) attempt of a payment."""
    return payment_id if attempt == 1 else payment_id + SECOND


def payment_id_of(instruction_id: str) -> str:
    """The payment whose attempt has this instruction id, if it is one of ours; another's id comes back as it is."""
    if len(instruction_id) == _PAYMENT_ID_LENGTH + len(SECOND) and instruction_id.endswith(SECOND):
        return instruction_id[:_PAYMENT_ID_LENGTH]
    return instruction_id
