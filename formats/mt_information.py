"""Field 86 of MT940 and MT942, Information to Account Owner: the styles banks write it in.

SWIFT leaves the field free (Standards MT, category 9: 6 lines of 65), so three styles are known apart by how they begin:

- `166?00…?20EREF+…?32…`: the German structure (Deutsche Kreditwirtschaft, Anlage 3 of the DFÜ agreement, chapter 8): a business
  transaction code of three digits, then subfields of 27 characters. 20 to 29 and 60 to 63 are the purpose, which itself holds
  the SEPA fields as `EREF+`, `SVWZ+` …; 30 the bank, 31 the account, 32 and 33 the name, 38 the IBAN.
- `/EREF/…//CNTP/iban/bic/name//REMI/USTD//…/`: code words between slashes (Dutch banks, and SWIFT's own).
- anything else is free text, one remittance line for each line.
"""

import re
from dataclasses import dataclass, field, replace

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
_REMITTANCE_KIND = re.compile(r"USTD//|STRD/[A-Z]*/")
_BIC = re.compile(r"[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
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
    counterparty_agent_bic: str | None = None
    purpose: str | None = None
    mandate_id: str | None = None
    lines: tuple[str, ...] = field(default=())
    more: tuple[tuple[str, str], ...] = field(default=())  # (":86:/…", value) of what has no field; a path may come again


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
    bank = "".join(subfields.get("30", ())).strip()
    bic = bank if _BIC.fullmatch(bank) else None
    used = {"00", "32", "33", "38" if "38" in subfields else "31", *(("30",) if bic else ())}
    found = Information(
        transaction_code=code,
        counterparty_name=name or None,
        counterparty_account=account or None,
        booking_text=_flowed(subfields.get("00", [])) or None,
        counterparty_agent_bic=bic,
        lines=tuple(line.strip() for line in purpose if line.strip()),
        more=tuple((f":86:/?{number}", value) for number, values in subfields.items() if number not in used for value in values),
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


def _sepa_tags(text: str) -> dict[str, list[str]]:
    """The SEPA fields of a purpose by tag; what stands before the first has the tag ""."""
    pieces = _SEPA_TAG.split(text)
    if len(pieces) == 1:
        return {}
    tags = {"": [pieces[0].strip()]}
    for tag, value in zip(pieces[1::2], pieces[2::2], strict=True):
        tags.setdefault(tag, []).append(" ".join(value.split()))
    return tags


def _with_tags(found: Information, tags: dict[str, list[str]]) -> Information:
    def first(tag: str) -> str:
        return tags.get(tag, [""])[0]

    end_to_end_id, customer_reference = _IN_WORDS.split(first("EREF"))[0], reference(_IN_WORDS.split(first("KREF"))[0])
    bic = first("BIC") if _BIC.fullmatch(first("BIC")) else ""
    taken = {"": first(""), "SVWZ": first("SVWZ"), "EREF": end_to_end_id, "KREF": customer_reference or first("KREF")}
    taken |= {"MREF": first("MREF"), "PURP": first("PURP")}
    if found.counterparty_account is None:
        taken["IBAN"] = first("IBAN")
    if found.counterparty_agent_bic is None:
        taken["BIC"] = bic
    beside = tuple(
        (f":86:/{tag}+", value)
        for tag, values in tags.items()
        for place, value in enumerate(values)
        if place or value != taken.get(tag)
    )
    return replace(
        found,
        end_to_end_id=end_to_end_id or None,
        customer_reference=customer_reference,
        counterparty_account=found.counterparty_account or first("IBAN") or None,
        counterparty_agent_bic=found.counterparty_agent_bic or bic or None,
        purpose=first("PURP") or None,
        mandate_id=first("MREF") or None,
        lines=tuple(" ".join(first(tag).split("\n")) for tag in ("", "SVWZ") if first(tag)),
        more=(*found.more, *beside),
    )


def _coded(text: str) -> Information:
    pieces = _CODE.split(text)
    codes: dict[str, str] = {}
    more = [(":86:", pieces[0])]
    taken = {"EREF", "RTRN", "TRTP", "NAME", "IBAN", "REMI", "CNTP", "PURP", "MARF", "BIC", "PREF", "KREF"}
    for code, value in zip(pieces[1::2], pieces[2::2], strict=True):
        if code in codes or code not in taken:
            more.append((f":86:/{code}/", value.strip("/ ")))
        codes.setdefault(code, value.strip("/ "))
    account, _, rest = codes.get("CNTP", "").partition("/")
    bic, _, rest = rest.partition("/")
    name, _, rest = rest.partition("/")
    prefix = _REMITTANCE_KIND.match(codes.get("REMI", ""))
    remittance = codes.get("REMI", "")[prefix.end() if prefix else 0 :]
    if prefix is not None and prefix[0].startswith("STRD"):
        more.append((":86:/REMI/", prefix[0].strip("/")))
    if "NAME" in codes or "IBAN" in codes or "BIC" in codes:
        more.append((":86:/CNTP/", codes.get("CNTP", "")))
    else:
        more.append((":86:/CNTP/", rest))
    references = [reference(codes.get("PREF")), reference(codes.get("KREF"))]
    if references[0] is not None and references[1] is not None:
        more.append((":86:/KREF/", references[1]))
    return Information(
        end_to_end_id=codes.get("EREF") or None,
        customer_reference=references[0] or references[1],
        counterparty_name=codes.get("NAME") or name.strip() or None,
        counterparty_account=codes.get("IBAN") or account.strip() or None,
        return_reason=codes.get("RTRN") or None,
        booking_text=codes.get("TRTP") or None,
        counterparty_agent_bic=codes.get("BIC") or bic.strip() or None,
        purpose=codes.get("PURP") or None,
        mandate_id=codes.get("MARF") or None,
        lines=(remittance.strip(),) if remittance.strip() else (),
        more=tuple((path, value) for path, value in more if value.strip("/ ")),
    )


def reference(text: str | None) -> str | None:
    """A reference, or None for the words that say there is none ("NONREF") or that it stands elsewhere ("KREF+", "EREF")."""
    text = (text or "").strip()
    if text in _NO_REFERENCE or text.rstrip("+") in ("EREF", "PREF", "KREF", "MREF"):
        return None
    return text
