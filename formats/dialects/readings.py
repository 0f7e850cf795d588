"""What the replies of several Chinese banks have in common: rows between pipes, a page of a statement, a status."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from formats.dialects.tables import PENDING
from formats.dialogue import Asked
from formats.errors import Unparsable
from formats.report import AccountIdentification, Entry, Pairs, Reason, Statement, TransactionStatus


def rows(cells: Sequence[str], columns: int) -> list[tuple[str, ...]]:
    """Cells cut into rows of so many columns; one empty cell at the end is a trailing separator. Raises `Unparsable`."""
    if columns < 1:
        raise Unparsable("a table without columns")
    kept = list(cells)
    if len(kept) % columns == 1 and not kept[-1].strip() and len(kept) > 1:
        kept.pop()
    if len(kept) % columns:
        raise Unparsable(f"a table of {columns} columns does not end with a row")
    return [tuple(cell.strip() for cell in kept[at : at + columns]) for at in range(0, len(kept), columns)]


def identification(asked: Asked | None, currency: str | None = None) -> AccountIdentification:
    """The account that was asked about."""
    number = asked.account if asked is not None else None
    return AccountIdentification(other_id=number, currency=(asked.currency if asked is not None else None) or currency)


def statement(asked: Asked | None, entries: Sequence[Entry], currency: str | None = None) -> Statement:
    """The head of a page of a statement, of the account and the days that were asked about."""
    since, until = (asked.since, asked.until) if asked is not None else (None, None)
    return Statement(
        statement_id=None,
        account=identification(asked, currency),
        entry_count=len(entries),
        period_from=since.isoformat() if since else None,
        period_until=until.isoformat() if until else None,
        page_number=asked.page if asked is not None else None,
    )


def status_of(
    serial: str, status: str, reason: Reason, bank_reference: str | None = None, supplementary: Pairs = ()
) -> TransactionStatus:
    """What a bank says of the payment with that serial number."""
    return TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=status,
        reasons=(reason,),
        account_servicer_reference=bank_reference,
        serial_number=serial,
        supplementary=supplementary,
    )


def agreed(statuses: Iterable[TransactionStatus]) -> tuple[TransactionStatus, ...]:
    """One status for each serial number, in order. Rows of one payment that say different things prove nothing: pending, with the
    reasons of all."""
    found: dict[str | None, TransactionStatus] = {}
    for one in statuses:
        other = found.get(one.serial_number)
        if other is None or other == one:
            found[one.serial_number] = one
        else:
            status = one.status if one.status == other.status else PENDING
            found[one.serial_number] = replace(other, status=status, reasons=(*other.reasons, *one.reasons))
    return tuple(found.values())


def serials_of(asked: Asked | None) -> tuple[str, ...]:
    return asked.serials if asked is not None else ()


def none_known_otherwise(codes: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    """Codes that an operator lists as failures. Raises `ValueError` for one that is known to say something else: a payment called
    failed that may run is paid a second time by somebody."""
    if found := sorted(set(codes) & set(known)):
        raise ValueError(f"known to mean something else than a failure: {', '.join(found)}")
    return codes
