"""The bytes on their way."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Parcel
from channels.content import Unsendable, in_lots, on_offer, shown, verified
from channels.settings import FileRules

PIECES = st.lists(st.binary(max_size=40), max_size=12)


def of(pieces: list[bytes], promised: bytes) -> Parcel:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return Parcel(name="x", size=len(promised), sha256=hashlib.sha256(promised).hexdigest(), chunks=chunks, key="x")


@given(PIECES)
async def test_good_bytes_pass_unchanged_however_they_are_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert b"".join([c async for c in verified(of(pieces, whole))]) == whole


@given(PIECES, st.binary(max_size=300))
async def test_wrong_bytes_never_pass_whole(pieces: list[bytes], promised: bytes) -> None:
    whole = b"".join(pieces)
    if whole == promised:
        return
    passed = b""
    with pytest.raises(Unsendable):  # noqa: PT012 - what passed before the error is the point
        async for chunk in verified(of(pieces, promised)):
            passed += chunk
    assert len(passed) < max(len(whole), 1)
    assert passed != promised or promised == b""


@given(PIECES, st.integers(min_value=1, max_value=100))
async def test_lots_keep_the_bytes_and_are_not_smaller_than_asked(pieces: list[bytes], size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    lots = [lot async for lot in in_lots(chunks(), size)]
    assert b"".join(lots) == b"".join(pieces)
    assert all(len(lot) >= size for lot in lots[:-1])
    assert b"" not in lots


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("camt053.xml", True),
        ("CAMT.XML", False),
        (".camt.xml", False),
        ("camt.xml.part", False),
        ("camt.xml.PART", False),
        ("a/b.xml", False),
        ("..\\b.xml", False),
        ("", False),
    ],
)
def test_only_finished_files_that_the_profile_names_are_fetched(name: str, wanted: bool) -> None:
    assert on_offer(name, FileRules(patterns=("*.xml", "*.part", "*.PART"))) is wanted


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_a_shown_name_is_printable_and_bounded(name: str) -> None:
    assert shown(name).isprintable()
    assert len(shown(name)) <= 255
    assert shown("回单-2026.xml") == "回单-2026.xml"
