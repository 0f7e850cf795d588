"""`bankgate check`: whether a request or a message would be accepted on a day, and why not, element by element."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from formats.bank import BankFormat
from formats.errors import Place, Unparsable, Violation
from formats.reader import files_in
from formats.schemas import SchemaUnavailable
from formats.schemas_own import OwnSchemas
from gateway.cli.check_message import Verdict, judged, unreadable
from gateway.cli.output import PROBLEMS, CommandFailed, Json, Language, err, out, print_error, print_json, print_warning
from gateway.cli.render import Bank, Message, On, day_of, default_message, known_message, plugin_named
from gateway.cli.schemas import Schemas, schemas_of
from gateway.cli.sources import opened, shown, why
from gateway.cli.standalone import as_dict, judge, orders_of_file, print_violations
from gateway.cli.windows import counted, windows_of

SHOWN_MAX: Final = 100


def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="REQUEST.json, or a message (XML, MT940, ZIP); - is standard input.")
    ],
    *,
    bank: Bank = "iso20022",
    message: Message = None,
    on: On = None,
    schemas: Schemas = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A configuration directory: says too how payments stand to the send windows of its connections."),
    ] = None,
    language: Annotated[Language, typer.Option(help="In which language problems are told; --json has both.")] = Language.EN,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the validator's own words too.")] = False,
    as_json: Json = False,
) -> None:
    """Say whether a request or file would be accepted on a day, and why not, element by element."""
    plugin = plugin_named(bank)
    day = day_of(on, plugin)
    wanted = known_message(message, plugin)
    own = schemas_of(schemas)
    if file.lower().endswith(".json"):
        asked = _Asked(Path(file), plugin, wanted or default_message(plugin, day), day, config, day if on else None)
        good = _check_request(asked, language, as_json=as_json)
    else:
        verdicts = _verdicts(file, plugin, day, own)
        good = all(verdict.ok for verdict in verdicts.values())
        if as_json:
            told = [{"file": name, **verdict.as_dict()} for name, verdict in verdicts.items()]
            print_json(told[0] if list(verdicts) == [shown(file)] else {"ok": good, "files": told})
        else:
            for name, verdict in verdicts.items():
                _tell(name, verdict, f"{plugin.name} on {day.isoformat()}", language, verbose=verbose)
    if not good:
        raise typer.Exit(PROBLEMS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is checked for. `windows_on`: the day whose beginning its send windows are told of; None: now."""

    file: Path
    plugin: BankFormat
    message: str
    day: date
    config: Path | None
    windows_on: date | None


def _check_request(asked: _Asked, language: Language, *, as_json: bool) -> bool:
    file, orders = asked.file, orders_of_file(asked.file)
    judged = judge(orders, asked.plugin, asked.message, asked.day)
    windows = [] if asked.config is None else windows_of(asked.config, orders, judged, asked.windows_on)
    broken = [violation for one in judged for violation in one.violations]
    warned = [warning for one in judged for warning in one.warnings]
    if as_json:
        told = {"violations": [as_dict(one) for one in broken], "warnings": [as_dict(one) for one in warned]}
        print_json({"ok": not broken, "payments": len(judged), **told, **({"send_windows": windows} if asked.config else {})})
        return not broken
    print_violations(file, [*broken, *warned], language)
    if not broken:
        good_for = f"good for {asked.plugin.name} on {asked.day.isoformat()}"
        out().print(f"{file}: {len(judged)} payments, {good_for}", markup=False)
    for text, count in list(counted(windows, chinese=language is Language.ZH).items())[:SHOWN_MAX]:
        out().print(f"{file}: {count} payments: {text}", markup=False)
    return not broken


def _verdicts(file: str, plugin: BankFormat, day: date, own: OwnSchemas | None) -> dict[str, Verdict]:
    """What is to be said of a message as a file, by its name: its kind, its schema, reading it to its end, and for payments what
    the bank says to each. Of a ZIP archive, each of its files."""
    name, found = shown(file), dict[str, Verdict]()
    try:
        with opened(file) as source:
            for member, content in files_in(source):
                found[f"{name}/{member}" if member else name] = judged(content, plugin, day, own)
    except Unparsable as error:  # of the archive itself
        found[name] = unreadable(error)
    except OSError as error:
        raise CommandFailed(f"{name}: {why(error)}") from None
    except SchemaUnavailable as error:
        raise CommandFailed(str(error)) from None
    return found


def _tell(file: str, verdict: Verdict, for_whom: str, language: Language, *, verbose: bool) -> None:
    ours = verdict.message.startswith("pain.001")
    if verdict.ok:
        schema = "keeps to its schema" if verdict.schema_checked else verdict.schema_note or "no schema checked"
        good = f", good for {for_whom}" if ours else ""
        out().print(f"{file}: {verdict.message}, {verdict.records} records, {schema}{good}", markup=False)
    for one in verdict.found[:SHOWN_MAX]:
        tell = print_error if one.refuses else print_warning
        tell(_headline(file, one.violation, language))
        for line in _below(one.violation, language, verbose=verbose):
            err().print(f"    {escape(line)}")
    hidden = len(verdict.found) - SHOWN_MAX + verdict.not_kept
    if hidden > 0:
        kept = "" if verdict.not_kept else "; --json lists them all"
        print_error(f"and {hidden} more{kept}")
    if not verdict.schema_complete:
        print_error("there may be more schema problems: looking for them ended here")
    if verdict.ok:
        return
    by_schema = sum(one.violation.rule.startswith("schema.") for one in verdict.violations)
    others = len(verdict.violations) + verdict.not_kept - by_schema
    asked = f", asked for {for_whom}" if ours else ""
    told = f"problems: {by_schema} of its schema, {others} of totals and rules" if verdict.message else "not read"
    err().print(f"{file}: {verdict.message or 'no message'}; {told}{asked}", markup=False)


def _headline(file: str, violation: Violation, language: Language) -> str:
    place = violation.place or Place()
    where = f"{file}:{place.line}" if place.line else file
    words = violation.message_zh if language is Language.ZH else violation.message_en
    return f"{where}: {words} [{violation.rule}; {violation.source}]"


def _below(violation: Violation, language: Language, *, verbose: bool) -> Iterator[str]:
    """What stands under the headline: the place, the payment, a safe replacement, the validator's own words."""
    place = violation.place or Place()
    chinese = language is Language.ZH
    if place.path:
        yield place.path
    names = [
        ("付款" if chinese else "payment", place.end_to_end_id),
        ("批次" if chinese else "block", place.payment_information_id),
    ]
    told = [f"{word} {name}" for word, name in names if name]
    if told:
        yield ", ".join(told)
    if violation.fix:
        yield f"{'可改为' if chinese else 'Fix'}: {violation.fix}"
    if verbose and violation.detail:
        yield f"libxml2: {violation.detail}"
