"""What the bank tells about itself and its customers: HTD, HKD, HAA, HPD, and the customer protocols HAC and PTK.

Sources: schemas H004 and H005, ebics_orders; HAC: Deutsche Kreditwirtschaft, DFÜ agreement, Anlage 1, on the customer protocol
after pain.002.001.03, with reason codes of ISO 20022 (ExternalStatusReason1Code).
"""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from simulator.ebics.archive import Step
from simulator.ebics.catalogue import (
    ADMINISTRATIVE,
    DOWNLOAD_SERVICES,
    DOWNLOAD_TYPES,
    UPLOAD_SERVICES,
    UPLOAD_TYPES,
)
from simulator.ebics.names import Version
from simulator.ebics.settings import EbicsDoorSettings
from simulator.ebics.subscribers import USER_STATUS, User

_HAC = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"


def customer_data(version: Version, order_type: str, users: Iterable[User], accounts: Iterable[str], host_id: str) -> bytes:
    """HTD with one user, HKD with all of the customer."""
    parts = "".join(
        f'<AccountInfo ID="A{number}"><AccountNumber international="true">{escape(account)}</AccountNumber></AccountInfo>'
        for number, account in enumerate(accounts, 1)
    )
    partner = (
        f"<PartnerInfo><AddressInfo><Name>Customer</Name></AddressInfo><BankInfo><HostID>{host_id}</HostID></BankInfo>"
        f"{parts}{_orders(version)}</PartnerInfo>"
    )
    return _document(version, order_type, partner + "".join(_user(version, user) for user in users))


def bank_data(version: Version, url: str, settings: EbicsDoorSettings) -> bytes:
    """HPD."""
    versions = " ".join(settings.versions)
    recovery = "true" if settings.recoveries_max else "false"
    inside = (
        f"<AccessParams><URL>{escape(url)}</URL><Institute>bankgate simulator</Institute><HostID>{settings.host_id}</HostID>"
        f"</AccessParams><ProtocolParams><Version><Protocol>{versions}</Protocol><Authentication>X002</Authentication>"
        f"<Encryption>E002</Encryption><Signature>A005 A006</Signature></Version>"
        f'<Recovery supported="{recovery}"/><PreValidation supported="false"/><ClientDataDownload supported="true"/>'
        f'<DownloadableOrderData supported="true"/></ProtocolParams>'
    )
    return _document(version, "HPD", inside)


def available(version: Version, kinds: Iterable[str]) -> bytes:
    """HAA: what a download would give data for now. `kinds` are the kinds of files on offer."""
    waiting = set(kinds)
    if version.is_h005:
        services = [service for service, (kind, _) in DOWNLOAD_SERVICES.items() if kind in waiting]
        return _document(version, "HAA", "".join(f"<Service>{service.xml()}</Service>" for service in services))
    types = [order_type for order_type, (kind, _, _) in DOWNLOAD_TYPES.items() if kind in waiting]
    return _document(version, "HAA", f"<OrderTypes>{' '.join(types)}</OrderTypes>")


def hac(host_id: str, number: int, created: str, steps: Iterable[Step], version: Version) -> bytes:
    """The customer protocol in XML: one OrgnlPmtInfAndSts a step."""
    kind = "AdminOrderType" if version.is_h005 else "OrderType"
    blocks = "".join(_hac_step(step, kind) for step in steps)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_HAC}"><CstmrPmtStsRpt><GrpHdr><MsgId>HAC{number}</MsgId>'
        f"<CreDtTm>{created}</CreDtTm><InitgPty><Nm>{host_id}</Nm></InitgPty></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>EBICS</OrgnlMsgId><OrgnlMsgNmId>EBICS</OrgnlMsgNmId></OrgnlGrpInfAndSts>{blocks}"
        "</CstmrPmtStsRpt></Document>"
    ).encode()


def ptk(host_id: str, steps: Iterable[Step]) -> bytes:
    """The customer protocol as text for people."""
    lines = [f"PTK  {host_id}", "-" * 72]
    for step in steps:
        lines.append(f"{step.at}  {step.order_id}  {step.order_type}  {step.user_id}  {step.action}  {step.reason}".rstrip())
        if step.text:
            lines.append(f"    {step.text}")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")


def _hac_step(step: Step, kind: str) -> str:
    named = {
        "TimeStamp": step.at,
        "PartnerID": step.partner_id,
        "UserID": step.user_id,
        kind: step.order_type,
        "OrderID": step.order_id,
    }
    others = "".join(
        f"<Othr><Id>{escape(value)}</Id><SchmeNm><Prtry>{name}</Prtry></SchmeNm></Othr>" for name, value in named.items()
    )
    reason = f"<Rsn><Cd>{step.reason}</Cd></Rsn>" if step.reason else ""
    text = f"<AddtlInf>{escape(step.text)}</AddtlInf>" if step.text else ""
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{step.action}</OrgnlPmtInfId><StsRsnInf><Orgtr><Id><OrgId>{others}</OrgId></Id></Orgtr>"
        f"{reason}{text}</StsRsnInf></OrgnlPmtInfAndSts>"
    )


def _document(version: Version, order_type: str, inside: str) -> bytes:
    name = f"{order_type}ResponseOrderData"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{version.namespace}">{inside}</{name}>'.encode()


def _orders(version: Version) -> str:
    if version.is_h005:
        rows = [("BTU", f"<Service>{service.xml()}</Service>", service.label, 1) for service in UPLOAD_SERVICES]
        rows += [("BTD", f"<Service>{service.xml()}</Service>", service.label, 0) for service in DOWNLOAD_SERVICES]
        rows += [(order_type, "", order_type, 0) for order_type in ADMINISTRATIVE]
        return "".join(
            f"<OrderInfo><AdminOrderType>{order_type}</AdminOrderType>{service}<Description>{escape(text)}</Description>"
            f"<NumSigRequired>{signatures}</NumSigRequired></OrderInfo>"
            for order_type, service, text, signatures in rows
        )
    named = [(order_type, "Upload", text, 1) for order_type, text in UPLOAD_TYPES.items()]
    named += [(order_type, "Download", text, 0) for order_type, (_, _, text) in DOWNLOAD_TYPES.items()]
    named += [(order_type, "Download", order_type, 0) for order_type in ADMINISTRATIVE]
    return "".join(
        f"<OrderInfo><OrderType>{order_type}</OrderType><TransferType>{direction}</TransferType>"
        f"<Description>{escape(text)}</Description><NumSigRequired>{signatures}</NumSigRequired></OrderInfo>"
        for order_type, direction, text, signatures in named
    )


def _user(version: Version, user: User) -> str:
    level = f' AuthorisationLevel="{user.settings.level}"'
    if version.is_h005:
        rights = [(f"<Service>{service.xml()}</Service>", "BTU", level) for service in UPLOAD_SERVICES if user.may("BTU")]
        rights += [(f"<Service>{service.xml()}</Service>", "BTD", "") for service in DOWNLOAD_SERVICES if user.may("BTD")]
        rights += [("", order_type, "") for order_type in ADMINISTRATIVE if user.may(order_type)]
        permissions = "".join(
            f"<Permission{attribute}><AdminOrderType>{order_type}</AdminOrderType>{service}</Permission>"
            for service, order_type, attribute in rights
        )
    else:
        up, down = (" ".join(filter(user.may, types)) for types in (UPLOAD_TYPES, (*DOWNLOAD_TYPES, *ADMINISTRATIVE)))
        permissions = "".join(
            f"<Permission{attribute}><OrderTypes>{types}</OrderTypes></Permission>"
            for attribute, types in ((level, up), ("", down))
            if types
        )
    status = USER_STATUS[user.state]
    return (
        f'<UserInfo><UserID Status="{status}">{user.id}</UserID><Name>{escape(user.settings.name)}</Name>{permissions}</UserInfo>'
    )
