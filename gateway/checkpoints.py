"""Checkpoints of the audit log: made by the worker as it goes, and signed with a key of their own where one is configured."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.audit.checkpoint import Checkpoint, claim_of, content_of
from gateway.audit.merkle import Frontier
from gateway.config import AuditSettings
from gateway.store.audit import AuditStore
from gateway.store.store import Clock
from keys.algorithms import scheme_named
from keys.keyring import PrivateKey
from keys.store import load_private_key

log = structlog.get_logger(__name__)

ROWS: Final = 10_000  # hashes in one go

Signer = Callable[[bytes], tuple[str, bytes]]
"""Gives the public key (PEM) and the signature over bytes: ECDSA with SHA-256 as DER, or RSA PKCS #1 v1.5 with SHA-256."""


def signer_of(settings: AuditSettings, base: Path) -> Signer | None:
    """The signer of the configured key, which is opened at the first use; None where none is configured."""
    reference = settings.checkpoint_key
    if reference is None:
        return None
    opened: list[PrivateKey] = []

    def sign(data: bytes) -> tuple[str, bytes]:
        if not opened:
            opened.append(load_private_key(reference, settings.checkpoint_key_passphrase, base))
        public = opened[0].public_key
        scheme = scheme_named("ecdsa-sha256" if isinstance(public, ec.EllipticCurvePublicKey) else "rsa-pkcs1-sha256")
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(serialization.Encoding.PEM, form).decode(), opened[0].sign(scheme, data)

    return sign


def is_signed_by(checkpoint: Checkpoint, public_key: str) -> bool:
    """Whether the signature is that of this key. Raises ValueError for a text that is no public key of a kind that signs."""
    if checkpoint.signature is None:
        return False
    try:
        key = serialization.load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is no public key (PEM)") from None
    data = checkpoint.content.encode()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(checkpoint.signature, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(checkpoint.signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise ValueError("is a key of a kind that signs no checkpoints")  # noqa: TRY004 - the text is what is wrong
    except InvalidSignature:
        return False
    return True


@dataclass(slots=True)
class Checkpointer:
    """Makes checkpoints of one log. Any number of processes may: of two at the same place the first stays."""

    store: AuditStore
    settings: AuditSettings
    clock: Clock
    sign: Signer | None

    async def make_if_due(self) -> Checkpoint | None:
        """After so many lines, or so long after the first line that no checkpoint covers. None: not yet."""
        last = await self.store.last_checkpoint()
        size = last.size if last else 0
        head = await self.store.audit_head()
        if head.number == size:
            return None
        if head.number - size < self.settings.checkpoint_rows:
            (first,) = await self.store.audit_rows(size, 1)
            if self.clock() < first.occurred_at + timedelta(seconds=self.settings.checkpoint_seconds):
                return None
        made = await self.make()
        if made is not None:
            log.info("audit.checkpoint", checkpoint=made.content, signed=made.signature is not None)
        return made

    async def make(self) -> Checkpoint | None:
        """Over all lines that there are; the one there is where it covers them all already. None for an empty log. Raises
        `KeyUnavailable`."""
        last = await self.store.last_checkpoint()
        tree = Frontier(last.size, last.frontier) if last else Frontier()
        name = bytes.fromhex(claim_of(last.content).log) if last else await self._name()
        head = b""
        while found := await self.store.audit_hashes(tree.size, ROWS):
            if found[-1][0] != tree.size + len(found):
                raise RuntimeError(f"the audit log lacks lines after {tree.size}: run `bankgate audit verify`")
            tree.extend(one for _, one in found)
            head = found[-1][1]
        if not head:
            return last
        made = self._made(name, tree, head, self.clock())
        await self.store.put_checkpoint(made)
        return await self.store.last_checkpoint()

    async def _name(self) -> bytes:
        """The hash of line 1; b"" of an empty log."""
        first = await self.store.audit_rows(0, 1)
        return first[0].hash if first else b""

    def _made(self, name: bytes, tree: Frontier, head: bytes, now: datetime) -> Checkpoint:
        content = content_of(log=name, size=tree.size, root=tree.root, head=head, made_at=now)
        public_key, signature = self.sign(content.encode()) if self.sign else (None, None)
        return Checkpoint(
            size=tree.size,
            made_at=now,
            content=content,
            frontier=tree.packed,
            public_key=public_key,
            signature=signature,
        )
