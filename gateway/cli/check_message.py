"""A message made elsewhere, judged: its schema, its totals, the bank's rules, in one list of violations with their places."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, BinaryIO, Final, NamedTuple

from formats.bank import BankFormat, Capabilities, Validity
from formats.errors import Place, Unparsable, Violation, refusing
from formats.explain import NOT_READ_FURTHER, violation_of
from formats.explain_expected import Expectations
from formats.pain001_orders import OrderRead, read_orders
from formats.pain001_totals import broken_totals
from formats.reader import parse, sniff
from formats.rules import unsupported_message
from formats.rules.together import EndToEndIds
from formats.schemas import examine, schema_text
from formats.schemas_own import OwnSchemas

SCHEMA_PROBLEMS_MAX: Final = 1_000
VIOLATIONS_MAX: Final = 10_000
"""More than these are counted (rules), or said to be more (schema), and not kept."""

_DOTS: Final = 3  # of a full name: pain.001.001.09
_TOLD_ONCE: Final = "message.unsupported"  # the same for every payment of a file: told for the file


class Found(NamedTuple):
    """A violation, and the number (from 0) of the payment it was found on, where it was found on one."""

    violation: Violation
    payment: int | None = None

    @property
    def refuses(self) -> bool:
        """Whether the file is refused for it."""
        return bool(refusing((self.violation,)))

    @property
    def line(self) -> int:
        """For sorting: what concerns the file as a whole comes first."""
        place = self.violation.place
        return (place.line if place else None) or 0


@dataclass(slots=True)
class Verdict:
    """What was found in a message. `not_kept` counts further rule violations; `schema_complete` False: reading for schema
    problems ended with those told. `schema_note` says why no schema judged the file."""

    message: str = ""
    records: int = 0
    schema_checked: bool = False
    schema_note: str = ""
    schema_complete: bool = True
    found: list[Found] = field(default_factory=list)
    not_kept: int = 0
    ok: bool = True  # whether the file would be taken

    @property
    def violations(self) -> list[Found]:
        """Those for which the file is refused."""
        return [one for one in self.found if one.refuses]

    @property
    def warnings(self) -> list[Found]:
        """Those that are told and refuse nothing."""
        return [one for one in self.found if not one.refuses]

    def add(self, violation: Violation, payment: int | None = None) -> None:
        """Keeps what was found, or counts it."""
        one = Found(violation, payment)
        self.ok = self.ok and not one.refuses
        if len(self.found) < VIOLATIONS_MAX:
            self.found.append(one)
        else:
            self.not_kept += 1

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "ok": self.ok,
            "message": self.message or None,
            "records": self.records,
            "schema_checked": self.schema_checked,
            "schema_note": self.schema_note or None,
            "schema_complete": self.schema_complete,
            "violations": [{"index": one.payment, **_as_dict(one.violation)} for one in self.violations],
            "warnings": [{"index": one.payment, **_as_dict(one.violation)} for one in self.warnings],
            "violations_not_kept": self.not_kept,
        }


def judged(source: BinaryIO, plugin: BankFormat, day: date, own: OwnSchemas | None = None) -> Verdict:
    """The verdict on a message: what was found, in the order of the file. `own`: schemas of the bank that win over the official
    ones. Raises `SchemaUnavailable`."""
    verdict = Verdict()
    try:
        verdict.message = sniff(source)
        _judge_schema(source, verdict, own)
        for _ in parse(source):
            verdict.records += 1
        if verdict.message.startswith("pain.001"):
            _judge_orders(source, plugin, day, verdict)
    except Unparsable as error:
        if not any(one.violation.rule in NOT_READ_FURTHER for one in verdict.found):  # said already, with more words
            verdict.add(_unreadable(error))
    verdict.found.sort(key=lambda one: one.line)
    return verdict


def unreadable(error: Unparsable) -> Verdict:
    """The verdict on a file of which nothing can be read."""
    verdict = Verdict()
    verdict.add(_unreadable(error))
    return verdict


def _judge_schema(source: BinaryIO, verdict: Verdict, own: OwnSchemas | None) -> None:
    name = verdict.message
    brought = own.get(name) if own is not None else None
    schema = schema_text(name) if brought is None else brought.text
    if schema is None:
        verdict.schema_note = "there is no schema at hand for this message" if name[:4] in {"pain", "camt", "pacs"} else ""
        return
    # What explains looks included files up by itself, so it is given no schema that includes any.
    explain = Expectations(name, schema) if brought is None or brought.stands_alone else None
    found = examine(source, name, most=SCHEMA_PROBLEMS_MAX, explain=explain, own=own)
    verdict.schema_checked, verdict.schema_complete, verdict.schema_note = found.valid is not None, found.complete, found.reason
    for problem in found.problems:
        verdict.add(violation_of(problem, name))
    if found.valid is None and name.startswith("pain.001"):
        # A bank may leave the schema's namespace out in what it sends; in what it gets, it may not.
        verdict.add(
            Violation(
                field="",
                rule="schema.not-checked",
                source=f"{name}, XML schema",
                message_en=f"The file was {found.reason}.",
                message_zh=f"未能按 XML 架构检查：{found.reason}。",
                place=Place(),
            )
        )


def _judge_orders(source: BinaryIO, plugin: BankFormat, day: date, verdict: Verdict) -> None:
    """The message as a whole, and what the bank's rules say to each of its payments."""
    name = verdict.message
    taken_as = plugin.capabilities.taken_as(name, day)
    if taken_as is None:
        valid = tuple(known for known, validity in plugin.capabilities.sends.items() if validity.covers(day))
        verdict.add(_version_unknown(name, valid) if name.count(".") < _DOTS else _not_taken(name, valid, plugin.capabilities))
    for violation in broken_totals(source):
        verdict.add(violation)
    index = None
    ids = EndToEndIds(plugin.capabilities.repeated_end_to_end_ids)
    for index, order in enumerate(read_orders(source)):
        for violation in _broken(order, plugin, day, taken_as):
            verdict.add(replace(violation, place=order.place_of(violation.field)), index)
        repeated = ids.add(order.transfer.end_to_end_id, index)
        if repeated is not None:
            verdict.add(replace(repeated, place=order.place_of(repeated.field)), index)
    if index is None:
        verdict.add(
            Violation(
                field="",
                rule="message.empty",
                source="ISO 20022 pain.001, CreditTransferTransactionInformation",
                message_en="There is no payment in it.",
                message_zh="文件中没有任何付款。",
                place=Place(path="/Document"),
            )
        )


def _not_taken(name: str, takes: tuple[str, ...], bank: Capabilities) -> Violation:
    days = bank.sends.get(bank.variants.get(name, name), Validity())
    told = unsupported_message(name, takes, first=days.valid_from, last=days.valid_until)
    return replace(told, place=Place(path="/Document"))


def _version_unknown(name: str, takes: tuple[str, ...]) -> Violation:
    """A file that says by its elements which message it is, and nowhere which version."""
    wanted = takes[0] if takes else f"{name}.001.09"
    declared = f'xmlns="urn:iso:std:iso:20022:tech:xsd:{wanted}"'
    return Violation(
        field="Document",
        rule="message.version",
        source="ISO 20022 XML design rules, namespaces of messages",
        message_en=f"The file does not say which version of {name} it is: its Document has no namespace. Write it as {wanted},"
        f" and {declared} into its Document.",
        message_zh=f"文件未声明 {name} 的版本：Document 缺少命名空间。请按 {wanted} 生成，并在 Document 中写明 {declared}。",
        place=Place(path="/Document"),
    )


def _broken(order: OrderRead, plugin: BankFormat, day: date, name: str | None) -> Iterator[Violation]:
    yield from order.problems
    unreadable = {problem.field for problem in order.problems}
    for violation in plugin.check(order.terms, order.transfer, day, name):
        if violation.rule != _TOLD_ONCE and violation.field not in unreadable:
            yield violation


def _unreadable(error: Unparsable) -> Violation:
    return Violation(
        field="",
        rule="file.unreadable",
        source="the format's own rules",
        message_en=f"The file cannot be read: {error.problem}.",
        message_zh=f"文件无法读取：{error.problem}。",
        place=Place(line=error.line),
    )


def _as_dict(violation: Violation) -> dict[str, Any]:
    place = violation.place or Place()
    return {
        "path": place.path or None,
        "line": place.line,
        "payment_information_id": place.payment_information_id,
        "end_to_end_id": place.end_to_end_id,
        "field": violation.field,
        "rule": violation.rule,
        "source": violation.source,
        "description_en": violation.message_en,
        "description_zh": violation.message_zh,
        "fix": violation.fix,
        "severity": violation.severity,
        "detail": violation.detail,
    }
