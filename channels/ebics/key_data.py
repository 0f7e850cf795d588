"""The order data that we write ourselves: our public keys, and our electronic signatures.

Sources: schemas S001 and S002 (SignaturePubKeyOrderData, UserSignatureData), H004 and H005 ebics_orders (HIA, H3K, HCA, HCS,
HVS).
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from channels.ebics.names import DS, Element, Subscriber, Version, child, root
from keys.ebics_auth import serialised
from keys.ebics_keys import EbicsKey, SignatureVersion
from keys.seal import KeyUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKeys:
    """The public sides of our three keys."""

    signature: EbicsKey
    authentication: EbicsKey
    encryption: EbicsKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One electronic signature: by whom, by which process, over what is signed elsewhere."""

    version: SignatureVersion
    value: bytes
    partner_id: str
    user_id: str


def ini_data(version: Version, subscriber: Subscriber, signature: EbicsKey) -> bytes:
    """INI and PUB: the key of our electronic signature. Raises `KeyUnavailable` where H005 wants a certificate and there is
    none."""
    data = _document(version.signature_namespace, "SignaturePubKeyOrderData")
    _write_signature_key(data, version, signature)
    return _by(data, subscriber)


def hia_data(version: Version, subscriber: Subscriber, keys: OwnKeys) -> bytes:
    """HIA: the keys of authentication and encryption."""
    return _two_keys(version, subscriber, keys, "HIARequestOrderData")


def hca_data(version: Version, subscriber: Subscriber, keys: OwnKeys) -> bytes:
    """HCA: new keys of authentication and encryption."""
    return _two_keys(version, subscriber, keys, "HCARequestOrderData")


def hcs_data(version: Version, subscriber: Subscriber, keys: OwnKeys) -> bytes:
    """HCS: all three keys anew."""
    data = _document(version.namespace, "HCSRequestOrderData", esig=version.signature_namespace)
    _write_key(data, version, "Authentication", keys.authentication)
    _write_key(data, version, "Encryption", keys.encryption)
    _write_signature_key(data, version, keys.signature)
    return _by(data, subscriber)


def h3k_data(version: Version, subscriber: Subscriber, keys: OwnKeys) -> bytes:
    """H3K: all three keys in certificates of an authority that the bank trusts; no letter is needed."""
    data = _document(version.namespace, "H3KRequestOrderData")
    named = (("Signature", keys.signature), ("Authentication", keys.authentication), ("Encryption", keys.encryption))
    for name, key in named:
        info = child(data, f"{name}CertificateInfo")
        _write_certificate(info, key)
        child(info, f"{name}Version", key.version)
    return _by(data, subscriber)


def signature_data(version: Version, signatures: Iterable[Signature]) -> bytes:
    """UserSignatureData: one or more electronic signatures over the same order data."""
    data = _document(version.signature_namespace, "UserSignatureData")
    for signature in signatures:
        inside = child(data, "OrderSignatureData")
        child(inside, "SignatureVersion", signature.version)
        child(inside, "SignatureValue", _base64(signature.value))
        child(inside, "PartnerID", signature.partner_id)
        child(inside, "UserID", signature.user_id)
    return serialised(data)


def hvs_data(version: Version, digest: bytes, signature_version: SignatureVersion) -> bytes:
    """HVS: the digest of the order that is cancelled."""
    data = _document(version.namespace, "HVSRequestOrderData")
    child(data, "CancelledDataDigest", _base64(digest), SignatureVersion=signature_version)
    return serialised(data)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _document(namespace: str, name: str, **prefixes: str) -> Element:
    if not prefixes:
        return root(namespace, name)
    names: dict[Any, str] = {None: namespace, "ds": DS, **prefixes}
    return etree.Element(f"{{{namespace}}}{name}", nsmap=names)


def _by(data: Element, subscriber: Subscriber) -> bytes:
    child(data, "PartnerID", subscriber.partner_id)
    child(data, "UserID", subscriber.user_id)
    return serialised(data)


def _two_keys(version: Version, subscriber: Subscriber, keys: OwnKeys, name: str) -> bytes:
    data = _document(version.namespace, name)
    _write_key(data, version, "Authentication", keys.authentication)
    _write_key(data, version, "Encryption", keys.encryption)
    return _by(data, subscriber)


def _write_key(data: Element, version: Version, purpose: str, key: EbicsKey) -> None:
    info = child(data, f"{purpose}PubKeyInfo")
    _write_material(info, version, key)
    child(info, f"{purpose}Version", key.version)


def _write_signature_key(data: Element, version: Version, key: EbicsKey) -> None:
    info = etree.SubElement(data, f"{{{version.signature_namespace}}}SignaturePubKeyInfo")
    _write_material(info, version, key)
    child(info, "SignatureVersion", key.version)


def _write_material(info: Element, version: Version, key: EbicsKey) -> None:
    """H004: the certificate, if there is one, and the numbers. H005: the certificate alone."""
    if version.certificates_only or key.certificate is not None:
        _write_certificate(info, key)
    if version.certificates_only:
        return
    numbers = key.public.public_numbers()
    value = etree.SubElement(child(info, "PubKeyValue"), f"{{{DS}}}RSAKeyValue")
    for name, number in (("Modulus", numbers.n), ("Exponent", numbers.e)):
        child(value, name, _base64(number.to_bytes((number.bit_length() + 7) // 8, "big")))


def _write_certificate(info: Element, key: EbicsKey) -> None:
    if key.certificate is None:
        raise KeyUnavailable(f"the key for {key.version} has no certificate, and the bank takes keys in certificates only")
    data = etree.SubElement(info, f"{{{DS}}}X509Data")
    child(data, "X509Certificate", _base64(key.certificate))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
