"""Writes docs/rules.md from the rule packs of formats/rules/.

python deploy/scripts/rules_page.py            write it
python deploy/scripts/rules_page.py --check    exit 1 if the page differs from the packs
"""

import pkgutil
import sys
from pathlib import Path
from typing import Any

from formats import banks
from formats.bank import discover
from formats.dialects.dialect import Dialect
from formats.errors import Severity
from formats.iso20022 import IsoBank
from formats.rules import together
from formats.rules.packs import PACKS
from formats.rules.rule import Pack, Rule
from formats.rules.walk import FIELD_TYPE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"

INTRODUCTION = """\
# The rules

<!-- Written by `make rules` from formats/rules/; edit those. A test fails when this page differs. -->

Every rule that a payment is put to, with the id under which `bankgate check`, `CheckPayments` and `SubmitPayments` name it.
An *error* refuses the payment; a *warning* is told and refuses nothing. Days are the first and the last on which a rule holds for
a payment sent at the bank; `bankgate check --on DATE` tells before from after. `{…}` stands for what the rule found. Which packs
a bank uses stands in its file under `formats/banks/`.
"""

ABOUT = {
    "common": "Every payment at every bank: what the schema and the standards behind the values ask for.",
    "address": "Addresses, where the community has no day of its own.",
    "service": "Service level, priority, and whether the payee's bank and account belong together.",
    "charges": "Who bears the charges, outside SEPA.",
    "sepa": "Payments of service level SEPA (EPC, SCT 2025).",
    "sepa-always": "Banks that carry SEPA payments only: the rules of `sepa`, said or not, and this one.",
    "instant": "Payments of local instrument INST (EPC, SCT Inst 2025).",
    "instant-sepa": "The limits of `instant` alone, for banks that know another instant scheme beside it.",
    "sps": "Every payment at a Swiss bank (Swiss Payment Standards 2026).",
    "sps-address": "Addresses at a Swiss bank.",
    "sps-texts": "Swiss payments of types D and X.",
    "dk": "Every payment at a German bank (DK, Anlage 3, GBIC_4).",
    "dk-ordinary": "German payments that are not urgent: the rules of `sepa`, said or not.",
    "dk-urgent": "Urgent euro payments (URGP) at a German bank.",
    "cross-border": "Payments that leave their country outside SEPA (SWIFT CBPR+).",
    "cgi": "Payments outside SEPA at banks that follow CGI-MP.",
    "cn": "Every domestic payment in China (银企直联): the rules of `common` that hold there, and these.",
}
OF_DIALECT = (
    "Every payment at this bank, which answers at once (银企直联). Widths that its settings change are shown as they are without."
)

# Rules that are in no pack, because the request, the file or the call is judged and no bank is asked: id, severity, what it says.
ELSEWHERE: tuple[tuple[str, Severity, str], ...] = (
    (FIELD_TYPE.id, FIELD_TYPE.severity, FIELD_TYPE.message_en),
    (
        together.RULE,
        "warning",
        "Two payments of one call or message have the same end-to-end id (an error at banks that say so).",
    ),
    ("cn.rail-cap", "error", "A Chinese payment system that the payment asks for takes less (bank_settings.beps_cap, ibps_cap)."),
    ("cn.purpose-agreed", "error", "The bank takes other words as purpose (bank_settings.purposes)."),
    ("message.unsupported", "error", "The bank does not take this message on that day, or at all."),
    ("message.not-valid-on-date", "error", "The bank does not take the connection's message on that day."),
    ("message.unrenderable", "error", "The payment cannot be written in this message."),
    ("message.empty", "error", "A message or block without a payment."),
    ("message.version", "error", "A message made elsewhere does not say which version it is."),
    ("file.unreadable", "error", "A file made elsewhere cannot be read; the line where reading ended is told."),
    ("schema.not-checked", "error", "A payment file could not be held against its schema."),
    ("cn.bank-code-unknown", "warning", "The operator's directory of branches has no such bank code (联行号)."),
    ("instant.not-offered", "error", "The payment asks for instant, and the bank or connection does not offer it."),
    ("instant.contradiction", "error", "The payment asks for instant and, in its payment type, for something else."),
    ("instant.unknown", "error", "The choice of instant is a number that this version does not know."),
    ("message.control-sum", "error", "The sum of a message has more than 18 digits."),
    ("connection.unknown", "error", "There is no connection of that name."),
    (
        "send-window.missed",
        "error",
        "The last send window for the requested day has passed, and the connection refuses it then.",
    ),
    ("recall.not-kept", "error", "A payment that is to be recalled, or the message it travelled in, is not kept here any more."),
    ("debtor-account.required", "error", "The connection has several accounts, and the payment does not say which pays."),
    ("debtor-account.unknown", "error", "The paying account is not one of the connection's."),
    ("payment-reference.form", "error", "The payment reference is too long, or holds other characters than it may."),
    ("release-group.form", "error", "The name of the release group is too long, or holds other characters than it may."),
    ("release-group.not-open", "error", "The release group was closed, released or cancelled: nothing is added to it."),
    ("amount.format", "error", "The text is no amount."),
    ("date.format", "error", "The text is no calendar date."),
    ("text.length-max", "error", "The text is longer than any bank message could carry."),
    ("request.items-max", "error", "The lists of a payment hold more items together than one may have."),
    ("violations.more", "error", "So many more rules are broken than are told (a warning where it counts warnings)."),
    ("request.size-max", "error", "The payment is larger than one may be."),
    ("choice.code-or-proprietary", "error", "Both the ISO code and the bank's own word are given."),
    ("party.organisation-or-person", "error", "A party is identified both as an organisation and as a person."),
    ("account.iban-or-other", "error", "An account is given both by IBAN and by another number."),
)


def page() -> str:
    """The whole of docs/rules.md."""
    lines = [INTRODUCTION]
    shown: set[str] = set()
    for pack in (*PACKS, *_dialect_packs()):
        lines += _section(pack, shown)
    lines += ["## Outside the packs", "", "What the request, the file or the call itself breaks, whatever the bank.", ""]
    lines += ["| rule | severity | what |", "|---|---|---|"]
    lines += [f"| `{rule}` | {severity} | {_cell(what)} |" for rule, severity, what in ELSEWHERE]
    return "\n".join([*lines, ""])


def _section(pack: Pack, shown: set[str]) -> list[str]:
    rules = [rule for rule in pack.rules if rule.id not in shown]
    shown.update(rule.id for rule in rules)
    users = [f"`{name}`" for name, bank in sorted(_own_banks().items()) if pack in bank.packs]
    lines = [f"## {pack.name}", "", f"{ABOUT.get(pack.name, OF_DIALECT)} Used by {', '.join(users) or 'no bank here'}.", ""]
    if not rules:
        return lines
    lines += ["| rule | severity | in force | field | says | 说明 | source |", "|---|---|---|---|---|---|---|"]
    return [*lines, *(_row(rule) for rule in rules), ""]


def _own_banks() -> dict[str, IsoBank | Dialect[Any]]:
    """The banks of formats/banks/, whatever others are installed beside them."""
    own = {info.name for info in pkgutil.iter_modules(banks.__path__)}
    return {name: bank for name, bank in discover().items() if name in own and isinstance(bank, IsoBank | Dialect)}


def _dialect_packs() -> list[Pack]:
    """The packs that stand in a bank's own file."""
    return [pack for _, bank in sorted(_own_banks().items()) for pack in bank.packs if pack not in PACKS]


def _row(rule: Rule) -> str:
    cells = (_days(rule), _field(rule), rule.message_en, rule.message_zh, rule.source)
    return f"| `{rule.id}` | {rule.severity} | {' | '.join(map(_cell, cells))} |"


def _days(rule: Rule) -> str:
    first, last = rule.valid_from, rule.valid_until
    if first is None and last is None:
        return "always"
    return " ".join([*((f"from {first}",) if first else ()), *((f"until {last}",) if last else ())])


def _field(rule: Rule) -> str:
    """The fields a rule looks at: those of the whole payment by name, those of a part as "party.name"."""
    whole = {"terms", "transfer", "payment", "abroad"}
    parts = [part for part in rule.parts if part not in whole]
    if rule.field:
        return ", ".join([*(f"{part}.{rule.field}" for part in parts), *((rule.field,) if whole & set(rule.parts) else ())])
    return ", ".join(parts) or "payment"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            raise SystemExit("docs/rules.md differs from formats/rules/ (run `make rules`)")
    else:
        PAGE.write_text(page(), encoding="utf-8")
        print("written: docs/rules.md")


if __name__ == "__main__":
    main()
