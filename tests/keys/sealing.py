"""What the tests of every seal kind do: seal, open, and look at the code of a refusal; at a moment that stands still."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from keys.seal import BadSeal, Seal

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def today() -> datetime:
    return NOW


def later(days: int) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(days=days)


def sealed(seal: Seal, content: bytes) -> bytes:
    out = io.BytesIO()
    seal.seal(io.BytesIO(content), out)
    return out.getvalue()


def opened(seal: Seal, message: bytes) -> bytes:
    out = io.BytesIO()
    seal.open(io.BytesIO(message), out)
    return out.getvalue()


def code_of(seal: Seal, message: bytes) -> str | None:
    """The code with which opening fails; None if it does not."""
    try:
        opened(seal, message)
    except BadSeal as problem:
        return problem.code
    return None
