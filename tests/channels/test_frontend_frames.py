"""Length headers of front machines: written as the banks want them, read as they come, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.frontend_frames import FRAMES, BadFrame, Framing, framed, unframed

BODY = "<a>甲公司</a>".encode("gbk")  # 13 bytes


def ping_an(length: bytes, body: bytes = BODY) -> bytes:
    return b"A001010101" + b"C" * 20 + length + b" " * 182 + body


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        ("none", BODY),
        ("close", BODY),
        ("length6_inclusive", b"000019" + BODY),
        ("abc7", b"013    " + BODY),
        ("length8", b"13      " + BODY),
    ],
)
def test_lengths_count_bytes_and_stand_where_the_bank_reads_them(framing: Framing, wire: bytes) -> None:
    assert framed(framing, BODY) == wire


def test_ping_an_brings_its_own_header_and_a_wrong_one_does_not_leave() -> None:
    message = ping_an(b"0000000013")
    assert framed("pingan222", message) == message
    for wrong in (ping_an(b"0000000014"), ping_an(b"0000000012"), message[:200], BODY):
        with pytest.raises(BadFrame):
            framed("pingan222", wrong)


@pytest.mark.parametrize(
    ("framing", "reply"),
    [
        ("length6_inclusive", b"19    " + BODY),  # replies: left-aligned, blanks
        ("length6_inclusive", b"000019" + BODY),
        ("length6_inclusive", b"19    " + BODY + b"\r\n"),
        ("abc7", b"013    " + BODY),
        ("length8", b"13      " + BODY),
        ("length8", b"00000013" + BODY),
    ],
)
def test_a_reply_is_what_stands_behind_its_header(framing: Framing, reply: bytes) -> None:
    assert unframed(framing, reply) == BODY


def test_a_ping_an_reply_keeps_its_header_and_loses_what_follows_it() -> None:
    reply = ping_an(b"0000000013")
    assert unframed("pingan222", reply) == reply
    assert unframed("pingan222", reply + b"SIGNATURE") == reply


def test_a_reply_whose_line_ends_were_rewritten_is_taken_whole() -> None:
    """SPDB counts LF; what carries the packet may make CRLF of it."""
    body = b"<packet>\n<head>\n</head>\n</packet>\n"
    header = f"{len(body) + 6:<6}".encode()
    rewritten = body.replace(b"\n", b"\r\n")
    assert unframed("length6_inclusive", header + body) == body
    assert unframed("length6_inclusive", header + rewritten) == rewritten


@pytest.mark.parametrize(
    ("framing", "reply"),
    [
        ("length6_inclusive", b"20    " + BODY),  # cut
        ("length6_inclusive", b"18    " + BODY),  # more than it says
        ("length6_inclusive", b"5     " + BODY),  # shorter than its header
        ("length6_inclusive", b"      " + BODY),
        ("length6_inclusive", b" 19   " + BODY),
        ("length6_inclusive", b"1 9   " + BODY),
        ("length6_inclusive", b"-19   " + BODY),
        ("length6_inclusive", b"<html>" + BODY),
        ("length6_inclusive", b"19"),
        ("length6_inclusive", b""),
        ("abc7", b"113    " + BODY),  # encrypted: nobody here can read it
        ("abc7", b"x13    " + BODY),
        ("abc7", b"014    " + BODY),
        ("length8", b"0x13    " + BODY),
        ("length8", b"99999999" + BODY),
        ("pingan222", ping_an(b"0000000014")),
        ("pingan222", ping_an(b"          ")),
        ("pingan222", BODY),
    ],
)
def test_a_reply_that_is_not_as_long_as_it_says_is_no_reply(framing: Framing, reply: bytes) -> None:
    with pytest.raises(BadFrame):
        unframed(framing, reply)


def test_a_message_too_long_for_its_header_does_not_leave_with_a_cut_length() -> None:
    assert framed("abc7", b"x" * 999_999)[:7] == b"0999999"
    with pytest.raises(BadFrame):
        framed("abc7", b"x" * 1_000_000)
    with pytest.raises(BadFrame):
        framed("length6_inclusive", b"x" * 999_994)


@given(framing=st.sampled_from(sorted(FRAMES)), reply=st.binary(max_size=300))
def test_whatever_comes_is_a_reply_or_a_bad_frame(framing: Framing, reply: bytes) -> None:
    try:
        content = unframed(framing, reply)
    except BadFrame:
        return
    assert content in reply


@given(framing=st.sampled_from(sorted(set(FRAMES) - {"pingan222"})), body=st.binary(max_size=300))
def test_what_was_framed_is_read_back(framing: Framing, body: bytes) -> None:
    assert unframed(framing, framed(framing, body)) == body
