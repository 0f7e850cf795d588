"""The machines' states as JSON text, to be stored before anything is sent, and back.

Read strictly: a state that has lost a field or gained one, or that is of another kind, is refused. A state that is guessed at
could send an order twice.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from enum import Enum
from typing import Any, Final, TypeVar

from channels.ebics.codes_table import Remedy
from channels.ebics.download import DownloadState, End
from channels.ebics.order_data import HpbData
from channels.ebics.subscriber import Sent, Subscription
from channels.ebics.upload import Outcome, UploadState
from keys.ebics_keys import EbicsKey, KeyVersion, key_of_certificate, key_of_numbers
from keys.seal import BadSeal

State = UploadState | DownloadState | Subscription
Kind = TypeVar("Kind", UploadState, DownloadState, Subscription)

_KINDS: Final[dict[str, type[State]]] = {"upload": UploadState, "download": DownloadState, "subscription": Subscription}
_WORDS: Final[dict[tuple[str, str], Callable[[str], Enum]]] = {
    ("upload", "outcome"): Outcome,
    ("upload", "remedy"): Remedy,
    ("download", "end"): End,
    ("subscription", "ini"): Sent,
    ("subscription", "hia"): Sent,
}


def to_text(state: State) -> str:
    """The state as one line of JSON; the same state gives the same text."""
    kind = next(name for name, known in _KINDS.items() if isinstance(state, known))
    if isinstance(state, Subscription):
        found = {field.name: getattr(state, field.name) for field in fields(state)}
        found |= {name: _bank_text(found[name]) for name in ("bank", "offered")}
    else:
        found = asdict(state)
    return json.dumps({"kind": kind, **found}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str, kind: type[Kind]) -> Kind:
    """The state of `to_text`. Raises `ValueError` for anything else."""
    name = next(word for word, known in _KINDS.items() if known is kind)
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError(f"this is no stored {name}: no JSON") from None
    if not isinstance(found, dict) or found.pop("kind", None) != name:
        raise ValueError(f"this is no stored {name}")
    if set(found) != {field.name for field in fields(kind)}:
        raise ValueError(f"the stored {name} lacks a field or has one more; it was written by another version")
    for field, value in found.items():
        found[field] = _value(name, field, value)
    return kind(**found)


def _value(kind: str, field: str, value: Any) -> Any:
    if (kind, field) in _WORDS:
        return _WORDS[kind, field](value)
    if kind == "subscription" and field in {"bank", "offered"}:
        return _bank(value)
    if value is not None and not isinstance(value, str | int):
        raise ValueError(f"{field} of the stored {kind} is neither text nor a number")
    return value


def _bank_text(keys: HpbData | None) -> Any:
    if keys is None:
        return None
    return {"X002": _key_text(keys.authentication), "E002": _key_text(keys.encryption), "host_id": keys.host_id}


def _key_text(key: EbicsKey) -> Any:
    numbers = key.public.public_numbers()
    certificate = None if key.certificate is None else base64.b64encode(key.certificate).decode("ascii")
    return {"modulus": f"{numbers.n:x}", "exponent": f"{numbers.e:x}", "certificate": certificate}


def _bank(found: Any) -> HpbData | None:
    if found is None:
        return None
    if not isinstance(found, Mapping) or set(found) != {"X002", "E002", "host_id"}:
        raise ValueError("the stored bank keys are malformed")
    return HpbData(
        authentication=_key("X002", found["X002"]), encryption=_key("E002", found["E002"]), host_id=str(found["host_id"])
    )


def _key(version: KeyVersion, found: Any) -> EbicsKey:
    called = f"the stored key for {version}"
    try:
        if found["certificate"] is not None:
            return key_of_certificate(version, base64.b64decode(found["certificate"], validate=True), called)
        modulus, exponent = (int(found[name], 16).to_bytes(513, "big") for name in ("modulus", "exponent"))
        return key_of_numbers(version, modulus, exponent.lstrip(b"\0"), called)
    except (KeyError, TypeError, ValueError, OverflowError, BadSeal):
        raise ValueError(f"{called} is malformed") from None
