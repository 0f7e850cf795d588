"""A PDF of plain pages of text in one fixed-width font: enough for a letter, and nothing else.

Written here because a page of text takes a hundred lines, and a library for PDF a hundred times as many (and a font file for
Chinese besides). Latin text is in Courier; other text in the font STSong-Light, which PDF viewers bring along or replace by their
own (ISO 32000-1, 9.7.5.2: predefined CMap UniGB-UTF16-H). The same text gives the same bytes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

_WIDTH, _HEIGHT = 595, 842  # A4 in points
_LEFT, _TOP, _LEADING, _SIZE = 57, 785, 13, 10
LINES_PER_PAGE: Final = 56
COLUMNS: Final = 80

_FONTS: Final = (
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UTF16-H /DescendantFonts [5 0 R] >>",
    (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1)"
        b" /Supplement 4 >> /FontDescriptor 6 0 R /DW 1000 >>"
    ),
    (
        b"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880"
        b" /Descent -120 /CapHeight 880 /StemV 93 >>"
    ),
)


def pdf(pages: Iterable[Sequence[str]]) -> bytes:
    """One page of A4 for each sequence of lines. Raises `ValueError` where a page has more than `LINES_PER_PAGE`."""
    objects: list[bytes] = [b"", b"", *_FONTS]  # 1: catalogue, 2: page tree, 3 to 6: fonts
    kids = []
    for lines in pages:
        if len(lines) > LINES_PER_PAGE:
            raise ValueError(f"a page takes {LINES_PER_PAGE} lines")
        content = _content(lines)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d]"
            b" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents %d 0 R >>" % (_WIDTH, _HEIGHT, len(objects))
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _content(lines: Sequence[str]) -> bytes:
    out = [b"BT", b"%d TL" % _LEADING, b"1 0 0 1 %d %d Tm" % (_LEFT, _TOP)]
    for line in lines:
        for text, latin in _runs(line):
            font = b"/F1" if latin else b"/F2"
            out.append(b"%s %d Tf %s Tj" % (font, _SIZE, _literal(text) if latin else _hex(text)))
        out.append(b"T*")
    out.append(b"ET")
    return b"\n".join(out)


def _runs(line: str) -> list[tuple[str, bool]]:
    """The line in runs of one font each."""
    runs: list[tuple[str, bool]] = []
    for character in line:
        latin = _latin(character)
        if runs and runs[-1][1] is latin:
            runs[-1] = (runs[-1][0] + character, latin)
        else:
            runs.append((character, latin))
    return runs


def _latin(character: str) -> bool:
    try:
        return character.encode("cp1252") >= b" "
    except UnicodeEncodeError:
        return False


def _literal(text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return b"(" + escaped.encode("cp1252") + b")"


def _hex(text: str) -> bytes:
    return b"<" + text.encode("utf-16-be").hex().encode("ascii") + b">"
