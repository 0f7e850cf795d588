"""Reaching tokens (PKCS#11 2.40): references to what is in them, and the one logged-in session a process has with each.

    pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/…/vendor.so&pin-source=env:NAME

The reference is a URI by RFC 7512. `token` or `serial` names the token, `object` or `id` (percent-encoded) the key. The module is
named by `module-path` or by the environment variable BANKGATE_PKCS11_MODULE; the PIN by `pin-source` (a reference) or by the
passphrase beside the key. A PIN never stands in the reference itself.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from keys import secrets
from keys.seal import KeyUnavailable

MODULE_VARIABLE: Final = "BANKGATE_PKCS11_MODULE"
_PATH_ATTRIBUTES: Final = ("token", "serial", "object", "id", "type", "manufacturer", "model")
_QUERY_ATTRIBUTES: Final = ("module-path", "pin-source")


class NoSuchObject(KeyUnavailable):
    """The token is there and open, and holds nothing of this label or id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReference:
    """What a `pkcs11:` reference names."""

    text: str  # as written, without its query: for words
    token: str | None
    serial: str | None
    label: str | None
    object_id: bytes | None
    module: str | None
    pin: str | None


def parse_reference(reference: str) -> TokenReference:
    """Reads a `pkcs11:` reference. Raises `KeyUnavailable` where it is malformed or names too little."""
    path, _, query = reference.removeprefix("pkcs11:").partition("?")
    named = _attributes(path, ";", _PATH_ATTRIBUTES)
    asked = _attributes(query, "&", _QUERY_ATTRIBUTES)
    shown = f"pkcs11:{path}"
    if not reference.startswith("pkcs11:") or not {"token", "serial"} & named.keys() or not {"object", "id"} & named.keys():
        raise KeyUnavailable(f"{shown}: a key in a token is given as pkcs11:token=LABEL;object=LABEL (RFC 7512)")

    def text(found: dict[str, str], name: str) -> str | None:
        return unquote(found[name]) if name in found else None

    return TokenReference(
        text=shown,
        token=text(named, "token"),
        serial=text(named, "serial"),
        label=text(named, "object"),
        object_id=unquote_to_bytes(named["id"]) if "id" in named else None,
        module=text(asked, "module-path"),
        pin=text(asked, "pin-source"),
    )


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name in {"pin-value", "pin"}:
            raise KeyUnavailable("pkcs11: a PIN never stands in a reference; name where it is: pin-source=env:NAME or file:PATH")
        if name not in known or not equals or not value or name in found:
            raise KeyUnavailable(f"pkcs11: the attribute {name!r} of this reference is unknown, empty or there twice")
        found[name] = value
    return found


# ---- sessions -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Session:
    """One logged-in session of this process with a token, used by one thread at a time.

    A PKCS#11 session holds one operation at once, and a login belongs to the whole process: a second PIN would not be looked at.
    So the first PIN that is right is remembered (as a digest), and others are refused here.
    """

    handle: Any
    pin_digest: bytes = field(repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock)


_Place = tuple[int, str, str | None, str | None]  # process, module, token, serial
_sessions: dict[_Place, _Session] = {}
_wrong_pins: set[tuple[_Place, bytes]] = set()
_opening = threading.Lock()


class Held:
    """An object in a token, found again after the token ended a session. `kind` is "PRIVATE_KEY" or "SECRET_KEY"."""

    __slots__ = ("_base", "_found", "_kind", "_passphrase", "reference")

    def __init__(self, reference: str, passphrase: str | None, base: Path, kind: str) -> None:
        self.reference = parse_reference(reference)
        self._passphrase = passphrase
        self._base = base
        self._kind = kind
        self._found: tuple[_Session, Any] | None = None

    @contextmanager
    def at_work(self) -> Iterator[tuple[Any, Any]]:
        """The session and the object in it, for one thread at a time. What the token refuses becomes `KeyUnavailable` with its
        PKCS#11 name."""
        pkcs11 = library_for(self.reference.text)
        with self._locked() as session:
            if self._found is None or self._found[0] is not session:
                self._found = session, _object(self.reference, session.handle, pkcs11.ObjectClass[self._kind])
            yield session.handle, self._found[1]

    @contextmanager
    def before_it_is_there(self) -> Iterator[Any]:
        """The session alone, for making the object. Raises `KeyUnavailable` where one of this label or id is there already."""
        pkcs11 = library_for(self.reference.text)
        with self._locked() as session:
            for half in (replace(self.reference, object_id=None), replace(self.reference, label=None)):
                if half.label is None and half.object_id is None:
                    continue
                with suppress(NoSuchObject):
                    _object(half, session.handle, pkcs11.ObjectClass[self._kind])
                    raise KeyUnavailable(f"{self.reference.text}: there is such a key already, and keys are never overwritten")
            yield session.handle

    @contextmanager
    def _locked(self) -> Iterator["_Session"]:
        pkcs11 = library_for(self.reference.text)
        session = self._session()
        with session.lock:
            try:
                yield session
            except (pkcs11.SessionHandleInvalid, pkcs11.SessionClosed, pkcs11.DeviceRemoved, pkcs11.TokenNotPresent) as problem:
                for place in [place for place, known in _sessions.items() if known is session]:
                    del _sessions[place]
                raise _told(self.reference, problem) from None
            except pkcs11.PKCS11Error as problem:
                raise _told(self.reference, problem) from None

    def _session(self) -> _Session:
        """The session of the token; opened, and the PIN given, once a process."""
        reference = self.reference
        place = (os.getpid(), _module(reference), reference.token, reference.serial)
        known = _sessions.get(place)
        if known is not None and self._found is not None and self._found[0] is known:
            return known
        pin = _pin(reference, self._passphrase, self._base)
        digest = hashlib.sha256(pin).digest()
        with _opening:
            if (place, digest) in _wrong_pins:
                raise _wrong_pin(reference)
            known = _sessions.get(place)
            if known is None:
                known = _sessions[place] = _Session(_logged_in(reference, place, pin, digest), digest)
        if known.pin_digest != digest:
            raise KeyUnavailable(f"{reference.text}: the PIN is wrong: it is not the one that opened this token before")
        return known


def library_for(called: str) -> Any:
    """The package python-pkcs11. Raises `KeyUnavailable` where it is not installed."""
    try:
        import pkcs11
    except ImportError:
        raise KeyUnavailable(f"{called}: keys in a token need the package python-pkcs11: pip install 'bankgate[hsm]'") from None
    return pkcs11


def _module(reference: TokenReference) -> str:
    module = reference.module or os.environ.get(MODULE_VARIABLE)
    if not module:
        raise KeyUnavailable(f"{reference.text}: name the PKCS#11 module of the vendor by module-path or {MODULE_VARIABLE}")
    return module


def _pin(reference: TokenReference, passphrase: str | None, base: Path) -> bytes:
    source = reference.pin or passphrase
    if source is None:
        raise KeyUnavailable(f"{reference.text}: name where its PIN is: pin-source=… in it, or the passphrase beside it")
    return secrets.passphrase(source, base)


def _logged_in(reference: TokenReference, place: _Place, pin: bytes, digest: bytes) -> Any:
    pkcs11, module = library_for(reference.text), place[1]
    try:
        library = pkcs11.lib(module)
    except (pkcs11.PKCS11Error, RuntimeError, OSError):
        raise KeyUnavailable(f"{reference.text}: the PKCS#11 module {module} cannot be loaded") from None
    wanted = {"token_label": reference.token, "token_serial": reference.serial and reference.serial.encode()}
    try:
        token = library.get_token(**{name: value for name, value in wanted.items() if value is not None})
        return token.open(user_pin=pin.decode("utf-8", "replace"), rw=True)  # read-write: session objects of the master key
    except pkcs11.NoSuchToken:
        raise KeyUnavailable(f"{reference.text}: there is no such token at {module}; is it plugged in and initialised?") from None
    except pkcs11.MultipleTokensReturned:
        raise KeyUnavailable(f"{reference.text}: several tokens are called so; name its serial too") from None
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        _wrong_pins.add((place, digest))
        raise _wrong_pin(reference) from None
    except (pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized) as problem:
        raise KeyUnavailable(f"{reference.text}: the token takes no PIN any more ({type(problem).__name__})") from None
    except (pkcs11.UserAlreadyLoggedIn, pkcs11.AnotherUserAlreadyLoggedIn):
        raise KeyUnavailable(f"{reference.text}: the token is logged in by another part of this process") from None
    except pkcs11.PKCS11Error as problem:
        raise _told(reference, problem) from None


def _object(reference: TokenReference, session: Any, kind: Any) -> Any:
    pkcs11 = library_for(reference.text)
    wanted = {"label": reference.label, "id": reference.object_id}
    try:
        return session.get_key(object_class=kind, **{name: value for name, value in wanted.items() if value is not None})
    except pkcs11.NoSuchKey:
        what = kind.name.lower().replace("_", " ")
        raise NoSuchObject(f"{reference.text}: there is no such {what} in the token") from None
    except pkcs11.MultipleObjectsReturned:
        raise KeyUnavailable(f"{reference.text}: several keys are called so; name the id of the one that is meant") from None


def _wrong_pin(reference: TokenReference) -> KeyUnavailable:
    return KeyUnavailable(
        f"{reference.text}: the PIN is wrong. It was given once and is not given again: tokens lock after a few"
    )


def _told(reference: TokenReference, problem: Exception) -> KeyUnavailable:
    return KeyUnavailable(f"{reference.text}: the token cannot do it ({type(problem).__name__})")
