"""Keys, messages and order data for the tests of EBICS cryptography. The keys are made once a run."""

from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from keys.ebics_auth import sign_message
from keys.keymaterial import SoftwareKey

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
H005 = "urn:org:ebics:H005"


@cache
def rsa_key(name: str, bits: int = 2048) -> SoftwareKey:
    """One of several different keys, by name."""
    return SoftwareKey(rsa.generate_private_key(public_exponent=65537, key_size=bits))


def public(name: str) -> rsa.RSAPublicKey:
    found = rsa_key(name).public_key
    assert isinstance(found, rsa.RSAPublicKey)
    return found


MESSAGE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<ebicsRequest xmlns="urn:org:ebics:H005" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Version="H005" Revision="1">'
    b'<header authenticate="true"><static><HostID>TESTHOST</HostID></static><mutable><TransactionPhase>Receipt</TransactionPhase>'
    b'</mutable></header><body><TransferReceipt authenticate="true"><ReceiptCode>0</ReceiptCode></TransferReceipt></body>'
    b"</ebicsRequest>"
)


def signed_message(name: str = "X002") -> bytes:
    return sign_message(etree.fromstring(MESSAGE), rsa_key(name))
