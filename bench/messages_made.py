"""What the benches of messages are made of: transfers, messages and files, the same every time."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

DAY = date(2026, 11, 26)
CREATED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SUPPLIERS = 5_000  # who is paid again and again


def creditor_iban(number: int) -> str:
    """The account of a supplier. Imported when first needed, as memory is measured too."""
    from gateway.demo import cast

    return cast.creditor_iban(number)


@lru_cache(maxsize=2)
def transfers(count: int) -> tuple[object, ...]:
    """Made beforehand, so that making them is not measured."""
    return tuple(made_transfers(count))


def made_transfers(count: int) -> Iterator[object]:
    from formats.model import Account, CreditTransfer, Party, PostalAddress, RemittanceInformation

    for number in range(count):
        yield CreditTransfer(
            instruction_id=f"{number:032d}",
            end_to_end_id=f"INV-{number}",
            amount=Decimal(number % 99_700 + 1).scaleb(-2),
            currency="EUR",
            creditor=Party(
                name=f"Supplier {number % 5000}",
                postal_address=PostalAddress(street_name="Keizersgracht", town_name="Amsterdam", country="NL"),
            ),
            creditor_account=Account(iban=creditor_iban(number % 5000)),
            remittance_information=RemittanceInformation(unstructured=(f"Invoice {number}",)),
        )


def message(count: int, *, streamed: bool = False) -> object:
    """A message of so many transfers: from a tuple made beforehand, or made one by one while it is written."""
    from formats.model import Account, Agent, Party, PaymentBlock, PaymentInitiation, PaymentTerms, PaymentType

    total = Decimal(sum(number % 99_700 + 1 for number in range(count))).scaleb(-2)
    terms = PaymentTerms(
        debtor=Party(name="ACME BV"),
        debtor_account=Account(iban="NL41MOCK0000000001", currency="EUR"),
        debtor_agent=Agent(bic="MOCKNL2AXXX"),
        requested_execution_date=DAY,
        payment_type=PaymentType(service_level="SEPA"),
        charge_bearer="SLEV",
    )
    block = PaymentBlock(
        payment_information_id="BENCH-1",
        terms=terms,
        count=count,
        control_sum=total,
        transfers=lambda: made_transfers(count) if streamed else transfers(count),  # type: ignore[arg-type, return-value]
    )
    return PaymentInitiation(
        message_id="BENCH", message_name="pain.001.001.09", creation_date_time=CREATED,
        initiating_party=Party(name="ACME BV"), blocks=(block,),
    )  # fmt: skip


def make_camt053(count: int, path: Path) -> None:
    if path.exists():
        return
    with path.open("w", encoding="utf-8") as out:
        out.write(
            '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
            "<BkToCstmrStmt><GrpHdr><MsgId>B</MsgId><CreDtTm>2026-11-26T20:00:00Z</CreDtTm></GrpHdr><Stmt><Id>S1</Id>"
            "<ElctrncSeqNb>1</ElctrncSeqNb><CreDtTm>2026-11-26T20:00:00Z</CreDtTm><Acct><Id><IBAN>NL41MOCK0000000001</IBAN></Id>"
            '<Ccy>EUR</Ccy></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">9.00</Amt>'
            "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-26</Dt></Dt></Bal>"
        )
        for number in range(count):
            amount = f"{number % 997}.{number % 100:02d}"
            out.write(
                f'<Ntry><NtryRef>{number}</NtryRef><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
                "<Sts><Cd>BOOK</Cd></Sts>"
                "<BookgDt><Dt>2026-11-26</Dt></BookgDt><ValDt><Dt>2026-11-26</Dt></ValDt>"
                f"<AcctSvcrRef>R{number}</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>ESCT</SubFmlyCd>"
                f"</Fmly></Domn></BkTxCd><NtryDtls><TxDtls><Refs><MsgId>M</MsgId><InstrId>{number:032d}</InstrId>"
                f'<EndToEndId>INV-{number}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd>'
                f"<RltdPties><Cdtr><Pty><Nm>Supplier {number % 5000}</Nm></Pty></Cdtr><CdtrAcct><Id><IBAN>"
                f"{creditor_iban(number % 5000)}</IBAN></Id></CdtrAcct></RltdPties>"
                f"<RmtInf><Ustrd>Invoice {number}</Ustrd></RmtInf>"
                "</TxDtls></NtryDtls></Ntry>\n"
            )
        out.write("</Stmt></BkToCstmrStmt></Document>")


class Repeated(io.RawIOBase):
    """A message of any size that is nowhere whole: its transactions again and again."""

    def __init__(self, message: bytes, size: int) -> None:
        start, end = message.index(b"<CdtTrfTxInf>"), message.rindex(b"</CdtTrfTxInf>") + len(b"</CdtTrfTxInf>\n")
        self._body = message[start:end]
        self._times = max(size // len(self._body), 1)
        self._parts = [message[:start], message[end:]]
        self._at = 0
        self._part = self._parts[0]

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not self._part:
            self._at += 1
            if self._at > self._times + 1:
                return b""
            self._part = self._body if self._at <= self._times else self._parts[1]
        taken, self._part = self._part[:size], self._part[size:]
        return taken
