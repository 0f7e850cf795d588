"""The curve of SM2 (GB/T 32918.5-2017: sm2p256v1): points checked and unpacked, and the public key of a private one.

Signing, verifying and decrypting are not done here but by GmSSL: this arithmetic takes a time that depends on its numbers. The
one use with a secret, `public_of`, happens once when a key is read, and under a fresh random blinding.
"""

from typing import Final

_BYTES: Final = 32
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX: Final = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY: Final = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

_Point = tuple[int, int, int]  # Jacobian coordinates; z = 0 is the point at infinity
_G: Final[_Point] = (GX, GY, 1)


def is_point(x: int, y: int) -> bool:
    """Whether the affine point lies on the curve. Its order is prime, so every such point is a public key."""
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x * x + A * x + B)) % P == 0


def unpacked(x: int, *, odd: bool) -> int | None:
    """The y of a compressed point (GB/T 32918.1, 4.2.10); None where there is none."""
    y = pow((x * x * x + A * x + B) % P, (P + 1) // 4, P)  # P is 3 modulo 4
    if not is_point(x, y):
        return None
    return y if y % 2 == odd else P - y


def public_of(private: int, blinding: int) -> tuple[int, int]:
    """The public key of a private one, affine. `blinding`: any fresh random number."""
    part = blinding % N
    return _affine(_add(_times((private - part) % N, _G), _times(part, _G)))


def _times(factor: int, point: _Point) -> _Point:
    found: _Point = (1, 1, 0)
    for bit in f"{factor:b}":
        found = _double(found)
        if bit == "1":
            found = _add(found, point)
    return found


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not z or not y:
        return (1, 1, 0)
    square = y * y % P
    s = 4 * x * square % P
    m = 3 * (x - z * z) * (x + z * z) % P  # a = -3
    doubled = (m * m - 2 * s) % P
    return doubled, (m * (s - doubled) - 8 * square * square) % P, 2 * y * z % P


def _add(one: _Point, other: _Point) -> _Point:
    if not one[2]:
        return other
    if not other[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, other
    u1, u2 = x1 * z2 * z2 % P, x2 * z1 * z1 % P
    s1, s2 = y1 * z2**3 % P, y2 * z1**3 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else (1, 1, 0)
    h, r = (u2 - u1) % P, (s2 - s1) % P
    h2 = h * h % P
    h3, u1h2 = h * h2 % P, u1 * h2 % P
    x3 = (r * r - h3 - 2 * u1h2) % P
    return x3, (r * (u1h2 - x3) - s1 * h3) % P, h * z1 * z2 % P


def _affine(point: _Point) -> tuple[int, int]:
    x, y, z = point
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * inverse**3 % P


def packed(x: int, y: int) -> bytes:
    """X‖Y, 32 bytes each."""
    return x.to_bytes(_BYTES, "big") + y.to_bytes(_BYTES, "big")
