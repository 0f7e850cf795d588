"""Private keys from elsewhere, in whatever form they come: PEM of any kind, PKCS#12, Java key stores."""

import re
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12

from keys.keymaterial import OPENSSH, SoftwareKey, checked, opened, pem_label
from keys.seal import KeyUnavailable

_JKS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # JKS, JCEKS


def is_java(data: bytes) -> bool:
    """Whether this is a Java key store of the old forms (JKS, JCEKS); since Java 9 they are PKCS#12."""
    return data[:4] in _JKS


def needs_passphrase(data: bytes) -> bool:
    """Whether foreign key material may want a passphrase before it can be read."""
    binary = data[:1] == b"\x30" and pem_label(data) is None
    return b"ENCRYPTED" in data or OPENSSH in data or binary or is_java(data)


def take_over(name: str, data: bytes, passphrase: bytes | None) -> tuple[SoftwareKey, tuple[x509.Certificate, ...]]:
    """Reads a private key, and the certificates beside it, from PEM in any form, PKCS#12 or JKS. Raises `KeyUnavailable`.

    The key's own certificate comes first.
    """
    if is_java(data):
        return _from_java(name, data, passphrase)
    if pem_label(data) is None:
        try:
            bundle = pkcs12.load_pkcs12(data, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnavailable(f"{name}: neither PEM nor PKCS#12 nor JKS, or the passphrase is wrong") from None
        certificates = [bundle.cert, *bundle.additional_certs]
        return checked(name, bundle.key), tuple(entry.certificate for entry in certificates if entry)
    blocks = re.findall(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", data, re.DOTALL)
    if sum(label.endswith(b"PRIVATE KEY") for label in blocks) != 1:
        raise KeyUnavailable(f"{name}: one private key was expected in this file")
    found = re.search(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", data, re.DOTALL)
    private = opened(name, found[0] + b"\n" if found else b"", passphrase, "passphrase")
    attached = certificates_in(name, data) if b"CERTIFICATE" in blocks else ()
    return private, tuple(sorted(attached, key=lambda certificate: certificate.public_key() != private.public_key))


def certificates_in(name: str, data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM or DER file, none where there is none. Raises `KeyUnavailable` where one cannot be read."""
    try:
        if pem_label(data) is None:
            return (x509.load_der_x509_certificate(data),)
        return tuple(x509.load_pem_x509_certificates(data)) if b"BEGIN CERTIFICATE" in data else ()
    except ValueError:
        raise KeyUnavailable(f"{name}: a certificate in this file cannot be read") from None


def _from_java(name: str, data: bytes, passphrase: bytes | None) -> tuple[SoftwareKey, tuple[x509.Certificate, ...]]:
    """The one private key of a Java key store whose key has the passphrase of the store, as `keytool` makes them."""
    try:
        import jks  # type: ignore[import-untyped]
    except ImportError:
        raise KeyUnavailable(
            f"{name}: to read Java key stores, install the package pyjks, or convert it with: keytool -importkeystore "
            "-deststoretype pkcs12"
        ) from None
    word = (passphrase or b"").decode("utf-8", "replace")
    try:
        found: Any = jks.KeyStore.loads(data, word, try_decrypt_keys=True)
    except (jks.KeystoreException, ValueError, IndexError):
        raise KeyUnavailable(f"{name}: this Java key store is damaged, or the passphrase is wrong") from None
    entries = list(found.private_keys.values())
    if len(entries) != 1:
        raise KeyUnavailable(f"{name}: one private key was expected in this Java key store and {len(entries)} are in it")
    if not entries[0].is_decrypted():
        raise KeyUnavailable(f"{name}: the private key in this Java key store has another passphrase than the store")
    try:
        private = checked(name, load_der_private_key(entries[0].pkey_pkcs8, None))
        certificates = tuple(x509.load_der_x509_certificate(encoded) for _, encoded in entries[0].cert_chain)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnavailable(f"{name}: the key or a certificate in this Java key store cannot be read") from None
    return private, certificates
