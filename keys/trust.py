"""Whether a bank's certificate holds beyond being pinned: its chain, its validity, what it may be used for, and revocation.

Pure: the certificates, the revocation lists and the moment are passed in. Path building and revocation are OpenSSL's, reached by
pyOpenSSL's X509Store (RFC 5280, section 6); the verifier of `cryptography` accepts revoked certificates and is not used for this.

A profile pins certificates. `chain` asks for more: every certificate of the bank must then have been issued below one of these
authorities, must be made for its use, and, with `crl`, must not be revoked. `bank_subjects` asks for less: a certificate that is
not pinned but names one of these subjects and was issued below `chain` is taken too, for banks that renew their certificates
without telling. An authority alone is never enough: it vouches for everybody it serves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import crypto

from keys.algorithms import DIGEST_OIDS
from keys.keyring import Certificate
from keys.seal import BadSeal, KeyUnavailable

Use = Literal["sign", "encrypt"]

Code = Literal[
    "not-yet-valid",
    "expired",
    "revoked",
    "wrong-ca",
    "weak-signature",
    "wrong-usage",
    "crl-missing",
    "crl-stale",
    "crl-invalid",
    "not-accepted",
]

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_CODES: Final[dict[int, Code]] = {
    2: "wrong-ca",  # issuer of an untrusted certificate not found
    3: "crl-missing",
    5: "crl-invalid",  # its signature cannot be decrypted
    6: "wrong-ca",
    7: "wrong-ca",  # signature failure: another key under the name of the authority
    8: "crl-invalid",  # signature of the revocation list
    9: "not-yet-valid",
    10: "expired",
    11: "crl-stale",  # not yet valid
    12: "crl-stale",
    15: "crl-invalid",
    16: "crl-invalid",
    18: "wrong-ca",  # self-signed, and not an authority of the chain
    19: "wrong-ca",
    20: "wrong-ca",
    21: "wrong-ca",
    23: "revoked",
    24: "wrong-ca",  # issued by something that is no authority
    25: "wrong-ca",  # path length
    26: "wrong-usage",
    32: "wrong-ca",  # key usage of the issuer does not include certificate signing
    33: "crl-missing",  # the issuer of the revocation list
    35: "crl-invalid",  # its issuer may not sign lists
    79: "wrong-ca",
}

_WORDS: Final[dict[Code, str]] = {
    "not-yet-valid": "it, or an authority above it, is not valid yet",
    "expired": "it, or an authority above it, has expired",
    "revoked": "it, or an authority above it, was revoked by its issuer: ask the bank, and take it out of the profile",
    "wrong-ca": "it was not issued below an authority of `chain`",
    "weak-signature": "its authority signed it with a digest that proves nothing any more (SHA-1, MD5): it needs a new one",
    "wrong-usage": "its key usage does not allow what it is used for here",
    "crl-missing": "`crl` holds no revocation list of its issuer: fetch it from the authority",
    "crl-stale": "the revocation list of its issuer is out of date: fetch the current one from the authority",
    "crl-invalid": "a revocation list is not signed by the authority it names: fetch it anew and find out who changed it",
    "not-accepted": "OpenSSL does not accept it",
}

OPERATORS: Final[frozenset[Code]] = frozenset({"crl-missing", "crl-stale", "crl-invalid"})
"""What says nothing of the certificate: an operator has to fetch a list, and the message can be opened then."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a certificate is not trusted. `code` is stable; `words` are for a person."""

    code: Code
    words: str

    def __str__(self) -> str:
        return f"{self.words} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Trust:
    """The authorities of a profile, their revocation lists (None: revocation is not asked for), and subjects taken unpinned."""

    authorities: tuple[x509.Certificate, ...] = field(repr=False)
    lists: tuple[x509.CertificateRevocationList, ...] | None = field(repr=False, default=None)
    subjects: tuple[x509.Name, ...] = ()

    def finding(self, certificate: Certificate, use: Use, on: datetime) -> Finding | None:
        """Why this certificate does not hold at that moment; None if it does."""
        code = _verify(certificate.parsed, self.authorities, self.lists, on)
        if code is None and self._authority_revoked(certificate.parsed):
            code = "revoked"
        if code is None and not _signed_well(certificate.parsed):
            code = "weak-signature"
        if code is None and not _made_for(certificate, use):
            code = "wrong-usage"
        return None if code is None else Finding(code, f"the certificate {certificate.name} is not trusted: {_WORDS[code]}")

    def names(self, certificate: Certificate) -> bool:
        """Whether its subject is one of those that are taken without being pinned."""
        return certificate.parsed.subject in self.subjects

    def _authority_revoked(self, certificate: x509.Certificate) -> bool:
        """OpenSSL is asked about the certificate alone (an intermediate authority may be the anchor, and nothing is known above
        it); what the lists say of the authorities above it counts too."""
        above = {certificate.issuer}
        for _ in self.authorities:
            above |= {authority.issuer for authority in self.authorities if authority.subject in above}
        return any(
            found.issuer == authority.issuer and found.get_revoked_certificate_by_serial_number(authority.serial_number)
            for authority in self.authorities
            if authority.subject in above
            for found in self.lists or ()
        )


def check_trusted(trust: Trust | None, signers: Iterable[Certificate], on: datetime) -> None:
    """Raises `BadSeal` ("signer.revoked", "signer.wrong-ca", …) unless the authorities vouch for one of the signers, and
    `KeyUnavailable` where the operator has to fetch a revocation list first. No trust configured: pinned is enough."""
    if trust is None:
        return
    findings = [trust.finding(certificate, "sign", on) for certificate in signers]
    worst = next((finding for finding in findings if finding is not None), None)
    if worst is None or None in findings:
        return
    if worst.code in OPERATORS:
        raise KeyUnavailable(f"the signature holds, but {worst}")
    raise BadSeal(f"signer.{worst.code}", f"the signature holds, but {worst.words}")


def _verify(
    certificate: x509.Certificate,
    authorities: Iterable[x509.Certificate],
    lists: Iterable[x509.CertificateRevocationList] | None,
    on: datetime,
) -> Code | None:
    store = crypto.X509Store()
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN  # `chain` may name an intermediate authority alone
    if lists is not None:
        flags |= crypto.X509StoreFlags.CRL_CHECK
        for found in lists:
            store.add_crl(found)
    store.set_flags(flags)
    store.set_time(on.astimezone(UTC))
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(certificate)).verify_certificate()
    except crypto.X509StoreContextError as problem:
        return _CODES.get(problem.errors[0], "not-accepted")
    return None


def _signed_well(certificate: x509.Certificate) -> bool:
    """Whether the digest its authority signed is one that is accepted in signatures. OpenSSL asks for that from security level 1
    on (SSL_CTX_set_security_level(3)), and pyOpenSSL gives a store none. The authorities themselves are trusted as they are."""
    found = certificate.signature_hash_algorithm
    return found is not None and found.name in DIGEST_OIDS.values()


def _made_for(certificate: Certificate, use: Use) -> bool:
    """Key usage (RFC 5280, 4.2.1.3). A certificate that does not restrict its key may be used for everything."""
    try:
        usage = certificate.parsed.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    if use == "sign":
        return usage.digital_signature or usage.content_commitment
    return usage.key_encipherment if isinstance(certificate.public_key, rsa.RSAPublicKey) else usage.key_agreement


def subject_named(text: str) -> x509.Name:
    """A subject as a profile writes it (RFC 4514: "CN=Example Bank,O=Example,C=DE"). Raises `ValueError`."""
    try:
        found = x509.Name.from_rfc4514_string(text)
    except ValueError:
        found = x509.Name([])
    if not found.rdns:
        raise ValueError("write a subject as RFC 4514 does: CN=Example Bank,O=Example,C=DE")
    return found


def authority(called: str, certificate: x509.Certificate) -> x509.Certificate:
    """A certificate of `chain`, which must be that of an authority. Raises `KeyUnavailable`."""
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        is_authority = False
    if not is_authority:
        raise KeyUnavailable(f"{called}: this certificate is not that of an authority; pin it in its own place instead")
    return certificate


def revocation_list(called: str, data: bytes) -> x509.CertificateRevocationList:
    """A revocation list, PEM or DER. Raises `KeyUnavailable`."""
    try:
        return x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
    except ValueError:
        raise KeyUnavailable(f"{called}: this is no certificate revocation list (PEM or DER)") from None
