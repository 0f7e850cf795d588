"""Reading camt.053, against the C floor and peers in one run: CPU seconds, children included, each in a fresh process.

    python -m bench.reading [--count 20000] [--rounds 3]
    python -m bench.reading --large [--megabytes 1500]

Two files of `count` entries, 1.5 KB and some 24 texts each. *Alike*: two shapes of entry, as a bank's own program writes them.
*Irregular*: no two entries have the same elements, which is legal and the worst that a cache of shapes can meet.
Contestants read the entries to records: ours, ours without plans ("plain"), a walk of lxml's iterparse for the same 24 texts,
camt053, bankstatementparser. xmllint --sax only parses, and is the floor. `--large` reads one file made on the way, for memory.
"""

import argparse
import io
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
OWN = "NL41MOCK0000000001"
HEAD = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}">\n  <BkToCstmrStmt>\n'
    "    <GrpHdr><MsgId>B</MsgId><CreDtTm>2026-11-26T20:00:00Z</CreDtTm></GrpHdr>\n    <Stmt>\n      <Id>S1</Id>\n"
    "      <ElctrncSeqNb>1</ElctrncSeqNb>\n      <CreDtTm>2026-11-26T20:00:00Z</CreDtTm>\n"
    f"      <Acct><Id><IBAN>{OWN}</IBAN></Id><Ccy>EUR</Ccy></Acct>\n"
    '      <Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">9.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    "<Dt><Dt>2026-11-26</Dt></Dt></Bal>\n"
)
TAIL = "    </Stmt>\n  </BkToCstmrStmt>\n</Document>\n"

# An entry as lines of one element each, so that any choice of the optional ones is a legal entry again.
FIRST = ("<NtryRef>{n}</NtryRef>",)
AMOUNT = (
    '<Amt Ccy="EUR">{amount}</Amt>',
    "<CdtDbtInd>{direction}</CdtDbtInd>",
)
STATUS = ("<Sts><Cd>BOOK</Cd></Sts>",)
DATES = (
    "<BookgDt><Dt>2026-11-{day}</Dt></BookgDt>",
    "<ValDt><Dt>2026-11-{day}</Dt></ValDt>",
    "<AcctSvcrRef>ASR{n}</AcctSvcrRef>",
)
CODE = ("<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>",)
REFERENCES = (
    "<MsgId>M{n}</MsgId>",
    "<AcctSvcrRef>TX{n}</AcctSvcrRef>",
    "<PmtInfId>P{n}</PmtInfId>",
    "<InstrId>{n:032d}</InstrId>",
    "<EndToEndId>INV-2026-{n}</EndToEndId>",
    "<TxId>TXID{n}</TxId>",
    "<ChqNb>{n}</ChqNb>",
)
PARTIES = (
    "<Dbtr><Pty><Nm>{debtor}</Nm><PstlAdr><Ctry>NL</Ctry><AdrLine>Keizersgracht {day}</AdrLine></PstlAdr></Pty></Dbtr>",
    "<DbtrAcct><Id><IBAN>{debtor_account}</IBAN></Id></DbtrAcct>",
    "<UltmtDbtr><Pty><Nm>Holding {day}</Nm></Pty></UltmtDbtr>",
    "<Cdtr><Pty><Nm>{creditor}</Nm></Pty></Cdtr>",
    "<CdtrAcct><Id><IBAN>{creditor_account}</IBAN></Id></CdtrAcct>",
)
AGENTS = ("<DbtrAgt><FinInstnId><BICFI>MOCKNL2AXXX</BICFI></FinInstnId></DbtrAgt>",)
PURPOSE = ("<Purp><Cd>SUPP</Cd></Purp>",)
REMITTANCE = ("<Ustrd>Invoice 2026/{n} customer {day} thank you</Ustrd>", "<Ustrd>Part {day} of 31</Ustrd>")
LAST = ("<AddtlNtryInf>SEPA credit transfer</AddtlNtryInf>",)
LEFT_OUT_OF_LIKE_ENTRIES = frozenset((REFERENCES[0], REFERENCES[2], REFERENCES[6], PARTIES[2], REMITTANCE[1], *PURPOSE))


class Missing(Exception):
    """A peer that is not installed here."""


def _lines(wanted: Callable[[str], bool]) -> str:
    def some(lines: tuple[str, ...], inset: int) -> str:
        return "".join(f"{' ' * inset}{line}\n" for line in lines if wanted(line))

    def inside(name: str, content: str, inset: int) -> str:
        return f"{' ' * inset}<{name}>\n{content}{' ' * inset}</{name}>\n" if content else ""

    details = (
        inside("Refs", some(REFERENCES, 14), 12)
        + "".join(f"{' ' * 12}{line}\n" for line in AMOUNT)
        + inside("RltdPties", some(PARTIES, 14), 12)
        + inside("RltdAgts", some(AGENTS, 14), 12)
        + some(PURPOSE, 12)
        + inside("RmtInf", some(REMITTANCE, 14), 12)
    )
    required = "".join(f"{' ' * 8}{line}\n" for line in (*AMOUNT, *STATUS))
    transaction = inside("NtryDtls", inside("TxDtls", details, 10), 8)
    return inside("Ntry", some(FIRST, 8) + required + some(DATES, 8) + some(CODE, 8) + transaction + some(LAST, 8), 6)


OPTIONAL = (*FIRST, *DATES, *CODE, *REFERENCES, *PARTIES, *AGENTS, *PURPOSE, *REMITTANCE, *LAST)
ALIKE = _lines(lambda line: line not in LEFT_OUT_OF_LIKE_ENTRIES)


def entries(count: int, *, irregular: bool) -> Iterator[str]:
    """The entries of a file, one after the other; irregular ones: no two with the same elements, for up to 2 ** 22 of them."""
    for number in range(count):
        incoming = number % 4 != 0
        other = f"Supplier {number % 5000} &amp; Zn." if number % 5 == 0 else f"Bakker {number % 5000}"
        account, day = f"NL91MOCK{number % 5000:010d}", f"{number % 28 + 1:02d}"
        form = ALIKE
        if irregular:
            # Each number has its own choice of elements; multiplying by an odd number scatters neighbours, modulo 2 ** 22.
            chosen = ~(number * 1_640_531) % (1 << len(OPTIONAL))
            left_out = {line for at, line in enumerate(OPTIONAL) if not chosen >> at & 1}
            form = _lines(lambda line, left_out=left_out: line not in left_out)  # type: ignore[misc]
        yield form.format(
            n=number, amount=f"{number % 99_700}.{number % 100:02d}", direction="CRDT" if incoming else "DBIT", day=day,
            debtor=other if incoming else "ACME BV", debtor_account=account if incoming else OWN,
            creditor="ACME BV" if incoming else other, creditor_account=OWN if incoming else account,
        )  # fmt: skip


def make(path: Path, count: int, *, irregular: bool) -> None:
    if not path.exists():
        with path.open("w", encoding="utf-8") as out:
            out.write(HEAD)
            out.writelines(entries(count, irregular=irregular))
            out.write(TAIL)


def ours(path: Path, count: int) -> None:
    from formats.reader import parse

    with path.open("rb") as source:
        assert sum(record.kind == "entry" for record in parse(source)) == count


def plain(path: Path, count: int) -> None:
    from formats import camt_repetitive

    camt_repetitive.ENTRIES_MIN = sys.maxsize
    ours(path, count)


def xmllint(path: Path, _count: int) -> None:
    program = shutil.which("xmllint")
    if program is None:
        raise Missing("xmllint")
    subprocess.run([program, "--sax", "--noout", str(path)], check=True, stdout=subprocess.DEVNULL)


WALKED = (
    *("NtryRef", "Amt", "CdtDbtInd", "Sts/Cd", "BookgDt/Dt", "ValDt/Dt", "AcctSvcrRef", "BkTxCd/Domn/Cd", "BkTxCd/Domn/Fmly/Cd"),
    *("BkTxCd/Domn/Fmly/SubFmlyCd", "BkTxCd/Prtry/Cd", "AddtlNtryInf"),
    *(
        f"NtryDtls/TxDtls/{path}"
        for path in (
            *("Refs/AcctSvcrRef", "Refs/InstrId", "Refs/EndToEndId", "Refs/TxId", "Amt", "CdtDbtInd", "RltdPties/Dbtr/Pty/Nm"),
            *("RltdPties/DbtrAcct/Id/IBAN", "RltdPties/Cdtr/Pty/Nm", "RltdPties/CdtrAcct/Id/IBAN", "RmtInf/Ustrd"),
            "RltdAgts/DbtrAgt/FinInstnId/BICFI",
        )
    ),
)


def lxml_walk(path: Path, count: int) -> None:
    """What a careful hand writes: one visit to each wanted element, memory given back, plain dicts as records."""
    from lxml import etree

    tree: dict[str, Any] = {}
    for wanted in WALKED:
        level = tree
        *way, last = [f"{{{NAMESPACE}}}{step}" for step in wanted.split("/")]
        for step in way:
            level = level.setdefault(step, {})
        level[last] = wanted

    def walk(element: Any, level: dict[str, Any], record: dict[str, str | None]) -> None:
        for child in element:
            below = level.get(child.tag)
            if type(below) is str:
                record[below] = child.text
            elif below is not None:
                walk(child, below, record)

    found = 0
    for _, element in etree.iterparse(str(path), tag=f"{{{NAMESPACE}}}Ntry", resolve_entities=False):
        record: dict[str, str | None] = {}
        walk(element, tree, record)
        found += "Amt" in record
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    assert found == count


def camt053_peer(path: Path, count: int) -> None:
    if find_spec("camt053") is None:
        raise Missing("camt053")
    import camt053

    assert sum(1 for _ in camt053.parse_document(path.read_text(encoding="utf-8")).all_entries()) == count


def bankstatementparser_peer(path: Path, count: int) -> None:
    if find_spec("bankstatementparser") is None:
        raise Missing("bankstatementparser")
    import logging

    logging.disable(logging.CRITICAL)
    from bankstatementparser import CamtParser

    assert len(CamtParser(str(path)).parse()) == count


CONTESTANTS: dict[str, Callable[[Path, int], None]] = {
    "ours": ours,
    "plain": plain,
    "xmllint --sax": xmllint,
    "lxml walk": lxml_walk,
    "camt053": camt053_peer,
    "bankstatementparser": bankstatementparser_peer,
}
GROUPS = {
    "alike": ("ours", "plain", "xmllint --sax", "lxml walk", "camt053", "bankstatementparser"),
    "irregular": ("ours", "plain", "xmllint --sax", "lxml walk"),
}
HOLD_THE_FILE = ("camt053", "bankstatementparser")
PEERS_COUNT_MAX = 5_000  # more would only take longer: what an entry costs them is the same


class Generated(io.RawIOBase):
    """A seekable file of some million like entries that is never held as a whole: one block of entries, again and again."""

    def __init__(self, size: int) -> None:
        block = "".join(entries(2_000, irregular=False)).encode()
        self.repeats = size // len(block)
        self.count = self.repeats * 2_000
        self._parts = ((HEAD.encode(), 1), (block, self.repeats), (TAIL.encode(), 1))
        self.size = sum(len(part) * times for part, times in self._parts)
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        base, wanted = 0, self._position
        for part, times in self._parts:
            length = len(part) * times
            if wanted < base + length:
                at = (wanted - base) % len(part)
                piece = part[at : at + size]
                self._position += len(piece)
                return piece
            base += length
        return b""


def peak_mib() -> float:
    """The most memory this process held (VmHWM); where only that of its parent before it can be told with it, that."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def used(what: int) -> float:
    spent = resource.getrusage(what)
    return spent.ru_utime + spent.ru_stime


def one(name: str, kind: str, count: int, place: Path) -> None:
    """In a process of its own: runs a contestant and prints what it cost."""
    path = place / f"{kind}-{count}.xml"
    try:
        CONTESTANTS[name](place / f"{kind}-10.xml", 10)  # imports: paid once a process, and not what is asked
    except Missing as peer:
        print(json.dumps({"missing": str(peer)}))
        return
    before = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN)
    CONTESTANTS[name](path, count)
    cpu = used(resource.RUSAGE_SELF) + used(resource.RUSAGE_CHILDREN) - before
    print(json.dumps({"cpu": cpu, "rss_mib": peak_mib()}))


def large(megabytes: int) -> None:
    """In a process of its own: what reading one large file holds at most."""
    from formats.reader import parse

    source = Generated(megabytes * 1_000_000)
    before = used(resource.RUSAGE_SELF)
    count = sum(record.kind == "entry" for record in parse(cast("BinaryIO", source)))
    assert count == source.count
    cpu = used(resource.RUSAGE_SELF) - before
    memory = peak_mib()
    from bench import setting  # after the measurement: it brings much along that reading does not need

    print(
        f"reading: {setting.machine()}; {source.size / 1e9:.2f} GB, {count:,} entries: {cpu:.1f} CPU s, "
        f"{cpu / count * 1e6:.1f} µs an entry, {source.size / cpu / 1e6:.0f} MB/s, peak {memory:.0f} MiB"
    )


def measured(name: str, kind: str, count: int, place: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.reading", "--one", name, "--kind", kind, "--count", str(count), "--place", str(place)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main(count: int, rounds: int) -> None:
    from bench import setting

    print(f"reading: {setting.machine()}; camt.053.001.08, {count:,} entries, medians of {rounds} interleaved rounds, CPU time")
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as scratch:
        place = Path(scratch)
        for kind, names in GROUPS.items():
            counts = {
                name: min(count, PEERS_COUNT_MAX) if name in ("camt053", "bankstatementparser") else count for name in names
            }
            for size in {10, *counts.values()}:
                make(place / f"{kind}-{size}.xml", size, irregular=kind == "irregular")
            each_bytes = (place / f"{kind}-{count}.xml").stat().st_size / count
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(rounds):
                for name, results in runs.items():
                    results.append(measured(name, kind, counts[name], place))
            print(f"  entries {kind}, {each_bytes:.0f} bytes each")
            each = {
                name: statistics.median(r["cpu"] for r in results) / counts[name] * 1e6
                for name, results in runs.items()
                if "missing" not in results[0]
            }
            for name, results in runs.items():
                if name not in each:
                    print(f"    {name:20} not installed")
                    continue
                ratio = "" if name == "ours" else f"  {each[name] / each['ours']:5.2f} × ours"
                print(f"    {name:20} {each[name]:7.1f} µs an entry, peak {max(r['rss_mib'] for r in results):4.0f} MiB{ratio}")
            if "xmllint --sax" in each:
                print(f"    ours is {each['ours'] / each['xmllint --sax']:.1f} × xmllint --sax")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--megabytes", type=int, default=1500)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.kind, given.count, given.place)
    elif given.large:
        large(given.megabytes)
    else:
        main(given.count, given.rounds)
