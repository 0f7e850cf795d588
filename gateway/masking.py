"""Keeping account numbers, names and secrets out of logs and error texts.

By type first: a value wrapped in `AccountNumber` or `Secret`, and every party, account or transfer of the model, is masked
whatever it is called and wherever it is printed. By name second: what is called `passphrase` is never shown. By look third, for
texts that others wrote (a bank's words, a library's exception): what is an IBAN or a long number is masked.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any, Final

from formats import model

HIDDEN: Final = "•••"
SHOWN_CHARACTERS: Final = 4  # of a number long enough to stay unknown, as banks print them
LONG_ENOUGH_TO_SHOW_ITS_END: Final = 12

SECRET_KEYS: Final = frozenset(
    {
        "account",
        "account_number",
        "authorization",
        "counterparty_account",
        "counterparty_name",
        "creditor",
        "creditor_account",
        "creditor_name",
        "debtor",
        "debtor_account",
        "debtor_name",
        "holder",
        "iban",
        "key_passphrase",
        "other_id",
        "passphrase",
        "password",
        "pin",
        "private_key",
        "remittance_information",
        "secret",
        "token",
    }
)
"""Names under which nothing is ever logged in clear, whatever the value looks like."""

OUR_KEYS: Final = frozenset(
    {
        "delivery_id",
        "fingerprint",
        "incident",
        "instruction_id",
        "level",
        "logger",
        "message_id",
        "payment_id",
        "payment_information_id",
        "sha256",
        "span_id",
        "timestamp",
        "trace_id",
    }
)
"""Names whose values we make ourselves; long runs of digits in them are ours and stay readable. An IBAN does not."""

# Ids that we make ourselves, never an account number, and of no use to a reader once masked:
# lower-case hex, with letters among its digits, of the lengths of our ids and digests; and the ids of messages and deliveries
# (`gateway.prepare.new_message_id`): a moment and ten characters. Those begin like a Bulgarian IBAN, which has four letters
# where they have digits (SWIFT IBAN Registry, BG: 4!a after the check digits).
_OUR_ID: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?=[0-9-]*[a-f])(?![0-9a-f-]*[0-9]{20})(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|BG[0-9]{12}(?=[0-9]*[A-Z])[A-HJ-NP-Z2-9]{10}"
    r"|d[0-9]{12}(?=[0-9]*[a-z])[a-hj-np-z2-9]{10}"
    r")(?![0-9A-Za-z])"
)
# Every place where an IBAN may begin: as printed in groups of four, with any one separator, or without. The lookahead lets
# candidates overlap.
_IBAN_START: Final = re.compile(r"(?=([A-Za-z]{2}[ -]?[0-9][ -]?[0-9](?:[ -]?[A-Za-z0-9]){11,30}))")
_IBAN_SHAPE: Final = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}(?![0-9A-Za-z])")
_NUMBER: Final = re.compile(r"[0-9]{9,}|[0-9]{4}(?: [0-9]{4})+(?: [0-9]{1,4})?")


class Masked:
    """A value that is masked by its type: printing, formatting and logging it show its mask. `reveal` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Masked) and other._value == self._value

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __reduce__(self) -> str:
        raise TypeError(f"a {type(self).__name__} is not written to disk or sent to another process")


class Secret(Masked):
    """A passphrase, key or token: nothing of it is shown."""

    __slots__ = ()


class AccountNumber(Masked):
    """An account number: its last characters are shown if it is long enough to stay unknown."""

    __slots__ = ()

    def __str__(self) -> str:
        return masked_number(self._value)


def masked_number(text: str) -> str:
    """How an account number is printed."""
    compact = text.replace(" ", "").replace("-", "")
    return HIDDEN + compact[-SHOWN_CHARACTERS:] if len(compact) >= LONG_ENOUGH_TO_SHOW_ITS_END else HIDDEN


def mask_text(text: str, *, numbers: bool = True) -> str:
    """The text with every IBAN and, unless told otherwise, every long number masked. Ids of our own making are left alone."""
    pieces: list[str] = []
    done = 0
    for found in _OUR_ID.finditer(text):
        pieces += (_mask_plain(text[done : found.start()], numbers=numbers), found.group())
        done = found.end()
    pieces.append(_mask_plain(text[done:], numbers=numbers))
    return "".join(pieces)


def _mask_plain(text: str, *, numbers: bool) -> str:
    text = _mask_ibans(text)
    text = _IBAN_SHAPE.sub(lambda found: masked_number(found.group()), text)
    return _NUMBER.sub(lambda found: masked_number(found.group()), text) if numbers else text


def _mask_ibans(text: str) -> str:
    """Masks what has the check digits of an IBAN (ISO 13616-1:2020, section 6), also in the middle of other characters."""
    pieces: list[str] = []
    done = 0
    for found in _IBAN_START.finditer(text):
        start = found.start()
        if start < done:
            continue
        length = _iban_length(found.group(1))
        if length:
            pieces += (text[done:start], masked_number(text[start : start + length]))
            done = start + length
    pieces.append(text[done:])
    return "".join(pieces)


def _iban_length(candidate: str) -> int:
    """How many characters of the candidate (separators included) make the longest IBAN; 0: none do."""
    places = [place for place, character in enumerate(candidate) if character not in " -"]
    compact = "".join(candidate[place] for place in places).upper()
    for length in range(len(compact), 14, -1):
        rearranged = compact[4:length] + compact[:4]
        if int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1:
            return places[length - 1] + 1
    return 0


_NAMELESS: Final = (
    model.Party,
    model.PostalAddress,
    model.OrganisationIdentification,
    model.PrivateIdentification,
    model.RemittanceInformation,
    model.StructuredRemittance,
)


def mask_value(value: Any, key: str = "") -> Any:
    """A value as it may be logged under that key."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, Masked):
        return str(value)
    if key in SECRET_KEYS:
        return HIDDEN
    if isinstance(value, str):
        return mask_text(value, numbers=key not in OUR_KEYS)
    if isinstance(value, int):
        return value if abs(value) < 10**LONG_ENOUGH_TO_SHOW_ITS_END else mask_text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return _mask_compound(value)


def _mask_compound(value: Any) -> Any:
    if isinstance(value, _NAMELESS):
        return f"<{type(value).__name__}>"
    if isinstance(value, model.Account):
        return masked_number(value.iban or value.other_id or "")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: mask_value(getattr(value, field.name), field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {mask_text(str(name)): mask_value(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [mask_value(item) for item in value]
    return mask_text(str(value))


def mask_event(_logger: Any, _method: str, event: Any) -> Any:
    """A structlog processor: masks every value of the event. Stands after the one that formats exceptions."""
    return {name: mask_value(value, name) for name, value in event.items()}
