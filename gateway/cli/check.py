"""`bankgate check`: whether a request or a message would be accepted on a day, and why not, element by element."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from formats.bank import BankFormat
from formats.errors import Unparsable, Violation, refusing, warnings
from formats.pain001_orders import read_orders
from formats.pain001_totals import broken_totals
from formats.reader import parse, sniff
from formats.rules.together import EndToEndIds
from formats.schemas import INBOUND_BYTES_MAX, SchemaUnavailable, SchemaViolation, validate_inbound, validate_outbound
from gateway.cli.output import PROBLEMS, CommandFailed, Json, out, print_error, print_json, print_warning
from gateway.cli.render import Bank, Message, On, day_of, default_message, known_message, plugin_named
from gateway.cli.sources import opened, shown, why
from gateway.cli.standalone import as_dict, judge, orders_of_file, print_violations

SHOWN_MAX: Final = 100
_TOLD_ONCE: Final = "message.unsupported"  # the same for every payment of a file: told for the file


@dataclass(slots=True)
class _Verdict:
    """What was found in a message. `problems` are of the file, `violations` and `warnings` of its payments."""

    message: str = ""
    records: int = 0
    schema_checked: bool = False
    problems: list[str] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems and not self.violations


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="REQUEST.json, or a message (XML, MT940); - is standard input.")],
    *,
    bank: Bank = "iso20022",
    message: Message = None,
    on: On = None,
    as_json: Json = False,
) -> None:
    """Say whether a request or file would be accepted on a day, and why not, element by element."""
    plugin = plugin_named(bank)
    day = day_of(on, plugin)
    wanted = known_message(message, plugin)
    if file.lower().endswith(".json"):
        good = _check_request(Path(file), plugin, wanted or default_message(plugin, day), day, as_json=as_json)
    else:
        good = _check_message(file, plugin, day, as_json=as_json)
    if not good:
        raise typer.Exit(PROBLEMS)


def _check_request(file: Path, plugin: BankFormat, message: str, day: date, *, as_json: bool) -> bool:
    judged = judge(orders_of_file(file), plugin, message, day)
    broken = [violation for one in judged for violation in one.violations]
    warned = [warning for one in judged for warning in one.warnings]
    if as_json:
        told = {"violations": [as_dict(one) for one in broken], "warnings": [as_dict(one) for one in warned]}
        print_json({"ok": not broken, "payments": len(judged), **told})
        return not broken
    print_violations(file, [*broken, *warned])
    if not broken:
        out().print(f"{file}: {len(judged)} payments, good for {plugin.name} on {day.isoformat()}", markup=False)
    return not broken


def _check_message(file: str, plugin: BankFormat, day: date, *, as_json: bool) -> bool:
    """A message as a file: its kind, its schema, reading it to its end, and for payments what the bank says to each."""
    verdict = _Verdict()
    try:
        with opened(file) as source:
            _judge_message(source, plugin, day, verdict)
    except OSError as error:
        raise CommandFailed(f"{shown(file)}: {why(error)}") from None
    if as_json:
        content = {name: getattr(verdict, name) for name in _Verdict.__dataclass_fields__}
        print_json({"ok": verdict.ok, **content, "message": verdict.message or None})
    else:
        _tell(shown(file), verdict, plugin, day)
    return verdict.ok


def _judge_message(source: BinaryIO, plugin: BankFormat, day: date, verdict: _Verdict) -> None:
    try:
        verdict.message = sniff(source)
        verdict.schema_checked, problems = _schema_problems(source, verdict.message)
        verdict.problems += problems
        for _ in parse(source):
            verdict.records += 1
        if verdict.message.startswith("pain.001"):
            verdict.problems += [*_taken(verdict.message, plugin, day), *broken_totals(source)]
            _judge_payments(source, plugin, day, verdict)
    except Unparsable as error:
        verdict.problems.append(str(error))


def _schema_problems(source: BinaryIO, name: str) -> tuple[bool, Sequence[str]]:
    """Whether a schema was at hand, and how the file breaks it.

    A payment file too large for a tree is judged in pieces, as what we send is, up to its first fault.
    """
    size = source.seek(0, 2)
    source.seek(0)
    if name.startswith("pain.001") and size > INBOUND_BYTES_MAX:
        try:
            validate_outbound(source, name)
        except SchemaViolation as error:
            return True, [str(problem) for problem in error.problems]
        except SchemaUnavailable as error:
            return False, [str(error)]
        return True, ()
    valid, problems = validate_inbound(source, name)
    ours = name.startswith(
        "pain.001"
    )  # a bank may leave the schema's namespace out in what it sends; in what it gets, it may not
    return valid is not None, problems if valid is False or (ours and valid is None) else ()


def _taken(name: str, plugin: BankFormat, day: date) -> Sequence[str]:
    """Whether the bank takes this version of what we send on that day."""
    if plugin.capabilities.taken_as(name, day) is not None:
        return ()
    valid = [known for known, validity in plugin.capabilities.sends.items() if validity.covers(day)]
    return [f"{plugin.name} does not take {name} on {day.isoformat()}; it takes {', '.join(valid) or 'nothing'}"]


def _judge_payments(source: BinaryIO, plugin: BankFormat, day: date, verdict: _Verdict) -> None:
    """What the bank's rules say to each payment."""
    name = plugin.capabilities.taken_as(verdict.message, day)
    index = None
    ids = EndToEndIds(plugin.capabilities.repeated_end_to_end_ids)
    for index, found in enumerate(read_orders(source)):
        unreadable = {problem.field for problem in found.problems}
        rules = [
            violation
            for violation in plugin.check(found.terms, found.transfer, day, name)
            if violation.rule != _TOLD_ONCE and violation.field not in unreadable
        ]
        place = {"index": index, "line": found.line, "end_to_end_id": found.transfer.end_to_end_id or None}
        repeated = ids.add(found.transfer.end_to_end_id, index)
        broken = (*found.problems, *rules, *((repeated,) if repeated else ()))
        verdict.violations += [{**place, **_words(violation)} for violation in refusing(broken)]
        verdict.warnings += [{**place, **_words(warning)} for warning in warnings(broken)]
    if index is None:
        verdict.problems.append("there is no payment in it")


def _words(violation: Violation) -> dict[str, Any]:
    return {
        "field": violation.field,
        "rule": violation.rule,
        "source": violation.source,
        "description_en": violation.message_en,
        "description_zh": violation.message_zh,
        "fix": violation.fix,
        "severity": violation.severity,
    }


def _tell(file: str, verdict: _Verdict, plugin: BankFormat, day: date) -> None:
    if verdict.ok:
        schema = "keeps to its schema" if verdict.schema_checked else "no schema checked"
        good = f", good for {plugin.name} on {day.isoformat()}" if verdict.message.startswith("pain.001") else ""
        out().print(f"{file}: {verdict.message}, {verdict.records} records, {schema}{good}", markup=False)
    lines = [f"{file}: {problem}" for problem in verdict.problems]
    lines += [f"{file}: {line}" for line in _lines(verdict.violations)]
    for line in lines[:SHOWN_MAX]:
        print_error(line)
    for line in list(_lines(verdict.warnings))[:SHOWN_MAX]:
        print_warning(f"{file}: {line}")
    if len(lines) > SHOWN_MAX:
        print_error(f"and {len(lines) - SHOWN_MAX} more; --json lists them all")


def _lines(violations: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in violations:
        fix = f" Fix: {one['fix']}" if one["fix"] else ""
        place = f"line {one['line']}, payment {one['end_to_end_id'] or one['index'] + 1}: {one['field']}"
        yield f"{place}: {one['description_en']} [{one['rule']}; {one['source']}]{fix}"
