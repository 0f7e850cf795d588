"""How the commands speak: results to standard output, everything else to standard error, and exit codes that scripts can use."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

OK: Final = 0
PROBLEMS: Final = 1  # the input has problems
USAGE: Final = 2
UNREACHABLE: Final = 3  # a service cannot be reached
UNBOUNDED: Final = 10_000  # columns: a line is as long as it is, for pipes and files

Json = Annotated[bool, typer.Option("--json", help="JSON for machines.")]

T = TypeVar("T")


class Language(StrEnum):
    """The languages in which reasons are told."""

    EN = "en"
    ZH = "zh"


class CommandFailed(Exception):
    """Ends a command with an exit code and a sentence."""

    def __init__(self, text: str, code: int = PROBLEMS) -> None:
        self.code = code
        super().__init__(text)


def out() -> Console:
    """Standard output, as it is now (tests replace it). Where no terminal is, lines are as long as they are."""
    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else UNBOUNDED)


def err() -> Console:
    """Standard error, as it is now."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_error(text: str) -> None:
    """An error, as every command shows errors."""
    err().print(f"[bold red]error:[/] {escape(text)}")


def print_warning(text: str) -> None:
    """What is told and refuses nothing."""
    err().print(f"[bold yellow]warning:[/] {escape(text)}")


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """JSON to standard output, in UTF-8 and at once: whoever reads a pipe gets each line when it is written.

    `indent` None gives one line.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent) + "\n"
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))  # a lone surrogate becomes its JSON escape
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table to standard output; None shows as nothing. Nothing is ever cut off, as ids are there to be copied: cells fold in a
    narrow terminal, and keep to one line where no terminal is."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    out().print(table)


def progress(*, quiet: bool) -> Progress:
    """A progress bar on standard error; silent for machines and where nobody looks."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs an asynchronous command on the fast event loop."""
    try:
        import uvloop
    except ModuleNotFoundError:  # not on every platform
        return asyncio.run(main())
    return uvloop.run(main())


def state_word(name: Any) -> str:
    """The short form of an enum's name: "PAYMENT_STATE_SENT" → "sent"."""
    text = str(name or "")
    for prefix in ("PAYMENT_STATE_", "DELIVERY_STATE_"):
        text = text.removeprefix(prefix)
    return text.lower().replace("_", " ")


def reason_words(reason: Mapping[str, Any] | None, language: Language = Language.EN) -> str:
    """A reason in one line: code, plain words, and what the bank added."""
    if not reason:
        return ""
    words = reason.get(f"text_{language.value}") or reason.get("text_en")
    parts = [str(words or reason.get("code", ""))]
    if words and reason.get("code") and not str(reason["code"]).startswith("bankgate."):
        parts.insert(0, f"{reason['code']}:")
    if reason.get("bank_text"):
        parts.append(f"({reason['bank_text']})")
    return " ".join(part for part in parts if part)
