"""What the key store knows of each key: its manifest, the states a version of it goes through, and the form on disk.

Pure. A manifest holds nothing secret in clear: the data key in it is wrapped by the master key, and the private key itself stands
in a file of its own (`keystore_crypto`). Every manifest, and the index of them all, carries a MAC, so that what is read is what
bankgate wrote.

The states follow NIST SP 800-57 part 1 rev. 5, section 7 (pre-activation, active, deactivated, destroyed), with the two that
banking adds: waiting for the bank's certificate, and overlap, when the successor is in use and this one still has to be read.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar, get_args

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from keys.seal import KeyUnavailable

Purpose = Literal["sign", "decrypt", "tls-client", "ssh"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)
State = Literal["created", "certificate_requested", "active", "overlap", "retired", "destroyed"]
STATES: Final[tuple[State, ...]] = get_args(State)

NEXT: Final[Mapping[State, tuple[State, ...]]] = {
    "created": ("certificate_requested", "active", "destroyed"),
    "certificate_requested": ("certificate_requested", "active", "destroyed"),
    "active": ("overlap", "retired"),
    "overlap": ("active", "retired"),  # back to active: the bank was not ready for the new one
    "retired": ("overlap", "destroyed"),  # back to overlap: a late answer has to be read
    "destroyed": (),
}
"""What may follow each state."""

USABLE: Final[tuple[State, ...]] = ("active", "overlap")
READABLE: Final[tuple[State, ...]] = ("created", "certificate_requested", "active", "overlap")
"""States in which a decryption key is tried: the bank may switch before we do."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_KEY_ID = re.compile(r"[0-9a-f]{32}")
FORMAT: Final = 1

Word = TypeVar("Word", bound=str)


def check_name(name: str) -> str:
    """The name itself. Raises `KeyUnavailable` where it cannot be one (it becomes part of file names and references)."""
    if not _NAME.fullmatch(name):
        raise KeyUnavailable("the name of a key is made of letters, digits, - and _, and starts with a letter or digit")
    return name


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history. `version` is None for what concerns the whole key or the whole store."""

    at: datetime
    who: str
    what: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One key pair under a name. `wrapped_key` is its data key as the master key wrapped it; None once destroyed."""

    number: int
    state: State
    algorithm: str  # "RSA 3072", "EC secp256r1"
    public_key: bytes = field(repr=False)  # DER of SubjectPublicKeyInfo
    certificates: tuple[bytes, ...] = field(default=(), repr=False)  # DER, its own first
    created_at: datetime
    created_by: str
    active_from: datetime | None = None
    active_until: datetime | None = None
    wrapped_key: bytes | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """Whether there is still a private key behind it."""
        return self.state != "destroyed"

    def load_public_key(self) -> PublicKeyTypes:
        """The public key."""
        return load_der_public_key(self.public_key)

    def certificate(self) -> x509.Certificate:
        """Its own certificate; only where it has one."""
        return x509.load_der_x509_certificate(self.certificates[0])

    def usable_on(self, on: datetime) -> bool:
        """Whether it may sign at that moment."""
        starts, ends = self.active_from, self.active_until
        return self.state in USABLE and (starts is None or starts <= on) and (ends is None or on <= ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All versions of one named key. `key_id` never changes and is never used again."""

    name: str
    key_id: str
    purposes: tuple[Purpose, ...]
    created_at: datetime
    created_by: str
    versions: tuple[Version, ...]
    history: tuple[Event, ...]
    revision: int = 1

    def version(self, number: int) -> Version:
        """Raises `KeyUnavailable` where there is none of this number."""
        for version in self.versions:
            if version.number == number:
                return version
        raise KeyUnavailable(f"store:{self.name}@{number}: the key {self.name} has no version {number}")

    def current(self, on: datetime) -> Version:
        """The version to sign with at that moment: the active one; until it starts, the one in overlap that started last. Raises
        `KeyUnavailable`."""
        usable = [version for version in self.versions if version.usable_on(on)]
        usable = [version for version in usable if version.state == "active"] or usable
        if not usable:
            states = ", ".join(f"version {version.number} is {version.state}" for version in self.versions)
            raise KeyUnavailable(f"store:{self.name}: no version of this key is active at this moment: {states}")
        return max(usable, key=lambda version: (version.active_from or version.created_at, version.number))

    def readable(self) -> tuple[Version, ...]:
        """The versions the bank may have encrypted for, newest first. A key that is not announced yet counts: the bank may
        switch before we do."""
        return tuple(version for version in reversed(self.versions) if version.state in READABLE and version.certificates)

    @property
    def last(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    def next_change(self, on: datetime) -> datetime | None:
        """When another version comes into force by itself, if that is planned."""
        moments = (moment for version in self.versions for moment in (version.active_from, version.active_until) if moment)
        return min((moment for moment in moments if moment > on), default=None)

    def with_version(self, changed: Version, event: Event) -> "Manifest":
        """With this version in the place of the one of its number, or behind the others, and the event told."""
        others = {version.number: version for version in self.versions} | {changed.number: changed}
        versions = tuple(others[number] for number in sorted(others))
        return replace(self, versions=versions, history=(*self.history, event))

    def moved(self, number: int, state: State, event: Event, **changes: Any) -> "Manifest":
        """With a version in its next state. Raises `KeyUnavailable` where that state cannot follow."""
        version = self.version(number)
        if state not in NEXT[version.state]:
            raise KeyUnavailable(
                f"store:{self.name}@{number}: this version is {version.state} and cannot become {state}; "
                f"it may become {' or '.join(NEXT[version.state]) or 'nothing any more'}"
            )
        return self.with_version(replace(version, state=state, **changes), event)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the index says a manifest is, and the SHA-256 of its file: an older manifest in its place is noticed."""

    revision: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The head of a store: how to open it, and which manifests are in force. Replaced as a whole: it is what commits."""

    store_id: str
    master: str  # a reference
    master_generation: int
    wrapped_mac_key: bytes = field(repr=False)
    entries: Mapping[str, Entry]
    history: tuple[Event, ...]
    revision: int = 1


# ---- the form on disk -------------------------------------------------------------------------------------------------


def encode_manifest(manifest: Manifest, mac_key: bytes) -> bytes:
    """The file of a manifest."""
    body = {
        "name": manifest.name,
        "key_id": manifest.key_id,
        "purposes": list(manifest.purposes),
        "created_at": _text(manifest.created_at),
        "created_by": manifest.created_by,
        "revision": manifest.revision,
        "versions": [_version_out(version) for version in manifest.versions],
        "history": [_event_out(event) for event in manifest.history],
    }
    return _sealed(body, mac_key)


def decode_manifest(data: bytes, mac_key: bytes | None, called: str) -> Manifest:
    """The manifest of a file. `mac_key` None: its public contents, unproven. Raises `KeyUnavailable` naming it as `called`."""
    body = _unsealed(data, mac_key, called)
    try:
        return Manifest(
            name=check_name(body["name"]),
            key_id=_key_id(body["key_id"]),
            purposes=tuple(_one_of(PURPOSES, purpose) for purpose in body["purposes"]),
            created_at=_moment(body["created_at"]),
            created_by=str(body["created_by"]),
            revision=int(body["revision"]),
            versions=tuple(_version_in(version) for version in body["versions"]),
            history=tuple(_event_in(event) for event in body["history"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise altered(called) from None


def encode_index(index: Index, mac_key: bytes) -> bytes:
    """The file of the index."""
    body = {
        "format": FORMAT,
        "store_id": index.store_id,
        "revision": index.revision,
        "master": index.master,
        "master_generation": index.master_generation,
        "mac_key": _octets(index.wrapped_mac_key),
        "keys": {name: [entry.revision, entry.digest] for name, entry in index.entries.items()},
        "history": [_event_out(event) for event in index.history],
    }
    return _sealed(body, mac_key)


def decode_index(data: bytes, mac_key: bytes | None, called: str) -> Index:
    """The index of a file; as `decode_manifest`."""
    body = _unsealed(data, mac_key, called)
    if body.get("format") != FORMAT:
        raise KeyUnavailable(f"{called}: this key store is of a format that this version of bankgate does not know")
    try:
        return Index(
            store_id=_key_id(body["store_id"]),
            revision=int(body["revision"]),
            master=str(body["master"]),
            master_generation=int(body["master_generation"]),
            wrapped_mac_key=_bytes(body["mac_key"]),
            entries={check_name(name): Entry(int(entry[0]), str(entry[1])) for name, entry in body["keys"].items()},
            history=tuple(_event_in(event) for event in body["history"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        raise altered(called) from None


def digest_of(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def altered(called: str) -> KeyUnavailable:
    """The error for a file of the store that is not as bankgate wrote it."""
    return KeyUnavailable(
        f"{called} was altered or damaged: it is not what bankgate wrote. Nothing of it is used; restore the key store from a "
        "backup"
    )


def _sealed(body: Mapping[str, Any], mac_key: bytes) -> bytes:
    return _canonical({"body": body, "mac": _mac(body, mac_key)})


def _unsealed(data: bytes, mac_key: bytes | None, called: str) -> dict[str, Any]:
    """Also unproven contents must be in the one form we write: no byte of a file is without meaning."""
    try:
        document = json.loads(data)
        body, mac = document["body"], document["mac"]
        whole = isinstance(body, dict) and isinstance(mac, str) and _canonical({"body": body, "mac": mac}) == data
        proven = whole and (mac_key is None or hmac.compare_digest(mac.encode(), _mac(body, mac_key).encode()))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise altered(called) from None
    if not proven:
        raise altered(called)
    return dict(body)


def _canonical(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode("ascii")


def _mac(body: Mapping[str, Any], mac_key: bytes) -> str:
    return hmac.new(mac_key, _canonical(body), hashlib.sha256).hexdigest()


def _version_out(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "state": version.state,
        "algorithm": version.algorithm,
        "public_key": _octets(version.public_key),
        "certificates": [_octets(certificate) for certificate in version.certificates],
        "created_at": _text(version.created_at),
        "created_by": version.created_by,
        "active_from": version.active_from and _text(version.active_from),
        "active_until": version.active_until and _text(version.active_until),
        "wrapped_key": None if version.wrapped_key is None else _octets(version.wrapped_key),
    }


def _version_in(found: Mapping[str, Any]) -> Version:
    starts, ends, wrapped = found["active_from"], found["active_until"], found["wrapped_key"]
    return Version(
        number=int(found["number"]),
        state=_one_of(STATES, found["state"]),
        algorithm=str(found["algorithm"]),
        public_key=_bytes(found["public_key"]),
        certificates=tuple(_bytes(certificate) for certificate in found["certificates"]),
        created_at=_moment(found["created_at"]),
        created_by=str(found["created_by"]),
        active_from=None if starts is None else _moment(starts),
        active_until=None if ends is None else _moment(ends),
        wrapped_key=None if wrapped is None else _bytes(wrapped),
    )


def _event_out(event: Event) -> dict[str, Any]:
    return {"at": _text(event.at), "who": event.who, "what": event.what, "version": event.version}


def _event_in(found: Mapping[str, Any]) -> Event:
    version = found["version"]
    return Event(_moment(found["at"]), str(found["who"]), str(found["what"]), None if version is None else int(version))


def _one_of(words: tuple[Word, ...], found: object) -> Word:
    for word in words:
        if word == found:
            return word
    raise ValueError("an unknown word")


def _key_id(found: object) -> str:
    if not isinstance(found, str) or not _KEY_ID.fullmatch(found):
        raise ValueError("no id")
    return found


def _octets(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a moment without a zone")
    return found
