"""Order data with keys: what INI, HIA, H3K, PUB, HCA and HCS bring, and what HPB tells.

Sources: schemas S001, S002, H004 and H005.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from lxml import etree

from keys.ebics_auth import parse_message
from keys.ebics_keys import EbicsKey, KeyVersion, key_of_certificate, key_of_numbers
from keys.seal import BadSeal
from simulator.ebics.answers import text64
from simulator.ebics.names import DS, Fault, Version
from simulator.ebics.requests import Element, base64_of

_FAULTS: Final = {
    "Signature": ("091201", "091204", ("A005", "A006")),
    "Authentication": ("091202", "091205", ("X002",)),
    "Encryption": ("091203", "091206", ("E002",)),
}
_ROOTS: Final = {
    "INI": ("SignaturePubKeyOrderData", ("Signature",)),
    "PUB": ("SignaturePubKeyOrderData", ("Signature",)),
    "HIA": ("HIARequestOrderData", ("Authentication", "Encryption")),
    "HCA": ("HCARequestOrderData", ("Authentication", "Encryption")),
    "HCS": ("HCSRequestOrderData", ("Authentication", "Encryption", "Signature")),
    "H3K": ("H3KRequestOrderData", ("Signature", "Authentication", "Encryption")),
}
_KEY_USAGES: Final = {
    "Signature": ("content_commitment", "digital_signature", "key_encipherment"),
    "Authentication": ("digital_signature", "content_commitment", "key_encipherment"),
    "Encryption": ("key_encipherment", "content_commitment", "digital_signature"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """The keys of one order by use (Signature, Authentication, Encryption), and whose they say they are."""

    partner_id: str
    user_id: str
    keys: dict[str, EbicsKey]


def read_key_order(data: bytes, order_type: str, version: Version, now: datetime) -> KeyOrder:
    """Raises `Fault`: 090004 for what is no such order data, 0912xx for keys and certificates that are not taken."""
    try:
        root = parse_message(data)
    except BadSeal as error:
        raise Fault("090004", f"the order data of {order_type}: {error.detail}") from error
    name, uses = _ROOTS[order_type]
    namespace = version.signature_namespace if name == "SignaturePubKeyOrderData" else version.namespace
    if root.tag != f"{{{namespace}}}{name}":
        raise Fault("090004", f"the order data of {order_type} is no {name} of {version.name}")
    infix = "Certificate" if order_type == "H3K" else "PubKey"
    keys = {}
    for use in uses:
        signature_of_hcs = use == "Signature" and order_type == "HCS"
        inside = version.signature_namespace if signature_of_hcs else namespace
        info = root.find(f"{{{inside}}}{use}{infix}Info")
        if info is None:
            raise Fault("090004", f"the order data of {order_type} has no {use}{infix}Info")
        keys[use] = _key(info, use, version, now, certificate_only=order_type == "H3K")
    return KeyOrder(
        partner_id=(root.findtext(f"{{{namespace}}}PartnerID") or "").strip(),
        user_id=(root.findtext(f"{{{namespace}}}UserID") or "").strip(),
        keys=keys,
    )


def _key(info: Element, use: str, version: Version, now: datetime, *, certificate_only: bool) -> EbicsKey:
    wrong_version, wrong_length, taken = _FAULTS[use]
    namespace = etree.QName(info).namespace
    said = (info.findtext(f"{{{namespace}}}{use}Version") or "").strip()
    if said not in taken:
        raise Fault(wrong_version, f"{use}Version: {', '.join(taken)} is taken")
    key_version: KeyVersion = said  # type: ignore[assignment]  # one of the words just compared
    encoded = info.findtext(f"{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    value = info.find(f"{{{namespace}}}PubKeyValue/{{{DS}}}RSAKeyValue")
    try:
        if encoded is not None:
            found = key_of_certificate(key_version, base64_of(encoded, "X509Certificate", "091219"), f"the key for {said}")
            _check_certificate(found, use, now)
            if value is None or version.is_h005:
                return found
        elif version.is_h005 or certificate_only:
            raise Fault("091217", f"{use}: H005 takes keys in certificates only")
        if value is None:
            raise Fault("090004", f"{use}PubKeyInfo: holds no key")
        modulus, exponent = (base64_of(value.findtext(f"{{{DS}}}{part}") or "", part) for part in ("Modulus", "Exponent"))
        return key_of_numbers(key_version, modulus, exponent, f"the key for {said}")
    except BadSeal as error:
        raise Fault("091219" if "certificate" in error.detail else wrong_length, error.detail) from error


def _check_certificate(key: EbicsKey, use: str, now: datetime) -> None:
    assert key.certificate is not None  # noqa: S101 - it came in one
    certificate = x509.load_der_x509_certificate(key.certificate)
    if now > certificate.not_valid_after_utc:
        raise Fault("091208", f"the {use} certificate has expired")
    if now < certificate.not_valid_before_utc:
        raise Fault("091209", f"the {use} certificate is not valid yet")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except (ValueError, x509.DuplicateExtension) as error:
        raise Fault("091219", f"the extensions of the {use} certificate cannot be read") from error
    needed, *_ = _KEY_USAGES[use]
    if not getattr(usage, needed):
        raise Fault("091210", f"the {use} certificate is not for {needed}")


def hpb_data(version: Version, host_id: str, authentication: EbicsKey, encryption: EbicsKey) -> bytes:
    """HPBResponseOrderData: bare keys in H004, certificates in H005."""
    parts = []
    for use, key in (("Authentication", authentication), ("Encryption", encryption)):
        parts.append(f"<{use}PubKeyInfo>{_value(version, key)}<{use}Version>{key.version}</{use}Version></{use}PubKeyInfo>")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<HPBResponseOrderData xmlns="{version.namespace}" xmlns:ds="{DS}">'
        f"{''.join(parts)}<HostID>{host_id}</HostID></HPBResponseOrderData>"
    ).encode()


def _value(version: Version, key: EbicsKey) -> str:
    if version.is_h005:
        assert key.certificate is not None  # noqa: S101 - the bank's keys are made with certificates
        return f"<ds:X509Data><ds:X509Certificate>{text64(key.certificate)}</ds:X509Certificate></ds:X509Data>"
    numbers = key.public.public_numbers()
    modulus, exponent = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e))
    return (
        f"<PubKeyValue><ds:RSAKeyValue><ds:Modulus>{text64(modulus)}</ds:Modulus><ds:Exponent>{text64(exponent)}</ds:Exponent>"
        "</ds:RSAKeyValue></PubKeyValue>"
    )
