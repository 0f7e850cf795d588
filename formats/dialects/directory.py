"""A directory of branches (联行号 → name), as a user may load one from a CSV file; none comes with bankgate.

The first line names the columns, in any order, in English or Chinese: `code` (行号, 联行号), `name` (行名, 银行名称), and if
there are any `city` (城市) and `valid_on` (日期), the day the list was made. UTF-8 or GB18030.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from formats.dialects.cnaps import has_shape
from formats.errors import Unparsable

BYTES_MAX: Final = 64 * 1024 * 1024
_COLUMNS: Final = {
    **dict.fromkeys(("code", "bank_code", "cnaps", "行号", "联行号", "支付系统行号"), "code"),
    **dict.fromkeys(("name", "bank_name", "行名", "银行名称", "支行名称"), "name"),
    **dict.fromkeys(("city", "城市", "所在城市"), "city"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    code: str
    name: str
    city: str = ""


class Directory:
    """Branches by number, and found by words of their names."""

    def __init__(self, branches: Iterable[Branch]) -> None:
        self._by_code = {branch.code: branch for branch in branches}

    def __len__(self) -> int:
        return len(self._by_code)

    def get(self, code: str) -> Branch | None:
        return self._by_code.get(code)

    def search(self, words: str, limit: int = 10) -> list[Branch]:
        """Branches whose number begins with the text, or whose name and city hold every one of its words (parted by blanks);
        names that begin with the first word come first, then shorter ones."""
        wanted = words.split()
        if not wanted:
            return []
        found = [branch for branch in self._by_code.values() if self._fits(branch, wanted)]
        found.sort(key=lambda branch: (not branch.name.startswith(wanted[0]), len(branch.name), branch.code))
        return found[:limit]

    @staticmethod
    def _fits(branch: Branch, wanted: list[str]) -> bool:
        if len(wanted) == 1 and branch.code.startswith(wanted[0]):
            return True
        text = f"{branch.name} {branch.city}".casefold()
        return all(word.casefold() in text for word in wanted)


def read_directory(content: bytes) -> Directory:
    """The directory in a CSV file. Raises `Unparsable` with the line."""
    if len(content) > BYTES_MAX:
        raise Unparsable(f"more than {BYTES_MAX} bytes")
    return Directory(_branches(_text(content)))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return content.decode("gb18030")
        except UnicodeDecodeError:
            raise Unparsable("neither UTF-8 nor GB18030 text") from None


def _branches(text: str) -> Iterator[Branch]:
    rows = csv.reader(io.StringIO(text))
    try:
        head = [_COLUMNS.get(name.strip().lower(), "") for name in next(rows, [])]
        if "code" not in head or "name" not in head:
            raise Unparsable("the first line must name the columns code (联行号) and name (行名)", 1)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = {column: cell.strip() for column, cell in zip(head, row, strict=False) if column}
            code = cells.get("code", "")
            if not has_shape(code):
                raise Unparsable("a bank code is 12 digits; a spreadsheet may have eaten a leading zero", rows.line_num)
            yield Branch(code=code, name=cells.get("name", ""), city=cells.get("city", ""))
    except csv.Error as problem:
        raise Unparsable(f"not CSV: {problem}", rows.line_num) from None
