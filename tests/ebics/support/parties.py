"""Keys and names of the tests. Keys are read from this file's constants: golden envelopes need the same ones every time."""

from datetime import UTC, datetime
from functools import cache
from hashlib import shake_256

from cryptography.hazmat.primitives.asymmetric import rsa

from channels.ebics.envelope import BankKeys, Moment
from channels.ebics.key_data import OwnKeys
from channels.ebics.names import Subscriber
from keys.ebics_keys import EbicsKey, ebics_certificate, own_key
from keys.keymaterial import SoftwareKey, Subject

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MOMENT = Moment(nonce=bytes(range(16)), time=NOW)
SUBSCRIBER = Subscriber(host_id="TESTHOST", partner_id="PARTNER1", user_id="USER1", product="bankgate", language="en")
TRANSACTION = "0123456789ABCDEF0123456789ABCDEF"
ORDER_DATA = b"<Document>one line</Document>"


def _private(p: int, q: int) -> SoftwareKey:
    """A key from two primes, so that it is the same in every run."""
    e, n, phi = 65537, p * q, (p - 1) * (q - 1)
    d = pow(e, -1, phi)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, n))
    return SoftwareKey(numbers.private_key())


# Primes of 1,024 bits, each the first after a number that anybody can compute: keys for tests, good for nothing else.
_OFFSETS = (2308, 2436, 268, 916, 112, 280, 52, 46, 1198, 1426, 766, 148)


def _prime(place: int) -> int:
    start = (0xC000 + place * 0x0123) << 1008
    start += int.from_bytes(shake_256(b"bankgate tests %d" % place).digest(120), "big") | 1
    return start + _OFFSETS[place]


@cache
def key(name: str) -> SoftwareKey:
    """A, X, E: the subscriber's; BX, BE: the bank's; O: of somebody else."""
    place = ("A", "X", "E", "BX", "BE", "O").index(name) * 2
    return _private(_prime(place), _prime(place + 1))


@cache
def certified(version, name: str) -> EbicsKey:
    """With a certificate of its own, which differs from run to run."""
    made = ebics_certificate(version, key(name), Subject(common_name=f"test {name}"), on=NOW, days=365)
    return own_key(version, key(name), made)


@cache
def own_keys(certificates: bool = True) -> OwnKeys:
    if certificates:
        return OwnKeys(signature=certified("A006", "A"), authentication=certified("X002", "X"), encryption=certified("E002", "E"))
    return OwnKeys(
        signature=own_key("A006", key("A")), authentication=own_key("X002", key("X")), encryption=own_key("E002", key("E"))
    )


@cache
def bank_keys() -> BankKeys:
    return BankKeys(authentication=own_key("X002", key("BX")), encryption=own_key("E002", key("BE")))
