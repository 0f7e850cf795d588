"""`bankgate replay`: which status changes would these bank files cause?"""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import connect
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_error, print_json, reason_words, run, state_word
from gateway.cli.sources import shown, why
from gateway.rpc.client import CHUNK, CallFailed, Client, Target

NAME_MAX = 255  # characters of a file's name that the service takes


@connect.calls_a_service
def replay(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or directories with files, from the bank.")],
    *,
    connection: Annotated[str, typer.Option(help="The connection they come from.")],
    commit: Annotated[bool, typer.Option("--commit", help="Apply the changes. Without it nothing changes.")] = False,
    sealed: Annotated[bool, typer.Option("--sealed", help="The files are as the bank delivered them, not opened yet.")] = False,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show what bank files would change, and, with --commit, change it. What is known already stays as it is."""
    where = service.as_target()
    files = _files(paths)
    try:
        problems = run(lambda: _replay(where, connection, files, commit=commit, sealed=sealed, as_json=as_json))
    except CallFailed as error:
        raise connect.explained(error, where.address) from None
    if problems:
        raise typer.Exit(PROBLEMS)


def _files(paths: list[Path]) -> list[Path]:
    """The files named, and those in the directories named, by name; each once."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(inner for inner in path.iterdir() if inner.is_file() and not inner.name.startswith("."))
        elif path.is_file():
            found.append(path)
        else:
            raise CommandFailed(f"{path}: there is no such file", USAGE)
    if not found:
        raise CommandFailed("there is no file in there", USAGE)
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.resolve(), path)
    return list(once.values())


async def _chunks(files: list[Path]) -> AsyncIterator[tuple[str, bytes]]:
    """Each file under its name, or under its path where several have one name: a name tells the service where a file begins."""
    named = Counter(file.name for file in files)
    for file in files:
        name = shown(file.name if named[file.name] == 1 else str(file))[-NAME_MAX:]
        try:
            with file.open("rb") as source:
                yield name, source.read(CHUNK)
                while chunk := source.read(CHUNK):
                    yield name, chunk
        except OSError as error:
            raise CommandFailed(f"{file}: {why(error)}") from None


async def _replay(where: Target, connection: str, files: list[Path], *, commit: bool, sealed: bool, as_json: bool) -> int:
    problems = 0
    async with Client(where) as client:
        async for result in client.replay(connection, _chunks(files), commit=commit, sealed=sealed):
            problems += "problem" in result
            if as_json:
                print_json(result, indent=None)
            else:
                _show(result)
    return problems


def _show(result: dict[str, Any]) -> None:
    console = out()
    if "change" in result:
        change = result["change"]
        before, after = state_word(change.get("from")), state_word(change.get("to"))
        move = f"stays {after}" if before == after else f"{before} → {after}"
        words = reason_words(change.get("reason"))
        console.print(f"  {change.get('payment_reference', '')}: {move}  {words}", markup=False)
    elif "problem" in result:
        problem = result["problem"]
        print_error(f"{problem.get('file', '')}: {problem.get('kind', '')}: {problem.get('summary_en', '')}")
    else:
        file = result["file"]
        done = "applied" if file.get("committed") else "nothing was changed"
        console.print(
            f"{file.get('file', '')}: {file.get('message', 'unreadable')}, {file.get('records', 0)} records, "
            f"{file.get('changes', 0)} changes, {file.get('problems', 0)} problems; {done}",
            markup=False,
        )
