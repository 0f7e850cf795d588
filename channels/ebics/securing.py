"""From order data to what its first message carries: the electronic signature, encrypted for the bank; the wrapped key."""

from dataclasses import dataclass

from channels.ebics.envelope import BankKeys, UploadStart
from channels.ebics.key_data import Signature, signature_data
from channels.ebics.names import Subscriber, Version
from keys.ebics_encryption import encrypted_whole, wrapped_key
from keys.ebics_keys import SignatureVersion
from keys.ebics_signature import sign_order
from keys.keyring import PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Our key for electronic signatures, and the process that the bank knows it for."""

    key: PrivateKey
    version: SignatureVersion


def secured(
    version: Version,
    subscriber: Subscriber,
    signing: Signing,
    bank: BankKeys,
    *,
    digest: bytes,
    transaction_key: bytes,
    segments: int,
) -> UploadStart:
    """The start of an upload of order data with this digest (`keys.ebics_signature.order_digest`), whose segments are encrypted
    under `transaction_key`; `segments` 0: for HVE `digest` is what HVD or HVZ told, for SPR that of `orders.SPR_DATA`.
    Raises `KeyUnavailable`.
    """
    value = sign_order(signing.version, signing.key, digest)
    signature = Signature(version=signing.version, value=value, partner_id=subscriber.partner_id, user_id=subscriber.user_id)
    return UploadStart(
        wrapped_key=wrapped_key(bank.encryption.public, transaction_key),
        signature_data=encrypted_whole(signature_data(version, (signature,)), transaction_key),
        signature_version=signing.version,
        digest=digest,
        segments=segments,
    )
