"""`bankgate keys list` and `bankgate keys check`: what there is, how long it lasts, and what would not work."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import clock
from gateway.cli.keys_common import Base, Json, base_of, explained, fail, fingerprint, read_profile, read_toml, say
from keys import store
from keys.keyring import Certificate
from keys.keystore import KeyStore
from keys.keystore_model import Manifest, Version
from keys.profile_base import Profile
from keys.profiles import certificates, check, uses
from keys.seal import KeyUnavailable

_CERTIFICATE_SUFFIXES = {".crt", ".cer", ".pem"}
_WARN_DAYS = 30


def list_(
    directory: Annotated[
        Path | None, typer.Argument(help="A directory with keys and certificates, or a key store.", file_okay=False)
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A configuration directory instead: what its connections use.")] = None,
    as_json: Json = False,
) -> None:
    """Show certificates and keys, and how long they last. Opens no private key."""
    if (directory is None) == (config is None):
        fail(2, "name a directory, or --config DIRECTORY")
    with explained():
        rows = list(_rows_of_config(config) if config is not None else _rows_of_directory(directory or Path()))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


def check_(
    profile: Annotated[Path | None, typer.Option(help=r"TOML file: a \[seal] table, or its keys alone.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A configuration directory: all its connections, and its key store.")
    ] = None,
    *,
    base: Base = None,
    no_private: Annotated[bool, typer.Option("--no-private", help="Leave private keys alone: check certificates only.")] = False,
    as_json: Json = False,
    store_dir: Annotated[Path | None, typer.Option("--store", help="A key store: opens every row with the master key.")] = None,
) -> None:
    """Say what would keep a profile from sealing and opening today."""
    if [profile, config, store_dir].count(None) != 2:
        fail(2, "name --profile FILE, --config DIR or --store DIR")
    found: dict[str, tuple[str, ...]] = {}
    if profile is not None:
        found[str(profile)] = check(read_profile(profile), base or base_of(profile), clock.now(), open_keys=not no_private)
    elif config is not None:
        for name, parsed in _connections(config):
            found[name] = check(parsed, base or config, clock.now(), open_keys=not no_private)
        if KeyStore(config / store.STORE_DIRECTORY).exists() and not no_private:
            found[str(config / store.STORE_DIRECTORY)] = KeyStore(config / store.STORE_DIRECTORY).check_all()
    else:
        found[str(store_dir)] = KeyStore(store_dir or Path()).check_all()
    _tell(found, as_json=as_json)
    if any(found.values()):
        raise typer.Exit(1)


def _tell(found: dict[str, tuple[str, ...]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([{"profile": name, "problems": list(problems)} for name, problems in found.items()], indent=2))
        return
    if not found:
        say("no connection seals: its files go as they are, and need no key")
    for name, problems in found.items():
        say(f"{escape(name)}: " + ("[green]ready[/]" if not problems else f"[red]{len(problems)} problems[/]"))
        for problem in problems:
            say(f"  {escape(problem)}")


def _connections(directory: Path) -> Iterator[tuple[str, Profile]]:
    folder = directory / "connections"
    if not folder.is_dir():
        fail(2, f"{folder}: there is no such directory")
    for path in sorted(folder.glob("*.toml")):
        if "seal" in read_toml(path):  # absent: plain
            yield path.stem, read_profile(path)


def _rows_of_config(directory: Path) -> Iterator[dict[str, Any]]:
    for name, profile in _connections(directory):
        told = set()
        for use, reference in uses(profile):
            told.add(reference)
            yield {"connection": name, "use": use, **_certificate_row(reference, directory)}
        yield from _ends_without_certificate(name, profile, directory, told)


def _ends_without_certificate(name: str, profile: Profile, directory: Path, told: set[str]) -> Iterator[dict[str, Any]]:
    """Keys that expire by themselves, as OpenPGP keys do."""
    try:
        ends = [(called, end) for called, end in certificates(profile, directory, clock.now()) if called not in told]
    except KeyUnavailable:
        return  # a certificate of this profile, and its row says so
    for called, end in ends:
        days = (end - clock.now()).days
        problem = None if days >= 0 else f"the key {called} has expired on {end:%Y-%m-%d %H:%M} UTC"
        row = {"connection": name, "use": "key", "file": called, "kind": "key"}
        yield {**row, "not_after": end.isoformat(), "days_left": days, "problem": problem}


def _rows_of_directory(directory: Path) -> Iterator[dict[str, Any]]:
    if not directory.is_dir():
        fail(2, f"{directory}: there is no such directory")
    keystore = KeyStore(directory)
    if keystore.exists():
        for manifest in keystore.public_manifests():
            yield from (_version_row(manifest, version) for version in manifest.versions)
        return
    for path in sorted(directory.iterdir()):
        if path.suffix == ".key":
            yield {"file": path.name, "kind": "private key", "problem": store.key_file_problem(path)}
        elif path.suffix in _CERTIFICATE_SUFFIXES:
            yield _certificate_row(f"file:{path.name}", directory)


def _version_row(manifest: Manifest, version: Version) -> dict[str, Any]:
    """A version of a key in a store. That it has expired is a problem only while it is in use."""
    row: dict[str, Any] = {
        "file": f"store:{manifest.name}@{version.number}",
        "kind": "key",
        "state": version.state,
        "purposes": list(manifest.purposes),
        "key": version.algorithm,
        "created_at": version.created_at.isoformat(),
        "created_by": version.created_by,
        "active_from": version.active_from and version.active_from.isoformat(),
        "active_until": version.active_until and version.active_until.isoformat(),
        "problem": None,
    }
    if version.certificates:
        found = Certificate.of(row["file"], version.certificate())
        described = _described(found, clock.now())
        row |= described if version.state in ("active", "overlap") else {**described, "problem": None}
    return row


def _certificate_row(reference: str, base: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"file": reference.removeprefix("file:"), "kind": "certificate"}
    try:
        found = store.load_certificate(reference, base)
    except KeyUnavailable as problem:
        return {**row, "problem": str(problem)}
    return {**row, **_described(found, clock.now())}


def _described(certificate: Certificate, on: datetime) -> dict[str, Any]:
    return {
        "subject": certificate.parsed.subject.rfc4514_string(),
        "key": store.public_key_description(certificate.public_key),
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": certificate.days_left(on),
        "sha256": fingerprint(certificate.encoded),
        "problem": certificate.problem(on),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    """A table: one line a file, its problem under it."""
    table = Table(box=None, header_style="bold")
    extra = [column for column in ("connection", "use", "state") if any(column in row for row in rows)]
    for column in (*extra, "file", "what", "valid until", "days left"):
        table.add_column(column, overflow="fold")
    for row in rows:
        days = row.get("days_left")
        colour = "red" if row["problem"] else "yellow" if days is not None and days < _WARN_DAYS else "green"
        what = f"{row.get('subject', row['kind'])} {row.get('key', '')}".strip()
        cells = [str(row.get(column, "")) for column in extra]
        cells += [row["file"], what, row.get("not_after", "")[:10], "" if days is None else str(days)]
        table.add_row(*(escape(cell) for cell in cells), style=colour)
    Console().print(table)
    for row in rows:
        if row["problem"]:
            say(f"[red]{escape(row['problem'])}[/]")
