"""pain.002.001.10 and camt.053.001.08 as the stand-in bank writes them: to disk, as it reads.

By hand from the message definitions ("Customer Payment Status Report" V10, "Bank To Customer Statement" V08), sharing nothing
with `formats/`. In both messages something that is known only at the end (the group status, the closing balance) stands at the
beginning, so the parts are spooled into files of their own and put together last.
"""

import shutil
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

from simulator.fast_reader import Block, Header, Transfer

STATUS_REPORT = "pain.002.001.10"
STATEMENT = "camt.053.001.08"
_ISO = "urn:iso:std:iso:20022:tech:xsd:"


def _x(text: str) -> str:
    return escape(text) if "&" in text or "<" in text or ">" in text else text


def _element(tag: str, text: str | None) -> str:
    return "" if text is None else f"<{tag}>{_x(text)}</{tag}>"


def _account(account: str, is_iban: bool) -> str:
    return f"<Id><IBAN>{_x(account)}</IBAN></Id>" if is_iban else f"<Id><Othr><Id>{_x(account)}</Id></Othr></Id>"


def report_head(report_id: str, created: str, header: Header | None, status: str, reason: tuple[str, str] | None) -> bytes:
    """Everything before the first OrgnlPmtInfAndSts. `header` None: nothing of the original could be read."""
    name = "pain.001" if header is None else header.message_name
    original = "NOTPROVIDED" if header is None else header.message_id
    count = "" if header is None else f"<OrgnlNbOfTxs>{header.number_of_transactions}</OrgnlNbOfTxs>"
    why = ""
    if reason is not None:
        why = f"<StsRsnInf><Rsn><Cd>{reason[0]}</Cd></Rsn><AddtlInf>{_x(reason[1][:105])}</AddtlInf></StsRsnInf>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_ISO}{STATUS_REPORT}"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>{report_id}</MsgId><CreDtTm>{created}</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{_x(original)}</OrgnlMsgId><OrgnlMsgNmId>{name}</OrgnlMsgNmId>{count}"
        f"<GrpSts>{status}</GrpSts>{why}</OrgnlGrpInfAndSts>"
    ).encode()


REPORT_TAIL = b"</CstmrPmtStsRpt></Document>\n"


def report_block_head(block: Block, status: str = "ACCP") -> bytes:
    block_id = _x(block.payment_information_id)
    return f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{block_id}</OrgnlPmtInfId><PmtInfSts>{status}</PmtInfSts>".encode()


REPORT_BLOCK_TAIL = b"</OrgnlPmtInfAndSts>"


def report_transfer(transfer: Transfer, status: str = "ACCP", code: str | None = None) -> str:
    why = "" if code is None else f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>"
    return (
        f"<TxInfAndSts>{_element('OrgnlInstrId', transfer.instruction_id)}<OrgnlEndToEndId>{_x(transfer.end_to_end_id)}"
        f"</OrgnlEndToEndId>{_element('OrgnlUETR', transfer.uetr)}<TxSts>{status}</TxSts>{why}</TxInfAndSts>"
    )


def statement_entry(number: str, on: str, message_id: str, block_id: str, transfer: Transfer) -> str:
    """One booked debit. `number` is the bank's own reference."""
    amount = f'<Amt Ccy="{transfer.currency}">{transfer.amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
    party = "" if transfer.creditor_name is None else f"<Cdtr><Pty><Nm>{_x(transfer.creditor_name)}</Nm></Pty></Cdtr>"
    if transfer.creditor_account is not None:
        party += f"<CdtrAcct>{_account(transfer.creditor_account, transfer.creditor_account[:2].isalpha())}</CdtrAcct>"
    remittance = "" if transfer.remittance is None else f"<RmtInf><Ustrd>{_x(transfer.remittance)}</Ustrd></RmtInf>"
    return (
        f"<Ntry><NtryRef>{number}</NtryRef>{amount}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt>"
        f"<ValDt><Dt>{on}</Dt></ValDt><AcctSvcrRef>{number}</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd>"
        f"<SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls><TxDtls><Refs><MsgId>{_x(message_id)}</MsgId>"
        f"<AcctSvcrRef>{number}</AcctSvcrRef><PmtInfId>{_x(block_id)}</PmtInfId>{_element('InstrId', transfer.instruction_id)}"
        f"<EndToEndId>{_x(transfer.end_to_end_id)}</EndToEndId>{_element('UETR', transfer.uetr)}</Refs>{amount}"
        f"<RltdPties>{party}</RltdPties>{remittance}</TxDtls></NtryDtls></Ntry>"
    )


@dataclass(slots=True, kw_only=True)
class StatementTotals:
    """What stands above the entries of one account's statement."""

    account: str
    is_iban: bool
    currency: str
    opening: Decimal
    debits: Decimal = Decimal(0)
    count: int = 0


def statement_head(statement_id: str, sequence: int, created: str, on: date, totals: StatementTotals) -> bytes:
    """Everything before the first entry: OPBD less the debits is CLBD."""
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{totals.currency}">{abs(amount):f}</Amt>'
        f"<CdtDbtInd>{'CRDT' if amount >= 0 else 'DBIT'}</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>"
        for kind, amount in (("OPBD", totals.opening), ("CLBD", totals.opening - totals.debits))
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_ISO}{STATEMENT}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{statement_id}</MsgId><CreDtTm>{created}</CreDtTm></GrpHdr><Stmt><Id>{statement_id}</Id>"
        f"<ElctrncSeqNb>{sequence}</ElctrncSeqNb><CreDtTm>{created}</CreDtTm>"
        f"<Acct>{_account(totals.account, totals.is_iban)}<Ccy>{totals.currency}</Ccy></Acct>{balances}"
        f"<TxsSummry><TtlDbtNtries><NbOfNtries>{totals.count}</NbOfNtries><Sum>{totals.debits:f}</Sum></TtlDbtNtries></TxsSummry>"
    ).encode()


STATEMENT_TAIL = b"</Stmt></BkToCstmrStmt></Document>\n"


def put_together(target: Path, head: bytes, spool: Path | None, tail: bytes) -> None:
    """Writes one message from its parts."""
    with target.open("wb") as out:
        out.write(head)
        if spool is not None:
            with spool.open("rb") as middle:
                shutil.copyfileobj(middle, out, 1024 * 1024)
        out.write(tail)


class Spool:
    """Collects text and writes it in large pieces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._out: BinaryIO = path.open("ab")
        self._parts: list[str] = []

    def add(self, text: str) -> None:
        self._parts.append(text)
        if len(self._parts) >= 512:
            self.flush()

    def flush(self) -> None:
        self._out.write("".join(self._parts).encode())
        self._parts.clear()

    def add_bytes(self, data: bytes) -> None:
        self.flush()
        self._out.write(data)

    def close(self) -> None:
        self.flush()
        self._out.close()
