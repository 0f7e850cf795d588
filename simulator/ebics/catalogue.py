"""What may be ordered: order types of H004, business transaction formats (BTF) of H005, and what each moves.

A BTF fits only when every field of it is the row's, absence included (return code 091005 else). The rows are usual ones of German
and Swiss banks; sources: Deutsche Kreditwirtschaft, DFÜ agreement, Anlage 3, and SIX, "EBICS Swiss Market Practice Guidelines".
"""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from simulator.ebics.names import Fault
from simulator.ebics.requests import Element, Request, child_of, names_of
from simulator.ebics.verifying import OPTION, REPORT

UPLOAD_TYPES: Final = {
    "CCT": "SEPA credit transfers",
    "CTV": "SEPA credit transfers, payees verified first",
    "CCU": "urgent credit transfers",
    "CIP": "instant credit transfers",
    "CIV": "instant credit transfers, payees verified first",
    "XE2": "Swiss credit transfers",
    "CDD": "SEPA direct debits, core",
    "CDB": "SEPA direct debits, B2B",
    "C55": "requests for cancellation, camt.055",  # this bank's own name: no public table that we know has one
    "FUL": "files by name of their format",
}
DOWNLOAD_TYPES: Final = {  # H004: kind of file, whether zipped, description
    "STA": ("mt940", False, "statements, MT940"),
    "VMK": ("mt942", False, "interim transactions, MT942"),
    "C52": ("camt.052", True, "account reports"),
    "C53": ("camt.053", True, "statements"),
    "C54": ("camt.054", True, "notifications"),
    "C29": ("camt.029", True, "answers to requests for cancellation"),  # likewise
    "CRZ": ("pain.002", True, "status reports"),
    "VPZ": (REPORT, True, "results of the verification of payees"),
    "Z01": ("pain.002", True, "status reports, Switzerland"),
    "Z52": ("camt.052", True, "account reports, Switzerland"),
    "Z53": ("camt.053", True, "statements, Switzerland"),
    "Z54": ("camt.054", True, "notifications, Switzerland"),
    "FDL": ("", False, "files by name of their format"),
}
KEY_ORDERS: Final = ("PUB", "HCA", "HCS")
SIGNATURE_ONLY: Final = ("HVE", "HVS", "SPR")
REPORTS: Final = ("HTD", "HKD", "HAA", "HPD", "HAC", "PTK", "HVU", "HVZ", "HVD", "HVT")
ADMINISTRATIVE: Final = (*KEY_ORDERS, *SIGNATURE_ONLY, *REPORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A BTF. "" where an element is not there."""

    name: str
    scope: str = ""
    option: str = ""
    container: str = ""
    message: str
    version: str = ""
    variant: str = ""
    format: str = ""

    @property
    def label(self) -> str:
        return "/".join((self.name, self.scope, self.option, self.container, self.message, self.version))

    def xml(self) -> str:
        """The elements below Service."""
        parts = [f"<ServiceName>{self.name}</ServiceName>"]
        parts += [f"<Scope>{self.scope}</Scope>"] if self.scope else []
        parts += [f"<ServiceOption>{self.option}</ServiceOption>"] if self.option else []
        parts += [f'<Container containerType="{self.container}"/>'] if self.container else []
        attributes = f' version="{self.version}"' if self.version else ""
        return "".join(parts) + f"<MsgName{attributes}>{self.message}</MsgName>"


def _rows(
    name: str, scope: str, message: str, versions: tuple[str, ...], *, option: str = "", container: str = ""
) -> list[Service]:
    return [
        Service(name=name, scope=scope, option=option, container=container, message=message, version=version)
        for version in versions
    ]


UPLOAD_SERVICES: Final = (
    *_rows("SCT", "DE", "pain.001", ("", "03", "09")),
    *_rows("SCT", "", "pain.001", ("", "09")),
    *_rows("SCT", "DE", "pain.001", ("", "09"), option="URG"),
    *(
        row
        for scope in ("DE", "AT", "")
        for name in ("SCT", "SCI")
        for row in _rows(name, scope, "pain.001", ("",), option=OPTION)
    ),
    *_rows("SCI", "DE", "pain.001", ("", "03", "09")),
    *_rows("SCI", "", "pain.001", ("", "09")),
    *_rows("MCT", "CH", "pain.001", ("", "03", "09")),
    *_rows("SCT", "DE", "camt.055", ("", "09")),
    *_rows("SDD", "DE", "pain.008", ("", "02", "08"), option="COR"),
    *_rows("SDD", "DE", "pain.008", ("", "02", "08"), option="B2B"),
)
DOWNLOAD_SERVICES: Final = {
    service: (kind, service.container == "ZIP")
    for kind, service_name, swiss_version in (
        ("camt.053", "EOP", "08"),
        ("camt.052", "STM", "08"),
        ("camt.054", "REP", "08"),
        ("pain.002", "PSR", "10"),
    )
    for scope in ("DE", "CH", "")
    for container in ("ZIP", "")
    for version in ("", swiss_version)
    for service in _rows(service_name, scope, kind, (version,), container=container)
} | {
    Service(name="SCT", scope="DE", container="ZIP", message="camt.029"): ("camt.029", True),
    **{
        Service(name="REP", scope=scope, option="VOP", container="ZIP", message="pain.002"): (REPORT, True)
        for scope in ("DE", "AT", "")
    },
    Service(name="EOP", scope="DE", message="mt940"): ("mt940", False),
    Service(name="STM", scope="DE", message="mt942"): ("mt942", False),
}
_FORMAT: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


def read_service(element: Element) -> Service:
    """A Service element. Raises `Fault` (091010 by its shape)."""
    pattern = "ServiceName( Scope)?( ServiceOption)?( Container)? MsgName"
    if not re.fullmatch(pattern, names_of(element)):
        raise Fault("091010", "Service: ServiceName, Scope, ServiceOption, Container and MsgName, in this order")
    found = {etree.QName(child).localname: child for child in element}
    texts = {name: (child.text or "").strip() for name, child in found.items()}
    message = found["MsgName"]
    return Service(
        name=texts["ServiceName"],
        scope=texts.get("Scope", ""),
        option=texts.get("ServiceOption", ""),
        container=found["Container"].get("containerType", "") if "Container" in found else "",
        message=texts["MsgName"],
        version=message.get("version", ""),
        variant=message.get("variant", ""),
        format=message.get("format", ""),
    )


def params_named(request: Request, name: str) -> Element:
    """The order's parameters, which must be these. Raises `Fault` (091112)."""
    params = request.params
    if params is None or etree.QName(params).localname != name:
        raise Fault("091112", f"{request.order_type}: its parameters are {name}")
    return params


def service_of(params: Element) -> Service:
    """The Service of BTU, BTD or an order of the EDS. Raises `Fault`."""
    element = child_of(params, "Service")
    if element is None:
        raise Fault("091010", f"{etree.QName(params).localname}: has no Service")
    return read_service(element)


def upload_label(request: Request, *, flag_content: bool) -> str:
    """The name of what is uploaded: an order type, with the format of FUL, or a BTF. Raises `Fault`."""
    if request.version.is_h005:
        if request.order_type != "BTU":
            raise Fault("091006", f"{request.order_type} is no order of H005 that this bank takes")
        params = params_named(request, "BTUOrderParams")
        service = service_of(params)
        if service not in UPLOAD_SERVICES:
            raise Fault("091005", f"the BTF {service.label} is none of the bank's uploads; every field counts")
        flag = child_of(params, "SignatureFlag")
        if flag is not None and not flag_content and ((flag.text or "").strip() or len(flag)):
            raise Fault("091010", "SignatureFlag: is an empty element")
        return f"BTU {service.label}"
    if request.order_type == "FUL":
        return f"FUL {_file_format(params_named(request, 'FULOrderParams'))}"
    if request.order_type not in UPLOAD_TYPES:
        raise Fault(
            "091006" if request.order_type in DOWNLOAD_TYPES else "091005", f"{request.order_type} is no upload of this bank"
        )
    params_named(request, "StandardOrderParams")
    return request.order_type


def wants_eds(request: Request) -> bool | None:
    """H005: whether missing signatures may follow (requestEDS); None where SignatureFlag is not there. H004: they may."""
    if not request.version.is_h005:
        return True
    flag = None if request.params is None else child_of(request.params, "SignatureFlag")
    return None if flag is None else flag.get("requestEDS") in {"true", "1"}


def download_kind(request: Request) -> tuple[str, bool]:
    """Kind of file ("camt.053") and whether it comes in a ZIP. Raises `Fault`."""
    if request.version.is_h005:
        if request.order_type != "BTD":
            raise Fault("091006", f"{request.order_type} is no order of H005 that this bank takes")
        service = service_of(params_named(request, "BTDOrderParams"))
        if service not in DOWNLOAD_SERVICES:
            raise Fault("091005", f"the BTF {service.label} is none of the bank's downloads; every field counts")
        return DOWNLOAD_SERVICES[service]
    if request.order_type not in DOWNLOAD_TYPES:
        raise Fault("091005", f"{request.order_type} is no order type of this bank")
    if request.order_type == "FDL":
        return ".".join(_file_format(params_named(request, "FDLOrderParams")).split(".")[:2]), False
    params_named(request, "StandardOrderParams")
    kind, zipped, _ = DOWNLOAD_TYPES[request.order_type]
    return kind, zipped


def is_upload(request: Request) -> bool:
    """Whether an order moves data to the bank."""
    return request.order_type in {*UPLOAD_TYPES, *KEY_ORDERS, *SIGNATURE_ONLY, "BTU"}


def date_range(params: Element | None) -> tuple[str, str] | None:
    """First and last day ("2026-11-25"), where a download asks for days. Raises `Fault` (091112)."""
    found = None if params is None else child_of(params, "DateRange")
    if found is None:
        return None
    days = [(child.text or "").strip()[:10] for child in found]
    if names_of(found) != "Start End" or not all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in days) or days[0] > days[1]:
        raise Fault("091112", "DateRange: Start and End are days, in this order")
    return days[0], days[1]


def _file_format(params: Element) -> str:
    element = child_of(params, "FileFormat")
    text = "" if element is None else (element.text or "").strip()
    if not _FORMAT.fullmatch(text):
        raise Fault("091112", "FileFormat: is missing or no name of a format")
    return text
