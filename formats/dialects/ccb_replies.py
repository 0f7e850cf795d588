"""What the replies of China Construction Bank (TX) say.

Source: as `formats.banks.ccb`. Every reply repeats the request's head and has RETURN_CODE (000000: ok) and RETURN_MSG;
what it says stands in TX_INFO.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from formats.dialects.booking import CURRENCY, balance, iso_day, moved, says_returned, unsigned
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked
from formats.errors import Unparsable
from formats.report import AccountIdentification, Entry, EntryTransaction, Statement

OK: Final = "000000"
_KEPT: Final = ("TRANTIME", "CRE_TYP", "CRE_NO", "FLAG1", "FLAG2", "AMT1", "BFLOW", "DET_NO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    function: str  # TX_CODE
    request: str  # REQUEST_SN
    code: str
    text: str
    info: etree._Element | None

    @property
    def answered(self) -> bool:
        return self.code == OK

    def said(self, name: str) -> str:
        """A text of TX_INFO."""
        return child(self.info, name)


def read_reply(content: bytes) -> Reply:
    """Raises `Unparsable` for what is no reply of this bank."""
    root = read_xml(content, "gb18030")
    if root.tag != "TX" or root.find("RETURN_CODE") is None:
        raise Unparsable("no reply of China Construction Bank: not a TX with RETURN_CODE")
    return Reply(
        function=child(root, "TX_CODE"),
        request=child(root, "REQUEST_SN"),
        code=child(root, "RETURN_CODE"),
        text=child(root, "RETURN_MSG"),
        info=root.find("TX_INFO"),
    )


def balances(reply: Reply, asked: Asked | None) -> Iterator[Statement]:
    """6W0100: BALANCE, and BALANCE1, the available one. Raises `Unparsable`."""
    account = reply.said("ACC_NO") or (asked.account if asked else None)
    yield Statement(
        statement_id=None,
        account=AccountIdentification(other_id=account or None, currency=CURRENCY),
        balances=(
            *balance("ITBD", reply.said("BALANCE"), None),
            *balance("ITAV", reply.said("BALANCE1"), None),
        ),
    )


def entries(reply: Reply, currency: str, return_words: Collection[str]) -> list[Entry]:
    """6WY101: the lines. FLAG1 0 is a debit, every other one a credit; none is neither. Raises `Unparsable`."""
    lines = [] if reply.info is None else reply.info.iter("DETAILINFO")
    return [_entry(line, currency, return_words) for line in lines]


def _entry(line: etree._Element, currency: str, return_words: Collection[str]) -> Entry:
    amount, negative = unsigned(child(line, "AMT"))
    flag = child(line, "FLAG1")
    side = moved(None if not flag else "DBIT" if flag == "0" else "CRDT", negative=negative)
    texts = tuple(filter(None, (child(line, "MESSAGE"), child(line, "DET"))))
    reference = child(line, "TRAN_FLOW") or None
    return Entry(
        statement_id=None,
        amount=amount,
        currency=currency,
        credit_debit=side,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(child(line, "TRANDATE")),
        account_servicer_reference=reference,
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=currency,
                credit_debit=side,
                counterparty_name=child(line, "ACC_NAME1") or None,
                counterparty_account=child(line, "ACCNO2") or None,
                remittance_information=texts,
                return_reason_text=says_returned(side, texts, return_words),
                account_servicer_reference=reference,
            ),
        ),
        supplementary=tuple((name, child(line, name)) for name in _KEPT if child(line, name)),
    )


def next_page(reply: Reply, page: int) -> str | None:
    """The page after `page`, with the bank's place marker (POSTSTR) for it; None: this was the last, or no page at all."""
    total = reply.said("TOTAL_PAGE")
    lines = reply.info is not None and next(reply.info.iter("DETAILINFO"), None) is not None
    if not lines or not (total.isascii() and total.isdigit() and len(total) < 8) or page >= int(total):
        return None
    return f"{page + 1}:{reply.said('POSTSTR')}"


def page_of(page: str | None) -> tuple[int, str]:
    """The number and the place marker of what `next_page` gave; the first page has no marker."""
    number, _, marker = (page or "1:").partition(":")
    return (int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 1), marker
