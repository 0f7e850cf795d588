"""What every `[seal]` profile is made of: its strictness, its references, its suffix, and how its keys are looked over."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from keys import store
from keys.keyring import Certificate
from keys.seal import KeyUnavailable
from keys.secrets import Directory

Reference = Annotated[str, Field(pattern=r"^(file|env|credential|store|pkcs11):.", max_length=4096)]
"""Where something secret or shared is found; see `keys.secrets`: "file:PATH", "env:NAME", "credential:NAME", "store:NAME",
"pkcs11:token=…;object=…"."""

Suffix = Annotated[str, Field(pattern=r"^(\.[A-Za-z0-9]{1,10}){0,2}$")]
"""What a sealed file's name gets appended: ".p7m", ".xml.pem", or nothing."""

_WITHOUT_PASSPHRASE = ("store:", "pkcs11:")


class Profile(BaseModel):
    """Unknown words are mistakes, and a profile does not change. What was written is not repeated in errors: it may be a secret
    in the place of its reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_Profile = Profile


def passphrase_problem(key: str | None, passphrase: str | None) -> str | None:
    """Why this key cannot be opened as configured, for validators of profiles; None if it can be.

    A key in a file needs the reference of its passphrase. A key of the key store needs none and may have none; for one in a token
    it is the PIN, unless `pin-source` in the reference names it.
    """
    if key is None:
        return None
    if passphrase is None and not key.startswith(_WITHOUT_PASSPHRASE):
        return "a key outside the key store needs the reference of its passphrase"
    if passphrase is not None and key.startswith("store:"):
        return "a key of the key store (store:) is opened by the master key and has no passphrase of its own"
    return None


def missing_certificate(key: str | None, certificate: str | None) -> str | None:
    """Why this key has no certificate, for validators of profiles; None if it has one. A key of the key store brings its own."""
    if key is None or certificate is not None or key.startswith("store:"):
        return None
    return "a key outside the key store needs a certificate beside it"


def certificate_problems(uses: Iterable[tuple[str, str]], base: Directory, on: datetime) -> Iterator[str]:
    """What is wrong with the certificates of a profile at that moment: those that cannot be read, and every use for which none is
    valid. One that is valid is enough for a use: the others are the overlap of a rotation."""
    loaded: dict[str, list[Certificate]] = {}
    for use, reference in uses:
        try:
            loaded.setdefault(use, []).append(store.load_certificate(reference, base))
        except KeyUnavailable as problem:
            yield f"{use}: {problem}"
    for use, group in loaded.items():
        expired = [reason for certificate in group if (reason := certificate.problem(on))]
        if len(expired) == len(group):
            yield from (f"{use}: {reason}" for reason in expired)


def key_problems(use: str, certificate: str | None, key: str, passphrase: str | None, base: Directory) -> Iterator[str]:
    """Opens a private key and sees that it belongs to its certificate; what keeps it from being used, in words."""
    try:
        private = store.load_private_key(key, passphrase, base)
    except KeyUnavailable as problem:
        yield f"{use}: {problem}"
        return
    if certificate is None:
        return
    try:
        if private.public_key != store.load_certificate(certificate, base).public_key:
            yield f"{use}: {key}: this private key does not belong to the certificate {certificate}"
    except KeyUnavailable:
        return  # the certificate is reported on its own
