"""Yuan and fen, as text and whole numbers; never floating point."""

import re
from typing import Final

_YUAN: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,2}))?", re.ASCII)
_FEN: Final = re.compile(r"\d{1,17}", re.ASCII)


def fen_of(yuan: str) -> int | None:
    """12345 from "123.45"; None for what is no amount with at most two decimals."""
    found = _YUAN.fullmatch(yuan)
    return None if found is None else int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))


def fen_number(text: str) -> int | None:
    """12345 from "12345"; None for what has a sign, a point, or anything else."""
    return int(text) if _FEN.fullmatch(text) else None


def yuan(fen: int) -> str:
    """ "123.45" from 12345, "-0.05" from -5."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
