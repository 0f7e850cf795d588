"""`bankgate replay`: which status changes would these bank files cause?"""

import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress

from gateway.cli import connect
from gateway.cli.output import (
    PROBLEMS,
    USAGE,
    CommandFailed,
    Json,
    Language,
    out,
    print_error,
    print_json,
    progress,
    reason_words,
    run,
    state_word,
)
from gateway.cli.replay_local import Expectations, on_copy, on_expectations
from gateway.cli.sources import shown, why
from gateway.replay import unreadable_words
from gateway.replay_outcome import BadOutcome, Outcome, differences
from gateway.rpc.client import CHUNK, BadPayment, CallFailed, Client, Target, parse_json
from gateway.store.store import StoreUnavailable

NAME_MAX: Final = 255  # characters of a file's name that the service takes
SHOWN_MAX: Final = 100  # differences told; the rest is counted

Files = Sequence[tuple[str, Path]]
Results = AsyncIterator[dict[str, Any]]

Existing = Annotated[
    list[Path] | None,
    typer.Option(
        "--sent", metavar="FILE", help="A pain.001 that was sent: its payments are expected. Again for more.", show_default=False
    ),
]
Listed = Annotated[
    list[Path] | None,
    typer.Option(
        "--payments",
        metavar="FILE",
        help="Expected payments as JSON, like docs/examples/request.json, with the ids under which they were sent.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """The outcome to compare with, and where to write the one found."""

    expected: Any = None  # None: nothing to compare with
    record: Path | None = None

    @property
    def wanted(self) -> bool:
        return self.expected is not None or self.record is not None


@connect.calls_a_service
def replay(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or directories with files, from the bank.")],
    *,
    connection: Annotated[str | None, typer.Option(help="The connection they come from.", show_default=False)] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Work on a copy of this configuration's store instead of calling a service.", show_default=False),
    ] = None,
    bank: Annotated[
        str | None,
        typer.Option(help="Work on an empty store; the bank whose files these are (see --sent).", show_default=False),
    ] = None,
    sent: Existing = None,
    payments: Listed = None,
    expect: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this outcome; exit status 1 if it differs.", show_default=False),
    ] = None,
    record: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the outcome there.", show_default=False)] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Apply the changes. Without it nothing changes.")] = False,
    sealed: Annotated[bool, typer.Option("--sealed", help="The files are as the bank delivered them, not opened yet.")] = False,
    language: Annotated[Language, typer.Option(help="In which language reasons are told; --json has both.")] = Language.EN,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show what bank files would change, and, with --commit, change it. What is known already stays as it is."""
    listed = Expectations(bank=bank or "iso20022", sent=tuple(sent or ()), payments=tuple(payments or ()))
    alone = bank is not None or bool(listed.sent or listed.payments)
    _usage(connection, config, alone=alone, commit=commit, sealed=sealed)
    golden = Golden(expected=None if expect is None else _expected(expect), record=record)
    files = _files(paths)
    show, named = _Show(golden, language, as_json=as_json), connection or ""
    if alone:
        run(lambda: show.all(lambda done: on_expectations(listed, files, done), files))
    elif config is not None:
        run(lambda: show.all(lambda done: on_copy(config, named, files, done, sealed=sealed), files))
    else:
        where = service.as_target()
        try:
            run(lambda: show.all(lambda done: _service(where, named, files, done, commit=commit, sealed=sealed), files))
        except CallFailed as error:
            raise connect.explained(error, where.address) from None
    if show.verdict():
        raise typer.Exit(PROBLEMS)


def _usage(connection: str | None, config: Path | None, *, alone: bool, commit: bool, sealed: bool) -> None:
    """Raises `CommandFailed` for options that do not go together."""
    if alone and (connection is not None or config is not None):
        raise CommandFailed("--bank, --sent and --payments stand for an empty store: leave out --connection and --config", USAGE)
    if not alone and connection is None:
        raise CommandFailed(
            "say whose files these are: --connection ID (of a running service; with --config DIR of a copy of its store),"
            " or --bank NAME with --sent pain.001.xml",
            USAGE,
        )
    if commit and (alone or config is not None):
        raise CommandFailed("--commit is for a running service's store: leave out --config, --bank, --sent and --payments", USAGE)
    if sealed and alone:
        raise CommandFailed("--sealed needs a connection's keys: give --connection, or use `bankgate keys open` first", USAGE)


def _expected(path: Path) -> Any:
    """The outcome to compare with. Raises `CommandFailed`."""
    try:
        expected = parse_json(path.read_text(encoding="utf-8-sig"))
        differences(expected, {"files": []})
    except OSError as error:
        raise CommandFailed(f"--expect {path}: {why(error)}", USAGE) from None
    except UnicodeDecodeError:
        raise CommandFailed(f"--expect {path}: is not UTF-8 text", USAGE) from None
    except (BadPayment, BadOutcome) as error:
        raise CommandFailed(f"--expect {path}: {error}", USAGE) from None
    return expected


# -- files -----------------------------------------------------------------------------------------------------------------


def _files(paths: list[Path]) -> list[tuple[str, Path]]:
    """The files named, and those in the directories named and below, each once, with the name it goes by.

    The order is that of the arguments, in a directory that of the names. A file goes by its path below the directory named, so
    that a recorded outcome fits wherever the directory lies; by its whole path where two would have one name.
    """
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            found += sorted((file.relative_to(path).as_posix(), file) for file in _below(path))
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise CommandFailed(f"{path}: there is no such file", USAGE)
    if not found:
        raise CommandFailed("there is no file in there", USAGE)
    once: dict[Path, tuple[str, Path]] = {}
    for name, path in found:
        once.setdefault(path.resolve(), (name, path))
    named = Counter(name for name, _ in once.values())
    return [(shown(name if named[name] == 1 else str(path))[-NAME_MAX:], path) for name, path in once.values()]


def _below(folder: Path) -> list[Path]:
    """The files of a directory and of those in it; hidden ones are passed over, and links to directories are not followed."""
    found = []
    for top, directories, names in os.walk(folder):
        directories[:] = [name for name in directories if not name.startswith(".")]
        found += [Path(top, name) for name in names if not name.startswith(".") and Path(top, name).is_file()]
    return found


async def _chunks(files: Files, done: Callable[[], None], given_up: dict[str, str]) -> AsyncIterator[tuple[str, bytes | None]]:
    """Each file in pieces under its name; None gives one up that cannot be read to its end, and `given_up` then says why."""
    for name, path in files:
        try:
            with path.open("rb") as source:
                yield name, source.read(CHUNK)
                while chunk := source.read(CHUNK):
                    yield name, chunk
        except OSError as error:
            given_up[name] = why(error)
            yield name, None
        done()


async def _service(
    where: Target, connection: str, files: Files, done: Callable[[], None], *, commit: bool, sealed: bool
) -> Results:
    given_up: dict[str, str] = {}
    async with Client(where) as client:
        async for result in client.replay(connection, _chunks(files, done, given_up), commit=commit, sealed=sealed):
            problem = result.get("problem", {})
            if problem.get("file") in given_up:  # the service was only told that there is no more
                problem.update(unreadable_words(given_up[problem["file"]]))
            yield result


# -- results ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Show:
    """Tells results as they come, and at the end what is left to tell."""

    golden: Golden
    language: Language
    as_json: bool = field(kw_only=True)
    problems: int = 0
    console: Console = field(default_factory=out)
    outcome: Outcome = field(default_factory=Outcome)
    ends: Counter[str] = field(default_factory=Counter)

    async def all(self, results: Callable[[Callable[[], None]], Results], files: Files) -> None:
        """Every result of a replay. Raises `CommandFailed`."""
        with self._bar() as bar:
            task = bar.add_task("replaying", total=len(files))
            try:
                async with aclosing(results(lambda: bar.advance(task))) as found:  # type: ignore[type-var]
                    async for result in found:
                        self._one(result)
            except StoreUnavailable as error:
                raise CommandFailed(str(error)) from None

    def _bar(self) -> Progress:
        """Where results are read on a terminal, they are themselves the progress."""
        return progress(quiet=self.as_json or sys.stdout.isatty())

    def _one(self, result: dict[str, Any]) -> None:
        self.problems += "problem" in result
        if self.golden.wanted:
            self.outcome.add(result)
        if "payment" in result:
            self.ends[result["payment"]["state"]] += 1
        if self.as_json:
            print_json(result, indent=None)
        else:
            self._tell(result)

    def _tell(self, result: dict[str, Any]) -> None:
        console = self.console
        if "change" in result:
            change = result["change"]
            move = f"{state_word(change.get('from'))} → {state_word(change.get('to'))}"
            words = reason_words(change.get("reason"), self.language)
            line = f"line {change['line']}, " if change.get("line") else ""
            where = f"[{line}{change.get('place', '')}; by {change.get('matched_by', '')}]"
            console.print(f"  {change.get('payment_reference', '')}: {move}  {words}  {where}", markup=False)
        elif "problem" in result:
            problem = result["problem"]
            summary = problem.get(f"summary_{self.language.value}", "")
            place = json.loads(problem.get("evidence") or "{}").get("place")  # a line, where known, is in the summary
            at = f" [{place}]" if place else ""
            print_error(f"{problem.get('file', '')}: {problem.get('kind', '')}: {summary}{at}")
        elif "payment" in result:
            payment = result["payment"]
            if payment["state"] == "sent":
                console.print(f"  {payment['payment_reference']}: no news in these files", markup=False)
        else:
            file = result["file"]
            done = "applied" if file.get("committed") else "nothing was changed"
            console.print(
                f"{file.get('file', '')}: {file.get('message', 'unreadable')}, {file.get('records', 0)} records, "
                f"{file.get('changes', 0)} changes, {file.get('problems', 0)} problems; {done}",
                markup=False,
            )

    def verdict(self) -> bool:
        """Tells how it ended; whether the exit status is 1: the outcome is another one than expected, or, where none is
        expected, something does not fit."""
        if self.ends and not self.as_json:
            counted = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))
            out().print(f"expected payments at the end: {counted}", markup=False)
        if not self.golden.wanted:
            return self.problems > 0
        found = self.outcome.as_json()
        if self.golden.record is not None:
            _record(self.golden.record, found)
        if self.golden.expected is None:
            return self.problems > 0
        told = differences(self.golden.expected, found)
        for line in told[:SHOWN_MAX]:
            print_error(line)
        if len(told) > SHOWN_MAX:
            print_error(f"and {len(told) - SHOWN_MAX} more differences; compare the files of --expect and --record")
        if not told and not self.as_json:
            out().print("the outcome is as expected", markup=False)
        return bool(told)


def _record(path: Path, outcome: dict[str, Any]) -> None:
    text = json.dumps(outcome, ensure_ascii=False, indent=2) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"--record {path}: {why(error)}") from None
