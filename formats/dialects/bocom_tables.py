"""Tables in the replies of Bank of Communications: text between pipes, titles first, and nothing between two rows.

Source: 310101, 310201 and 310301 as public clients read them. Rows are cut by ``field_num``; a trailing pipe may stand. 310101
has no ``field_num``: its ten titles are known. The titles of statements are published nowhere: `TITLES` is a default made of the
usual words, and `bank_settings.titles` adds others. A column nobody knows is kept under its title.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from lxml import etree

from formats.dialects.booking import balance, iso_day, moved, says_returned, unsigned
from formats.dialects.readings import rows
from formats.dialects.text import child
from formats.dialogue import Asked
from formats.errors import Unparsable
from formats.report import AccountIdentification, Entry, EntryTransaction, Statement

BALANCE_TITLES: Final = ("户名", "账号", "币种", "余额", "可用余额", "开户日期", "账户类型", "开户行", "错误信息", "成功标志")
Column = Literal[
    "day",
    "side",
    "amount",
    "currency",
    "bank_reference",
    "counterparty_name",
    "counterparty_account",
    "purpose",
    "remark",
    "serial",
]
"""What a column of a statement may hold."""

TITLES: Final[Mapping[str, Column]] = {
    "交易日期": "day",
    "记账日期": "day",
    "借贷标志": "side",
    "收支标志": "side",
    "交易金额": "amount",
    "发生额": "amount",
    "金额": "amount",
    "币种": "currency",
    "流水号": "bank_reference",
    "交易流水号": "bank_reference",
    "对方户名": "counterparty_name",
    "对方账号": "counterparty_account",
    "用途": "purpose",
    "摘要": "purpose",
    "附言": "remark",
    "企业凭证号": "serial",
}
"""Title → what the column holds."""

_SIDES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("借", "付", "支", "支出", "D"), "DBIT"),
    **dict.fromkeys(("贷", "收", "收入", "C"), "CRDT"),
}
_CURRENCIES: Final[Mapping[str, str]] = {"人民币": "CNY", "CNY": "CNY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table_of(body: etree._Element | None) -> Table:
    """The table of a statement, by its field_num. No text is an empty table. Raises `Unparsable`."""
    text = child(body, "serial_record")
    if not text:
        return Table(titles=(), rows=())
    columns = child(body, "field_num")
    if not (columns.isascii() and columns.isdigit() and len(columns) <= 3):
        raise Unparsable("a table without its number of columns (field_num)")
    titles, *found = rows(text.split("|"), int(columns))
    count = child(body, "record_num")
    if count.isascii() and count.isdigit() and int(count[:9]) not in {len(found), len(found) + 1}:  # with the titles, or without
        raise Unparsable("a table has another number of rows than record_num says: it was cut")
    return Table(titles=titles, rows=tuple(found))


def balances(body: etree._Element | None, asked: Asked | None) -> list[Statement]:
    """310101: 余额 and 可用余额 of each account whose 成功标志 is 0. Raises `Unparsable`."""
    text = child(body, "serial_record")
    if not text:
        return []
    cells = text.split("|")
    if tuple(cell.strip() for cell in cells[: len(BALANCE_TITLES)]) != BALANCE_TITLES:
        raise Unparsable("the table of balances has other titles than 310101's")
    found = []
    for row in rows(cells, len(BALANCE_TITLES))[1:]:
        one = dict(zip(BALANCE_TITLES, row, strict=True))
        currency = _CURRENCIES.get(one["币种"], one["币种"]) or (asked.currency if asked else None)
        good = one["成功标志"] == "0"
        found.append(
            Statement(
                statement_id=None,
                account=AccountIdentification(other_id=one["账号"] or None, currency=currency),
                balances=tuple(
                    replace(said, currency=currency)
                    for said in (*balance("ITBD", one["余额"], None), *balance("ITAV", one["可用余额"], None))
                    if good
                ),
                supplementary=tuple((title, text) for title, text in one.items() if text and title not in _TAKEN),
            )
        )
    return found


_TAKEN: Final = frozenset({"账号", "币种", "余额", "可用余额"})


def entries(
    table: Table, titles: Mapping[str, Column], directions: Mapping[str, str], return_words: Collection[str]
) -> list[Entry]:
    """The rows of a statement. Raises `Unparsable` where no column holds the day or the amount."""
    if not table.titles:
        return []
    places: dict[str, int] = {}
    for at, title in enumerate(table.titles):
        field = titles.get(title)
        if field is not None:
            places.setdefault(field, at)
    missing = {"day", "amount"} - places.keys()
    if missing:
        raise Unparsable(f"no column of the statement is known to hold: {', '.join(sorted(missing))} (bank_settings.titles)")
    return [_entry(table.titles, places, row, {**_SIDES, **directions}, return_words) for row in table.rows]


def _entry(
    titles: tuple[str, ...],
    places: Mapping[str, int],
    row: tuple[str, ...],
    sides: Mapping[str, str],
    return_words: Collection[str],
) -> Entry:
    def text(field: str) -> str | None:
        return row[places[field]] or None if field in places else None

    amount, negative = unsigned(text("amount") or "")
    currency = _CURRENCIES.get(text("currency") or "CNY", text("currency"))
    said = sides.get(text("side") or "")
    side = moved(said, negative=negative)
    texts = tuple(filter(None, (text("purpose"), text("remark"))))
    used = set(places.values()) - ({places["side"]} if said is None and "side" in places else set())
    kept = {title: cell for at, (title, cell) in enumerate(zip(titles, row, strict=True)) if cell and at not in used}
    return Entry(
        statement_id=None,
        amount=amount,
        currency=currency,
        credit_debit=side,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(text("day") or ""),
        account_servicer_reference=text("bank_reference"),
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=currency,
                credit_debit=side,
                counterparty_name=text("counterparty_name"),
                counterparty_account=text("counterparty_account"),
                remittance_information=texts,
                return_reason_text=says_returned(side, texts, return_words),
                account_servicer_reference=text("bank_reference"),
                serial_number=text("serial"),
            ),
        ),
        supplementary=tuple(kept.items()),
    )
