"""Reading CMS (RFC 5652) in one pass and constant memory: what is decrypted goes straight to the reader of signed messages.

Nothing decrypted is kept anywhere but in `out`. What an attacker may learn from the verdicts:

* A content key that cannot be unwrapped is replaced by a random one (RFC 3218): it ends as altered content does.
* Under AES-CBC nothing is authenticated before the signature. The padding is looked at only after a whole signed message was
  read and found good; a wrong padding, and decrypted bytes that are no signed message, are one and the same error.
* Under AES-GCM (RFC 5083, RFC 5084) the tag decides first, whatever the inside looked like.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from keys import der
from keys.algorithms import dotted_of, refused
from keys.armour import unwrap
from keys.ber import Walker
from keys.cms_recipients import unwrap as unwrap_key
from keys.cms_signed import Policy, read_signed, too_large
from keys.cms_write import AUTH_ENVELOPED_DATA, CHUNK, DATA, ENVELOPED_DATA, SIGNED_DATA, Sink
from keys.der import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, Node, broken
from keys.keyring import OwnKey
from keys.pieces import PlaintextReader, Read
from keys.seal import BadSeal

_CBC: Final = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}  # bytes of the key
_GCM: Final = {"2.16.840.1.101.3.4.1.6": 16, "2.16.840.1.101.3.4.1.26": 24, "2.16.840.1.101.3.4.1.46": 32}
_BLOCK: Final = 16
_ORIGINATOR: Final = 0xA0
_AUTHENTICATED_ATTRIBUTES: Final = 0xA1


@dataclass(frozen=True, slots=True)
class Opening:
    """What is needed to open a message. `random_key` (32 fresh random bytes) stands in for a key that cannot be unwrapped."""

    own_keys: tuple[OwnKey, ...]
    random_key: bytes
    policy: Policy
    signed_within: bool = True  # False: nothing says who wrote the content


def open_signed(read: Read, out: Sink, policy: Policy) -> None:
    """Verifies a message that is signed and not encrypted, and writes its content. Raises as `open_message`."""
    source = unwrap(read)
    read_signed(Walker(source), out, policy)
    if source(1):
        raise broken("bytes stand after its end")


def open_message(read: Read, out: Sink, opening: Opening) -> None:
    """Decrypts, verifies and writes the content. Raises `BadSeal` or `KeyUnavailable`; what was written is then worthless."""
    source = unwrap(read)
    walker = Walker(source)
    walker.enter(SEQUENCE, "a CMS message")
    content_type = walker.small(OBJECT_IDENTIFIER, "its type").as_oid()
    if content_type in (SIGNED_DATA, DATA):
        raise BadSeal("encryption.missing", "the message is not encrypted; this profile takes messages that are encrypted")
    if content_type not in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        raise broken(f"it is of the type {content_type} and not an encrypted message")
    walker.enter(0xA0, "the content")
    walker.enter(SEQUENCE, "an encrypted message")
    walker.small(der.INTEGER, "the version").as_version(0, 1, 2, 3, 4)
    _skip_if(walker, _ORIGINATOR)
    recipients = walker.small(SET, "the recipients")
    walker.enter(SEQUENCE, "the encrypted content")
    announced = walker.small(OBJECT_IDENTIFIER, "the type of the encrypted content").as_oid()
    if announced not in ((DATA, SIGNED_DATA) if opening.signed_within else (DATA,)):
        raise BadSeal("content-type.unexpected", f"the encrypted content is announced as {announced}: this profile takes no such")
    cipher = _cipher(walker.small(SEQUENCE, "the encryption algorithm"), recipients, opening, content_type)
    plaintext = PlaintextReader(walker.octets(0x80, "the encrypted content"), cipher.context)
    judge = _judge if opening.signed_within else _pass_on
    verdict = judge(plaintext, out, opening.policy, cipher)
    plaintext.drain()
    walker.leave("the encrypted content")
    tag = _tag(walker) if content_type == AUTH_ENVELOPED_DATA else b""
    _skip_if(walker, 0xA2 if content_type == AUTH_ENVELOPED_DATA else 0xA1)  # unauthenticated attributes, which say nothing
    for what in ("the encrypted message", "the content", "the message"):
        walker.leave(what)
    if source(1):
        raise broken("bytes stand after its end")
    cipher.settle(verdict, plaintext.encrypted_bytes, tag)


def _judge(plaintext: PlaintextReader, out: Sink, policy: Policy, cipher: "_Cipher") -> BadSeal | None:
    """What the inside of the encryption is worth; told only when the outside is known to be whole."""
    try:
        read_signed(Walker(plaintext.read), out, policy)
        if not cipher.ends_well(plaintext.up_to(_BLOCK + 1)):
            raise broken("bytes stand after the end of the signed message")
    except BadSeal as problem:
        if problem.code not in ("structure", "signature.missing"):
            return problem
        return BadSeal(
            "signature.missing",
            "what was decrypted is no whole signed message: it was sent unsigned, or it or its key was altered on the way",
        )
    return None


def _pass_on(plaintext: PlaintextReader, out: Sink, policy: Policy, cipher: "_Cipher") -> BadSeal | None:
    """Writes what was decrypted. Under AES-CBC only its end says anything about alterations, and little."""
    kept, size = b"", 0
    try:
        while chunk := plaintext.read(CHUNK):
            kept += chunk
            ready, kept = kept[:-_BLOCK], kept[-_BLOCK:]
            size += len(ready)
            if size > policy.content_bytes_max:
                return too_large(policy.content_bytes_max)
            out.write(ready)
    except BadSeal as problem:
        return problem
    last = cipher.without_padding(kept)
    if last is None:
        return BadSeal("decryption.failed", "the encrypted content or its key was altered on the way")
    out.write(last)
    return None


class _Cipher(Protocol):
    @property
    def context(self) -> CipherContext: ...

    def without_padding(self, last: bytes) -> bytes | None:
        """The last bytes of the content; None where no content ends so."""

    def ends_well(self, rest: bytes) -> bool:
        """Whether these decrypted bytes may stand behind the signed message."""

    def settle(self, verdict: BadSeal | None, encrypted_bytes: int, tag: bytes) -> None:
        """Raises what there is to raise about the encrypted content."""


class _Cbc:
    """AES-CBC with the padding of RFC 5652, 6.3."""

    def __init__(self, key: bytes, parameters: Node) -> None:
        vector = parameters.as_octets()
        if len(vector) != _BLOCK:
            raise broken("the initialisation vector is malformed")
        self.context: CipherContext = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()

    def without_padding(self, last: bytes) -> bytes | None:
        count = last[-1] if last else 0
        return last[:-count] if 1 <= count <= len(last) and self.ends_well(last[-count:]) else None

    def ends_well(self, rest: bytes) -> bool:
        return 1 <= len(rest) <= _BLOCK and rest == bytes((len(rest),)) * len(rest)

    def settle(self, verdict: BadSeal | None, encrypted_bytes: int, tag: bytes) -> None:  # noqa: ARG002  # no tag in CBC
        if encrypted_bytes % _BLOCK or not encrypted_bytes:
            raise broken("the encrypted content is no whole number of blocks")
        if verdict is not None:
            raise verdict


class _Gcm:
    """AES-GCM (RFC 5084, 3.2)."""

    def __init__(self, key: bytes, parameters: Node) -> None:
        parts = parameters.expect(SEQUENCE, "the parameters of AES-GCM").children()
        nonce = parts[0].as_octets() if parts else b""
        self._tag_bytes = parts[1].as_integer() if len(parts) > 1 else 12
        if not 12 <= len(nonce) <= 16 or not 12 <= self._tag_bytes <= 16 or len(parts) > 2:
            raise broken("the parameters of AES-GCM are malformed")
        self._aead = Cipher(algorithms.AES(key), modes.GCM(nonce, None, min_tag_length=12)).decryptor()
        self.context: CipherContext = self._aead

    def without_padding(self, last: bytes) -> bytes | None:
        return last

    def ends_well(self, rest: bytes) -> bool:
        return not rest

    def settle(self, verdict: BadSeal | None, encrypted_bytes: int, tag: bytes) -> None:  # noqa: ARG002  # any size is whole in GCM
        if len(tag) != self._tag_bytes:
            raise broken("the authentication tag is not as long as announced")
        try:
            self._aead.finalize_with_tag(tag)
        except InvalidTag:
            raise BadSeal("decryption.failed", "the encrypted content or its key was altered on the way") from None
        if verdict is not None:
            raise verdict


def _cipher(algorithm: Node, recipients: Node, opening: Opening, content_type: str) -> _Cipher:
    dotted, parts = dotted_of(algorithm), algorithm.children()
    keys = _GCM if content_type == AUTH_ENVELOPED_DATA else _CBC
    if dotted not in keys:
        raise refused(dotted, "the encryption of content")
    if len(parts) != 2:
        raise broken("the encryption algorithm has no parameters")
    key = unwrap_key(recipients, opening.own_keys)
    if key is None or len(key) != keys[dotted]:
        key = opening.random_key[: keys[dotted]]
    return _Gcm(key, parts[1]) if content_type == AUTH_ENVELOPED_DATA else _Cbc(key, parts[1])


def _tag(walker: Walker) -> bytes:
    upcoming = walker.peek()
    if upcoming is not None and upcoming.tag == _AUTHENTICATED_ATTRIBUTES:
        # they stand behind the content but come first into the tag: no single pass could check them
        raise BadSeal("algorithm.refused", "authenticated attributes (authAttrs) are not accepted in an authenticated envelope")
    return walker.small(OCTET_STRING, "the authentication tag").as_octets()


def _skip_if(walker: Walker, tag: int) -> None:
    if (upcoming := walker.peek()) is not None and upcoming.tag == tag:
        walker.skip(tag, "what stands beside the content")
