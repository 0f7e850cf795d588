"""ZIP archives: each member is a file of its own; what is made to hurt is refused by name, before it can."""

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import container
from formats.errors import Unparsable
from formats.reader import parse, sniff


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def refused(data: bytes) -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        list(parse(io.BytesIO(data)))
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_every_member_is_read_as_a_file_of_its_own(records, sample, method):
    names = ("camt053.xml", "pain002_levels.xml", "mt940_german.sta")
    data = packed({"2026/": b"", **{f"2026/{name}": sample(name) for name in names}}, method)
    assert records(data) == [record for name in names for record in records(sample(name))]
    assert sniff(io.BytesIO(data)) == "camt.053.001.08"


def test_a_problem_in_a_member_says_in_which(sample):
    problem = refused(packed({"good.xml": sample("camt053.xml"), "bad.xml": b"<Document>\n<a>\n"}))
    assert problem.problem.startswith("bad.xml: ")
    assert problem.line is not None


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"inner.zip": packed({"a": b"b"})}, "inside another"),
        ({"a.gz": b"\x1f\x8b\x08\x00"}, "gzip"),
        ({"../a.xml": b"x"}, "harmful name"),
        ({"/etc/passwd": b"x"}, "harmful name"),
        ({"a/../../b": b"x"}, "harmful name"),
        ({"C:\\a": b"x"}, "harmful name"),
        ({"a\nb": b"x"}, "harmful name"),
        ({"n" * 300: b"x"}, "harmful name"),
        ({"bomb.xml": b" " * (64 * 2**20)}, "bomb"),
        ({}, "without a file"),
        ({"folder/": b""}, "without a file"),
    ],
)
def test_what_an_archive_may_not_hold_is_refused_by_name(files, word):
    assert word in refused(packed(files)).problem


def test_two_members_of_one_name_are_refused(sample):
    data = packed({"a.xml": sample("camt053.xml"), "b.xml": sample("camt053.xml")})
    assert "two members" in refused(data.replace(b"b.xml", b"a.xml")).problem


@pytest.mark.parametrize(("flag", "word"), [(0x1, "encrypted"), (0x40, "encrypted")])
def test_an_encrypted_member_is_refused(sample, flag, word):
    data = bytearray(packed({"a.xml": sample("camt053.xml")}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature) + offset
        data[place : place + 2] = struct.pack("<H", flag)
    assert word in refused(bytes(data)).problem


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_packing_are_refused(sample, method):
    assert "method" in refused(packed({"a.xml": sample("camt053.xml")}, method)).problem


def test_a_member_that_cannot_be_unpacked_is_its_problem_and_the_others_are_given_whole(sample):
    good = sample("camt053.xml")
    data = bytearray(packed({"a.xml": good, "b.xml": b"x" * 500, "c.xml": good}))
    place = data.rindex(b"b.xml") - 46
    data[place + 16] ^= 1  # the checksum in the directory
    given = [(name, told if isinstance(told, Unparsable) else told.read()) for name, told in container.unpacked(io.BytesIO(data))]
    assert [given[0], given[2]] == [("a.xml", good), ("c.xml", good)]
    name, problem = given[1]
    assert name == "b.xml"
    assert isinstance(problem, Unparsable)
    assert "damaged" in problem.problem


def test_too_many_members_are_refused_without_reading_the_directory(monkeypatch):
    monkeypatch.setattr(container, "MEMBERS_MAX", 5)
    data = packed({f"{number}.xml": b"x" for number in range(6)})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    assert "more than 5 members" in refused(data).problem


def test_a_directory_that_claims_to_be_huge_is_refused():
    data = bytearray(packed({"a.xml": b"x"}))
    place = data.index(b"PK\x05\x06")
    data[place + 12 : place + 16] = struct.pack("<L", 2**31)
    assert "directory" in refused(bytes(data)).problem


def test_members_that_unpack_to_more_than_the_bound_together_are_refused(monkeypatch, sample):
    monkeypatch.setattr(container, "BYTES_MAX", 3 * len(sample("camt053.xml")) - 1)
    files = {f"{number}.xml": sample("camt053.xml") for number in range(3)}
    assert "unpacks to more than" in refused(packed(files)).problem


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_said(sample):
    data = bytearray(packed({"a.xml": sample("camt053.xml")}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<L", 100)
    assert "damaged" in refused(bytes(data)).problem


def test_an_archive_cut_anywhere_is_refused(sample):
    data = packed({"a.xml": sample("camt053.xml"), "b.sta": sample("mt940_german.sta")})
    for length in range(4, len(data), 41):
        refused(data[:length])


@settings(max_examples=300)
@given(st.data())
def test_a_mutated_archive_is_read_or_refused(data):
    entry = b"<Document><BkToCstmrStmt><Stmt><Id>1</Id></Stmt></BkToCstmrStmt></Document>"
    archive = bytearray(packed({"a.xml": entry, "b.xml": entry}, data.draw(st.sampled_from([0, 8]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at : at + 2] = data.draw(st.binary(min_size=1, max_size=3))
    with suppress(Unparsable):
        list(parse(io.BytesIO(bytes(archive))))
    with suppress(Unparsable):
        for _, content in container.unpacked(io.BytesIO(bytes(archive))):
            assert isinstance(content, Unparsable) or content.read() is not None


def test_a_large_member_is_read_in_constant_memory():
    head = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>1</Id>'
    lines = b"".join(b"<Ntry><Amt Ccy='EUR'>%d.00</Amt><AcctSvcrRef>%x</AcctSvcrRef></Ntry>" % (n, n * n) for n in range(20_000))
    data = packed({"a.xml": head + lines + b"</Stmt></BkToCstmrStmt></Document>"})
    source = io.BytesIO(data)
    tracemalloc.start()
    count = sum(1 for _ in parse(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_002
    assert peak < 8 * 2**20
