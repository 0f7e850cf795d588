"""The encoding below CMS: right against an independent encoder, and deaf to hostile bytes."""

import io
from collections.abc import Callable

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from keys import der
from keys.ber import SMALL_MAX, Walker
from keys.seal import BadSeal

arcs = st.lists(st.integers(0, 2**40), min_size=1, max_size=8)


@given(first=st.integers(0, 1), second=st.integers(0, 39), rest=arcs)
def test_object_identifiers_are_written_and_read_as_others_do(first: int, second: int, rest: list[int]) -> None:
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()
    assert der.parse(der.oid(dotted)).as_oid() == dotted


@given(st.integers(0, 2**200))
def test_integers_are_written_and_read_as_others_do(value: int) -> None:
    assert der.integer(value) == core.Integer(value).dump()
    assert der.parse(der.integer(value)).as_integer() == value


@given(st.binary(max_size=70_000))
def test_lengths_are_written_in_their_shortest_form(content: bytes) -> None:
    assert der.tlv(der.OCTET_STRING, content) == core.OctetString(content).dump()


def test_a_set_is_sorted() -> None:
    assert der.set_of([b"\x04\x01\x02", b"\x04\x01\x01"]) == b"\x31\x06\x04\x01\x01\x04\x01\x02"


@given(st.binary(max_size=300))
def test_parsing_noise_ends_in_a_node_or_in_the_named_error(noise: bytes) -> None:
    def touch(node: der.Node, depth: int = 0) -> None:
        for method in (node.as_integer, node.as_oid, node.as_octets, node.children):
            try:
                method()
            except BadSeal as problem:
                assert problem.code == "structure"  # noqa: PT017  # whether it raises depends on the noise
        if node.tag & der.CONSTRUCTED and depth < 5:
            try:
                for child in node.children():
                    touch(child, depth + 1)
            except BadSeal:
                return

    try:
        touch(der.parse(noise))
    except BadSeal:
        return


def pieces(*sizes: int) -> Callable[[bytes], Callable[[int], bytes]]:
    """Readers that give less than they are asked for."""

    def reader(data: bytes) -> Callable[[int], bytes]:
        source, turn = io.BytesIO(data), iter(range(10**9))
        return lambda count: source.read(min(count, sizes[next(turn) % len(sizes)]))

    return reader


CUT = b"\x24\x80\x04\x03abc\x24\x80\x04\x01d\x24\x05\x04\x03efg\x00\x00\x04\x00\x00\x00"  # "abcdefg", in pieces within pieces


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (1000,)])
def test_an_octet_string_in_pieces_is_one(sizes: tuple[int, ...]) -> None:
    walker = Walker(pieces(*sizes)(b"\x30\x80" + CUT + b"\x02\x01\x05\x00\x00rest"))
    walker.enter(der.SEQUENCE, "it")
    assert b"".join(walker.octets(der.OCTET_STRING, "it")) == b"abcdefg"
    assert walker.small(der.INTEGER, "it").as_integer() == 5
    walker.leave("it")
    assert der.parse(CUT).as_octets() == b"abcdefg"


def test_the_walker_takes_no_byte_beyond_what_it_reads() -> None:
    source = io.BytesIO(b"\x30\x03\x02\x01\x05behind")
    walker = Walker(source.read)
    assert walker.small(der.SEQUENCE, "it").children()[0].as_integer() == 5
    assert source.read() == b"behind"


def test_elements_of_indefinite_length_are_skipped_and_kept_alike() -> None:
    nested = b"\x30\x80\x30\x80\x02\x01\x01\x00\x00\x04\x02\x00\x00\x00\x00"
    walker = Walker(io.BytesIO(nested + nested + b"\x02\x01\x07").read)
    walker.skip(der.SEQUENCE, "it")
    assert walker.small(der.SEQUENCE, "it").children()[0].children()[0].as_integer() == 1
    assert walker.small(der.INTEGER, "it").as_integer() == 7


BROKEN = {
    "longer than its parent": b"\x30\x03\x04\x05abcde",
    "end mark beyond its parent": b"\x30\x04\x30\x80\x00\x00\x00",
    "end mark in a definite parent": b"\x30\x02\x00\x00",
    "value of indefinite length": b"\x04\x80\x00\x00",
    "cut": b"\x30\x05\x02\x01",
    "more than expected": b"\x30\x06\x02\x01\x01\x02\x01\x02",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_nesting_is_noticed(name: str) -> None:
    def walk() -> None:
        walker = Walker(io.BytesIO(BROKEN[name]).read)
        walker.enter(der.SEQUENCE, "it")
        walker.small(der.INTEGER, "it")
        walker.leave("it")

    with pytest.raises(BadSeal) as refused:
        walk()
    assert refused.value.code == "structure"


def test_small_structures_are_bounded_in_either_form() -> None:
    for message in (der.header(der.SEQUENCE, SMALL_MAX + 1), b"\x30\x80" + der.tlv(4, bytes(SMALL_MAX)) + b"\x00\x00"):
        with pytest.raises(BadSeal, match="larger"):
            Walker(io.BytesIO(message).read).small(der.SEQUENCE, "it")


def test_nesting_is_bounded_wherever_it_is_met() -> None:
    deep = b"\x30\x80" * 1000
    with pytest.raises(BadSeal, match="deep"):
        Walker(io.BytesIO(deep).read).skip(der.SEQUENCE, "it")
    with pytest.raises(BadSeal, match="deep"):
        der.parse(deep)
    strings = Walker(io.BytesIO(b"\x24\x80" * 1000).read)
    with pytest.raises(BadSeal, match="deep"):
        list(strings.octets(der.OCTET_STRING, "it"))
