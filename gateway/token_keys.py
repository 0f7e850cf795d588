"""The public keys of an issuer of tokens: a JSON Web Key Set (RFC 7517) from a file or an https address, read again in time.

A key that left the set stops counting after `cache_seconds`. A key id that is not in the set has it read at most once a minute,
so that strangers cannot make us ask without end. Where reading fails the old keys count for `keep_seconds`, and that is logged.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

SET_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 100
FETCH_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 60.0
FIRST_AGAIN_SECONDS: Final = 5.0  # as long as none could be read at all
RSA_BITS_MIN: Final = 2048
"""RFC 7518, sections 3.3 and 3.5."""

_CURVES: Final = {"P-256": ("EC", "ES256"), "Ed25519": ("OKP", "EdDSA")}
_PRIVATE: Final = frozenset({"d", "p", "q", "k"})

Read = Callable[[], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class KeysUnreadable(Exception):
    """An issuer's keys could not be read; says why in words."""


def file_source(path: Path) -> Read:
    """A set that stands in a file."""

    async def read() -> bytes:
        try:  # a few kilobytes, at most once a minute
            with path.open("rb") as file:
                return file.read(SET_BYTES_MAX + 1)
        except OSError as error:
            raise KeysUnreadable(f"cannot be read: {error.strerror}") from None

    return read


def url_source(url: str, authorities: bytes | None = None, *, seconds: float = FETCH_SECONDS) -> Read:
    """A set at an https address; its certificate is checked with these PEM authorities, or the system's. Follows no redirect."""
    context = ssl.create_default_context(cadata=None if authorities is None else authorities.decode("ascii"))

    async def read() -> bytes:
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(url, ssl=context, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise KeysUnreadable(f"the address answers {answer.status}")
                return await _bounded(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnreadable(f"cannot be fetched: {type(error).__name__}") from None

    return read


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    found = b""
    async for chunk in content.iter_chunked(64 * 1024):
        found += chunk
        if len(found) > SET_BYTES_MAX:
            break
    return found


def parsed(content: bytes) -> dict[tuple[str, str], Any]:
    """The keys that can check signatures: (key id, algorithm) → key. What is of another use or kind is left out.

    Raises `KeysUnreadable` for what is no key set, and for one with private keys: whoever publishes those has no secrets left.
    """
    if len(content) > SET_BYTES_MAX:
        raise KeysUnreadable("is too large to be a key set")
    try:
        listed = json.loads(content)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeysUnreadable("is no JSON Web Key Set") from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX or not all(isinstance(one, dict) for one in listed):
        raise KeysUnreadable("is no JSON Web Key Set, or has too many keys")
    if any(_PRIVATE & one.keys() for one in listed):
        raise KeysUnreadable("holds a private or secret key")
    found: dict[tuple[str, str], Any] = {}
    for one in listed:
        for algorithm in _algorithms(one):
            try:
                key = PyJWK(one, algorithm).key
            except (PyJWTError, ValueError, KeyError, TypeError):  # one key that cannot be read is none
                continue
            if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_MIN:
                continue
            if (one["kid"], algorithm) in found:
                raise KeysUnreadable("has two keys under one key id")
            found[one["kid"], algorithm] = key
    return found


def _algorithms(one: Mapping[str, Any]) -> tuple[str, ...]:
    """What a key may check: as its own alg says, else what its kind can. Nothing if it has no id or is not for signatures."""
    if not isinstance(one.get("kid"), str) or one.get("use", "sig") != "sig":
        return ()
    operations = one.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return ()
    can: tuple[str, ...] = ()
    if one.get("kty") == "RSA":
        can = ("RS256", "PS256")
    elif (curve := _CURVES.get(str(one.get("crv")))) is not None and curve[0] == one.get("kty"):
        can = (curve[1],)
    return tuple(name for name in can if one.get("alg", name) == name)


class IssuerKeys:
    """The keys of one issuer, from a source. `ticks`: seconds that only grow."""

    def __init__(
        self, issuer: str, read: Read, ticks: Callable[[], float], *, cache_seconds: float = 300, keep_seconds: float = 86_400
    ) -> None:
        self._issuer = issuer
        self._read = read
        self._ticks = ticks
        self._cache_seconds = cache_seconds
        self._keep_seconds = keep_seconds
        self._keys: dict[tuple[str, str], Any] | None = None
        self._read_at = self._tried_at = float("-inf")
        self._problem = "was not read yet"
        self._one_at_a_time = asyncio.Lock()

    async def key(self, key_id: str, algorithm: str) -> Any | None:
        """The key that checks such a token; None: the issuer has none of that id for it. Raises `KeysUnreadable`."""
        if self._due(key_id, algorithm):
            async with self._one_at_a_time:
                if self._due(key_id, algorithm):
                    await self._read_again()
        if self._keys is None or self._ticks() - self._read_at >= self._keep_seconds:
            raise KeysUnreadable(self._problem)
        return self._keys.get((key_id, algorithm))

    def _due(self, key_id: str, algorithm: str) -> bool:
        now = self._ticks()
        old = self._keys is None or now - self._read_at >= self._cache_seconds or (key_id, algorithm) not in self._keys
        return old and now - self._tried_at >= (FIRST_AGAIN_SECONDS if self._keys is None else AGAIN_SECONDS)

    async def _read_again(self) -> None:
        self._tried_at = self._ticks()
        problem = None
        try:
            self._keys = parsed(await self._read())
        except KeysUnreadable as error:
            problem = self._problem = str(error)
        if problem is None:
            self._read_at = self._ticks()
            log.info("tokens.keys-read", issuer=self._issuer, keys=len(self._keys or ()))
        else:
            left = None if self._keys is None else max(0, round(self._read_at + self._keep_seconds - self._ticks()))
            log.error("tokens.keys-unreadable", issuer=self._issuer, problem=problem, old_keys_count_seconds=left)
