"""`bankgate render`: a bank's message from a request, without any service."""

import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from formats.bank import BankFormat, UnknownBank, bank_named
from formats.errors import Unrenderable
from gateway import clock
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed
from gateway.cli.requests import is_request, request_message
from gateway.cli.standalone import initiation, judge, orders_of_file, print_violations

Request = Annotated[
    Path, typer.Argument(metavar="REQUEST.json", help="The JSON form of SubmitPaymentsRequest, or of a request (docs/tester.md).")
]
Bank = Annotated[str, typer.Option("--bank", help="The bank plugin; iso20022 takes every ISO version.")]
On = Annotated[str | None, typer.Option("--on", help="The day it is meant for (YYYY-MM-DD). Absent: today at the bank.")]
Message = Annotated[str | None, typer.Option("--message", help="Message and version, for example pain.001.001.09.")]


_NO_BANK = "iso20022"  # requests have no bank's particulars


def render(
    request: Request,
    *,
    bank: Annotated[
        str | None,
        typer.Option("--bank", help="The bank plugin; iso20022 takes every ISO version. Payments need it.", show_default=False),
    ] = None,
    message: Message = None,
    on: On = None,
    message_id: Annotated[str | None, typer.Option(help="MsgId. Absent: made from the content.", show_default=False)] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="File to write. Absent: standard output.")] = None,
) -> None:
    """Say payments, a cancellation (camt.055) or a wish for statements (camt.060) in a bank's message.

    The same request and day give the same bytes.
    """
    asks = message is not None and is_request(message)
    if bank is None and not asks:
        raise CommandFailed("--bank: say which bank the payments are for; iso20022 has nobody's particulars", USAGE)
    plugin = plugin_named(bank or _NO_BANK)
    day = day_of(on, plugin)
    if message is not None and asks:
        _write(request_message(request, message, day, message_id), out_file)
        return
    name = known_message(message, plugin) or default_message(plugin, day)
    judged = judge(orders_of_file(request), plugin, name, day)
    broken = [violation for one in judged for violation in one.violations]
    print_violations(request, [*broken, *(warning for one in judged for warning in one.warnings)])
    if broken:
        raise typer.Exit(PROBLEMS)
    with tempfile.SpooledTemporaryFile(max_size=32 * 1024 * 1024) as spool:
        try:
            plugin.render(initiation(judged, name, day, message_id), spool)  # type: ignore[arg-type]  # a binary file in all but name
        except Unrenderable as error:
            lines = [f"{v.field}: {v.message_en} [{v.rule}]" for v in error.violations]
            raise CommandFailed("\n".join([f"{request}: cannot be said in {name}", *lines])) from None
        spool.seek(0)
        content = spool.read()
    _write(content, out_file)


def _write(content: bytes, out_file: Path | None) -> None:
    """The message to a file, or to standard output."""
    if out_file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        out_file.write_bytes(content)
    except OSError as error:
        raise CommandFailed(f"--out {out_file}: {error.strerror}", USAGE) from None


def plugin_named(name: str) -> BankFormat:
    """The bank plugin of that name. Raises `CommandFailed`."""
    try:
        return bank_named(name)
    except UnknownBank as error:
        raise CommandFailed(f"--bank: {error}", USAGE) from None


def day_of(text: str | None, plugin: BankFormat) -> date:
    """The day asked for, or today at the bank. Raises `CommandFailed`."""
    if text is None:
        return clock.now().astimezone(ZoneInfo(plugin.capabilities.time_zone)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"--on {text}: is no date; write YYYY-MM-DD", USAGE) from None


def known_message(message: str | None, plugin: BankFormat) -> str | None:
    """The message asked for. Raises `CommandFailed` for one the bank never takes."""
    if message is not None and message not in plugin.capabilities.sends:
        known = ", ".join(plugin.capabilities.sends)
        raise CommandFailed(f"--message {message}: {plugin.name} takes {known}", USAGE)
    return message


def default_message(plugin: BankFormat, day: date) -> str:
    """The message the bank takes by default that day. Raises `CommandFailed`."""
    for name, validity in plugin.capabilities.sends.items():
        if validity.covers(day):
            return name
    raise CommandFailed(f"{plugin.name} takes no message on {day.isoformat()}")
