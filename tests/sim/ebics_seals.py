"""Signatures of EBICS messages that cost little: a hash with the key's name instead of RSA over canonical XML.

What the machines make of an answer that is not the bank's is the simulation's to show; that a signature holds, is shown by the
tests of `keys/`, by xmlsec1 and by openssl. One life in sixteen has the real ones all the same.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from channels.ebics import answers, envelope
from keys.ebics_auth import serialised
from keys.keyring import PrivateKey, PublicKey
from keys.seal import BadSeal
from simulator.ebics import answers as bank_answers
from tests.sim import ebics_bank

Element = etree._Element


def _mark(root: Element, public: PublicKey) -> str:
    assert isinstance(public, rsa.RSAPublicKey)
    name = f"{public.public_numbers().n:x}".encode()
    return hashlib.sha256(name + etree.tostring(root, method="c14n")).hexdigest()


def _sign(root: Element, key: PrivateKey) -> bytes:
    holder = etree.Element(f"{{{etree.QName(root).namespace}}}AuthSignature")
    holder.text = _mark(root, key.public_key)
    root.insert(1, holder)
    return serialised(root)


def _verify(root: Element, public: rsa.RSAPublicKey) -> None:
    holder = root[1]
    root.remove(holder)
    expected = _mark(root, public)
    root.insert(1, holder)
    if holder.text != expected:
        raise BadSeal("signature.invalid", "the AuthSignature is not by this X002 key")


@contextmanager
def cheap_seals() -> Iterator[None]:
    """On both sides of the wire."""
    with ExitStack() as patches:
        for signs in (envelope, bank_answers):
            patches.enter_context(patch.object(signs, "sign_message", _sign))
        for verifies in (answers, ebics_bank):
            patches.enter_context(patch.object(verifies, "verify_message", _verify))
        yield
