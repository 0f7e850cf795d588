"""Whatever bytes come, they are read or refused as Unparsable: no other error, and no end of memory or time."""

import io
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import Unparsable
from formats.reader import parse, sniff

SAMPLES = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "samples").iterdir())}
FRAGMENTS = (
    *(b"<", b">", b"&", b"]]>", b"<!--", b"<?a ", b"<![CDATA[", b"<Ntry>", b"</Stmt>", b"<TxDtls>", b"<!DOCTYPE a>"),
    *(b"\x00", b"\xff", b"\n:61:", b"\n:86:", b"\n:62F:", b"\n-\n", b"\n-}", b"{1:", b"{4:\n", b"?20", b"//", b",", b"RD"),
    *(b'encoding="UTF-16"', b"\xef\xbb\xbf"),
)
LINES = (
    *(":20:A", ":25:1", ":60F:C261120EUR0,", ":61:2611201120C1,NTRFX", ":86:166?00A?20B", ":62F:C261120EUR0,", ":NS:01x"),
    *(":86:/EREF/1//REMI/USTD//x/", "-", "-}", "{1:F01A}{2:I940B}{4:", "{2:O942", "}", ":34F:EURD0,", ":90D:1EUR1,", "x", ""),
)


def told(read: Callable[[], object]) -> Unparsable | None:
    """What refused it, if anything; any other error goes through."""
    try:
        read()
    except Unparsable as refused:
        return refused
    return None


def read_or_refuse(data: bytes) -> None:
    refused = told(lambda: [record.kind for record in parse(io.BytesIO(data))])
    if refused is not None:
        assert refused.problem
        assert refused.line is None or refused.line >= 1


@settings(max_examples=400)
@given(st.data())
def test_mutated_samples(data):
    text = bytearray(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        match data.draw(st.sampled_from(["insert", "remove", "overwrite", "repeat", "fragment"])):
            case "insert":
                text[at:at] = data.draw(st.binary(max_size=8))
            case "remove":
                del text[at : at + data.draw(st.integers(1, 200))]
            case "overwrite":
                text[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
            case "repeat":
                text[at:at] = text[at : at + data.draw(st.integers(1, 300))]
            case "fragment":
                text[at:at] = data.draw(st.sampled_from(FRAGMENTS))
    read_or_refuse(bytes(text))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    read_or_refuse(data)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_any_order_of_fields(lines):
    read_or_refuse("\n".join(lines).encode())


@given(st.binary(max_size=64))
def test_sniffing_says_a_name_or_why_not(data):
    refused = told(lambda: sniff(io.BytesIO(data)))
    assert refused is None or refused.problem
