"""`bankgate audit`: reading, checking, proving and exporting the audit log, by the configuration and without a service."""

import csv
import io
import json
import os
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway import clock
from gateway.audit.chain import AuditRow, Part
from gateway.audit.form import FIELDS, as_json, masked
from gateway.audit.lines import by_operator, erasure
from gateway.checkpoints import Checkpointer, signer_of
from gateway.cli import audit_prune
from gateway.cli.audit_common import Archive, By, Key, text_of, with_store
from gateway.cli.audit_verify import (
    PAGE,
    Asked,
    Vouched,
    heading_of,
    of_database,
    of_files,
    of_store,
    read_checkpoint,
    tell,
)
from gateway.cli.keys_common import whoever
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_json, print_table, run
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration
from gateway.masking import HIDDEN
from gateway.sealing import Sealer
from gateway.store.archive_files import BadArchive
from gateway.store.audit import AuditFilter
from gateway.store.store import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The audit log: reading, checking, proving, exporting.")

OptionalConfig = Annotated[
    Path | None, typer.Option("--config", help="Configuration directory.", envvar="BANKGATE_CONFIG", show_default=False)
]
Personal = Annotated[bool, typer.Option("--personal", help="With names, addresses and details, which are masked otherwise.")]
_TOLD: Final = ("number", "moment", "actor", "action", "object", "outcome", "detail")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@app.command("list")
def list_lines(
    *,
    config: Config,
    action: Annotated[str | None, typer.Option(help="An action, or what stands before its dot.", show_default=False)] = None,
    actor: Annotated[str | None, typer.Option(help='As in "person: li.wei", "caller: erp".', show_default=False)] = None,
    about: Annotated[
        str | None, typer.Option("--object", help="KIND or KIND:ID, as in payment:01JD….", show_default=False)
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="done or refused.", show_default=False)] = None,
    since: Annotated[datetime | None, typer.Option(help="From this moment on (UTC).", show_default=False)] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment (UTC).", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    personal: Personal = False,
    as_json_: Json = False,
) -> None:
    """Show the newest lines."""
    kind, _, name = (about or "").partition(":")
    where = AuditFilter(
        action=action,
        actor=actor,
        object_kind=kind or None,
        object_id=name or None,
        outcome=outcome,
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
    )
    rows, _ = with_store(loaded(config), lambda store: store.list_audit(where, limit=limit))
    shown = rows if personal else [masked(row) for row in rows]
    if as_json_:
        print_json([as_json(row) for row in shown])
        return
    print_table(_TOLD, [_cells(row) for row in shown])


def _cells(row: AuditRow) -> tuple[Any, ...]:
    found = as_json(row)
    about = f"{row.object_kind} {HIDDEN if row.object_id is None else row.object_id}"
    detail = "" if row.detail in {None, "{}"} else row.detail
    return (row.number, found["moment"], HIDDEN if row.actor is None else row.actor, row.action, about, row.outcome, detail)


@app.command()
def verify(
    context: typer.Context,
    *,
    config: OptionalConfig = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            help="An export (JSON Lines) instead of the database; beside --config: of the lines that were pruned, oldest first.",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that was kept elsewhere; .sig and .pem beside it.", dir_okay=False, show_default=False),
    ] = None,
    key: Key = None,
    archive: Archive = None,
    events: Annotated[bool, typer.Option(help="Also compare all events with their seals.")] = True,
    as_json: Json = False,
) -> None:
    """Say whether the log is as it was written, and the events as they were sealed; if not, the first that is not, and why."""
    said = context.get_parameter_source("config")
    exports = export or []
    if exports and said is not None and said.name == "ENVIRONMENT":
        config = None  # the variable stands for what is not said
    if config is None and not exports:
        raise CommandFailed("name --config DIR or --export FILE", USAGE)
    pem = None if key is None else text_of(key)
    vouched = Vouched()
    asked = Asked(exports=exports, archives=archive, events=events, key=pem)
    try:
        for path in checkpoint or []:
            vouched.add(read_checkpoint(path), pem, str(path))
        if config is None:
            found = run(lambda: of_files(exports, vouched, pem))
        else:
            found = with_store(loaded(config), lambda store: of_database(store, vouched, asked))
    except ValueError as error:  # of the key given
        raise CommandFailed(f"--key {key}: {error}", USAGE) from None
    if as_json:
        print_json(found)
    else:
        tell(found)
    if not found["ok"]:
        raise typer.Exit(PROBLEMS)


@app.command()
def proof(
    *,
    payment: Annotated[str, typer.Argument(help="The payment's id.")],
    config: Config,
    target: Annotated[Path, typer.Option("--out", help="A directory to be made, or a file whose name ends in .zip.")],
    personal: Personal = False,
    archive: Archive = None,
    by: By = None,
) -> None:
    """Write the proof bundle of a payment, which a stranger checks with deploy/scripts/audit_check.py."""
    from gateway.audit_proof import CannotProve, Prover

    configuration = loaded(config)
    if target.exists():
        raise CommandFailed(f"{target} is there already", USAGE)
    try:
        bundle = with_store(
            configuration,
            lambda store: Prover(
                store=store,
                checkpointer=checkpointer_of(configuration, store),
                sealer=Sealer(store, configuration.audit, clock.now),
                archives=archive,
            ).prove(payment, by=whoever(by), personal=personal),
        )
    except (CannotProve, BadArchive) as error:
        raise CommandFailed(str(error)) from None
    if target.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in bundle.files.items():
                file.writestr(name, content)
        _write_private(target, packed.getvalue())
    else:
        _write_all(target, bundle.files)
    signed = "signed" if bundle.signed else "NOT signed (audit.checkpoint_key is not set)"
    later = f"; {bundle.unsealed} events are not sealed yet, make the bundle again" if bundle.unsealed else ""
    out().print(
        f"{target}: {bundle.lines} lines and {bundle.events} events, proved by a checkpoint over {bundle.size}, {signed}{later}",
        markup=False,
    )


@app.command()
def checkpoint(
    config: Config, target: Annotated[Path, typer.Option("--out", help="A directory to be made. Keep it elsewhere.")]
) -> None:
    """Make a checkpoint now and write it out, to be kept where nobody of this house can change it."""
    from gateway.audit_proof import files_of

    configuration = loaded(config)
    if target.exists():
        raise CommandFailed(f"{target} is there already", USAGE)
    made = with_store(configuration, lambda store: checkpointer_of(configuration, store).make())
    if made is None:
        raise CommandFailed("the audit log is empty")
    _write_all(target, files_of(made))
    signed = "signed" if made.signature else "NOT signed (audit.checkpoint_key is not set)"
    out().print(f"{target}: a checkpoint over {made.size} lines, {signed}", markup=False)


@app.command()
def export(
    config: Config,
    target: Annotated[Path, typer.Option("--out", help="The file to be made.", dir_okay=False)],
    form: Annotated[str, typer.Option("--format", help="jsonl, which can be verified, or csv, for reading.")] = "jsonl",
    personal: Personal = False,
    by: By = None,
) -> None:
    """Write all lines to a file. Masked lines verify like whole ones."""
    if form not in {"jsonl", "csv"}:
        raise CommandFailed(f"--format {form}: jsonl or csv", USAGE)
    line = by_operator(whoever(by), "audit.exported", "audit", form, personal=personal)

    async def write(store: Store) -> int:
        await store.audit([line])
        count = 0
        with _new_file(target) as file:
            table = csv.DictWriter(file, FIELDS) if form == "csv" else None
            if table is not None:
                table.writeheader()
            else:
                file.write(await heading_of(store))
            async for row in _all(store):
                told = as_json(row if personal else masked(row))
                if table is not None:
                    table.writerow({name: _cell(value) for name, value in told.items()})
                else:
                    file.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n")
                count += 1
        return count

    count = with_store(loaded(config), write)
    out().print(f"{target}: {count} lines{'' if personal else ', without what names people'}", markup=False)


def _cell(value: Any) -> Any:
    """A spreadsheet takes a text that begins so for a formula, and runs it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


async def _all(store: Store) -> AsyncIterator[AuditRow]:
    async for rows in of_store(store):
        for row in rows:
            yield row


@app.command()
def erase(
    config: Config,
    reason: Annotated[str, typer.Option(help="Why; at least 10 characters. It stays in the log, so name nobody.")],
    person: Annotated[str | None, typer.Option(help="Whose name, addresses and details go.", show_default=False)] = None,
    payment: Annotated[str | None, typer.Option(help="The payment whose details go.", show_default=False)] = None,
    by: By = None,
) -> None:
    """Take personal texts out of the log for good; that it was done stays, and the log verifies as before.

    In PostgreSQL for the role that owns the tables: neither `serve` nor `worker` may."""
    if (person is None) == (payment is None):
        raise CommandFailed("name --person NAME or --payment ID", USAGE)
    if len(reason.strip()) < 10:
        raise CommandFailed("--reason: say why, in at least 10 characters", USAGE)
    if person is not None:
        wanted: list[tuple[AuditFilter, tuple[Part, ...]]] = [
            (AuditFilter(actor=f"person: {person}"), (Part.WHO, Part.DETAIL)),
            (AuditFilter(object_kind="person", object_id=person), (Part.OBJECT, Part.DETAIL)),
        ]
    else:
        wanted = [(AuditFilter(object_kind="payment", object_id=payment), (Part.DETAIL,))]
    what = "person" if person is not None else f"payment {payment}"

    async def go(store: Store) -> dict[Part, int]:
        chosen: dict[Part, set[int]] = {}
        for where, parts in wanted:
            numbers = await _numbers(store, where)
            for part in parts:
                chosen.setdefault(part, set()).update(numbers)
        gone: dict[Part, int] = {}
        for part, found in chosen.items():
            if found:
                line = erasure(whoever(by), what, part.value, found, reason)
                gone[part] = await store.erase_audit(found, part, line)
        return gone

    gone = with_store(loaded(config), go)
    if not gone:
        raise CommandFailed("there is no such line")
    told = ", ".join(f"{part.value} of {count} lines" for part, count in gone.items())
    out().print(f"erased: {told}", markup=False)


app.command()(audit_prune.prune)


async def _numbers(store: Store, where: AuditFilter) -> list[int]:
    numbers: list[int] = []
    token: str | None = None
    while True:
        rows, token = await store.list_audit(where, limit=PAGE, before=token)
        numbers += [row.number for row in rows]
        if token is None:
            return numbers


def checkpointer_of(configuration: Configuration, store: Store) -> Checkpointer:
    """With the key of a configuration."""
    return Checkpointer(store, configuration.audit, clock.now, signer_of(configuration.audit, configuration.directory))


def _write_all(directory: Path, files: dict[str, bytes]) -> None:
    directory.mkdir(mode=0o700)
    for name, content in files.items():
        _write_private(directory / name, content)


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _new_file(path: Path) -> Any:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
    except FileExistsError:
        raise CommandFailed(f"{path} is there already", USAGE) from None
