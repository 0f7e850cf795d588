"""Electronic signatures of orders as the bank checks them: the form of the file, the signers, the signature over N(D).

Sources: schemas S001 and S002 (UserSignatureData); EBICS 2.5 and 3.0, A005 and A006; return codes 0911xx and 0913xx.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from keys.ebics_auth import parse_message
from keys.ebics_encryption import decrypted_whole
from keys.ebics_signature import verify_order
from keys.seal import BadSeal
from simulator.ebics.archive import Signer, now_text
from simulator.ebics.names import Fault, Version
from simulator.ebics.requests import base64_of
from simulator.ebics.subscribers import State, User

SIGNATURES_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One electronic signature as it came."""

    process: str  # A005, A006
    value: bytes
    partner_id: str
    user_id: str


def read_signatures(text: bytes, transaction_key: bytes, version: Version) -> list[Signature]:
    """The signatures in an upload's SignatureData. Raises `Fault` (091111, and 091113 for what cannot be decrypted)."""
    try:
        data = decrypted_whole(text, transaction_key, bytes_max=SIGNATURES_BYTES_MAX)
    except BadSeal as error:
        raise Fault("091113", f"SignatureData: {error.detail}") from error
    try:
        root = parse_message(data)
    except BadSeal as error:
        raise Fault("091111", f"UserSignatureData: {error.detail}") from error
    namespace = version.signature_namespace
    if root.tag != f"{{{namespace}}}UserSignatureData" or not len(root):
        raise Fault("091111", f"the signature file is no UserSignatureData of {namespace}, or holds no signature")
    found = []
    for element in root:
        texts = {child.tag: (child.text or "").strip() for child in element}
        names = ("SignatureVersion", "SignatureValue", "PartnerID", "UserID")
        if element.tag != f"{{{namespace}}}OrderSignatureData" or any(f"{{{namespace}}}{name}" not in texts for name in names):
            raise Fault("091111", "OrderSignatureData: SignatureVersion, SignatureValue, PartnerID and UserID")
        process, value, partner_id, user_id = (texts[f"{{{namespace}}}{name}"] for name in names)
        octets = base64_of(value, "SignatureValue", "091111")
        found.append(Signature(process=process, value=octets, partner_id=partner_id, user_id=user_id))
    return found


def signers_of(
    signatures: Iterable[Signature], sender: User, find: Callable[[str, str], User | None], before: Sequence[Signer] = ()
) -> list[tuple[Signature, User]]:
    """Who signed. Raises `Fault`: 091120 another customer's, 091304 nobody the bank knows, 091305 not READY, 091306 twice."""
    known = {(signer.partner_id, signer.user_id) for signer in before}
    found = []
    for signature in signatures:
        if signature.partner_id != sender.partner_id:
            raise Fault("091120", "the electronic signature names another customer than the sender's")
        user = find(signature.partner_id, signature.user_id)
        if user is None:
            raise Fault("091304", "the electronic signature is by nobody the bank knows")
        if user.state is not State.READY:
            raise Fault("091305", f"the signer is {user.state}")
        if (user.partner_id, user.id) in known:
            raise Fault("091306", "the signer has signed this order already")
        known.add((user.partner_id, user.id))
        found.append((signature, user))
    return found


def check_signatures(pairs: Iterable[tuple[Signature, User]], digest: bytes, raw: bytes | None = None) -> bool:
    """Raises `Fault` (091301) unless each is by its signer's key over data of this digest. True if one is over the `raw` digest
    instead, which the caller has to tolerate or refuse."""
    any_raw = False
    for signature, user in pairs:
        key = user.keys["Signature"]
        if key.version != signature.process:
            raise Fault("091301", f"the signer's key is for {key.version}, the electronic signature says {signature.process[:8]}")
        try:
            verify_order(signature.process, key.public, digest, signature.value)
        except BadSeal as error:
            if raw is None or not _is_over(signature, user, raw):
                raise Fault("091301", error.detail) from error
            any_raw = True
    return any_raw


def as_signers(pairs: Iterable[tuple[Signature, User]]) -> list[Signer]:
    at = now_text()
    return [Signer(partner_id=user.partner_id, user_id=user.id, level=user.settings.level, at=at) for _, user in pairs]


def _is_over(signature: Signature, user: User, digest: bytes) -> bool:
    try:
        verify_order(signature.process, user.keys["Signature"].public, digest, signature.value)
    except BadSeal:
        return False
    return True
