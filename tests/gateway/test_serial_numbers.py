"""Numbers that are drawn have the bank's shape, hardly ever meet, and begin with nothing that is dropped."""

import random
from datetime import date

import pytest

from formats.dialogue import SerialShape
from gateway.serial_numbers import DIGITS, LETTERS_AND_DIGITS, draw

ON = date(2026, 11, 25)


def shape(length: int, alphabet: str = "digits", dated: bool = True) -> SerialShape:
    return SerialShape(length=length, alphabet=alphabet, dated=dated)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "begins"),
    [
        (shape(35), "20261125"),
        (shape(20), "20261125"),
        (shape(16), "20261125"),
        (shape(15), "261125"),
        (shape(14), "261125"),
        (shape(13), ""),
        (shape(12), ""),
        (shape(30, "letters_and_digits"), "20261125"),
        (shape(14, "letters_and_digits"), "20261125"),
        (shape(13, "letters_and_digits"), ""),
        (shape(20, dated=False), ""),
        (shape(35, "letters_and_digits", dated=False), ""),
    ],
    ids=str,
)
def test_a_number_has_the_length_and_the_characters_of_its_bank_and_begins_with_the_day(wanted: SerialShape, begins: str) -> None:
    dice = random.Random(1)
    alphabet = DIGITS if wanted.alphabet == "digits" else LETTERS_AND_DIGITS
    drawn = [draw(wanted, ON, dice.randrange) for _ in range(500)]
    assert {len(number) for number in drawn} == {wanted.length}
    assert all(number.startswith(begins) for number in drawn)
    assert set("".join(number[len(begins) :] for number in drawn)) == set(alphabet), "every character occurs, and no other"
    assert not any(number.startswith("0") for number in drawn)
    if not begins:
        assert {number[0] for number in drawn} == set(alphabet) - {"0"}, "no day, and any other first character"


def test_letters_that_are_read_as_digits_are_left_out() -> None:
    assert len(LETTERS_AND_DIGITS) == 34
    assert not set(LETTERS_AND_DIGITS) & set("IOio")
    assert LETTERS_AND_DIGITS.isascii()
    assert LETTERS_AND_DIGITS.upper() == LETTERS_AND_DIGITS


@pytest.mark.parametrize(
    ("wanted", "repeats_max"),
    [(shape(12), 1), (shape(14), 4), (shape(16), 4), (shape(20), 0), (shape(14, "letters_and_digits"), 1), (shape(35), 0)],
    ids=str,
)
def test_ten_thousand_numbers_of_a_day_hardly_ever_meet(wanted: SerialShape, repeats_max: int) -> None:
    """10^4 draws of 10^8 meet half a time on the average; less left to chance would show (10^7: five times)."""
    dice = random.Random(2026)
    drawn = {draw(wanted, ON, dice.randrange) for _ in range(10_000)}
    assert 10_000 - len(drawn) <= repeats_max


def test_every_place_is_drawn_evenly() -> None:
    dice = random.Random(7)
    drawn = [draw(shape(16), ON, dice.randrange)[8:] for _ in range(10_000)]
    for place in range(8):
        counts = [sum(number[place] == digit for number in drawn) for digit in DIGITS]
        assert min(counts) > 850, "1,000 on the average, with a deviation of 30"
        assert max(counts) < 1150


def test_the_chance_that_is_handed_in_decides() -> None:
    assert draw(shape(16), ON, lambda _: 0) == "2026112500000000"
    assert draw(shape(12), ON, lambda _: 0) == "100000000000"
    assert draw(shape(12, "letters_and_digits"), ON, lambda below: below - 1) == "Z" * 12
