"""The first look at a signed document: one signature, where it belongs, and nothing that reads in two ways."""

from collections import Counter
from typing import BinaryIO, cast

from lxml import etree

from keys.seal import BadSeal
from keys.xml_walk import Element, GrowingDocument, apart, steps

_IDS = etree.XPath("//@*[local-name()='Id' or local-name()='ID' or local-name()='id']", smart_strings=False)
_COMMENT_IN_VALUE = etree.XPath("boolean(//comment()[../text()[normalize-space()]])")
_ID_NAMES = frozenset({"Id", "ID", "id"})
_IDS_MAX = 100_000  # ISO 20022 messages have none at all


def signature_of(source: BinaryIO, bytes_max: int, path: tuple[str, ...]) -> Element:
    """The one signature of the document, with all that it inherits; `path` are the local names from below the root to where it
    stands. Reads `source` to its end, in constant memory.

    Raises `BadSeal`: "structure", "document-type.refused", "content.too-large", "signature.missing", "signature.several",
    "signature.misplaced", "id.duplicate", "comment.in-value".
    """
    document = GrowingDocument(source, bytes_max=bytes_max, keep_comments=True)
    found: Element | None = None
    ids: Counter[str] = Counter()
    for open_path in steps(document):
        if document.signatures_begun > 1:
            raise BadSeal("signature.several", "the document carries more than one signature where exactly one is expected")
        if _COMMENT_IN_VALUE(document.root):
            raise BadSeal("comment.in-value", "a comment stands inside a value: programs would read it in different ways")
        _count_ids(ids, document.root, open_path)
        for signature in document.signatures:
            _check_place(signature, path)
            found = apart(signature)
        document.signatures.clear()
        document.forget(open_path)
    if found is None:
        raise BadSeal("signature.missing", "the document is not signed")
    return found


def _count_ids(ids: Counter[str], root: Element, open_path: list[Element]) -> None:
    """Counts each Id once, though what is still open is seen again at the next step."""
    found = cast("list[str]", _IDS(root))
    ids.update(found)
    ids.subtract(
        str(value) for element in open_path for name, value in element.attrib.items() if str(name).rpartition("}")[2] in _ID_NAMES
    )
    if any(ids[value] > 1 for value in found):
        raise BadSeal("id.duplicate", "two elements of the document have the same Id")
    if len(ids) > _IDS_MAX:
        raise BadSeal("structure", f"the document has more than {_IDS_MAX} Ids")


def _check_place(signature: Element, path: tuple[str, ...]) -> None:
    above = [etree.QName(ancestor).localname for ancestor in signature.iterancestors()]
    if not above or tuple(reversed(above[:-1])) != path:
        expected = "/".join(path) or "the root"
        raise BadSeal("signature.misplaced", f"the signature is expected as a child of {expected}, and stands elsewhere")
