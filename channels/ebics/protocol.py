"""The bank's own record of what happened to our orders: HAC (XML, after pain.002) and PTK (text).

HAC is evidence: it names each order by the number that the bank gave it. Every step is an OrgnlPmtInfAndSts whose OrgnlPmtInfId
is the action (FILE_UPLOAD, ES_VERIFICATION, ORDER_HAC_FINAL_POS, …); who and what stand in StsRsnInf/Orgtr as proprietary
identifiers, and the result is a reason code. Sources: Deutsche Kreditwirtschaft, Anlage 1 of the DFÜ agreement, on HAC; the same
in several implementations. PTK is text for people; only numbers of orders are looked for in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from channels.channel import Fate
from channels.ebics.errors import BadAnswer, as_bad_answer
from channels.ebics.names import Element
from keys.ebics_auth import parse_message

FINAL_POSITIVE: Final = "ORDER_HAC_FINAL_POS"
FINAL_NEGATIVE: Final = "ORDER_HAC_FINAL_NEG"
_TAKEN: Final = frozenset({("ES_VERIFICATION", "DS01"), ("ES_VERIFICATION", "TS04"), ("VEU_FORWARDING", "DS06")})
"""Steps behind which the order is the bank's: signatures correct, waiting for paper, parked for more signatures (external status
reason codes of ISO 20022). FILE_UPLOAD is none: what comes after it may still refuse the order, and say so here alone."""
BYTES_MAX: Final = 64 * 1024 * 1024  # a step is about a kilobyte
_ENTRIES_MAX: Final = 200_000
_NUMBER: Final = re.compile(r"(?<![A-Z0-9])[A-Z][A-Z0-9]{3}(?![A-Z0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the customer protocol."""

    action: str
    order_id: str | None
    order_type: str | None
    partner_id: str | None
    user_id: str | None
    at: str | None  # as the bank writes it
    reason: str | None
    additional: tuple[str, ...]


def read_hac(data: bytes) -> tuple[Step, ...]:
    """The steps, in the bank's order. Raises `BadAnswer` for what is no customer protocol."""
    with as_bad_answer():
        root = parse_message(data, bytes_max=BYTES_MAX)
    if etree.QName(root).localname != "Document" or "pain.002" not in str(etree.QName(root).namespace):
        raise BadAnswer("structure", "the customer protocol (HAC) is no pain.002 document")
    found = root.findall(".//{*}OrgnlPmtInfAndSts")
    if len(found) > _ENTRIES_MAX:
        raise BadAnswer("content.too-large", f"the customer protocol has more than {_ENTRIES_MAX} steps")
    return tuple(_step(element) for element in found)


def _step(element: Element) -> Step:
    named: dict[str, str] = {}
    for other in element.iterfind(".//{*}Orgtr//{*}Othr"):
        name, value = other.findtext(".//{*}Prtry"), other.findtext("{*}Id")
        if name and value:
            named.setdefault(name.strip(), value.strip())
    return Step(
        action=(element.findtext("{*}OrgnlPmtInfId") or "").strip(),
        order_id=named.get("OrderID"),
        order_type=named.get("AdminOrderType") or named.get("OrderType"),
        partner_id=named.get("PartnerID"),
        user_id=named.get("UserID"),
        at=named.get("TimeStamp"),
        reason=(element.findtext("{*}StsRsnInf/{*}Rsn/{*}Cd") or "").strip() or None,
        additional=tuple((info.text or "").strip() for info in element.iterfind("{*}StsRsnInf/{*}AddtlInf")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a protocol says about one order: where it is, and the step that says so."""

    fate: Fate
    step: Step | None = None


def verdict(steps: Iterable[Step], *, order_id: str, partner_id: str, order_types: frozenset[str], since: datetime) -> Verdict:
    """What the steps say about the order that got this number at that time, or later.

    Numbers come again after a while, so a step counts only when customer and order type fit and its time is told and not before
    `since`. A final step decides, and the last one if there are several; else signatures found correct, or an order that was
    parked, show that the bank has it. A negative end means that the bank holds nothing it would still execute. Silence proves
    nothing, and neither does an upload alone: its signatures may be refused next, which no status report would say.
    """
    final: Step | None = None
    taken: Step | None = None
    for step in steps:
        if step.order_id != order_id or step.partner_id != partner_id or step.order_type not in order_types:
            continue
        if not _not_before(step.at, since):
            continue
        if step.action in {FINAL_POSITIVE, FINAL_NEGATIVE}:
            final = step
        elif (step.action, step.reason) in _TAKEN:
            taken = step
    if final is not None:
        return Verdict(fate=Fate.ARRIVED if final.action == FINAL_POSITIVE else Fate.DID_NOT_ARRIVE, step=final)
    return Verdict(fate=Fate.ARRIVED, step=taken) if taken is not None else Verdict(fate=Fate.UNKNOWN)


def _not_before(told: str | None, since: datetime) -> bool:
    try:
        at = datetime.fromisoformat((told or "").replace("Z", "+00:00"))
    except ValueError:
        return False
    if at.tzinfo is None:
        at = at.replace(tzinfo=since.tzinfo)
    return at >= since


def order_ids_in_ptk(data: bytes) -> frozenset[str]:
    """What looks like the number of an order in the text protocol: a hint where to read, never a proof."""
    return frozenset(_NUMBER.findall(data.decode("latin-1")))
