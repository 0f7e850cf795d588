"""How values become columns and come back, in every store: moments, reasons, content, page tokens.

Where a database has no type of its own for them (SQLite), moments are integer microseconds since 1970 in UTC. Content (terms,
transfers, statements, entries) is JSON without absent values: it stays readable with the database's own JSON functions, and a
field added to the model later reads as absent. Decimals and dates are strings, exactly as they print.
"""

import typing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from formats.model import CreditTransfer, PaymentTerms
from formats.report import Entry, Statement
from gateway.compact import compact
from gateway.continuity import StatementFacts
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.store.records import EntryRow, Reason

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAYMENT_STATES = {state.value: state for state in PaymentState}
DELIVERY_STATES = {state.value: state for state in DeliveryState}
CURSOR_MAX = 2**63 - 1

_to_json = msgspec.json.encode
_of_json = msgspec.json.decode


def micros(moment: datetime) -> int:
    """The column value of an aware moment; a naive one is a TypeError."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(value: int) -> datetime:
    """The moment of a column value."""
    return EPOCH + timedelta(microseconds=value)


def micros_or_none(value: datetime | None) -> int | None:
    """As `micros`; None stays None."""
    return None if value is None else micros(value)


def moment_or_none(value: int | None) -> datetime | None:
    """As `moment`; None stays None."""
    return None if value is None else moment(value)


# -- reasons -----------------------------------------------------------------------------------------------------------


def reason_column(reason: Reason) -> str | None:
    """NULL for none, the bare code where that is all, else a JSON array [code, en, zh, bank text] without its empty tail."""
    parts = [reason.code, reason.text_en, reason.text_zh, reason.bank_text]
    while parts and not parts[-1]:
        parts.pop()
    if not parts:
        return None
    if len(parts) == 1 and not parts[0].startswith("["):
        return parts[0]
    return _to_json(parts).decode()


@lru_cache(maxsize=4096)
def reason_of(column: str | None) -> Reason:
    """The reason of a column value."""
    if column is None:
        return Reason()
    if not column.startswith("["):
        return Reason(code=column)
    code, text_en, text_zh, bank_text = [*_of_json(column, type=list[str]), "", "", ""][:4]
    return Reason(code=code, text_en=text_en, text_zh=text_zh, bank_text=bank_text)


# -- content -----------------------------------------------------------------------------------------------------------


_TERMS, _TRANSFER, _STATEMENT, _ENTRY = (compact(model) for model in (PaymentTerms, CreditTransfer, Statement, Entry))
_encode = msgspec.json.Encoder().encode
_convert = msgspec.convert


def terms_column(terms: PaymentTerms) -> bytes:
    """The terms as JSON, the same bytes for equal terms."""
    return _encode(_convert(terms, _TERMS, from_attributes=True))


def transfer_column(transfer: CreditTransfer) -> bytes:
    """The transfer as JSON."""
    return _encode(_convert(transfer, _TRANSFER, from_attributes=True))


def statement_column(statement: Statement) -> bytes:
    """The statement as JSON."""
    return _encode(_convert(statement, _STATEMENT, from_attributes=True))


def entry_column(entry: Entry) -> bytes:
    """The entry as JSON."""
    return _encode(_convert(entry, _ENTRY, from_attributes=True))


def entry_rows(entries: typing.Iterable[EntryRow]) -> list[tuple[int, bytes, str]]:
    """Of each entry: its position, its content as JSON, and the payments it was matched to as a JSON array."""
    return [(row.position, entry_column(row.entry), json_list(row.payment_ids)) for row in entries]


def facts_column(facts: StatementFacts) -> bytes:
    """What a statement is compared by, as JSON."""
    return _to_json(facts)


terms_of = msgspec.json.Decoder(PaymentTerms).decode
transfer_of = msgspec.json.Decoder(CreditTransfer).decode
statement_of = msgspec.json.Decoder(Statement).decode
entry_of = msgspec.json.Decoder(Entry).decode
facts_of = msgspec.json.Decoder(StatementFacts).decode
payment_ids_of = msgspec.json.Decoder(tuple[str | None, ...]).decode


def json_list(values: typing.Iterable[Any]) -> str:
    """A JSON array for `json_each(?)`: any number of values bound as one."""
    return _to_json(list(values)).decode()


# -- cursors and page tokens -------------------------------------------------------------------------------------------


def cursor_of(text: str) -> int:
    """The sequence number of an event cursor ("" is 0). Raises ValueError if it is none of ours."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) > CURSOR_MAX:
        raise ValueError("not a cursor of this event feed")
    return int(text)


def page_token(list_name: str, key: int) -> str:
    """The opaque token of the page that starts after (going down) `key`."""
    return f"{list_name}.{key}"


def page_key(list_name: str, token: str | None) -> int:
    """The key of a page token; without a token, one above every key. Raises ValueError if it is no token of this list."""
    if token is None:
        return CURSOR_MAX
    name, _, key = token.partition(".")
    if name != list_name or not (key.isascii() and key.isdigit()) or int(key) > CURSOR_MAX:
        raise ValueError("not a page token of this list")
    return int(key)
