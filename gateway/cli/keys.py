"""`bankgate keys …`: making keys, taking them over, looking after them, and sealing or opening a file alone.

Exit codes: 0 all is well; 1 the input has problems (a seal that is bad, a key that cannot be used, a file that cannot be
read); 2 usage, a wrong profile among it.
"""

import errno
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import clock
from gateway.cli.sources import why
from keys import secrets, store
from keys.keyring import Certificate
from keys.profiles import CmsProfile, PlainProfile, build_seal, check, parse_profile, uses
from keys.seal import KeyUnavailable, Seal, SealError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Keys and certificates, and sealing or opening a file alone.")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CERTIFICATE_SUFFIXES = {".crt", ".cer", ".pem"}
_WARN_DAYS = 30

Passphrase = Annotated[
    str | None,
    typer.Option(help="Reference to the passphrase (file:PATH, env:NAME). Absent: it is asked for.", show_default=False),
]
OutDir = Annotated[Path, typer.Option(help="Where the files go.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
ProfileFile = Annotated[Path, typer.Option("--profile", help="TOML file: a [seal] table, or its keys alone.")]
Base = Annotated[
    Path | None,
    typer.Option(
        help="Where relative references start. Absent: the profile's directory, of a connection file its configuration's.",
        show_default=False,
    ),
]
CommonName = Annotated[str, typer.Option(help="Whom the certificate names.")]
Organization = Annotated[str | None, typer.Option(help="Organization in the name.", show_default=False)]
Country = Annotated[str | None, typer.Option(help="Country in the name, two letters.", show_default=False)]
DnsNames = Annotated[list[str] | None, typer.Option("--dns", help="DNS name, for a TLS server; may be repeated.")]
Addresses = Annotated[list[str] | None, typer.Option("--address", help="IP address, for a TLS server; may be repeated.")]
OutFile = Annotated[Path, typer.Argument(metavar="OUT", help="Replaced if it exists; private to its owner.")]
KeyFile = Annotated[Path, typer.Argument(help="Encrypted private key (PEM).")]


def _fail(code: int, text: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(text)}")
    raise typer.Exit(code)


@contextmanager
def _explained() -> Iterator[None]:
    """Turns the errors of the room into words and exit codes."""
    try:
        yield
    except SealError as problem:
        _fail(1, str(problem))
    except OSError as problem:
        _fail(1, f"{problem.filename2 or problem.filename or 'a file'}: {why(problem)}")


def _say(text: str) -> None:
    Console(soft_wrap=True).print(text)


# ---- making keys ------------------------------------------------------------------------------------------------------


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the files: NAME.key and NAME.crt.")],
    *,
    common_name: CommonName,
    kind: Annotated[str, typer.Option(help=f"Kind of key: {', '.join(store.KEY_KINDS)}.")] = "rsa-3072",
    passphrase: Passphrase = None,
    out_dir: OutDir = Path(),
    days: Annotated[int, typer.Option(help="How long the certificate is valid.", min=1, max=3650)] = 730,
    organization: Organization = None,
    country: Country = None,
    dns: DnsNames = None,
    address: Addresses = None,
) -> None:
    """Make a key and a self-signed certificate, for a bank that pins certificates."""
    _check_name(name)
    known = next((known for known in store.KEY_KINDS if known == kind), None)
    if known is None:
        _fail(2, f"--kind {kind}: there are {', '.join(store.KEY_KINDS)}")
    with _explained():
        word = _new_passphrase(passphrase)
        key = store.new_key(known)
        subject = _subject(common_name, organization, country, dns, address)
        certificate = store.self_signed(key, subject, on=clock.now(), days=days)
        _write_pair(out_dir, name, key.encrypted_pem(word), certificate.public_bytes(Encoding.PEM))
    _say(f"SHA-256 of the certificate, to agree with the bank: {_fingerprint(certificate.public_bytes(Encoding.DER))}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="PEM in any form, or PKCS#12 (.p12, .pfx).")],
    name: Annotated[str, typer.Argument(help="Name of the files: NAME.key, and NAME.crt if a certificate is in it.")],
    passphrase: Passphrase = None,
    source_passphrase: Annotated[
        str | None, typer.Option(help="Reference to the passphrase of SOURCE. Absent: asked for if needed.", show_default=False)
    ] = None,
    out_dir: OutDir = Path(),
) -> None:
    """Take over a key from elsewhere, and keep it encrypted from now on."""
    _check_name(name)
    with _explained():
        data = source.read_bytes()
        opening: bytes | None = None
        if source_passphrase is not None:
            opening = secrets.passphrase(source_passphrase, Path())
        elif store.needs_passphrase(data):
            opening = typer.prompt(f"Passphrase of {source}", hide_input=True, default="", show_default=False).encode() or None
        key, certificates = store.take_over(str(source), data, opening)
        own = certificates[0] if certificates and certificates[0].public_key() == key.public_key else None
        certificate = own.public_bytes(Encoding.PEM) if own else None
        _write_pair(out_dir, name, key.encrypted_pem(_new_passphrase(passphrase)), certificate)
    _say(f"Now delete {escape(str(source))}, and every copy of it.")


@app.command()
def csr(
    key: KeyFile,
    *,
    common_name: CommonName,
    passphrase: Passphrase = None,
    organization: Organization = None,
    country: Country = None,
    dns: DnsNames = None,
    address: Addresses = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Absent: standard output.", show_default=False)] = None,
) -> None:
    """Write a certificate signing request, for a bank that issues certificates."""
    with _explained():
        private = _open_key(key, passphrase)
        request = store.signing_request(private, _subject(common_name, organization, country, dns, address))
        _deliver(request, out)


@app.command("export-public")
def export_public(
    certificate: Annotated[Path, typer.Argument(help="The certificate.")],
    public_key: Annotated[bool, typer.Option("--public-key", help="The bare public key instead of the certificate.")] = False,
    der: Annotated[bool, typer.Option("--der", help="DER instead of PEM; needs --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write. Absent: standard output.", show_default=False)] = None,
) -> None:
    """Write what the bank needs of a key: its certificate, or the public key in it."""
    if der and out is None:
        _fail(2, "--der needs --out FILE")
    with _explained():
        loaded = store.load_certificate(f"file:{certificate.name}", certificate.parent)
        form = Encoding.DER if der else Encoding.PEM
        if public_key:
            content = loaded.public_key.public_bytes(form, PublicFormat.SubjectPublicKeyInfo)
        else:
            content = loaded.parsed.public_bytes(form)
        _deliver(content, out)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        _fail(2, "NAME is made of letters, digits and . _ - and names files in --out-dir")


def _new_passphrase(reference: str | None) -> bytes:
    if reference is not None:
        return secrets.passphrase(reference, Path())
    word: str = typer.prompt("Passphrase of the new key file", hide_input=True, confirmation_prompt=True)
    return word.encode()


def _subject(
    common_name: str, organization: str | None, country: str | None, dns: list[str] | None, addresses: list[str] | None
) -> store.Subject:
    subject = store.Subject(
        common_name=common_name,
        organization=organization,
        country=country,
        dns_names=tuple(dns or ()),
        addresses=tuple(addresses or ()),
    )
    try:
        subject.name()
        subject.alternative_names()
    except ValueError as problem:
        _fail(2, f"the name of the certificate is malformed: {problem}")
    return subject


def _write_pair(directory: Path, name: str, key: bytes, certificate: bytes | None) -> None:
    """The key first: a certificate without its key might be sent to a bank."""
    key_path, certificate_path = directory / f"{name}.key", directory / f"{name}.crt"
    for path in (key_path, certificate_path):
        if path.exists():
            raise KeyUnavailable(f"{path} exists already, and keys are never overwritten; choose another name")
    store.write_new(key_path, key, private=True)
    _say(f"wrote {escape(str(key_path))} (encrypted private key, mode 0600)")
    if certificate is not None:
        store.write_new(certificate_path, certificate, private=False)
        _say(f"wrote {escape(str(certificate_path))} (certificate)")


def _open_key(path: Path, passphrase: str | None) -> store.SoftwareKey:
    if passphrase is not None:
        word = secrets.passphrase(passphrase, Path())
    else:
        word = typer.prompt(f"Passphrase of {path}", hide_input=True).encode()
    return store.open_private_key(f"file:{path}", Path(), word)


def _deliver(content: bytes, out: Path | None) -> None:
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    store.write_new(out, content, private=False)
    _say(f"wrote {escape(str(out))}")


def _fingerprint(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest().upper()


# ---- sealing and opening one file -------------------------------------------------------------------------------------


@app.command()
def seal(profile: ProfileFile, source: Annotated[Path, typer.Argument(metavar="IN")], out: OutFile, base: Base = None) -> None:
    """Sign and encrypt IN as the profile says, and write OUT."""
    _transform(profile, source, out, base, lambda built: built.seal)


@app.command("open")
def open_(profile: ProfileFile, source: Annotated[Path, typer.Argument(metavar="IN")], out: OutFile, base: Base = None) -> None:
    """Decrypt and verify IN as the profile says. OUT appears only if the seal is good."""
    _transform(profile, source, out, base, lambda built: built.open)


def _transform(
    profile: Path, source: Path, out: Path, base: Path | None, method: Callable[[Seal], Callable[[BinaryIO, BinaryIO], None]]
) -> None:
    built = build_seal(_read_profile(profile), base or _base_of(profile), clock.now)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    with _explained(), source.open("rb") as reading:
        try:
            if out.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory", str(out))
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as writing:
                method(built)(reading, writing)
                writing.flush()
                os.fsync(writing.fileno())
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    _say(f"wrote {escape(str(out))} ({out.stat().st_size:,} bytes)")


def _base_of(profile: Path) -> Path:
    """Where the references of a profile start: for a connection file, as everywhere, at its configuration directory."""
    directory = profile.absolute().parent
    connection = directory.name == "connections" and (directory.parent / "bankgate.toml").is_file()
    return directory.parent if connection else directory


def _read_profile(path: Path) -> PlainProfile | CmsProfile:
    document = _toml(path)
    table = document.get("seal", document)
    try:
        return parse_profile(table)
    except (ValidationError, TypeError, ValueError) as problem:
        _fail(2, f"{path}: " + "; ".join(_profile_problems(problem)))


def _profile_problems(problem: Exception) -> list[str]:
    """In words, key by key. What stands in the file is not repeated: it may be a secret in the wrong place."""
    if not isinstance(problem, ValidationError):
        return ["[seal] is not a table"]
    kinds = {"plain", "cms"}  # pydantic puts the kind into the path
    return [
        f"seal.{'.'.join(str(part) for part in error['loc'] if part not in kinds) or 'kind'}: {error['msg']}"
        for error in problem.errors(include_url=False, include_input=False)
    ]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        _fail(2, f"{path}: {problem.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        _fail(2, f"{path}: this is not TOML: {problem}")


# ---- looking after them -----------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    directory: Annotated[Path | None, typer.Argument(help="A directory with keys and certificates.", file_okay=False)] = None,
    config: Annotated[Path | None, typer.Option(help="A configuration directory instead: what its connections use.")] = None,
    as_json: Json = False,
) -> None:
    """Show certificates and key files, and how long they last. Opens no private key."""
    if (directory is None) == (config is None):
        _fail(2, "name a directory, or --config DIRECTORY")
    rows = list(_rows_of_config(config) if config is not None else _rows_of_directory(directory or Path()))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


@app.command("check")
def check_(
    profile: Annotated[Path | None, typer.Option(help="TOML file: a [seal] table, or its keys alone.")] = None,
    config: Annotated[Path | None, typer.Option(help="A configuration directory: all its connections.")] = None,
    base: Base = None,
    no_private: Annotated[bool, typer.Option("--no-private", help="Leave private keys alone: check certificates only.")] = False,
    as_json: Json = False,
) -> None:
    """Say what would keep a profile from sealing and opening today."""
    if (profile is None) == (config is None):
        _fail(2, "name --profile FILE or --config DIRECTORY")
    if profile is not None:
        wanted = [(str(profile), _read_profile(profile), base or _base_of(profile))]
    else:
        wanted = [(name, parsed, base or Path(config or "")) for name, parsed in _connections(config or Path())]
    found = {name: check(parsed, start, clock.now(), open_keys=not no_private) for name, parsed, start in wanted}
    if as_json:
        typer.echo(json.dumps([{"profile": name, "problems": list(problems)} for name, problems in found.items()], indent=2))
    elif not found:
        _say("no connection seals: its files go as they are, and need no key")
    else:
        for name, problems in found.items():
            _say(f"{escape(name)}: " + ("[green]ready[/]" if not problems else f"[red]{len(problems)} problems[/]"))
            for problem in problems:
                _say(f"  {escape(problem)}")
    if any(found.values()):
        raise typer.Exit(1)


def _connections(directory: Path) -> Iterator[tuple[str, PlainProfile | CmsProfile]]:
    folder = directory / "connections"
    if not folder.is_dir():
        _fail(2, f"{folder}: there is no such directory")
    for path in sorted(folder.glob("*.toml")):
        if "seal" in _toml(path):  # absent: plain
            yield path.stem, _read_profile(path)


def _rows_of_config(directory: Path) -> Iterator[dict[str, Any]]:
    for name, profile in _connections(directory):
        for use, reference in uses(profile):
            yield {"connection": name, "use": use, **_certificate_row(reference, directory)}


def _rows_of_directory(directory: Path) -> Iterator[dict[str, Any]]:
    if not directory.is_dir():
        _fail(2, f"{directory}: there is no such directory")
    for path in sorted(directory.iterdir()):
        if path.suffix == ".key":
            yield {"file": path.name, "kind": "private key", "problem": store.key_file_problem(path)}
        elif path.suffix in _CERTIFICATE_SUFFIXES:
            yield _certificate_row(f"file:{path.name}", directory)


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
        "sha256": _fingerprint(certificate.encoded),
        "problem": certificate.problem(on),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    """A table: one line a file, its problem under it."""
    table = Table(box=None, header_style="bold")
    with_use = any("use" in row for row in rows)
    for column in (*(("connection", "use") if with_use else ()), "file", "what", "valid until", "days left"):
        table.add_column(column, overflow="fold")
    for row in rows:
        days = row.get("days_left")
        colour = "red" if row["problem"] else "yellow" if days is not None and days < _WARN_DAYS else "green"
        what = f"{row.get('subject', row['kind'])} {row.get('key', '')}".strip()
        cells = [row["connection"], row["use"]] if with_use else []
        cells += [row["file"], what, row.get("not_after", "")[:10], "" if days is None else str(days)]
        table.add_row(*(escape(cell) for cell in cells), style=colour)
    Console().print(table)
    for row in rows:
        if row["problem"]:
            _say(f"[red]{escape(row['problem'])}[/]")
