"""Making keys inside a token, and what a bank needs of them: a self-signed certificate or a signing request.

The private key is made in the token, sensitive and not extractable (PKCS#11 2.40, 4.9), and its label and id are those of its
public half. `cryptography` signs certificates with keys in memory only, so what is to be signed is built by it, and the token's
public key and signature are put in their places.
"""

from datetime import datetime
from typing import Any, Final

from asn1crypto import algos, core, csr, pem
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.algorithms import scheme_named
from keys.hsm import TokenKey, token_key
from keys.hsm_session import Held, library_for
from keys.keymaterial import KeyKind, Subject, certificate_by, random_bytes, request_for
from keys.keyring import PrivateKey, PublicKey
from keys.seal import KeyUnavailable
from keys.secrets import Directory

_CURVES: Final = {"ec-p256": "secp256r1", "ec-p384": "secp384r1"}


def new_token_key(reference: str, passphrase: str | None, base: Directory, kind: KeyKind) -> TokenKey:
    """A fresh key pair in the token, under the label (`object=`) of the reference. Raises `KeyUnavailable`, also where there is a
    key of this label already."""
    held = Held(reference, passphrase, base, "PRIVATE_KEY")
    label = held.reference.label
    if label is None:
        raise KeyUnavailable(f"{held.reference.text}: a new key needs a label: object=NAME")
    with held.before_it_is_there() as session:
        _generate(session, kind, label, held.reference.object_id or random_bytes(8))
    return token_key(reference, passphrase, base)


def _generate(session: Any, kind: KeyKind, label: str, object_id: bytes) -> None:
    pkcs11 = library_for(label)
    attribute, flags = pkcs11.Attribute, pkcs11.MechanismFlag
    named: dict[str, Any] = {
        "label": label,
        "id": object_id,
        "store": True,
        "private_template": {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
    }
    if kind not in _CURVES:
        able = flags.SIGN | flags.VERIFY | flags.DECRYPT | flags.ENCRYPT
        session.generate_keypair(pkcs11.KeyType.RSA, int(kind.removeprefix("rsa-")), capabilities=able, **named)
        return
    curve = {attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters(_CURVES[kind])}
    domain = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    domain.generate_keypair(capabilities=flags.SIGN | flags.VERIFY | flags.DERIVE, **named)


def token_self_signed(key: TokenKey, subject: Subject, *, on: datetime, days: int) -> x509.Certificate:
    """As `keymaterial.self_signed`, by a key in a token. Raises `ValueError` on a malformed subject, `KeyUnavailable`."""
    return signed_by(key, certificate_by(key.public_key, subject, on=on, days=days))


def signed_by(key: PrivateKey, builder: x509.CertificateBuilder) -> x509.Certificate:
    """What `builder` says, signed by any key, wherever it lives. Raises `KeyUnavailable`."""
    draft = builder.sign(_stand_in(), hashes.SHA256())
    inner = asn1_x509.TbsCertificate.load(draft.tbs_certificate_bytes)
    inner["signature"] = _algorithm(key.public_key)
    whole = asn1_x509.Certificate({"tbs_certificate": inner, **_signature(key, inner, "signature_value")})
    return x509.load_der_x509_certificate(whole.dump())


def token_signing_request(key: TokenKey, subject: Subject) -> bytes:
    """As `keymaterial.signing_request`, for a key in a token."""
    draft = request_for(key.public_key, subject).sign(_stand_in(), hashes.SHA256())
    inner = csr.CertificationRequestInfo.load(draft.tbs_certrequest_bytes)
    public = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    inner["subject_pk_info"] = asn1_keys.PublicKeyInfo.load(public)
    whole = csr.CertificationRequest({"certification_request_info": inner, **_signature(key, inner, "signature")})
    encoded: bytes = pem.armor("CERTIFICATE REQUEST", whole.dump())
    return encoded


def _stand_in() -> ec.EllipticCurvePrivateKey:
    """Signs the draft, whose signature is thrown away."""
    return ec.generate_private_key(ec.SECP256R1())


def _signature(key: PrivateKey, inner: Any, slot: str) -> dict[str, Any]:
    scheme = scheme_named("rsa-pkcs1-sha256" if isinstance(key.public_key, rsa.RSAPublicKey) else "ecdsa-sha256")
    signature = key.sign(scheme, inner.dump(force=True))
    return {"signature_algorithm": _algorithm(key.public_key), slot: core.OctetBitString(signature)}


def _algorithm(public: PublicKey) -> algos.SignedDigestAlgorithm:
    """RFC 4055, section 5: NULL beside RSA; RFC 5758, section 3.2: nothing beside ECDSA."""
    if isinstance(public, rsa.RSAPublicKey):
        return algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa", "parameters": core.Null()})
    return algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
