"""STA: an MT940 made from a camt.053 of the ledger, raw and in the lines banks send.

Source: SWIFT MT940 (Customer Statement Message), fields 20, 25, 28C, 60F, 61, 86, 62F; Deutsche Kreditwirtschaft, DFÜ agreement,
Anlage 3, chapter 8. Only what the ledger's statements hold is told.
"""

from decimal import Decimal

from keys.ebics_auth import parse_message
from simulator.ebics.requests import Element


def mt940(statement: bytes) -> bytes:
    """One message for each Stmt."""
    root = parse_message(statement, bytes_max=512 * 1024 * 1024)
    lines: list[str] = []
    for found in root.iter("{*}Stmt"):
        lines += _message(found)
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")


def _message(statement: Element) -> list[str]:
    account = statement.findtext("{*}Acct/{*}Id/{*}IBAN") or statement.findtext("{*}Acct/{*}Id/{*}Othr/{*}Id") or ""
    number = (statement.findtext("{*}ElctrncSeqNb") or statement.findtext("{*}LglSeqNb") or "1")[-5:]
    lines = [":20:STARTUMSE", f":25:{account[:35]}", f":28C:{number.zfill(5)}/001"]
    balances = {balance.findtext("{*}Tp/{*}CdOrPrtry/{*}Cd"): balance for balance in statement.iterfind("{*}Bal")}
    opening = balances.get("OPBD")
    if opening is None:
        opening = balances.get("PRCD")
    if opening is not None:
        lines.append(f":60F:{_balance(opening)}")
    for entry in statement.iterfind("{*}Ntry"):
        lines += _entry(entry)
    if (closing := balances.get("CLBD")) is not None:
        lines.append(f":62F:{_balance(closing)}")
    return [*lines, "-"]


def _balance(balance: Element) -> str:
    amount = balance.find("{*}Amt")
    currency = "EUR" if amount is None else amount.get("Ccy") or "EUR"
    return f"{_sign(balance)}{_day(balance, 'Dt')}{currency}{_amount(balance)}"


def _entry(entry: Element) -> list[str]:
    reference = entry.findtext("{*}NtryDtls/{*}TxDtls/{*}Refs/{*}EndToEndId") or "NONREF"
    bank = entry.findtext("{*}AcctSvcrRef") or ""
    value, booked = _day(entry, "ValDt") or _day(entry, "BookgDt"), _day(entry, "BookgDt")
    line = f":61:{value}{booked[2:]}{_sign(entry)}{_amount(entry)}NTRF{reference[:16]}" + (f"//{bank[:16]}" if bank else "")
    text = entry.findtext("{*}NtryDtls/{*}TxDtls/{*}RmtInf/{*}Ustrd") or ""
    return [line, f":86:166?00TRANSFER?20EREF+{reference[:22]}?21{text[:27]}"]


def _sign(element: Element) -> str:
    return "C" if element.findtext("{*}CdtDbtInd") == "CRDT" else "D"


def _day(element: Element, name: str) -> str:
    day = element.findtext(f"{{*}}{name}/{{*}}Dt") or (element.findtext(f"{{*}}{name}/{{*}}DtTm") or "")[:10]
    return day[2:].replace("-", "")


def _amount(element: Element) -> str:
    amount = Decimal((element.findtext("{*}Amt") or "0").strip())
    text = f"{amount:f}".replace(".", ",")
    return text if "," in text else f"{text},"
