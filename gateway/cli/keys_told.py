"""What commands do with keys is written down: in the journal beside the key store first, then in the audit log if that can be."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape

from gateway import clock, key_journal
from gateway.audit.chain import moment_text
from gateway.cli.keys_common import whoever
from gateway.key_journal import JournalBusy, JournalUnusable, JournalUnwritable
from keys.keystore_files import INDEX
from keys.seal import KeyUnavailable

if TYPE_CHECKING:  # imported by the command that needs it
    from gateway.store.store import Store

_MAIN_FILE: Final = "bankgate.toml"  # the library that reads it is imported where it is read: commands start without waiting
_ABOVE: Final = 3  # directories above a key in which its configuration is looked for


@contextmanager
def told(
    action: str,
    object_id: str,
    *,
    near: Path,
    config: Path | None = None,
    makes_store: bool = False,
    by: str | None = None,
    **detail: Any,
) -> Iterator[dict[str, Any]]:
    """Notes what is done within. `near`: the key store, or the directory that a key lies in; `config`: the configuration, where
    the command knows it; `makes_store`: `near` is a key store once this is done. What is put into the dictionary is written down
    too: fingerprints, never a secret.

    A key that belongs to no configuration and no key store changes nothing for the gateway, and nothing is noted about it: it is
    told when a configuration names it. Raises `KeyUnavailable` where it cannot be noted: then nothing was done.
    """
    home = config or _configuration_near(near)
    journal = _journal(near, home, is_store=makes_store or (near / INDEX).is_file())
    if journal is None:
        yield {}
        return
    if by:
        detail["by"] = by
    deed: dict[str, Any] = {"action": action, "object_id": object_id, "user": whoever(None), "host": socket.gethostname()}
    at_hand = home if home is not None and (home / _MAIN_FILE).is_file() else None
    straight = False
    try:
        with ExitStack() as stack:
            try:
                found = stack.enter_context(key_journal.noted(journal, clock.now, **deed, detail=detail))
            except JournalUnwritable as problem:
                found = stack.enter_context(_straight(at_hand, problem, deed, detail))
                straight = True
            except JournalUnusable as problem:
                raise KeyUnavailable(str(problem)) from None
            yield found
    finally:
        if at_hand is not None and not straight:
            _bring_in(at_hand, journal)


@contextmanager
def _straight(
    config: Path | None, unwritable: JournalUnwritable, deed: dict[str, Any], detail: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Where the directory is read-only and the database at hand, the line is written there once it is known how it ended."""
    from gateway.key_watch import line_of

    async def look(store: "Store") -> None:
        await store.audit_head()

    if config is None or _with_store(config, look):
        raise KeyUnavailable(str(unwritable)) from None
    found: dict[str, Any] = {}
    outcome = "failed"
    try:
        yield found
        outcome = "done"
    finally:
        at = moment_text(clock.now())
        line = line_of(key_journal.Deed(**deed, at=at, outcome=outcome, detail=detail | found, number=0, hash=""))
        if why := _with_store(config, lambda store: store.audit([line])):
            Console(stderr=True, soft_wrap=True).print(f"NOT WRITTEN DOWN ({escape(why)}): {escape(str(line))}", style="bold red")


def _configuration_near(near: Path) -> Path | None:
    place = near.absolute()
    for directory in (place, *list(place.parents)[:_ABOVE]):
        if (directory / _MAIN_FILE).is_file():
            return directory
    named = os.environ.get("BANKGATE_CONFIG")
    return Path(named) if named and (Path(named) / _MAIN_FILE).is_file() else None


def _journal(near: Path, home: Path | None, *, is_store: bool) -> Path | None:
    """Where it is noted: beside the configuration; else beside the key store; None for a file that belongs to neither."""
    if home is not None:
        return home / key_journal.NAME
    return near.absolute().with_name(f"{near.absolute().name}.journal") if is_store else None


def _bring_in(config: Path, journal: Path) -> None:
    """Into the audit log at once, if that can be; if not, the next `serve` or `worker` does it, and that is said."""
    from gateway.key_watch import bring_in

    why = _with_store(config, lambda store: bring_in(store, journal))
    if why:
        Console(stderr=True, soft_wrap=True).print(
            f"note: not in the audit log yet ({escape(why)}). It stands in {escape(str(journal))}, and the next serve or worker "
            "brings it in",
            style="yellow",
        )


def _with_store(config: Path, work: "Callable[[Store], Awaitable[object]]") -> str:
    """Does some work over the store of a configuration: "" if it is done, else why not. Makes no database."""
    from gateway.config_load import ConfigurationProblems, load
    from gateway.store.address import BadStoreUrl, is_postgres, sqlite_file
    from gateway.store.factory import open_store
    from gateway.store.store import Stale, StoreUnavailable

    async def go() -> None:
        configuration = load(config)
        if not is_postgres(configuration.store) and not sqlite_file(configuration.store, config).exists():
            raise StoreUnavailable("there is no database yet")
        store = open_store(configuration.store, config, clock.now, database=configuration.database)
        await store.open()
        try:
            await work(store)
        finally:
            await store.close()

    try:
        asyncio.run(go())
    except ConfigurationProblems:
        return "the configuration has problems"
    except (StoreUnavailable, BadStoreUrl, JournalBusy, JournalUnusable, Stale) as problem:
        return str(problem)
    return ""
