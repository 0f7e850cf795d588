"""The seal kind "xmldsig": an enveloped XML signature (XML Signature Syntax and Processing 1.1) in the document that it signs.

Both directions run in constant memory. Sealing writes the document in the canonical form that it signs, with the signature in its
place: comments go, everything else says the same. Opening gives the canonical form that was signed, and nothing besides: no
comment, no signature, no byte that the digest has not seen.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from keys.keyring import Certificate, OwnKey
from keys.seal import BadSeal, KeyUnavailable, SealError
from keys.trust import Trust, check_trusted
from keys.wire import check_validity, signer_on
from keys.xml_examine import signature_of
from keys.xml_signature import Addition, Writing, write_signature
from keys.xml_verify import SignatureRead, read_signature, signers
from keys.xml_walk import C14n, GrowingDocument, Instead, LastChildOf, broken, canonical

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlDsigOptions:
    """How documents are signed and which are taken. See `keys.xmldsig_profile.XmlDsigProfile` for the words of a profile.

    `path`: local names from below the root to the parent of the signature; none: the root.
    """

    writing: Writing
    path: tuple[str, ...] = ()
    with_declaration: bool = True
    content_bytes_max: int = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlDsigSeal:
    """One profile, ready for use. Keys and certificates are asked for when they are first needed, each half for itself."""

    options: XmlDsigOptions
    signing: Callable[[], OwnKey]
    pinned: Callable[[], tuple[Certificate, ...]]
    clock: Callable[[], datetime]
    trust: Callable[[], Trust | None] = lambda: None

    @property
    def kind(self) -> str:
        return "xmldsig"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `SealError` for what is no XML document, is signed already, has a DTD, lacks the element
        where the signature belongs, or changes between two readings."""
        seal_document(source, out, self.options, signer_on(self.signing(), self.clock()))

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Reads `source` (seekable) twice. Raises `BadSeal` with one of the codes of keys/README.md.

        Nothing is written before the signature value itself has been verified; the content is, before its digest is known.
        """
        open_document(source, out, self.options, Judging(self.pinned(), self.clock(), _nothing_else, self.trust()))


def _nothing_else(read: SignatureRead, found: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    if len(read.references) != 1:
        raise BadSeal("reference.refused", 'more than the document is signed; a bank that sends XAdES needs kind = "xades"')
    return found


# ---- sealing ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Canonicalised:
    """The canonical form of a document on its way: hashed, and handed on."""

    source: BinaryIO
    options: XmlDsigOptions
    place: LastChildOf = field(init=False)
    digest: bytes = b""

    def __post_init__(self) -> None:
        self.place = LastChildOf(self.options.path)

    def __iter__(self) -> Iterator[bytes | None]:
        writing = self.options.writing
        hashing = hashlib.new(writing.scheme.digest)
        document = GrowingDocument(self.source, bytes_max=self.options.content_bytes_max)
        for piece in canonical(document, writing.c14n, self.place):
            if piece is not None:
                hashing.update(piece)
            yield piece
        if document.signatures_begun:
            raise broken("it is signed already")
        self.digest = hashing.digest()


def seal_document(
    source: BinaryIO, out: BinaryIO, options: XmlDsigOptions, key: OwnKey, addition: Addition | None = None
) -> None:
    """Writes the signed document. Raises `SealError`."""
    if not options.writing.scheme.fits(key.certificate.public_key):
        raise KeyUnavailable(f"{options.writing.scheme} does not fit the kind of key in {key.certificate.name}")
    try:
        _seal(source, out, options, key, addition)
    except BadSeal as problem:
        raise SealError(f"this document cannot be signed: {problem.detail}") from None


def _seal(source: BinaryIO, out: BinaryIO, options: XmlDsigOptions, key: OwnKey, addition: Addition | None) -> None:
    start = source.tell()
    before = b""
    if options.path:  # the signature stands before the end, and its digest must be known when it is written
        first = _Canonicalised(source, options)
        for _ in first:
            pass
        source.seek(start)
        before = write(first, options, key, addition)
    if options.with_declaration:
        out.write(DECLARATION)
    document = _Canonicalised(source, options)
    behind: list[bytes] = []
    seen = False
    for piece in document:
        if piece is None:
            seen = True
            out.write(before)
        elif seen and not options.path:
            behind.append(piece)  # the end tag of the root
        else:
            out.write(piece)
    if options.path:
        if first.digest != document.digest:
            raise SealError("the document changed while it was being signed")
        return
    out.write(write(document, options, key, addition))
    out.writelines(behind)


def write(document: _Canonicalised, options: XmlDsigOptions, key: OwnKey, addition: Addition | None) -> bytes:
    """The signature over a document that has been canonicalised whole."""
    inside = document.place.surroundings
    if inside is None:
        raise SealError("the document has no place for its signature")
    return write_signature(inside, document.digest, options.writing, key, addition)


# ---- opening ----------------------------------------------------------------------------------------------------------

CheckRest = Callable[[SignatureRead, tuple[Certificate, ...]], tuple[Certificate, ...]]
"""Judges what is signed beside the document: which of these signers are left, or `BadSeal`."""


@dataclass(frozen=True, slots=True)
class Judging:
    """What a signed document is judged by."""

    pinned: tuple[Certificate, ...]
    on: datetime
    check_rest: CheckRest
    trust: Trust | None = None


def open_document(source: BinaryIO, out: BinaryIO, options: XmlDsigOptions, judging: Judging) -> None:
    """Writes what was signed. Raises `BadSeal`."""
    start = source.tell()
    read = read_signature(signature_of(source, options.content_bytes_max, options.path))
    reference = read.document
    found = judging.check_rest(read, signers(read, judging.pinned))
    source.seek(start)
    hashing = hashlib.new(reference.digest)
    for piece in _signed(source, options.content_bytes_max, reference.c14n):
        hashing.update(piece)
        out.write(piece)
    if not reference.matches(hashing.digest()):
        raise BadSeal("signature.invalid", "the document is not the one that was signed")
    check_validity(found, judging.on)
    check_trusted(judging.trust, found, judging.on)


def _signed(source: BinaryIO, bytes_max: int, method: C14n) -> Iterable[bytes]:
    document = GrowingDocument(source, bytes_max=bytes_max)
    return (piece for piece in canonical(document, method, Instead()) if piece is not None)
