"""Serial numbers of a bank's own shape: the one that a payment was given, or a sample one.

At work the gateway gives every payment its serial number, stored uniquely before the first send (`formats.dialogue`). Samples,
`bankgate render` and the conformance kit have none: they see one that is made of the payment's own identification, so that the
same sample gives the same bytes. It is in the bank's shape and means nothing to a bank.
"""

import hashlib
from datetime import date
from typing import Final

from formats.dialects.booking import day_of
from formats.dialogue import Alphabet, SerialShape
from formats.model import CreditTransfer, PaymentInitiation

LETTERS: Final = {"digits": "0123456789", "letters_and_digits": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def sample_serial(shape: SerialShape, text: str, on: date) -> str:
    """A serial number of that shape, the same for the same text and day: SHA-256 of the text in the shape's letters, after the
    day (yyyyMMdd) where the shape is dated."""
    head = on.strftime("%Y%m%d") if shape.dated else ""
    return head + _spelled(hashlib.sha256(text.encode()).digest(), shape.length - len(head), shape.alphabet)


def serial_of(transfer: CreditTransfer, shape: SerialShape, on: date) -> str:
    """The payment's serial number; without one, a sample one made of its instruction id."""
    return transfer.serial_number or sample_serial(shape, transfer.instruction_id, on)


def package_of(message: PaymentInitiation, shape: SerialShape) -> str:
    """The serial number of the request as a whole; without one, a sample one made of its message id."""
    return message.serial_number or sample_serial(shape, message.message_id, day_of(message))


def question_number(fresh: str) -> str:
    """The number of a request that asks and pays nothing, where a bank wants 16 digits: yyMMddHH and 8 digits more.

    `fresh`: see `formats.dialogue.Wrapping`. The numbers of payments begin with the century, and so are never the same.
    """
    return fresh[:8] + fresh[12:20]


def _spelled(digest: bytes, length: int, alphabet: Alphabet) -> str:
    letters = LETTERS[alphabet]
    number = int.from_bytes(digest)
    spelled = ""
    for _ in range(length):
        number, place = divmod(number, len(letters))
        spelled = letters[place] + spelled
    return spelled
