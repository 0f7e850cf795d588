"""`bankgate render` and `bankgate check`: a bank's message from a request, and whether it would be taken, without any service."""

import io
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from formats.bank import BankFormat, UnknownBank, bank_named
from formats.errors import Unparsable, Unrenderable
from formats.pain001_totals import broken_totals
from formats.reader import parse, sniff
from formats.schemas import SchemaUnavailable, SchemaViolation, validate_inbound, validate_outbound
from gateway import clock
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_error, print_json
from gateway.cli.standalone import initiation, judge, orders_of_file
from gateway.errors import OrderViolation

Request = Annotated[Path, typer.Argument(metavar="REQUEST.json", help="The JSON form of SubmitPaymentsRequest.")]
Bank = Annotated[str, typer.Option("--bank", help="The bank plugin; iso20022 takes every ISO version.")]
On = Annotated[str | None, typer.Option("--on", help="The day it is meant for (YYYY-MM-DD). Absent: today at the bank.")]
Message = Annotated[str | None, typer.Option("--message", help="Message and version, for example pain.001.001.09.")]


def render(
    request: Request,
    *,
    bank: Bank,
    message: Message = None,
    on: On = None,
    message_id: Annotated[str | None, typer.Option(help="MsgId. Absent: made from the content.", show_default=False)] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="File to write. Absent: standard output.")] = None,
) -> None:
    """Say payments in a bank's message. The same request and day give the same bytes."""
    plugin = _plugin(bank)
    day = _day(on, plugin)
    name = message or _default_message(plugin, day)
    judged = judge(orders_of_file(request), plugin, name, day)
    broken = [violation for one in judged for violation in one.violations]
    if broken:
        _print_violations(request, broken)
        raise typer.Exit(PROBLEMS)
    with tempfile.SpooledTemporaryFile(max_size=32 * 1024 * 1024) as spool:
        try:
            plugin.render(initiation(judged, name, day, message_id), spool)  # type: ignore[arg-type]  # a binary file in all but name
        except Unrenderable as error:
            lines = [f"{v.field}: {v.message_en} [{v.rule}]" for v in error.violations]
            raise CommandFailed("\n".join([f"{request}: cannot be said in {name}", *lines])) from None
        spool.seek(0)
        content = spool.read()
    if out_file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        out_file.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"--out {out_file}: {error.strerror}", USAGE) from None


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="REQUEST.json, or a message (XML, MT940).")],
    *,
    bank: Bank = "iso20022",
    message: Message = None,
    on: On = None,
    as_json: Json = False,
) -> None:
    """Say whether a request or file would be accepted on a day, and why not, element by element."""
    plugin = _plugin(bank)
    if file.suffix.lower() == ".json":
        day = _day(on, plugin)
        judged = judge(orders_of_file(file), plugin, message or _default_message(plugin, day), day)
        broken = [violation for one in judged for violation in one.violations]
        if as_json:
            print_json({"ok": not broken, "payments": len(judged), "violations": [_as_dict(one) for one in broken]})
        elif broken:
            _print_violations(file, broken)
        else:
            out().print(f"{file}: {len(judged)} payments, good for {bank} on {day.isoformat()}", markup=False)
        good = not broken
    else:
        good = _check_message(file, plugin, on, as_json=as_json)
    if not good:
        raise typer.Exit(PROBLEMS)


def _check_message(file: Path, plugin: BankFormat, on: str | None, *, as_json: bool) -> bool:
    """A message as a file: its kind, its schema, whether the bank takes it that day, and reading it to its end."""
    problems: list[str] = []
    name = ""
    records = 0
    judged = False
    try:
        with file.open("rb") as source:
            name = sniff(source)
            source.seek(0)
            judged, found = _schema_problems(source, name)
            problems += found
            if name.startswith("pain.001"):
                problems += broken_totals(source)
            source.seek(0)
            for _ in parse(source):
                records += 1
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from None
    except Unparsable as error:
        problems.append(str(error))
    problems += _taken(name, plugin, _day(on, plugin))
    if as_json:
        print_json(
            {"ok": not problems, "message": name or None, "records": records, "schema_checked": judged, "problems": problems}
        )
    else:
        for problem in problems:
            print_error(f"{file}: {problem}")
        if not problems:
            verdict = "keeps to its schema" if judged else "no schema checked"
            out().print(f"{file}: {name}, {records} records, {verdict}", markup=False)
    return not problems


def _schema_problems(source: io.BufferedReader, name: str) -> tuple[bool, Sequence[str]]:
    """Whether a schema was at hand, and how the file breaks it."""
    if name.startswith("pain.001"):
        try:
            validate_outbound(source, name)
        except SchemaViolation as error:
            return True, [str(problem) for problem in error.problems]
        except SchemaUnavailable as error:
            return False, [str(error)]
        return True, ()
    valid, problems = validate_inbound(source, name)
    return valid is not None, problems if valid is False else ()


def _taken(name: str, plugin: BankFormat, day: date) -> Sequence[str]:
    """Whether the bank takes this version of what we send on that day."""
    sends = plugin.capabilities.sends
    if not name.startswith("pain.001") or (name in sends and sends[name].covers(day)):
        return ()
    valid = [known for known, validity in sends.items() if validity.covers(day)]
    return [f"{plugin.name} does not take {name} on {day.isoformat()}; it takes {', '.join(valid) or 'nothing'}"]


def _plugin(name: str) -> BankFormat:
    try:
        return bank_named(name)
    except UnknownBank as error:
        raise CommandFailed(f"--bank: {error}", USAGE) from None


def _day(text: str | None, plugin: BankFormat) -> date:
    if text is None:
        return clock.now().astimezone(ZoneInfo(plugin.capabilities.time_zone)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"--on {text}: is no date; write YYYY-MM-DD", USAGE) from None


def _default_message(plugin: BankFormat, day: date) -> str:
    for name, validity in plugin.capabilities.sends.items():
        if validity.covers(day):
            return name
    raise CommandFailed(f"{plugin.name} takes no message on {day.isoformat()}")


def _as_dict(order: OrderViolation) -> dict[str, Any]:
    violation = order.violation
    return {
        "index": order.index,
        "payment_reference": order.payment_reference,
        "field": violation.field,
        "rule": violation.rule,
        "source": violation.source,
        "description_en": violation.message_en,
        "description_zh": violation.message_zh,
        "fix": violation.fix,
    }


def _print_violations(file: Path, broken: Sequence[OrderViolation]) -> None:
    for order in broken:
        violation = order.violation
        fix = f" Fix: {violation.fix}" if violation.fix else ""
        place = f"{file}: payments[{order.index}].{violation.field}"
        print_error(f"{place}: {violation.message_en} [{violation.rule}; {violation.source}]{fix}")
