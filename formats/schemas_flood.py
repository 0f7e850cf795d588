"""A bound on what it costs to hear that a file is wrong.

libxml2 goes on after the first fault, and lxml gives each fault its positional path, which counts all elder siblings. A file
made for it, 8 MiB of small wrong elements, would keep a process busy for many minutes, and one element with many attributes for
hours. So the file is first judged as a stream, where faults carry no path and cost the same each, and only until there
are more of them than anybody reads.
"""

import re
from typing import cast

from lxml import etree

FAULTS_MAX = 100
"""More faults than this, and only the file up to there is looked at more closely: at most 20 are told."""

ATTRIBUTES_MAX = 64
"""More attributes than this on one element are one fault; messages of ISO 20022 have one or two."""

_MANY_ATTRIBUTES = re.compile(rb"<(?:[^<=]*=){%d}" % (ATTRIBUTES_MAX + 1))
_PIECE_BYTES = 4096  # so that not many more faults are found than wanted
_REPEATED = ("{*}Ntry", "{*}TxInfAndSts", "{*}CdtTrfTxInf", "{*}TxInf")  # most of a large file; forgotten once judged
_TOO_MANY_ATTRIBUTES = etree.XPath(f"(descendant-or-self::*[@*[{ATTRIBUTES_MAX + 1}]])[1]")


def may_have_too_many_attributes(text: bytes) -> bool:
    """Whether it is worth looking for such an element: somewhere that many equals signs follow one another without a tag between
    them. No element has two currencies, so the attribute that nearly all amounts have is not counted."""
    if text.count(b"=") - text.count(b' Ccy="') < ATTRIBUTES_MAX:
        return False
    return _MANY_ATTRIBUTES.search(text) is not None


def with_too_many_attributes(document: etree._Element) -> etree._Element | None:
    """The first element that has them."""
    found = _TOO_MANY_ATTRIBUTES(document)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else None


def beginning_with_all_we_tell(document: etree._Element, schema: etree.XMLSchema) -> etree._Element | None:
    """The document up to its fault number `FAULTS_MAX` or a little further, as a tree of its own; None if it has no more.

    Its lines count from the line on which the document opens.
    """
    text = etree.tostring(document, encoding="utf-8", xml_declaration=False, with_tail=False)
    parser = etree.XMLPullParser(("end",), tag=_REPEATED, schema=schema, resolve_entities=False, no_network=True)
    try:
        for end in range(_PIECE_BYTES, len(text) + _PIECE_BYTES, _PIECE_BYTES):
            parser.feed(text[end - _PIECE_BYTES : end])
            for _, element in parser.read_events():
                cast("etree._Element", element).clear()
            if len(parser.feed_error_log) > FAULTS_MAX:
                return etree.fromstring(text[:end], etree.XMLParser(recover=True, resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:  # beyond a bound of libxml2 that the whole stayed within; the tree's own validation says it
        return None
    return None
