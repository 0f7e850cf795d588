"""Orders whose payees are verified before they are authorised: CTV and CIV, or the BTF of pain.001 with the service option VOI.

What banks publish of it: signatures that come with such an order count for nothing; the bank verifies, tells the result in a
pain.002 of its own order (VPZ; BTF REP with option VOP), and only then the order waits for signatures, to be released or
cancelled as a whole whatever the result. Sources: the pages named in docs/payee.md. The payees' names decide as in
`simulator.payee`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from simulator.fast_reader import Block, Header, Transfer, Unreadable, read
from simulator.fast_writer import REPORT_BLOCK_TAIL, REPORT_TAIL, report_block_head, report_head
from simulator.payee import by_name

TYPES: Final = ("CTV", "CIV")
OPTION: Final = "VOI"
REPORT: Final = "vop.report"
"""The kind under which the reports lie in the outbox: apart from those about the payments themselves."""
_STATUSES: Final = {"MTCH": "RCVC", "CMTC": "RVMC", "NMTC": "RVNM", "NOAP": "RVNA"}


def is_verified(label: str) -> bool:
    """Whether an order of this name is verified first."""
    return label in TYPES or (label.startswith("BTU ") and label.split("/")[2] == OPTION)


def report(file: Path, report_id: str, created: str) -> bytes:
    """The pain.002 about the payees of a pain.001: of the whole alone where all match, else also of each. Raises `Unreadable`."""
    header: Header | None = None
    parts: list[bytes] = []
    told: list[str] = []
    for record in read(file):
        if isinstance(record, Header):
            header = record
        elif isinstance(record, Block):
            parts += [REPORT_BLOCK_TAIL] if parts else []
            parts.append(report_block_head(record, "RVCM"))
        else:
            status, name = _judged(record)
            told.append(status)
            parts.append(_transfer(record, status, name).encode())
    if not told:
        raise Unreadable("FF01", "no transfer")
    if set(told) == {"RCVC"}:
        return report_head(report_id, created, header, "RCVC", None) + REPORT_TAIL
    return b"".join((report_head(report_id, created, header, "RVCM", None), *parts, REPORT_BLOCK_TAIL, REPORT_TAIL))


def _judged(transfer: Transfer) -> tuple[str, str]:
    answer = by_name(transfer.creditor_name or "")
    return _STATUSES[answer["partyNameMatch"]], str(answer.get("matchedName", ""))


def _transfer(transfer: Transfer, status: str, name: str) -> str:
    ids: Iterator[tuple[str, str | None]] = iter(
        (
            ("OrgnlInstrId", transfer.instruction_id),
            ("OrgnlEndToEndId", transfer.end_to_end_id),
            ("OrgnlUETR", transfer.uetr),
        )
    )
    named = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in ids if text)
    suggested = f"<StsRsnInf><AddtlInf>{escape(name[:105])}</AddtlInf></StsRsnInf>" if name else ""
    return f"<TxInfAndSts>{named}<TxSts>{status}</TxSts>{suggested}</TxInfAndSts>"
