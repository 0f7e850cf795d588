"""The bank that refuses instant payments: reads whether a file asks for them, and writes the status report that says no.

A transaction is instant if its block's PmtTpInf/LclInstrm/Cd is INST (EPC121-16, SCT Inst customer-to-PSP guidelines).
"""

from pathlib import Path

from lxml import etree

from simulator.fast_reader import Block, Header, Unreadable, read
from simulator.fast_writer import REPORT_BLOCK_TAIL, REPORT_TAIL, report_block_head, report_head, report_transfer


def asks_instant(file: Path) -> bool:
    """Whether every block of the file asks for instant payments. A file that cannot be read does not; the ledger says why."""
    blocks = instant = 0
    try:
        events = etree.iterparse(str(file), tag="{*}PmtInf", resolve_entities=False, no_network=True, load_dtd=False)
        for _, block in events:
            blocks += 1
            instant += block.findtext("{*}PmtTpInf/{*}LclInstrm/{*}Cd") == "INST"
            block.clear()
    except etree.XMLSyntaxError:
        return False
    return 0 < blocks == instant


def refusal(file: Path, report_id: str, created: str, code: str) -> tuple[bytes, int]:
    """A pain.002 that rejects every transaction of the file with that reason code; how many those are. Raises `Unreadable`."""
    head, parts, count = b"", list[bytes](), 0
    for record in read(file):
        if isinstance(record, Header):
            head = report_head(report_id, created, record, "RJCT", None)
        elif isinstance(record, Block):
            parts += [REPORT_BLOCK_TAIL] if parts else []
            parts.append(report_block_head(record, "RJCT"))
        else:
            parts.append(report_transfer(record, "RJCT", code).encode())
            count += 1
    if not count:
        raise Unreadable("FF01", "no transfer")
    return b"".join((head, *parts, REPORT_BLOCK_TAIL, REPORT_TAIL)), count
