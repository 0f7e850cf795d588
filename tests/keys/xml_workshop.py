"""Signed XML for the tests of this room: seals of the workshop's parties, and documents made wrong on purpose."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from keys.xades_profile import XadesProfile
from keys.xades_profile import build as build_xades
from keys.xmldsig_profile import XmlDsigProfile
from keys.xmldsig_profile import build as build_xmldsig
from tests.keys.workshop import NOW, Workshop, today

DOCUMENT = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    b' xsi:schemaLocation="a b"><CstmrPmtStsRpt>\n<GrpHdr><MsgId Z="2" A="1">M-1</MsgId><Nm>Caf\xc3\xa9 &amp; Co</Nm></GrpHdr>\n'
    b"<OrgnlGrpInfAndSts><GrpSts>ACCP</GrpSts></OrgnlGrpInfAndSts><SplmtryData><Envlp/></SplmtryData>\n"
    b"</CstmrPmtStsRpt></Document>\n"
)
CANONICAL = (
    b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    b' xsi:schemaLocation="a b"><CstmrPmtStsRpt>\n<GrpHdr><MsgId A="1" Z="2">M-1</MsgId><Nm>Caf\xc3\xa9 &amp; Co</Nm></GrpHdr>\n'
    b"<OrgnlGrpInfAndSts><GrpSts>ACCP</GrpSts></OrgnlGrpInfAndSts><SplmtryData><Envlp></Envlp></SplmtryData>\n"
    b"</CstmrPmtStsRpt></Document>"
)
PATH = "CstmrPmtStsRpt/SplmtryData/Envlp"


def xml_seal(
    workshop: Workshop, own: str, bank: str, *, kind: str = "xmldsig", clock: Callable[[], datetime] = today, **changes: Any
) -> Any:
    """The seal of `own` towards `bank`; the same one each time."""
    key = (kind, own, bank, clock, repr(sorted(changes.items())))
    if key not in workshop.seals:
        table = {
            "kind": kind,
            "signing_key": f"file:{own}.key",
            "signing_key_passphrase": "file:passphrase",
            "signing_certificate": f"file:{own}.crt",
            "bank_signing_certificates": (f"file:{bank}.crt",),
        } | changes
        if kind == "xades":
            workshop.seals[key] = build_xades(XadesProfile(**table), workshop.directory, clock)
        else:
            workshop.seals[key] = build_xmldsig(XmlDsigProfile(**table), workshop.directory, clock)
    return workshop.seals[key]


def issued(workshop: Workshop, *names: str) -> None:
    """Parties with P-256 keys whose certificates come from one authority."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "One Authority")])
    for name in names:
        workshop.party(name, "ec-p256")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(workshop.keys[name].public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=365))
            .sign(authority, hashes.SHA256())
        )
        (workshop.directory / f"{name}.crt").unlink()
        workshop.certificates[name] = certificate
        workshop.write_certificate(name, certificate)
