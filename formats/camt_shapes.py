"""What is wanted of a camt.052, .053 or .054, by path, in the names of all versions; and the small records made of it.

Source of paths: ISO 20022 message definition reports "Bank-to-Customer Cash Management", versions .01 to .14. Where versions name
a thing differently (.01: RtrRsn, PrtryAcct, RfrdDocNb; .02: BIC; .08 on: Pty between role and name, Sts/Cd), all names are read
in all versions, because banks mix them.
"""

from typing import Any

from formats.pain002 import REASON
from formats.report import (
    AccountIdentification,
    Availability,
    Balance,
    Charge,
    DetailedAmount,
    Party,
    StructuredRemittance,
)
from formats.shapes import OWN, Each, Many, Shape, Target
from formats.twins import quick

STATEMENTS = frozenset(("Stmt", "Rpt", "Ntfctn"))


def under(prefix: str, paths: dict[str, str], slot: str = "") -> dict[str, Target]:
    """The paths below `prefix`, their slots with `slot` before them."""
    return {f"{prefix}/{path}": slot + name for path, name in paths.items()}


_ACCOUNT_IDS = {"Id/IBAN": "iban", "Id/Othr/Id": "other", "Id/BBAN": "other", "Id/UPIC": "other", "Id/PrtryAcct/Id": "other"}
_PARTY_ACCOUNT = dict.fromkeys(_ACCOUNT_IDS, "account")
_MONEY: dict[str, Target] = {"Amt": "amount", "Amt@Ccy": "currency"}
_EXCHANGE = {"SrcCcy": "source_currency", "TrgtCcy": "target_currency", "UnitCcy": "unit_currency", "XchgRate": "exchange_rate"}

_AVAILABILITY = Shape({"Dt/ActlDt": "date", "Dt/NbOfDays": "days", **_MONEY, "CdtDbtInd": "credit_debit"})
BALANCE = Shape(
    {
        "Tp/CdOrPrtry/Cd": "type",
        "Tp/CdOrPrtry/Prtry": "type",
        "Tp/Cd": "type",
        "Tp/Prtry": "type",
        "Tp/SubTp/Cd": "sub_type",
        "Tp/SubTp/Prtry": "sub_type",
        **_MONEY,
        "CdtDbtInd": "credit_debit",
        "Dt/Dt": "date",
        "Dt/DtTm": "date",
        "Avlbty": Each("availability", _AVAILABILITY),
    }
)
ADDITIONAL = ("AddtlStmtInf", "AddtlRptInf", "AddtlNtfctnInf")
_PAGINATION = {f"{name}/{path}": slot for name in ("StmtPgntn", "RptPgntn", "NtfctnPgntn") for path, slot in
               (("PgNb", "page"), ("LastPgInd", "last_page"))}  # fmt: skip

STATEMENT = Shape(
    {
        "Id": "id",
        "ElctrncSeqNb": "electronic_sequence",
        "LglSeqNb": "legal_sequence",
        "CreDtTm": "created",
        "FrToDt/FrDtTm": "from",
        "FrToDt/FrDt": "from",
        "FrToDt/ToDtTm": "until",
        "FrToDt/ToDt": "until",
        **under("Acct", _ACCOUNT_IDS),
        "Acct/Ccy": "currency",
        **under("RltdAcct", _ACCOUNT_IDS, "related_"),
        "RltdAcct/Ccy": "related_currency",
        "Bal": Each("balances", BALANCE),
        **_PAGINATION,
        **dict.fromkeys(ADDITIONAL, Many("information")),
        "Ntry": OWN,
    }
)
STATEMENT_TAIL = Shape({"Bal": Each("balances", BALANCE), **dict.fromkeys(ADDITIONAL, Many("information")), "Ntry": OWN})
"""After the first entry: the survey has told the balances and the additional information of these already."""

_CHARGE: dict[str, Target] = {
    **_MONEY,
    "CdtDbtInd": "credit_debit",
    "ChrgInclInd": "included",
    "Tp/Cd": "type",
    "Tp/Prtry": "type",
    "Tp/Prtry/Id": "type",
    "Br": "bearer",
}
_CHARGES = Shape({**_CHARGE, "Rcrd": Each("records", Shape(_CHARGE))})  # Rcrd since .04; before it one Chrgs each
_AMOUNT = Shape({**_MONEY, **under("CcyXchg", _EXCHANGE)})
_AMOUNT_KINDS = {
    "InstdAmt": "instructed",
    "TxAmt": "transaction",
    "CntrValAmt": "counter_value",
    "AnncdPstngAmt": "announced",
    "PrtryAmt": "proprietary",
}
_AMOUNT_SLOTS = {kind: f"{kind}_amount" for kind in _AMOUNT_KINDS.values()}
_CODE: dict[str, str] = {
    "BkTxCd/Domn/Cd": "domain",
    "BkTxCd/Domn/Fmly/Cd": "family",
    "BkTxCd/Domn/Fmly/SubFmlyCd": "sub_family",
    "BkTxCd/Prtry/Cd": "proprietary",
}
_MONEY_DETAILS: dict[str, Target] = {
    **_MONEY,
    "CdtDbtInd": "credit_debit",
    **{f"AmtDtls/{name}": Each(_AMOUNT_SLOTS[kind], _AMOUNT) for name, kind in _AMOUNT_KINDS.items()},
    "Chrgs": Each("charges", _CHARGES),
    "Avlbty": Each("availability", _AVAILABILITY),
    **_CODE,
}
BATCH = {"MsgId": "batch_message_id", "PmtInfId": "batch_payment_information_id", "NbOfTxs": "batch_count"}
ENTRY = Shape(
    {
        **_MONEY_DETAILS,
        "NtryRef": "entry_reference",
        "RvslInd": "reversal",
        "Sts": "status",
        "Sts/Cd": "status",
        "Sts/Prtry": "status",
        "BookgDt/Dt": "booking_date",
        "BookgDt/DtTm": "booking_date",
        "ValDt/Dt": "value_date",
        "ValDt/DtTm": "value_date",
        "AcctSvcrRef": "account_servicer_reference",
        "AddtlNtryInf": "additional_information",
        **under("Btch", BATCH),
        "NtryDtls": OWN,
        "TxDtls": OWN,
    }
)
DETAILS = Shape({**under("Btch", BATCH), "TxDtls": OWN})
DETAILS_OF_MORE = Shape({"TxDtls": OWN})  # once the entry has its batch


def _side(role: str, slot: str) -> dict[str, Target]:
    """The debtor or the creditor: name, account and ultimate party. A party may be an agent since .08."""
    names = {"Nm": "name", "Pty/Nm": "name", "Agt/FinInstnId/Nm": "name"}
    return {
        **under(f"RltdPties/{role}", names, slot),
        **under(f"RltdPties/Ultmt{role}", names, f"ultimate_{slot}"),
        **under(f"RltdPties/{role}Acct", _PARTY_ACCOUNT, slot),
        f"RltdAgts/{role}Agt/FinInstnId/BICFI": f"{slot}bic",
        f"RltdAgts/{role}Agt/FinInstnId/BIC": f"{slot}bic",
        f"RltdAgts/{role}Agt/FinInstnId/CmbndId/BIC": f"{slot}bic",
    }


_STRUCTURED = Shape(
    {
        "RfrdDocInf/Tp/CdOrPrtry/Cd": "document_type",
        "RfrdDocInf/Tp/CdOrPrtry/Prtry": "document_type",
        "RfrdDocInf/RfrdDocTp/Cd": "document_type",
        "RfrdDocInf/RfrdDocTp/Prtry": "document_type",
        "RfrdDocInf/Nb": "document_number",
        "RfrdDocInf/RfrdDocNb": "document_number",
        "RfrdDocInf/RltdDt": "document_date",
        "RfrdDocInf/RltdDt/Dt": "document_date",
        "RfrdDocRltdDt": "document_date",
        "RfrdDocAmt/RmtdAmt": "remitted_amount",
        "RfrdDocAmt/RmtdAmt@Ccy": "remitted_currency",
        "CdtrRefInf/Tp/CdOrPrtry/Cd": "creditor_reference_type",
        "CdtrRefInf/Tp/CdOrPrtry/Prtry": "creditor_reference_type",
        "CdtrRefInf/CdtrRefTp/Cd": "creditor_reference_type",
        "CdtrRefInf/CdtrRefTp/Prtry": "creditor_reference_type",
        "CdtrRefInf/Ref": "creditor_reference",
        "CdtrRefInf/CdtrRef": "creditor_reference",
        "AddtlRmtInf": Many("additional_information"),
    }
)
TRANSACTION = Shape(
    {
        "Refs/MsgId": "message_id",
        "Refs/AcctSvcrRef": "account_servicer_reference",
        "Refs/PmtInfId": "payment_information_id",
        "Refs/InstrId": "instruction_id",
        "Refs/EndToEndId": "end_to_end_id",
        "Refs/UETR": "uetr",
        "Refs/TxId": "transaction_id",
        "Refs/MndtId": "mandate_id",
        "Refs/ClrSysRef": "clearing_reference",
        **_MONEY_DETAILS,
        **_side("Dbtr", "debtor_"),
        **_side("Cdtr", "creditor_"),
        "Purp/Cd": "purpose",
        "Purp/Prtry": "purpose",
        "RmtInf/Ustrd": Many("lines"),
        "RmtInf/Strd": Each("structured", _STRUCTURED),
        "RtrInf": Each("reasons", REASON),
        "AddtlTxInf": "additional_information",
    }
)


def account_of(found: dict[str, Any], slot: str = "") -> AccountIdentification:
    """The account whose slots begin with `slot`."""
    get = found.get
    return AccountIdentification(iban=get(f"{slot}iban"), other_id=get(f"{slot}other"), currency=get(f"{slot}currency"))


def balance_of(found: dict[str, Any]) -> Balance:
    """One balance; what the bank left out is None."""
    get = found.get
    return Balance(
        type=get("type"),
        amount=get("amount"),
        currency=get("currency"),
        credit_debit=get("credit_debit"),
        date=get("date"),
        sub_type=get("sub_type"),
        availability=availability_of(found),
    )


def availability_of(found: dict[str, Any]) -> tuple[Availability, ...]:
    """When how much of it can be used."""
    items = found.get("availability")
    return () if items is None else tuple(Availability(**item) for item in items if item)


def charges_of(found: dict[str, Any]) -> tuple[Charge, ...]:
    """Every charge, whichever generation of the message it is said in."""
    items = found.get("charges")
    if items is None:
        return ()
    charges: list[Charge] = []
    for item in items:
        records = item.pop("records", [])
        charges += [Charge(**one) for one in (item, *records) if one]
    return tuple(charges)


def amounts_of(found: dict[str, Any]) -> tuple[DetailedAmount, ...]:
    """The amounts beside the booked one."""
    if found.keys().isdisjoint(_AMOUNT_SLOTS.values()):
        return ()
    return tuple(
        DetailedAmount(kind=kind, **item) for kind, slot in _AMOUNT_SLOTS.items() for item in found.get(slot, ()) if item
    )


def code_of(found: dict[str, Any]) -> tuple[str | None, str | None]:
    """The bank transaction code, and the proprietary one where it stands beside ISO's."""
    parts = [found[part] for part in ("domain", "family", "sub_family") if part in found]
    proprietary: str | None = found.get("proprietary")
    return ("-".join(parts), proprietary) if parts else (proprietary, None)


_party = quick(Party)
_PARTY_SLOTS = {
    role: (f"{role}_name", f"{role}_account", f"{role}_bic")
    for role in ("debtor", "creditor", "ultimate_debtor", "ultimate_creditor")
}


def party_of(found: dict[str, Any], role: str) -> Party | None:
    """The debtor, the creditor or an ultimate one, if anything is said of it."""
    name, account, bic = map(found.get, _PARTY_SLOTS[role])
    return None if name is None and account is None and bic is None else _party(name=name, account=account, agent_bic=bic)


def structured_of(found: dict[str, Any]) -> tuple[StructuredRemittance, ...]:
    """Each structured remittance that says something in the fields it has here."""
    items = found.get("structured")
    if items is None:
        return ()
    return tuple(
        StructuredRemittance(
            document_type=item.get("document_type"),
            document_number=item.get("document_number"),
            document_date=item.get("document_date"),
            amount=item.get("remitted_amount"),
            currency=item.get("remitted_currency"),
            creditor_reference_type=item.get("creditor_reference_type"),
            creditor_reference=item.get("creditor_reference"),
            additional_information=tuple(item.get("additional_information", ())),
        )
        for item in items
        if item
    )
