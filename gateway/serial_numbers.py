"""Drawing serial numbers of a bank's shape (`formats.dialogue.SerialShape`). Pure, but for the chance that is handed in.

That none is given twice is the store's to see to (`Store.give_serials`): a number that is taken is drawn anew. What no store can
see to is a backup that was restored, and does not know the numbers that were given after it. A new number is one of those with a
chance of `lost / free`, where `lost` were given, of the same shape and (where numbers are dated) on the same day, and `free` is
the number of all that differ in their drawn characters: 10^8 for 16 digits with a date, 10^12 for 20, 10^22 for 30. So among
1,000 payments after a restore at noon, with 1,000 lost that morning, there is one with a lost number in 1 of 100 cases at 16
digits, and in 1 of 10^6 at 20. The bank then refuses a payment as a repetition, or tells of one what is true of another. Dated
numbers of the next day cannot meet lost ones at all, which is why the operator's guide advises to wait for it.
"""

from collections.abc import Callable
from datetime import date
from typing import Final

from formats.dialogue import SerialShape

DIGITS: Final = "0123456789"
LETTERS_AND_DIGITS: Final = DIGITS + "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and O, which are read as digits
_DRAWN_MIN: Final = 8  # characters that are left to chance after a short date

Below = Callable[[int], int]
"""A random whole number from 0 up to, and without, the given one: `secrets.randbelow`."""


def draw(shape: SerialShape, on: date, below: Below) -> str:
    """A number for a payment or message of that day. It never begins with 0, which somebody's spreadsheet would drop."""
    alphabet = DIGITS if shape.alphabet == "digits" else LETTERS_AND_DIGITS
    dated = _date_of(shape, on)
    drawn = "".join(alphabet[below(len(alphabet))] for _ in range(shape.length - len(dated)))
    if dated:
        return dated + drawn
    return alphabet[1 + below(len(alphabet) - 1)] + drawn[1:]


def _date_of(shape: SerialShape, on: date) -> str:
    """What the number begins with: the day in full where enough is left to chance, in six digits where that leaves enough."""
    if not shape.dated:
        return ""
    if shape.length >= (16 if shape.alphabet == "digits" else 14):
        return f"{on:%Y%m%d}"
    return f"{on:%y%m%d}" if shape.length - 6 >= _DRAWN_MIN else ""
