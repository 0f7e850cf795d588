"""`bankgate store`: looking after the database itself, by the configuration and without a service."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import clock
from gateway.cli.onboarding import open_service_store
from gateway.cli.output import USAGE, CommandFailed, Json, out, print_json, print_table, run
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration
from gateway.sealing import Sealer
from gateway.store.address import BadStoreUrl, is_postgres, sqlite_file
from gateway.store.archive_files import MANIFEST, BadArchive, digest, verify
from gateway.store.factory import access_to, open_store

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The database itself: its state, upgrades, archives.")

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
ONLY_POSTGRES = (
    'this works on PostgreSQL only: a SQLite store keeps everything in its one file; copy that (`sqlite3 FILE ".backup COPY"`),'
    " or go to PostgreSQL with `bankgate store move`"
)


@dataclass(frozen=True, slots=True)
class Postgres:
    """The database of a configuration, as the functions of `gateway.store.postgres` take it."""

    url: str
    libpq: Mapping[str, Any]


def postgres_of(configuration: Configuration) -> Postgres:
    """Raises `CommandFailed` for another kind of store."""
    if not is_postgres(configuration.store):
        raise CommandFailed(ONLY_POSTGRES, USAGE)
    access = access_to(configuration.store, configuration.directory, configuration.database)
    return Postgres(configuration.store, access.libpq())


def month_number(text: str) -> int:
    """Months since January 1970 of "2026-11". Raises `CommandFailed`."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise CommandFailed(f"--before {text}: expected a month, as in 2026-11", USAGE)
    return 12 * (int(found[1]) - 1970) + int(found[2]) - 1


@app.command()
def status(config: Config, as_json: Json = False) -> None:
    """Say how the database stands: size, months, what holds the event feed back, what has been open longest."""
    configuration = loaded(config)
    if is_postgres(configuration.store):
        from gateway.store.postgres.status import status as of_postgres

        place = postgres_of(configuration)
        found = of_postgres(place.url, place.libpq)
    else:
        found = _of_sqlite(sqlite_file(configuration.store, configuration.directory))
    if as_json:
        print_json(found)
        return
    lists = {name: found.pop(name) for name in ("months", "archived", "sessions", "missing_migrations") if name in found}
    print_table(("what", "value"), [(name.replace("_", " "), value) for name, value in found.items()])
    for name, rows in lists.items():
        if rows and isinstance(rows[0], dict):
            print_table(tuple(rows[0]), [tuple(row.values()) for row in rows], title=f"\n{name}")
        elif rows:
            out().print(f"\n{name.replace('_', ' ')}: {', '.join(rows)}; run `bankgate store migrate`", markup=False)


def _of_sqlite(file: Path) -> dict[str, Any]:
    from gateway.store.sqlite.copy import look_at

    return {"kind": "sqlite", **look_at(file)}


@app.command()
def migrate(config: Config) -> None:
    """Bring the database up to date, and make the partitions of the months to come. With the role that owns the tables."""
    configuration = loaded(config)

    async def open_once() -> None:
        store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
        await store.open()
        await store.close()

    run(open_once)
    out().print("up to date")


@app.command()
def grants(
    serve: Annotated[str, typer.Option(help="The role of `serve`.")] = "gateway_serve",
    worker: Annotated[str, typer.Option(help="The role of `worker`.")] = "gateway_worker",
) -> None:
    """Print the SQL that gives the roles of `serve` and `worker` the rights they need and no others; for the owner's psql."""
    from gateway.store.postgres.grants import statements

    for statement in statements(serve=serve, worker=worker):
        print(f"{statement};")  # noqa: T201 - SQL for a pipe


@app.command()
def archive(
    config: Config,
    archive_dir: Annotated[
        Path, typer.Option("--out", help="Where the archives go: a directory for each month.", file_okay=False)
    ],
    before: Annotated[
        str | None, typer.Option(help="Archive the months before this one, as in 2026-11. Absent: as [retention] months says.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write whole months to files, read them back, and only then drop them. Refuses while anything of a month is open."""
    from gateway.store.postgres.archive import Archiver, NotAtAnEnd
    from gateway.store.postgres.partitions import month_of

    configuration = loaded(config)
    place = postgres_of(configuration)
    now = clock.now()
    if before is not None:
        limit = month_number(before)
    elif configuration.retention.months is not None:
        limit = month_of(now) - configuration.retention.months
    else:
        raise CommandFailed("nothing says how long payments are kept: give --before YYYY-MM, or set [retention] months", USAGE)
    run(lambda: _seal(configuration))
    rows = []
    try:
        for one in Archiver(url=place.url, libpq=place.libpq, out=archive_dir, now=now).before(limit):
            rows.append(one)
            if not as_json:
                out().print(_archived_words(one), markup=False)
    except (NotAtAnEnd, BadArchive) as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or archive_dir}: {error.strerror}; nothing was dropped") from None
    if as_json:
        print_json(
            [{"month": one.month, "directory": str(one.directory), "payments": one.manifest.payments.rows} for one in rows]
        )
    elif not rows:
        out().print("there is no month to archive")


async def _seal(configuration: Configuration) -> None:
    """What leaves the database is sealed before, also where no worker runs."""
    async with open_service_store(configuration) as store:
        await Sealer(store, configuration.audit, clock.now).seal_all()


def _archived_words(one: Any) -> str:
    held = one.manifest
    sums = ", ".join(f"{total} {currency}" for currency, total in held.sums.items()) or "no money"
    return f"{one.month}: {held.payments.rows} payments, {sums}, {held.events.rows} events → {one.directory}"


@app.command("verify")
def verify_archives(
    directory: Annotated[Path, typer.Argument(help="An archive, or a directory of them.", exists=True, file_okay=False)],
    config: Annotated[
        Path | None, typer.Option("--config", help="Also compare with what this store's database remembers.")
    ] = None,
) -> None:
    """Read archives whole and compare them with their manifests."""
    found = [directory] if (directory / MANIFEST).is_file() else sorted(directory.glob("bankgate-[0-9]*"))
    if not found:
        raise CommandFailed(f"{directory}: there is no archive")
    remembered: dict[str, str] | None = None
    if config is not None:
        from gateway.store.postgres.status import archived_digests

        place = postgres_of(loaded(config))
        remembered = archived_digests(place.url, place.libpq)
    for one in found:
        try:
            manifest = verify(one)
        except BadArchive as error:
            raise CommandFailed(str(error)) from None
        if remembered is not None and remembered.get(manifest.month) != digest(one / MANIFEST):
            raise CommandFailed(f"{one}: is not the archive by which {manifest.month} left this database")
        out().print(f"good: {one.name}: {manifest.payments.rows} payments, {manifest.events.rows} events", markup=False)


@app.command()
def move(
    config: Config,
    source: Annotated[str, typer.Option("--from", help="The store to leave, as in sqlite:////var/lib/bankgate/bankgate.db")],
    as_json: Json = False,
) -> None:
    """Copy all of a SQLite store into the empty PostgreSQL database of a configuration. Both must be at rest."""
    from gateway.store.postgres.move import move as move_all

    configuration = loaded(config)
    if not is_postgres(configuration.store):
        raise CommandFailed(f"{config}: names the store to move to, which has to be a PostgreSQL database", USAGE)
    try:
        file = sqlite_file(source, Path.cwd())
    except BadStoreUrl as error:
        raise CommandFailed(f"--from {source}: {str(error).removeprefix('store: ')}", USAGE) from None
    database = access_to(configuration.store, configuration.directory, configuration.database).database(configuration.store)
    moved = run(lambda: move_all(file, database))
    if as_json:
        print_json([{"table": one.table, "rows": one.rows, "digest": one.digest} for one in moved])
    else:
        print_table(("table", "rows", "digest"), [(one.table, one.rows, one.digest[:16]) for one in moved])


@app.command()
def restored(
    config: Config,
    by: Annotated[str, typer.Option(help="Who says so: it stands in every event.")],
    backup_of: Annotated[str, typer.Option(help="Of when the backup is, in words for those who will read it.")],
) -> None:
    """After restoring a backup, before the first worker starts: stop everything that may have left since. Nothing is sent."""
    from gateway.restored import after_restore

    configuration = loaded(config)

    async def stop_all() -> Any:
        store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
        await store.open()
        try:
            return await after_restore(store, by=by, backup_of=backup_of, clock=clock.now)
        finally:
            await store.close()

    report = asyncio.run(stop_all())
    out().print(
        f"{report.in_doubt} messages are in doubt, {report.abandoned} that were never sealed are given up, {report.held} payments"
        f" are held, {report.paused} standing orders are paused; see `bankgate discrepancies list`:"
        f" {', '.join(report.connections) or 'nothing was open'}",
        markup=False,
    )
