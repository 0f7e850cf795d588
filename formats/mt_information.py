"""Field 86 of MT940 and MT942, Information to Account Owner: the styles banks write it in.

SWIFT leaves the field free (Standards MT, category 9: 6 lines of 65), so three styles are known apart by how they begin:

- `166?00…?20EREF+…?32…`: the German structure (Deutsche Kreditwirtschaft, Anlage 3 of the DFÜ agreement, chapter 8): a business
  transaction code of three digits, then subfields of 27 characters. 20 to 29 and 60 to 63 are the purpose, which itself holds
  the SEPA fields as `EREF+`, `SVWZ+` …; 30 the bank, 31 the account, 32 and 33 the name, 38 the IBAN.
- `/EREF/…//CNTP/iban/bic/name//REMI/USTD//…/`: code words between slashes (Dutch banks, and SWIFT's own).
- anything else is free text, one remittance line for each line.
"""

import re
from dataclasses import dataclass, field

_SUBFIELD_WIDTH = 27

_STRUCTURED = re.compile(r"(\d{3})([?>~<&^@])(?=\d\d)")
_SEPA_TAG = re.compile(r"(?:^|(?<=\s))(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP)\+")
# Some banks append the same fields once more in words ("… BIC: BYLADEMM ABWA: …"); a reference ends before them.
_IN_WORDS = re.compile(r"\s(?:EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|IBAN|BIC): ")
_CODED = re.compile(r"/[A-Z]{2,8}/")
_CODE = re.compile(
    r"/(EREF|PREF|KREF|MARF|CSID|CNTP|REMI|PURP|RTRN|ULTD|ULTC|ULTB|TRTP|TRCD|IBAN|BIC|NAME|ORDP|BENM|ADDR|CITY|ID|ISDT|CREF"
    r"|OCMT|CHGS|EXCH|SVCL|INIT|ACCW)/"
)
_NO_REFERENCE = frozenset(("", "NONREF", "NOTPROVIDED"))
_PURPOSE = frozenset([f"{number}" for number in (*range(20, 30), *range(60, 64))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """What field 86 says of one entry."""

    transaction_code: str | None = None  # the three digits of the German structure
    end_to_end_id: str | None = None
    customer_reference: str | None = None
    counterparty_name: str | None = None
    counterparty_account: str | None = None
    return_reason: str | None = None
    booking_text: str | None = None
    lines: tuple[str, ...] = field(default=())


def read(text: str) -> Information:
    """Field 86 as it stands in the file, its lines divided by line feeds."""
    lines = [line.rstrip() for line in text.split("\n")]
    joined = "".join(lines).strip()
    structured = _STRUCTURED.match(joined)
    if structured is not None:
        return _structured(structured[1], structured[2], joined[structured.end() - 1 :])
    if _CODED.match(joined) is not None and _CODE.search(joined) is not None:
        return _coded(joined)
    tags = _sepa_tags("\n".join(lines))
    if tags:
        return _with_tags(Information(), tags)
    return Information(lines=tuple(line.strip() for line in lines if line.strip()))


def _structured(code: str, separator: str, text: str) -> Information:
    subfields: dict[str, list[str]] = {}
    purpose: list[str] = []
    pieces = re.split(rf"{re.escape(separator)}(\d\d)", text)
    for number, value in zip(pieces[1::2], pieces[2::2], strict=True):
        if number in _PURPOSE:
            purpose.append(value)
        else:
            subfields.setdefault(number, []).append(value)
    name = _flowed([*subfields.get("32", ()), *subfields.get("33", ())])
    account = "".join(subfields.get("38", subfields.get("31", ()))).strip()
    found = Information(
        transaction_code=code,
        counterparty_name=name or None,
        counterparty_account=account or None,
        booking_text=_flowed(subfields.get("00", [])) or None,
        lines=tuple(line.strip() for line in purpose if line.strip()),
    )
    tags = _sepa_tags(_flowed(purpose))
    return _with_tags(found, tags) if tags else found


def _flowed(parts: list[str]) -> str:
    """Subfields put together: one that fills its width was broken at it and goes on, a shorter one was meant to end."""
    text = ""
    for position, part in enumerate(parts):
        if position and _SEPA_TAG.match(part):
            text += "\n"
        elif position and len(parts[position - 1]) < _SUBFIELD_WIDTH:
            text += " "
        text += part
    return text.strip()


def _sepa_tags(text: str) -> dict[str, str]:
    """The SEPA fields of a purpose by tag; what stands before the first has the tag ""."""
    pieces = _SEPA_TAG.split(text)
    if len(pieces) == 1:
        return {}
    tags = {"": pieces[0].strip()}
    for tag, value in zip(pieces[1::2], pieces[2::2], strict=True):
        tags.setdefault(tag, " ".join(value.split()))
    return tags


def _with_tags(found: Information, tags: dict[str, str]) -> Information:
    remittance = [" ".join(tags[tag].split("\n")) for tag in ("", "SVWZ") if tags.get(tag)]
    return Information(
        transaction_code=found.transaction_code,
        end_to_end_id=_IN_WORDS.split(tags.get("EREF", ""))[0] or None,
        customer_reference=reference(_IN_WORDS.split(tags.get("KREF", ""))[0]),
        counterparty_name=found.counterparty_name,
        counterparty_account=found.counterparty_account or tags.get("IBAN") or None,
        booking_text=found.booking_text,
        lines=tuple(remittance),
    )


def _coded(text: str) -> Information:
    codes: dict[str, str] = {}
    pieces = _CODE.split(text)
    for code, value in zip(pieces[1::2], pieces[2::2], strict=True):
        codes.setdefault(code, value.strip("/ "))
    account, _, rest = codes.get("CNTP", "").partition("/")
    name = rest.partition("/")[2].partition("/")[0]
    remittance = re.sub(r"^(USTD//|STRD/[A-Z]*/)", "", codes.get("REMI", ""))
    return Information(
        end_to_end_id=codes.get("EREF") or None,
        customer_reference=reference(codes.get("PREF")) or reference(codes.get("KREF")),
        counterparty_name=codes.get("NAME") or name.strip() or None,
        counterparty_account=codes.get("IBAN") or account.strip() or None,
        return_reason=codes.get("RTRN") or None,
        booking_text=codes.get("TRTP") or None,
        lines=(remittance.strip(),) if remittance.strip() else (),
    )


def reference(text: str | None) -> str | None:
    """A reference, or None for the words that say there is none ("NONREF") or that it stands elsewhere ("KREF+", "EREF")."""
    text = (text or "").strip()
    if text in _NO_REFERENCE or text.rstrip("+") in ("EREF", "PREF", "KREF", "MREF"):
        return None
    return text
