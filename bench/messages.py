"""Rendering, checking, validating and reading messages, against peers in one run: CPU seconds, each in fresh processes.

    python -m bench.messages [--count 10000] [--rounds 3]

Peers: sepaxml (render, and render with its own validation), camt053 (read), xmllint --sax (the C floor of reading).
One that is not installed is named and left out.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from bench import setting
from gateway.demo.cast import creditor_iban

DAY = date(2026, 11, 26)
CREATED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Missing(Exception):
    """A peer that is not installed here."""


@lru_cache(maxsize=2)
def transfers(count: int) -> tuple[object, ...]:
    """Made beforehand, so that making them is not measured."""
    return tuple(_transfers(count))


def _transfers(count: int) -> Iterator[object]:
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


def message(count: int) -> object:
    from formats.model import Account, Agent, Party, PaymentBlock, PaymentInitiation, PaymentTerms, PaymentType

    total = sum((t.amount for t in transfers(count)), Decimal(0))  # type: ignore[attr-defined]
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
        transfers=lambda: transfers(count),  # type: ignore[arg-type, return-value]
    )
    return PaymentInitiation(
        message_id="BENCH", message_name="pain.001.001.09", creation_date_time=CREATED,
        initiating_party=Party(name="ACME BV"), blocks=(block,),
    )  # fmt: skip


def render(count: int, place: Path) -> None:
    from formats.bank import bank_named

    with (place / "ours.xml").open("wb") as out:
        bank_named("iso20022").render(message(count), out)  # type: ignore[arg-type]


def check_only(count: int, _place: Path) -> None:
    from formats.bank import bank_named

    bank, made = bank_named("sepa"), message(1)
    terms = made.blocks[0].terms  # type: ignore[attr-defined]
    for transfer in transfers(count):
        assert bank.check(terms, transfer, DAY, "pain.001.001.09") == ()  # type: ignore[arg-type]


def render_and_validate(count: int, place: Path) -> None:
    from formats.schemas import validate_outbound

    render(count, place)
    with (place / "ours.xml").open("rb") as source:
        validate_outbound(source, "pain.001.001.09")


def sepaxml(count: int, *, validate: bool) -> None:
    if find_spec("sepaxml") is None:
        raise Missing("sepaxml")
    from sepaxml import SepaTransfer

    config = {"name": "ACME BV", "IBAN": "NL41MOCK0000000001", "BIC": "MOCKNL2AXXX", "batch": True, "currency": "EUR"}
    sepa = SepaTransfer(config, clean=False)
    for payment in payments_for_sepaxml(count):
        sepa.add_payment(dict(payment))
    sepa.export(validate=validate)


@lru_cache(maxsize=2)
def payments_for_sepaxml(count: int) -> tuple[dict[str, object], ...]:
    """Made beforehand, like ours."""
    return tuple(
        {
            "name": f"Supplier {number % 5000}",
            "IBAN": creditor_iban(number % 5000),
            "BIC": "COBADEFFXXX",
            "amount": number % 99_700 + 1,
            "execution_date": DAY,
            "description": f"Invoice {number}",
            "endtoend_id": f"INV{number}",
        }
        for number in range(count)
    )


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


def read_camt053(count: int, place: Path) -> None:
    from formats.reader import parse

    with (place / f"camt053-{count}.xml").open("rb") as source:
        assert sum(record.kind == "entry" for record in parse(source)) == count


def camt053_peer(count: int, place: Path) -> None:
    if find_spec("camt053") is None:
        raise Missing("camt053")
    from camt053.parse.statement_parser import iter_statement_entries

    text = (place / f"camt053-{count}.xml").read_text(encoding="utf-8")
    assert sum(1 for _ in iter_statement_entries(text)) == count


def xmllint(count: int, place: Path) -> None:
    program = shutil.which("xmllint")
    if program is None:
        raise Missing("xmllint")
    subprocess.run([program, "--sax", "--noout", str(place / f"camt053-{count}.xml")], check=True, stdout=subprocess.DEVNULL)


CONTESTANTS: dict[str, Callable[[int, Path], None]] = {
    "render": render,
    "check": check_only,
    "render+xsd": render_and_validate,
    "sepaxml": lambda count, _: sepaxml(count, validate=False),
    "sepaxml+xsd": lambda count, _: sepaxml(min(count, 1000), validate=True),
    "read": read_camt053,
    "camt053": camt053_peer,
    "xmllint": xmllint,
}
GROUPS = (
    ("pain.001.001.09, rendered (checked while written)", "render", ("sepaxml",)),
    ("… and validated against its XSD", "render+xsd", ("sepaxml+xsd",)),
    ("every rule of one SEPA payment", "check", ()),
    ("camt.053.001.08, read", "read", ("camt053", "xmllint")),
)


def one(name: str, count: int, place: Path) -> None:
    """In a process of its own: runs a contestant and prints what it cost."""
    try:
        make_camt053(10, place / "camt053-10.xml")
        transfers(count)
        payments_for_sepaxml(count)
        CONTESTANTS[name](10, place)  # imports, compiled schemas: paid once a process, and not what is asked
    except Missing as peer:
        print(json.dumps({"missing": str(peer)}))
        return
    before = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    CONTESTANTS[name](count, place)
    after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    print(json.dumps({"cpu": cpu, "rss_mib": after[0].ru_maxrss / 1024}))


def measured(name: str, count: int, place: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.messages", "--one", name, "--count", str(count), "--place", str(place)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main(count: int, rounds: int) -> None:
    print(f"messages: {setting.machine()}; {count:,} transactions, medians of {rounds} interleaved rounds, CPU time")
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as scratch:
        place = Path(scratch)
        make_camt053(count, place / f"camt053-{count}.xml")
        for title, ours, peers in GROUPS:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in (ours, *peers)}
            for _ in range(rounds):
                for name, results in runs.items():
                    results.append(measured(name, count, place))
            print(f"  {title}")
            base = 0.0
            for name, results in runs.items():
                if "missing" in results[0]:
                    print(f"    {name:12} not installed")
                    continue
                done = min(count, 1000) if name == "sepaxml+xsd" else count
                each = statistics.median(r["cpu"] for r in results) / done * 1e6
                base = base or each
                memory = max(r["rss_mib"] for r in results)
                ratio = "" if name == ours else f"  {each / base:6.1f} × ours"
                print(f"    {name:12} {each:8.1f} µs a transaction, peak {memory:4.0f} MiB{ratio}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.count, given.place)
    else:
        main(given.count, given.rounds)
