"""What the replies of Bank of China (bocb2e) say, element by element.

Source: as `formats.banks.boc`. A status stands at two levels: of the message (``trn-b2e0007-rs/status``) and of each
item (``b2e0007-rs/status``); only the item's speaks of a payment. A hard error comes as ``trn-b2eerror-rs``.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from formats.dialects.booking import balance, iso_day, moved, says_returned, unsigned
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked
from formats.errors import Unparsable
from formats.report import AccountIdentification, Entry, EntryTransaction, Pairs, Party, Statement

OK: Final = "B001"
MORE: Final = "B002"  # ok, more data follow
ANSWERED: Final = frozenset({OK, MORE})
NOT_SIGNED_IN: Final = frozenset({"1033", "B107"})
CURRENCIES: Final = {"001": "CNY", "012": "GBP", "013": "HKD", "014": "USD", "027": "JPY", "038": "EUR"}
_BODY: Final = re.compile(r"trn-(b2e[0-9a-z]{1,12})-rs").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item of a reply to a payment, or to a question about payments."""

    serial: str
    code: str
    text: str
    bank_reference: str | None  # obssid, the bank's own number
    host_reference: str | None  # hostseqno


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply with the status of its message level."""

    function: str  # "b2e0009", "b2eerror"
    message_id: str
    code: str
    text: str
    body: etree._Element

    @property
    def answered(self) -> bool:
        return self.code in ANSWERED

    def items(self, asked: Asked | None) -> tuple[Item, ...]:
        """The items. One without an insid is that of the only payment asked about, where there is only one of each."""
        found = list(self.body.iter(f"{self.function}-rs"))
        alone = asked.serials[0] if asked is not None and len(asked.serials) == 1 and len(found) == 1 else ""
        return tuple(
            Item(
                serial=child(one, "insid") or alone,
                code=child(one, "status/rspcod"),
                text=child(one, "status/rspmsg"),
                bank_reference=child(one, "obssid") or None,
                host_reference=child(one, "hostseqno") or None,
            )
            for one in found
        )


def read_reply(content: bytes, charset: str) -> Reply:
    """Raises `Unparsable` for what is no reply of this bank."""
    root = read_xml(content, charset)
    if root.tag != "bocb2e":
        raise Unparsable("no reply of Bank of China: the root element is not bocb2e")
    for body in root.iterfind("trans/*"):
        found = _BODY(body.tag) if isinstance(body.tag, str) else None
        if found is not None:
            return Reply(
                function=found[1],
                message_id=child(root, "head/trnid"),
                code=child(body, "status/rspcod"),
                text=child(body, "status/rspmsg"),
                body=body,
            )
    raise Unparsable("no reply of Bank of China: nothing in trans is called trn-…-rs")


# -- balances ----------------------------------------------------------------------------------------------------------


def balances(reply: Reply) -> Iterator[Statement]:
    """b2e0005: book (bokbal) and available (avabal) balance of each account. Raises `Unparsable`."""
    for one in _with_children(reply.body, "account", "balance"):
        code = child(one, "account/curcde")
        currency = CURRENCIES.get(code, code) or None
        day = iso_day(child(one, "baldat"))
        yield Statement(
            statement_id=None,
            account=AccountIdentification(other_id=child(one, "account/actacn") or None, currency=currency),
            balances=tuple(
                replace(found, currency=currency)
                for found in (
                    *balance("ITBD", child(one, "balance/bokbal"), day),
                    *balance("ITAV", child(one, "balance/avabal"), day),
                )
            ),
            supplementary=_pairs(one, ("account/actname", "balance/stpamt", "balance/ovramt")),
        )


def balance_refusals(reply: Reply) -> tuple[str, ...]:
    """The item codes of accounts whose balance the bank did not give."""
    codes = (child(one, "status/rspcod") for one in reply.body.iter("b2e0005-rs"))
    return tuple(code for code in codes if code and code not in ANSWERED)


# -- statements --------------------------------------------------------------------------------------------------------


def lines(reply: Reply) -> list[etree._Element]:
    """b2e0035: the rows, known by their shape."""
    return _with_children(reply.body, "txndate", "trnamt")


def next_begin(reply: Reply, begin: int, first: int) -> int | None:
    """The begnum of the next page; None: this was the last. `first`: the number of the first row of all."""
    shown = len(lines(reply))
    if not shown:
        return None
    total = next((child(one, "totalnum") for one in reply.body.iter() if one.find("totalnum") is not None), "")
    after = begin + shown
    more = reply.code == MORE or (total.isascii() and total.isdigit() and len(total) < 10 and after - first < int(total))
    return after if more else None


def entry(row: etree._Element, account: str | None, directions: Mapping[str, str], return_words: Collection[str]) -> Entry:
    """A row as an entry. Which side it is on: the connection's settings for ``direction``, else whether our account is the one
    it comes from or goes to. Raises `Unparsable`."""
    amount, negative = unsigned(child(row, "trnamt"))
    code = child(row, "trncur")
    currency = CURRENCIES.get(code, code) or None
    payer, payee = child(row, "fractn/actacn"), child(row, "toactn/actacn")
    direction = child(row, "direction")
    said = directions.get(direction) or _side(account, payer, payee)
    side = moved(said, negative=negative)
    texts = tuple(filter(None, (child(row, "useinfo"), child(row, "furinfo"))))
    other = Party(name=child(row, "toactn/toname") or None, account=payee or None)
    if said == "CRDT":
        other = Party(name=child(row, "fractn/acntname") or None, account=payer or None)
    reference = child(row, "transid") or None
    return Entry(
        statement_id=None,
        amount=amount,
        currency=currency,
        credit_debit=side,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(child(row, "txndate")),
        value_date=iso_day(child(row, "valdat")),
        account_servicer_reference=reference,
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=currency,
                credit_debit=side,
                counterparty_name=other.name,
                counterparty_account=other.account,
                remittance_information=texts,
                return_reason_text=says_returned(side, texts, return_words),
                account_servicer_reference=reference,
                serial_number=child(row, "insid") or None,
            ),
        ),
        supplementary=_pairs(row, ("txntime", "direction", "acctbal", "vchnum", "vouchtp", "vouchnum")),
    )


def _side(account: str | None, payer: str, payee: str) -> str | None:
    if account is None or payer == payee:
        return None
    return "DBIT" if payer == account else "CRDT" if payee == account else None


# -- shared ------------------------------------------------------------------------------------------------------------


def _with_children(body: etree._Element, *names: str) -> list[etree._Element]:
    return [one for one in body.iter() if isinstance(one.tag, str) and all(one.find(name) is not None for name in names)]


def _pairs(element: etree._Element, paths: tuple[str, ...]) -> Pairs:
    return tuple((path, child(element, path)) for path in paths if child(element, path))
