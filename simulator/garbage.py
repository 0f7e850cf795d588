"""Broken files that a bank might serve, made from the answer they come before.

Each is small; what is hostile about it is its shape. The bombs follow CWE-776 (recursive entity references) and CWE-611
(external entities); 10,000 levels exceed the nesting limit of 256 that libxml2 sets by default (XML_PARSE_HUGE lifts it).
"""

import random

LEVELS = 10_000
_NAMESPACE = b"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"


def _empty(_answer: bytes, _seed: int) -> bytes:
    return b""


def _truncated(answer: bytes, _seed: int) -> bytes:
    return answer[: len(answer) // 2]


def _random(answer: bytes, seed: int) -> bytes:
    return random.Random(seed).randbytes(max(64, min(len(answer), 65536)))  # noqa: S311 - repeatable on purpose


def _dtd(_answer: bytes, _seed: int) -> bytes:
    return (
        b'<?xml version="1.0"?>\n<!DOCTYPE Document [<!ENTITY who SYSTEM "file:///etc/hostname">]>\n'
        b'<Document xmlns="' + _NAMESPACE + b'"><CstmrPmtStsRpt><GrpHdr><MsgId>&who;</MsgId></GrpHdr></CstmrPmtStsRpt>'
        b"</Document>\n"
    )


def _entity_bomb(_answer: bytes, _seed: int) -> bytes:
    levels = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    return (
        b'<?xml version="1.0"?>\n<!DOCTYPE Document [<!ENTITY l0 "lol">' + levels + b"]>\n"
        b'<Document xmlns="' + _NAMESPACE + b'">&l9;</Document>\n'
    )


def _deep(_answer: bytes, _seed: int) -> bytes:
    return b'<Document xmlns="' + _NAMESPACE + b'">' + b"<a>" * LEVELS + b"</a>" * LEVELS + b"</Document>\n"


def _other_kind(_answer: bytes, _seed: int) -> bytes:
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:admi.004.001.02"><SysEvtNtfctn>'
        b"<EvtInf><EvtCd>MTNC</EvtCd><EvtDesc>Maintenance on Sunday</EvtDesc></EvtInf></SysEvtNtfctn></Document>\n"
    )


_MAKERS = {
    "empty": _empty,
    "truncated": _truncated,
    "random": _random,
    "dtd": _dtd,
    "entity_bomb": _entity_bomb,
    "deep": _deep,
    "other_kind": _other_kind,
}

KINDS = tuple(_MAKERS)


def make(kind: str, answer: bytes, seed: int) -> bytes:
    """Garbage of that kind; the same arguments give the same bytes."""
    return _MAKERS[kind](answer, seed)
