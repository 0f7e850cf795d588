"""The errors of this room, named by who must act."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
"""What follows from a broken rule: "error" refuses the payment, "warning" is told and does not refuse it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in a file made elsewhere.

    `path` names the elements from the root, with an index (from 1) where several of a name may stand side by side
    ("/Document/CstmrCdtTrfInitn/PmtInf[2]/CdtTrfTxInf[1733]/CdtrAcct/Id/IBAN"); "" is the file as a whole. `line` counts from 1.
    The two ids are of the payment concerned, as the file gives them.
    """

    path: str = ""
    line: int | None = None
    payment_information_id: str | None = None
    end_to_end_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule that a payment breaks.

    `field` is a path in the words of the request ("creditor_account.iban", "amount"); `rule` a stable id ("iban.check-digits");
    `source` the document, version and section the rule comes from; `fix` a safe replacement value, where one exists (never
    another amount or party). The value itself is not quoted, so that violations can be logged. `severity` says whether the
    payment is refused for it; `refusing` and `warnings` tell the two apart, and nobody else decides that.

    For files made elsewhere, `place` says where in the file, and `detail` gives the validator's own words where there are any
    (libxml2's, without values).
    """

    field: str
    rule: str
    source: str
    message_en: str
    message_zh: str
    fix: str | None = None
    severity: Severity = "error"
    place: Place | None = None
    detail: str | None = None


def refusing(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Those for which the payment is refused: none of them, and it would be taken."""
    return tuple([violation for violation in violations if violation.severity == "error"])


def warnings(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Those that are told and refuse nothing."""
    return tuple([violation for violation in violations if violation.severity != "error"])


class FormatError(Exception):
    """Base of this room's errors."""


class Unrenderable(FormatError):
    """The caller's: this payment cannot be said in this message. Carries every violation found."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{v.field}: {v.message_en} [{v.rule}]" for v in violations[:10]))


class Unparsable(FormatError):
    """Ours: these bytes cannot be read. The file is kept and read again after a fix.

    `line` is the line in the file (from 1) where reading stopped, or None.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.problem = problem
        self.line = line
        super().__init__(problem if line is None else f"line {line}: {problem}")
