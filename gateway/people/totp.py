"""One-time passwords by the clock (RFC 6238 over RFC 4226: HMAC-SHA1, 6 digits, steps of 30 seconds). Pure.

SHA-1 is what authenticator apps know; its collisions do not matter in HMAC. A code counts once: whoever accepts a step stores
it, and neither it nor an earlier one is accepted again.
"""

import base64
import hmac
from typing import Final
from urllib.parse import quote

STEP_SECONDS: Final = 30
DIGITS: Final = 6
WINDOW: Final = 1  # steps either way: clocks of telephones (RFC 6238, section 5.2)
SECRET_BYTES: Final = 20  # RFC 4226, section 4, R6


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of a step (seconds since 1970 divided by 30)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(seconds: float) -> int:
    """The step that a moment (seconds since 1970) lies in."""
    return int(seconds // STEP_SECONDS)


def accepted_step(secret: bytes, code: str, seconds: float, used: int) -> int | None:
    """The step whose code this is, within the window around the moment and after `used`, the last one that counted; None: no."""
    entered = "".join(code.split())
    if len(entered) != DIGITS or not (entered.isascii() and entered.isdigit()):
        return None
    now = step_at(seconds)
    right = None
    for step in range(now - WINDOW, now + WINDOW + 1):  # all of them, whichever fits
        if hmac.compare_digest(code_at(secret, step), entered) and step > used:
            right = step
    return right


def uri(secret: bytes, *, issuer: str, name: str) -> str:
    """What an app reads from a QR code (Key Uri Format)."""
    label = f"{quote(issuer, safe='')}:{quote(name, safe='')}"
    shown = base64.b32encode(secret).decode().rstrip("=")
    return f"otpauth://totp/{label}?secret={shown}&issuer={quote(issuer, safe='')}&algorithm=SHA1&digits=6&period=30"
