"""Passkeys (W3C Web Authentication, level 2) by the library `webauthn`, and what makes their signatures mean something here.

The challenge that an authenticator signs is not chance alone: it is SHA-256 over a word, a stored nonce and the digest of what
the factor is given for. So the signature covers what was approved, and the evidence kept beside a decision lets anybody check it:
`challenge_of(nonce, bound_to)` stands in clientDataJSON, whose SHA-256 follows the authenticator data in what is signed (section
7.2). User verification is always required; a signature counter that does not grow is a cloned authenticator and refused.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CREDENTIAL_BYTES_MAX: Final = 16 * 1024  # of the JSON that a browser gives
NONCE_BYTES: Final = 32
_WORD: Final = b"bankgate second factor 1\x00"
_REQUIRED: Final = UserVerificationRequirement.REQUIRED


class BadPasskey(Exception):
    """What the browser gave is no registration or assertion for this question, by this key, at this page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """The page people use: its domain (or one above it), where it is served, and what authenticators call it."""

    domain: str
    origins: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A registered one. `public_key` is the COSE key, base64url."""

    credential_id: str
    public_key: str
    counter: int


def challenge_of(nonce: bytes, bound_to: bytes) -> bytes:
    """What is signed for a purpose: both are 32 bytes."""
    if len(nonce) != NONCE_BYTES or len(bound_to) != sha256().digest_size:
        raise ValueError("nonce and bound_to are 32 bytes each")
    return sha256(_WORD + nonce + bound_to).digest()


def registration_options(party: RelyingParty, name: str, known: Sequence[str], challenge: bytes, seconds: float) -> str:
    """What a browser's navigator.credentials.create() takes, as JSON. `known`: keys that the person has already."""
    return options_to_json(
        generate_registration_options(
            rp_id=party.domain,
            rp_name=party.title,
            user_name=name,
            user_id=sha256(b"bankgate person\x00" + name.encode()).digest(),
            challenge=challenge,
            timeout=int(seconds * 1000),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=_REQUIRED
            ),
            exclude_credentials=_described(known),
        )
    )


def registered(party: RelyingParty, credential: str, challenge: bytes) -> Passkey:
    """The passkey of what create() gave. Raises `BadPasskey`."""
    content = _read(credential)
    try:
        found = verify_registration_response(
            credential=content,
            expected_challenge=challenge,
            expected_rp_id=party.domain,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise BadPasskey(f"the registration was not accepted: {type(error).__name__}") from None
    return Passkey(
        credential_id=bytes_to_base64url(found.credential_id),
        public_key=bytes_to_base64url(found.credential_public_key),
        counter=found.sign_count,
    )


def assertion_options(party: RelyingParty, known: Sequence[str], challenge: bytes, seconds: float) -> str:
    """What navigator.credentials.get() takes, as JSON."""
    return options_to_json(
        generate_authentication_options(
            rp_id=party.domain,
            challenge=challenge,
            timeout=int(seconds * 1000),
            allow_credentials=_described(known),
            user_verification=_REQUIRED,
        )
    )


def credential_id_of(assertion: str) -> str:
    """Which passkey an assertion says it is of. Raises `BadPasskey`."""
    found = _read(assertion).get("id")
    if not isinstance(found, str):
        raise BadPasskey("the assertion has no id")
    return found


def asserted(party: RelyingParty, assertion: str, challenge: bytes, passkey: Passkey) -> int:
    """The authenticator's counter, after its signature over the challenge was checked. Raises `BadPasskey`."""
    content = _read(assertion)
    try:
        found = verify_authentication_response(
            credential=content,
            expected_challenge=challenge,
            expected_rp_id=party.domain,
            expected_origin=list(party.origins),
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.counter,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise BadPasskey(f"the assertion was not accepted: {type(error).__name__}") from None
    return found.new_sign_count


def evidence(party: RelyingParty, assertion: str, nonce: bytes, bound_to: bytes, passkey: Passkey) -> str:
    """What a third party needs to check the signature, as JSON: docs/people.md says how."""
    response = _read(assertion)["response"]
    key = decoded_public_key_to_cryptography(decode_credential_public_key(base64url_to_bytes(passkey.public_key)))
    return json.dumps(
        {
            "version": 1,
            "relying_party": party.domain,
            "nonce": nonce.hex(),
            "bound_to": bound_to.hex(),
            "credential_id": passkey.credential_id,
            "public_key": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "client_data_json": response["clientDataJSON"],
            "authenticator_data": response["authenticatorData"],
            "signature": response["signature"],
        },
        sort_keys=True,
    )


def _described(known: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known]


def _read(text: str) -> dict[str, Any]:
    if len(text) > CREDENTIAL_BYTES_MAX:
        raise BadPasskey("is too long for what a browser gives")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadPasskey("is not JSON") from None
    if not isinstance(content, dict):
        raise BadPasskey("is not a JSON object")
    return content
