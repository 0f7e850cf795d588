"""The bank that is asked to cancel what it was sent: reads camt.055, answers with camt.029.

By hand from the message definitions ("Customer Payment Cancellation Request" V05 to V12, "Resolution Of Investigation" V09),
sharing nothing with `formats/`. The books do not change: the bank promises or refuses, as its mood says. Without a mood a payment
that it executed is being looked into (PDCR), and one that it never had is refused (NOOR, no original transaction received).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree

RESOLUTION: Final = "camt.029.001.09"
STATUSES: Final = ("ACCR", "RJCR", "PDCR")
SILENT: Final = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One payment that is to be cancelled, by the ids that the request has of it; "" where it has none."""

    request_id: str  # [Assgnmt/Id]
    case_id: str
    cancellation_id: str
    message_id: str
    message_name: str
    block_id: str
    instruction_id: str
    end_to_end_id: str
    amount: str
    currency: str


def wishes(file: Path) -> tuple[Wish, ...] | None:
    """What a camt.055 asks for; None for any other file, which is the ledger's to judge."""
    try:
        root = etree.parse(str(file), etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)).getroot()
    except (etree.XMLSyntaxError, OSError):
        return None
    request = root.find("{*}CstmrPmtCxlReq")
    if request is None:
        return None
    found = []
    for underlying in request.iterfind("{*}Undrlyg"):
        for block in underlying.iterfind("{*}OrgnlPmtInfAndCxl"):
            for single in block.iterfind("{*}TxInf"):
                amount = single.find("{*}OrgnlInstdAmt")
                found.append(
                    Wish(
                        request_id=_text(request, "Assgnmt/Id"),
                        case_id=_text(request, "Case/Id"),
                        cancellation_id=_text(single, "CxlId"),
                        message_id=_text(block, "OrgnlGrpInf/OrgnlMsgId") or _text(underlying, "OrgnlGrpInfAndCxl/OrgnlMsgId"),
                        message_name=_text(block, "OrgnlGrpInf/OrgnlMsgNmId")
                        or _text(underlying, "OrgnlGrpInfAndCxl/OrgnlMsgNmId"),
                        block_id=_text(block, "OrgnlPmtInfId"),
                        instruction_id=_text(single, "OrgnlInstrId"),
                        end_to_end_id=_text(single, "OrgnlEndToEndId"),
                        amount="" if amount is None else (amount.text or "").strip(),
                        currency="" if amount is None else amount.get("Ccy", ""),
                    )
                )
    return tuple(found)


def verdict(wish: Wish, payments: Iterable[Mapping[str, Any]], mood: str | None) -> tuple[str, str]:
    """Status and reason code ("" for none). `mood`: "ACCR", "RJCR/CUST", … where one is on."""
    if mood is not None:
        status, _, reason = mood.partition("/")
        return status, reason
    known = any(
        row["executed"] and row["message_id"] == wish.message_id and row["instruction_id"] == (wish.instruction_id or None)
        for row in payments
    )
    return ("PDCR", "") if known else ("RJCR", "NOOR")


def resolution(number: int, created: str, answers: Iterable[tuple[Wish, str, str]]) -> bytes:
    """The camt.029 about one request: what is said of each of its payments (status, reason)."""
    judged = list(answers)
    case_id = judged[0][0].case_id
    case = f"<RslvdCase><Id>{escape(case_id)}</Id><Cretr><Pty><Nm>Customer</Nm></Pty></Cretr></RslvdCase>" if case_id else ""
    statuses = {status for _, status, _ in judged}
    whole = {"ACCR": "CNCL", "RJCR": "RJCR", "PDCR": "PDCR"}[statuses.pop()] if len(statuses) == 1 else "PECR"
    details = "".join(_answer(f"SIM-CXL-{number}-{place}", *one) for place, one in enumerate(judged, 1))
    parties = "".join(f"<{tag}><Pty><Nm>{name}</Nm></Pty></{tag}>" for tag, name in (("Assgnr", "Bank"), ("Assgne", "Customer")))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{RESOLUTION}"><RsltnOfInvstgtn>'
        f"<Assgnmt><Id>SIM-CXL-{number}</Id>{parties}<CreDtTm>{created}</CreDtTm></Assgnmt>{case}"
        f"<Sts><Conf>{whole}</Conf></Sts><CxlDtls>{details}</CxlDtls></RsltnOfInvstgtn></Document>\n"
    ).encode()


def _answer(own_id: str, wish: Wish, status: str, reason: str) -> str:
    why = f"<CxlStsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></CxlStsRsnInf>" if reason else ""
    singles = (
        ("CxlStsId", own_id),
        ("OrgnlInstrId", wish.instruction_id),
        ("OrgnlEndToEndId", wish.end_to_end_id),
    )
    ids = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in singles if value)
    amount = f'<OrgnlInstdAmt Ccy="{wish.currency}">{wish.amount}</OrgnlInstdAmt>' if wish.amount else ""
    original = f"<OrgnlMsgId>{escape(wish.message_id)}</OrgnlMsgId><OrgnlMsgNmId>{escape(wish.message_name)}</OrgnlMsgNmId>"
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{escape(wish.block_id)}</OrgnlPmtInfId><OrgnlGrpInf>{original}</OrgnlGrpInf>"
        f"<TxInfAndSts>{ids}<TxCxlSts>{status}</TxCxlSts>{why}{amount}</TxInfAndSts></OrgnlPmtInfAndSts>"
    )


def _text(parent: Any, path: str) -> str:
    found = parent.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return "" if found is None or found.text is None else str(found.text).strip()
