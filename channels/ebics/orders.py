"""What can be ordered from a bank, and how the order is named in the header of a message.

Sources: schemas H004 and H005, types StaticHeaderOrderDetailsType, StandardOrderParamsType, FULOrderParamsType,
FDLOrderParamsType, BTUParamsType, BTDParamsType, HVx…OrderParamsType; OrderAttribute as EBICS 2.5 has it: OZHNN order data with
signature, UZHNN signature alone, DZHNN neither (downloads, and uploads that are authorised by other means), DZNNN keys.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from channels.ebics.names import Element, Version, child

Direction = Literal["upload", "signature", "download"]
OrderAttribute = Literal["OZHNN", "UZHNN", "DZHNN", "DZNNN"]

_ORDER_ID: Final = re.compile(r"[A-Z][A-Z0-9]{3}")
_ORDER_TYPE: Final = re.compile(r"[A-Z0-9]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """From a day to a day, both included."""

    start: date
    end: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A business transaction format (BTF). Every part must be exactly as the bank's table has it, absence too, or the bank
    answers 091005."""

    name: str  # SCT, SDD, EOP, STM, REP, PSR, MCT, …
    message: str  # pain.001, camt.053, mt940, …
    scope: str | None = None  # a country, an issuer, or none for the global definition
    option: str | None = None  # URG, COR, B2B, …
    container: Literal["SVC", "XML", "ZIP"] | None = None
    version: str | None = None  # "09"
    variant: str | None = None  # "001"
    format: str | None = None  # XML, …

    def words(self) -> str:
        """In one line, for people and logs."""
        parts = (self.name, self.scope, self.option, self.container, self.message, self.variant, self.version, self.format)
        return "/".join(part or "-" for part in parts)


VERIFYING_TYPES: Final = frozenset({"CTV", "CIV"})
VERIFYING_OPTION: Final = "VOI"
"""How orders are named whose payees the bank verifies before they are authorised: in H004, and by the service option in H005. A
signature that comes with one counts for nothing; it waits at the bank, and is released or cancelled there once the result is
told (docs/payee.md)."""


def verifies_payees(order_type: str | None, service: Service | None) -> bool:
    """Whether an order of this name waits at the bank for its release after the payees were verified."""
    return order_type in VERIFYING_TYPES if service is None else service.option == VERIFYING_OPTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """StandardOrderParams."""

    dates: DateRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """FULOrderParams and FDLOrderParams: the French file types of H004. `parameters`: names and values, e.g. ("TEST", "TRUE")."""

    format: str  # pain.xxx.cfonb160.dct, camt.xxx.cfonb120.stm, …
    country: str = "FR"
    dates: DateRange | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessUpload:
    """BTUOrderParams. `authorised`: the signature in this upload authorises the order (SignatureFlag); `park`: if it does not
    suffice, the order waits for more signatures (requestEDS). Not authorised: the order is released by other means than EBICS."""

    service: Service
    file_name: str | None = None
    authorised: bool = True
    park: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessDownload:
    """BTDOrderParams."""

    service: Service
    dates: DateRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedList:
    """Which parked orders to list (HVU, HVZ): of these order types (H004) or services (H005); none: all."""

    order_types: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """One parked order (HVD, HVT, HVE, HVS): as HVU or HVZ named it. `order_type` and `file_format` in H004, `service` in H005.

    For HVT: `complete` asks for the order data itself, `limit` and `offset` for a part of its details.
    """

    partner_id: str
    order_id: str
    order_type: str | None = None
    file_format: str | None = None
    service: Service | None = None
    complete: bool = False
    limit: int = 0
    offset: int = 0


Parameters = Standard | File | BusinessUpload | BusinessDownload | ParkedList | Parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order: its type, which way the data goes, and its parameters. Raises `ValueError` on a type that is none."""

    type: str
    direction: Direction
    parameters: Parameters
    signed: bool = True  # an upload carries electronic signatures that authorise it

    def __post_init__(self) -> None:
        if not _ORDER_TYPE.fullmatch(self.type):
            raise ValueError("an order type has three capital letters or digits")
        parked = self.parameters
        if isinstance(parked, Parked) and not _ORDER_ID.fullmatch(parked.order_id):
            raise ValueError("an order number has a capital letter and three capital letters or digits")

    @property
    def attribute(self) -> OrderAttribute:
        """The OrderAttribute of H004."""
        if self.direction == "signature":
            return "UZHNN"
        return "OZHNN" if self.direction == "upload" and self.signed else "DZHNN"


# ---- the orders by name -------------------------------------------------------------------------------------------------


def download(order_type: str, dates: DateRange | None = None) -> Order:
    """HTD, HKD, HAA, HPD, HAC, PTK in both versions; STA, VMK, C52 to C54, Z52 to Z54, … in H004."""
    return Order(type=order_type, direction="download", parameters=Standard(dates=dates))


def upload(order_type: str, *, signed: bool = True) -> Order:
    """CCT, CIP, CDD, CDB, … in H004; PUB, HCA, HCS in both."""
    return Order(type=order_type, direction="upload", parameters=Standard(), signed=signed)


def file_upload(file: File, *, signed: bool = True) -> Order:
    """FUL (H004)."""
    return Order(type="FUL", direction="upload", parameters=file, signed=signed)


def file_download(file: File) -> Order:
    """FDL (H004)."""
    return Order(type="FDL", direction="download", parameters=file)


def business_upload(parameters: BusinessUpload) -> Order:
    """BTU (H005)."""
    return Order(type="BTU", direction="upload", parameters=parameters, signed=parameters.authorised)


def business_download(parameters: BusinessDownload) -> Order:
    """BTD (H005)."""
    return Order(type="BTD", direction="download", parameters=parameters)


def lock_subscriber() -> Order:
    """SPR: our own access is locked at once; only the bank unlocks it. What is signed is one blank (`SPR_DATA`)."""
    return Order(type="SPR", direction="signature", parameters=Standard())


SPR_DATA: Final = b" "
"""What the signature of SPR is over, since there is no order data (as implementations agree)."""


def parked_list(order_type: Literal["HVU", "HVZ"], wanted: ParkedList | None = None) -> Order:
    """The orders that wait for signatures; HVZ with their digests."""
    return Order(type=order_type, direction="download", parameters=wanted or ParkedList())


def parked_state(order_type: Literal["HVD", "HVT"], parked: Parked) -> Order:
    """HVD: digest, signers and the accompanying note of one order; HVT: its details or its data."""
    return Order(type=order_type, direction="download", parameters=parked)


def sign_parked(parked: Parked) -> Order:
    """HVE: a further signature for a parked order, over the digest that HVD or HVZ told."""
    return Order(type="HVE", direction="signature", parameters=parked)


def cancel_parked(parked: Parked) -> Order:
    """HVS: a parked order is cancelled. Its order data names the digest of that order (`key_data.hvs_data`) and is signed as any
    order data is: so the schemas, which define order data for HVS; that a bank takes it so has not been seen."""
    return Order(type="HVS", direction="upload", parameters=parked)


# ---- written ------------------------------------------------------------------------------------------------------------


def write_order(parent: Element, version: Version, order: Order) -> None:
    """OrderDetails. Raises `ValueError` where this version has no such order."""
    details = child(parent, "OrderDetails")
    child(details, version.order_type_element, order.type)
    if version.order_attributes:
        child(details, "OrderAttribute", order.attribute)
    parameters = order.parameters
    match parameters:
        case Standard():
            _write_dates(child(details, "StandardOrderParams"), parameters.dates)
        case File():
            _check(not version.business_formats, order, version)
            _write_file(details, order, parameters)
        case BusinessUpload():
            _check(version.business_formats, order, version)
            _write_business_upload(details, parameters)
        case BusinessDownload():
            _check(version.business_formats, order, version)
            inside = child(details, "BTDOrderParams")
            write_service(inside, "Service", parameters.service)
            _write_dates(inside, parameters.dates)
        case ParkedList():
            _write_parked_list(child(details, f"{order.type}OrderParams"), version, parameters)
        case Parked():
            _write_parked(child(details, f"{order.type}OrderParams"), version, order, parameters)


def _check(fits: bool, order: Order, version: Version) -> None:
    if not fits:
        raise ValueError(f"{order.type} is no order of {version.name}: see the kinds of order of the bank's parameter sheet")


def _write_dates(parent: Element, dates: DateRange | None) -> None:
    if dates is not None:
        inside = child(parent, "DateRange")
        child(inside, "Start", dates.start.isoformat())
        child(inside, "End", dates.end.isoformat())


def _write_file(details: Element, order: Order, file: File) -> None:
    is_download = order.direction == "download"
    inside = child(details, f"{order.type}OrderParams")
    if is_download:
        _write_dates(inside, file.dates)
    for name, value in file.parameters:
        parameter = child(inside, "Parameter")
        child(parameter, "Name", name)
        child(parameter, "Value", value, Type="string")
    child(inside, "FileFormat", file.format, CountryCode=file.country)


def _write_business_upload(details: Element, parameters: BusinessUpload) -> None:
    inside = child(details, "BTUOrderParams")
    if parameters.file_name is not None:
        inside.set("fileName", parameters.file_name)
    write_service(inside, "Service", parameters.service)
    if parameters.authorised:
        flag = child(inside, "SignatureFlag")
        if parameters.park:
            flag.set("requestEDS", "true")


def write_service(parent: Element, name: str, service: Service) -> None:
    """A BTF under this name (Service, ServiceFilter)."""
    inside = child(parent, name)
    child(inside, "ServiceName", service.name)
    if service.scope is not None:
        child(inside, "Scope", service.scope)
    if service.option is not None:
        child(inside, "ServiceOption", service.option)
    if service.container is not None:
        child(inside, "Container", containerType=service.container)
    message = child(inside, "MsgName", service.message)
    for attribute, value in (("variant", service.variant), ("version", service.version), ("format", service.format)):
        if value is not None:
            message.set(attribute, value)


def _write_parked_list(inside: Element, version: Version, wanted: ParkedList) -> None:
    if version.business_formats:
        for service in wanted.services:
            write_service(inside, "ServiceFilter", service)
    elif wanted.order_types:
        child(inside, "OrderTypes", " ".join(wanted.order_types))


def _write_parked(inside: Element, version: Version, order: Order, parked: Parked) -> None:
    child(inside, "PartnerID", parked.partner_id)
    if version.business_formats:
        if parked.service is None:
            raise ValueError(f"{order.type} in {version.name} names the parked order by its service")
        write_service(inside, "Service", parked.service)
    else:
        if parked.order_type is None:
            raise ValueError(f"{order.type} in {version.name} names the parked order by its order type")
        child(inside, "OrderType", parked.order_type)
        if parked.file_format is not None:
            child(inside, "FileFormat", parked.file_format, CountryCode="FR")
    child(inside, "OrderID", parked.order_id)
    if order.type == "HVT":
        flags = {
            "completeOrderData": str(parked.complete).lower(),
            "fetchLimit": str(parked.limit),
            "fetchOffset": str(parked.offset),
        }
        child(inside, "OrderFlags", **flags)
