"""pain.001 as the stand-in bank reads it: a stream of blocks and transfers, in memory that does not grow with the file.

Written by hand from the ISO 20022 message definitions (pain.001.001.03 and .09, Message Definition Report, "Customer Credit
Transfer Initiation") and sharing nothing with `formats/`: a mistake there must not be made here too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lxml import etree

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(pain\.001\.001\.\d\d)")
_AMOUNT = re.compile(r"\d{1,18}(\.\d{1,5})?")


class Unreadable(Exception):
    """The file is not a pain.001 that can be executed. `code` is an ISO status reason code; `message_id` is set once read."""

    def __init__(self, code: str, text: str, message_id: str | None = None, message_name: str | None = None) -> None:
        self.code = code
        self.message_id = message_id
        self.message_name = message_name
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Header:
    """GrpHdr, and the kind of message."""

    message_name: str  # "pain.001.001.09"
    message_id: str
    number_of_transactions: int
    control_sum: Decimal | None


@dataclass(frozen=True, slots=True)
class Block:
    """PmtInf, without its transfers. `account` is the IBAN, or another id if `is_iban` is false."""

    payment_information_id: str
    account: str
    is_iban: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """CdtTrfTxInf, as far as the bank answers with it. Texts are as in the file, without XML escapes."""

    instruction_id: str | None
    end_to_end_id: str
    uetr: str | None
    amount: str
    currency: str
    creditor_name: str | None
    creditor_account: str | None
    remittance: str | None


def read(file: Path) -> Iterator[Header | Block | Transfer]:
    """The header, then each block followed by its transfers. Raises `Unreadable`, possibly after many transfers."""
    try:
        events = etree.iterparse(
            str(file),
            events=("end",),
            tag=("{*}GrpHdr", "{*}CdtTrfTxInf"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
        )
        yield from _records(iter(events))
    except etree.XMLSyntaxError as error:
        raise Unreadable("FF01", f"not well-formed XML (line {error.lineno})") from error


def _records(events: Iterator[tuple[str, etree._Element]]) -> Iterator[Header | Block | Transfer]:
    element = next(events, (None, None))[1]
    if element is None:
        raise Unreadable("FF01", "not a pain.001: no group header")
    header, namespace = _header(element)
    yield header
    known: etree._Element | None = None
    for _, element in events:
        block = element.getparent()
        if block is None:
            raise Unreadable("FF01", "a transfer outside a block", header.message_id, header.message_name)
        if block is not known:
            known = block
            yield _block(block, namespace, header)
        yield _transfer(element, namespace, header)
        element.clear()
        while (before := element.getprevious()) is not None:
            block.remove(before)


def _header(element: etree._Element) -> tuple[Header, str]:
    namespace = etree.QName(element).namespace or ""
    name = _NAMESPACE.fullmatch(namespace)
    if name is None or element.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("FF01", "not a pain.001 of ISO 20022, or one with a document type definition")
    ns = f"{{{namespace}}}"
    message_id = element.findtext(f"{ns}MsgId")
    count = element.findtext(f"{ns}NbOfTxs") or ""
    total = element.findtext(f"{ns}CtrlSum")
    if not message_id or not count.isdigit() or (total is not None and not _AMOUNT.fullmatch(total)):
        raise Unreadable("FF01", "the group header lacks MsgId, NbOfTxs or a proper CtrlSum", message_id, name[1])
    return Header(name[1], message_id, int(count), None if total is None else Decimal(total)), ns


def _block(element: etree._Element, ns: str, header: Header) -> Block:
    block_id = element.findtext(f"{ns}PmtInfId")
    iban = element.findtext(f"{ns}DbtrAcct/{ns}Id/{ns}IBAN")
    account = iban or element.findtext(f"{ns}DbtrAcct/{ns}Id/{ns}Othr/{ns}Id")
    if not block_id or not account:
        raise Unreadable("FF01", "a block lacks PmtInfId or DbtrAcct", header.message_id, header.message_name)
    return Block(block_id, account, iban is not None)


def _transfer(element: etree._Element, ns: str, header: Header) -> Transfer:
    parts = {child.tag: child for child in element}
    ids = parts.get(f"{ns}PmtId")
    money = element.find(f"{ns}Amt/{ns}InstdAmt")
    end_to_end_id = None if ids is None else ids.findtext(f"{ns}EndToEndId")
    amount = None if money is None else money.text
    if ids is None or money is None or not end_to_end_id or not amount or not _AMOUNT.fullmatch(amount):
        raise Unreadable("FF01", "a transfer lacks EndToEndId or a proper InstdAmt", header.message_id, header.message_name)
    creditor, account, remittance = (parts.get(ns + tag) for tag in ("Cdtr", "CdtrAcct", "RmtInf"))
    account_id = None if account is None else account.find(f"{ns}Id")
    return Transfer(
        ids.findtext(f"{ns}InstrId"),
        end_to_end_id,
        ids.findtext(f"{ns}UETR"),
        amount,
        str(money.get("Ccy")),
        None if creditor is None else creditor.findtext(f"{ns}Nm"),
        None if account_id is None else account_id.findtext(f"{ns}IBAN") or account_id.findtext(f"{ns}Othr/{ns}Id"),
        None if remittance is None else remittance.findtext(f"{ns}Ustrd"),
    )
