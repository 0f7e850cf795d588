"""The option --schemas of the commands that judge files: a directory of XSDs from the bank, which win over the official ones."""

from pathlib import Path
from typing import Annotated

import typer

from formats.schemas_own import BrokenSchemas, OwnSchemas
from gateway.cli.output import USAGE, CommandFailed
from gateway.own_schemas import read_schemas

Schemas = Annotated[
    Path | None,
    typer.Option("--schemas", metavar="DIR", help="Directory of XSDs from the bank; they win over the official ones."),
]


def schemas_of(directory: Path | None) -> OwnSchemas | None:
    """The schemas of the directory, if there is one. Raises `CommandFailed` naming each file that is not right."""
    if directory is None:
        return None
    try:
        return read_schemas(directory)
    except BrokenSchemas as error:
        lines = [f"--schemas {directory / file if file else directory}: {problem}" for file, problem in error.problems]
        raise CommandFailed("\n".join(lines), USAGE) from None
