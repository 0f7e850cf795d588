"""EBICS 2.5 (H004) and 3.0 (H005): names, the differences between the two in one table, and who talks to whom.

Sources: the schemas H004, H005, S001, S002 and H000 (HEV) of EBICS SC.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from lxml import etree

Element = etree._Element
VersionName = Literal["H004", "H005"]

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
HEV: Final = "http://www.ebics.org/H000"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

_HOST = re.compile(r"[^\s]{1,35}")
_PARTY = re.compile(r"[a-zA-Z0-9,=]{1,35}")
_PRODUCT_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One protocol version: all that differs in what is written and read."""

    name: VersionName
    number: str  # as HEV says it
    namespace: str
    signature_namespace: str  # of public signature keys and of user signatures
    order_type_element: str
    order_attributes: bool  # OrderAttribute says beside the order type what an upload holds
    certificates_only: bool  # keys travel in X.509 certificates and in nothing else
    data_digest: bool  # the digest of the order data goes with the first message of an upload
    business_formats: bool  # orders are named by BTF (BTU, BTD), not by three letters each

    def tag(self, name: str) -> str:
        """A name of the protocol, for lxml."""
        return f"{{{self.namespace}}}{name}"


H004: Final = Version(
    name="H004",
    number="02.50",
    namespace="urn:org:ebics:H004",
    signature_namespace="http://www.ebics.org/S001",
    order_type_element="OrderType",
    order_attributes=True,
    certificates_only=False,
    data_digest=False,
    business_formats=False,
)
H005: Final = Version(
    name="H005",
    number="03.00",
    namespace="urn:org:ebics:H005",
    signature_namespace="http://www.ebics.org/S002",
    order_type_element="AdminOrderType",
    order_attributes=False,
    certificates_only=True,
    data_digest=True,
    business_formats=True,
)
VERSIONS: Final[dict[VersionName, Version]] = {"H004": H004, "H005": H005}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Who talks to which bank: the three identifiers of the bank's parameter sheet. `system_id`: a technical user, whose
    signatures transport and do not authorise. Raises `ValueError` on an identifier that the schemas do not allow."""

    host_id: str
    partner_id: str
    user_id: str
    system_id: str | None = None
    product: str | None = None  # our name towards the bank, at most 64 characters
    language: str = "en"

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host_id):
            raise ValueError("host_id has 1 to 35 characters without blanks; take it from the bank's parameter sheet")
        for field, value in (("partner_id", self.partner_id), ("user_id", self.user_id), ("system_id", self.system_id)):
            if value is not None and not _PARTY.fullmatch(value):
                raise ValueError(
                    f"{field} has 1 to 35 letters, digits, commas and equals signs (schema PartnerIDType, UserIDType)"
                )
        if self.product is not None and not 0 < len(self.product) <= _PRODUCT_MAX:
            raise ValueError(f"product has 1 to {_PRODUCT_MAX} characters (schema ProductType)")
        if not re.fullmatch(r"[a-z]{2}", self.language):
            raise ValueError("language is a code of two small letters (ISO 639)")


def child(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """A new last child in the namespace of its parent."""
    found = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}", attributes)
    found.text = text
    return found


def root(namespace: str, name: str, *, signed: bool = True, **attributes: str) -> Element:
    """A new document. `signed`: it declares the prefix of XML Signature before anything is signed: what a signature covers
    inherits the declaration."""
    names: dict[Any, str] = {None: namespace, "ds": DS} if signed else {None: namespace}
    return etree.Element(f"{{{namespace}}}{name}", attributes, nsmap=names)
