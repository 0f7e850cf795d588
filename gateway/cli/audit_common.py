"""What the commands of `bankgate audit` have in common."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from gateway.cli.onboarding import open_service_store
from gateway.cli.output import USAGE, CommandFailed, run
from gateway.config import Configuration
from gateway.store.store import Store

T = TypeVar("T")

Archive = Annotated[
    Path | None,
    typer.Option(help="The directory that `bankgate store archive` writes to.", file_okay=False, show_default=False),
]
Key = Annotated[Path | None, typer.Option(help="The public key (PEM) that must have signed.", dir_okay=False, show_default=False)]
By = Annotated[str | None, typer.Option(help="Who does this. Absent: the user.", show_default=False)]


def with_store(configuration: Configuration, work: Callable[[Store], Awaitable[T]]) -> T:
    """Runs some work over the store of a configuration."""

    async def go() -> T:
        async with open_service_store(configuration) as store:
            return await work(store)

    return run(go)


def text_of(path: Path) -> str:
    """What stands in a file that was named."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}", USAGE) from None
