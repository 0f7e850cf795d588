"""The order data that banks send about ourselves: their keys, what we may order, and what waits for our signature.

Sources: schemas H004 and H005, ebics_orders: HPBResponseOrderData, HTD…, HKD…, HAA…, HPD…, HVU…, HVZ…, HVD…,
HVTResponseOrderData. What we do not need of them is not read; account numbers stay where they are.
"""

import base64
import binascii
from dataclasses import dataclass

from channels.ebics.errors import BadAnswer
from channels.ebics.names import Element, Version
from channels.ebics.orders import Service
from channels.ebics.reading import document, every, flag, malformed, maybe, number, octets, one, order_id, public_key, said, text
from keys.ebics_keys import EbicsKey


@dataclass(frozen=True, slots=True, kw_only=True)
class HpbData:
    """The bank's two keys, of which nothing is proved yet."""

    authentication: EbicsKey
    encryption: EbicsKey
    host_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRight:
    """An order that may be given. `order_types` in H004, `service` in H005; `level` as the bank says it: E, A, B or T, or
    none."""

    order_types: tuple[str, ...]
    service: Service | None
    description: str | None = None
    signatures: int | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRights:
    """A user of the customer: identifier, status (schema UserStatusType), what they may do."""

    user_id: str
    status: str | None
    name: str | None
    permissions: tuple[OrderRight, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerData:
    """HTD (one user) or HKD (all of them). `accounts` counts them."""

    host_id: str | None
    orders: tuple[OrderRight, ...]
    users: tuple[UserRights, ...]
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankParameters:
    """HPD. None: the bank does not say, and then the schema's default holds only where the element is there."""

    urls: tuple[str, ...]
    institute: str
    host_id: str | None
    protocols: tuple[str, ...]
    authentications: tuple[str, ...]
    encryptions: tuple[str, ...]
    signatures: tuple[str, ...]
    recovery: bool
    prevalidation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed a parked order, and with which class of signature."""

    partner_id: str
    user_id: str
    level: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedOrder:
    """One order of HVU or HVZ. `digest` (with its process) in HVZ only."""

    order_id: str
    order_type: str | None
    service: Service | None
    file_format: str | None
    partner_id: str  # of the originator
    user_id: str
    ready: bool  # may be signed by us now
    required: int
    done: int
    signers: tuple[Signer, ...]
    size: int | None
    digest: bytes | None
    digest_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedState:
    """HVD: what a signature for a parked order is over, and the bank's note about its content."""

    digest: bytes
    digest_version: str | None
    display: bytes
    signers: tuple[Signer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedDetails:
    """HVT without order data: how many single orders there are, and their amounts with currency, as written."""

    count: int
    amounts: tuple[tuple[str, str | None], ...]


def read_hpb(data: bytes, version: Version) -> HpbData:
    """The bank's keys. Raises `BadAnswer`, also for a key that is not safe."""
    root = document(data, "HPBResponseOrderData", (version.namespace,))
    return HpbData(
        authentication=public_key(root, "Authentication", ("X002",)),
        encryption=public_key(root, "Encryption", ("E002",)),
        host_id=said(root, "HostID"),
    )


def read_customer(data: bytes, version: Version, name: str) -> CustomerData:
    """HTD or HKD, named by `name`. Raises `BadAnswer`."""
    root = document(data, f"{name}ResponseOrderData", (version.namespace,))
    partner = one(root, "PartnerInfo")
    bank = maybe(partner, "BankInfo")
    return CustomerData(
        host_id=None if bank is None else text(maybe(bank, "HostID")),
        orders=tuple(_right(element, version) for element in every(partner, "OrderInfo")),
        users=tuple(_user(element, version) for element in every(root, "UserInfo")),
        accounts=len(every(partner, "AccountInfo")),
    )


def read_haa(data: bytes, version: Version) -> tuple[OrderRight, ...]:
    """What can be fetched now: order types or services. Raises `BadAnswer`."""
    root = document(data, "HAAResponseOrderData", (version.namespace,))
    if version.business_formats:
        return tuple(OrderRight(order_types=(), service=_service(element)) for element in every(root, "Service"))
    types = (text(maybe(root, "OrderTypes"), chars_max=20_000) or "").split()
    return tuple(OrderRight(order_types=(found,), service=None) for found in types)


def read_hpd(data: bytes, version: Version) -> BankParameters:
    """The bank's parameters. Raises `BadAnswer`."""
    root = document(data, "HPDResponseOrderData", (version.namespace,))
    access, protocol = one(root, "AccessParams"), one(root, "ProtocolParams")
    versions = one(protocol, "Version")

    def listed(name: str) -> tuple[str, ...]:
        return tuple((text(maybe(versions, name)) or "").split())

    def supported(name: str) -> bool:
        element = maybe(protocol, name)
        return element is not None and flag(element.get("supported", "true"), name) is True

    return BankParameters(
        urls=tuple(found for element in every(access, "URL") if (found := text(element))),
        institute=text(maybe(access, "Institute")) or "",
        host_id=text(maybe(access, "HostID")),
        protocols=listed("Protocol"),
        authentications=listed("Authentication"),
        encryptions=listed("Encryption"),
        signatures=listed("Signature"),
        recovery=supported("Recovery"),
        prevalidation=supported("PreValidation"),
    )


def read_parked_list(data: bytes, version: Version, name: str) -> tuple[ParkedOrder, ...]:
    """HVU or HVZ, named by `name`. Raises `BadAnswer`."""
    root = document(data, f"{name}ResponseOrderData", (version.namespace,))
    return tuple(_parked(element, version) for element in every(root, "OrderDetails"))


def read_hvd(data: bytes, version: Version) -> ParkedState:
    """The state of one parked order. Raises `BadAnswer`."""
    root = document(data, "HVDResponseOrderData", (version.namespace,))
    digest = one(root, "DataDigest")
    display = text(maybe(root, "DisplayFile"), chars_max=4_000_000) or ""
    try:
        shown = base64.b64decode("".join(display.split()), validate=True)
    except (binascii.Error, ValueError):
        raise malformed("DisplayFile") from None
    return ParkedState(
        digest=_digest(digest), digest_version=digest.get("SignatureVersion"), display=shown, signers=_signers(root)
    )


def read_hvt(data: bytes, version: Version) -> ParkedDetails:
    """The details of one parked order. Raises `BadAnswer`."""
    root = document(data, "HVTResponseOrderData", (version.namespace,))
    count = number(said(root, "NumOrderInfos"), "NumOrderInfos")
    amounts = tuple((said(element, "Amount"), one(element, "Amount").get("Currency")) for element in every(root, "OrderInfo"))
    return ParkedDetails(count=count or 0, amounts=amounts)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _digest(element: Element) -> bytes:
    found = octets(element)
    if len(found) != 32:
        raise BadAnswer("structure", f"the digest of the parked order has {len(found)} bytes; SHA-256 has 32")
    return found


def _service(element: Element) -> Service:
    container, message = maybe(element, "Container"), one(element, "MsgName")
    kind = None if container is None else container.get("containerType")
    if kind not in {None, "SVC", "XML", "ZIP"}:
        raise malformed("Container")
    return Service(
        name=said(element, "ServiceName"),
        scope=text(maybe(element, "Scope")),
        option=text(maybe(element, "ServiceOption")),
        container=kind,  # type: ignore[arg-type]  # one of the three, as seen above
        message=said(element, "MsgName"),
        version=message.get("version"),
        variant=message.get("variant"),
        format=message.get("format"),
    )


def _maybe_service(element: Element) -> Service | None:
    found = maybe(element, "Service")
    return None if found is None else _service(found)


def _types(element: Element, version: Version) -> tuple[str, ...]:
    """H004 lists types in a permission (OrderTypes) and names one in an order (OrderType)."""
    names = (version.order_type_element, "OrderTypes")
    return tuple(word for name in names for word in (text(maybe(element, name), chars_max=20_000) or "").split())


def _right(element: Element, version: Version) -> OrderRight:
    return OrderRight(
        order_types=_types(element, version),
        service=_maybe_service(element),
        description=text(maybe(element, "Description")),
        signatures=number(text(maybe(element, "NumSigRequired")), "NumSigRequired"),
        level=element.get("AuthorisationLevel"),
    )


def _user(element: Element, version: Version) -> UserRights:
    identifier = one(element, "UserID")
    return UserRights(
        user_id=said(element, "UserID"),
        status=identifier.get("Status"),
        name=text(maybe(element, "Name")),
        permissions=tuple(_right(found, version) for found in every(element, "Permission")),
    )


def _signers(parent: Element) -> tuple[Signer, ...]:
    found = []
    for element in every(parent, "SignerInfo"):
        permission = maybe(element, "Permission")
        level = None if permission is None else permission.get("AuthorisationLevel")
        found.append(Signer(partner_id=said(element, "PartnerID"), user_id=said(element, "UserID"), level=level))
    return tuple(found)


def _parked(element: Element, version: Version) -> ParkedOrder:
    signing, originator = one(element, "SigningInfo"), one(element, "OriginatorInfo")
    digest = maybe(element, "DataDigest")
    identifier = order_id(said(element, "OrderID"))
    required = number(signing.get("NumSigRequired"), "NumSigRequired")
    done = number(signing.get("NumSigDone"), "NumSigDone")
    if identifier is None or required is None or done is None:
        raise malformed("SigningInfo")
    return ParkedOrder(
        order_id=identifier,
        order_type=text(maybe(element, "OrderType")),
        service=_maybe_service(element) if version.business_formats else None,
        file_format=text(maybe(element, "FileFormat")),
        partner_id=said(originator, "PartnerID"),
        user_id=said(originator, "UserID"),
        ready=flag(signing.get("readyToBeSigned"), "readyToBeSigned") is True,
        required=required,
        done=done,
        signers=_signers(element),
        size=number(text(maybe(element, "OrderDataSize")), "OrderDataSize"),
        digest=None if digest is None else _digest(digest),
        digest_version=None if digest is None else digest.get("SignatureVersion"),
    )
