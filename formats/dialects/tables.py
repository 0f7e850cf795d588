"""A bank's status codes in three lists: proven success, proven failure, and everything else, which is asked about again.

A code that no list has is of the third kind, is kept verbatim, and is told. `returned` is a fourth word: success that was taken
back (退票).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from formats.report import Reason

SETTLED: Final = "ACSC"
REJECTED: Final = "RJCT"
PENDING: Final = "PDNG"

Words = Mapping[str, tuple[str, str]]
"""Code → what it means, in English and in Chinese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTable:
    """The codes that say what became of a payment; `others` are explained and prove nothing (codes of replies, of refusals)."""

    bank: str
    settled: Words
    rejected: Words
    pending: Words = field(default_factory=dict)
    returned: Words = field(default_factory=dict)
    others: Words = field(default_factory=dict)

    def status(self, code: str) -> str:
        """The ISO status word of a code; an unknown one is PDNG. Not for returned ones: see `is_returned`."""
        if code in self.settled or code in self.returned:
            return SETTLED
        return REJECTED if code in self.rejected else PENDING

    def is_returned(self, code: str) -> bool:
        return code in self.returned

    def is_final(self, code: str) -> bool:
        return code in self.settled or code in self.rejected or code in self.returned

    def reason(self, code: str, text: str = "") -> Reason:
        """The bank's code under the bank's name ("cib.PAYOUT"), and what it said in words."""
        return Reason(code=f"{self.bank}.{code}" if code else None, text=text or None)

    def explain(self, code: str) -> tuple[str, str] | None:
        """The code in plain words, English and Chinese."""
        for words in (self.settled, self.rejected, self.returned, self.pending, self.others):
            if code in words:
                return words[code]
        return None

    def with_rejected(self, codes: Iterable[str]) -> "StatusTable":
        """With more codes that prove a failure: the bank confirmed them to the operator."""
        more = {code: _CONFIRMED for code in codes if code not in self.settled}
        return replace(self, rejected={**more, **self.rejected}) if more else self


_CONFIRMED: Final = (
    "A code that by the connection's settings means that the payment failed.",
    "根据连接配置，该代码表示付款失败。",
)
