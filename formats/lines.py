"""On which line of an XML file an identification stands: for telling a person where to look.

Records do not carry lines (they are small because there are many). This looks for the few identifications that matter, in one
pass over a file that is not too large, and tells only what is certain: where it stands exactly once.

Source of the element names: ISO 20022 message definition reports: pain.002 (OrgnlGrpInfAndSts, TxInfAndSts), camt.05x
(TxDtls/Refs), pacs.004 (TxInf).
"""

import re
from collections.abc import Collection
from typing import BinaryIO, Final

from formats.container import is_container

BYTES_MAX: Final = 16 * 1024 * 1024

_KINDS: Final = {
    "message_id": (b"OrgnlMsgId", b"MsgId"),
    "instruction_id": (b"OrgnlInstrId", b"InstrId"),
    "end_to_end_id": (b"OrgnlEndToEndId", b"EndToEndId"),
    "uetr": (b"OrgnlUETR", b"UETR"),
    "account_servicer_reference": (b"AcctSvcrRef",),
}
_KIND_OF: Final = {name: kind for kind, names in _KINDS.items() for name in names}
_NAMES: Final = b"|".join(_KIND_OF)
_ELEMENT: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(" + _NAMES + rb")(?:\s[^<>]*)?>\s*([^<>]{1,128}?)\s*</")


def lines_of(source: BinaryIO, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The line, from 1, of each (kind, value) that stands in the file once; `kind` is a key of the table above.

    `source` is seekable and read from its start. A file of more than `BYTES_MAX` tells nothing, and so do an archive and one that
    is no XML in UTF-8 (or a part of it) with its identifications as they are; nothing is raised.
    """
    if not wanted or is_container(source):
        return {}
    source.seek(0)
    content = source.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        return {}
    found: dict[tuple[str, str], int] = {}
    twice: set[tuple[str, str]] = set()
    line, counted = 1, 0
    for element in _ELEMENT.finditer(content):
        key = (_KIND_OF[element[1]], element[2].decode("utf-8", "replace"))
        if key not in wanted:
            continue
        line += content.count(b"\n", counted, element.start(2))
        counted = element.start(2)
        if key in found:
            twice.add(key)
        found[key] = line
    return {key: at for key, at in found.items() if key not in twice}
