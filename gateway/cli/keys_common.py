"""What the commands under `bankgate keys` share: how they speak, ask and fail.

Exit codes: 0 all is well; 1 the input has problems (a seal that is bad, a key that cannot be used, a file that cannot be read);
2 usage, a wrong profile among it.
"""

import getpass
import hashlib
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from gateway.cli.sources import why
from keys import secrets, store
from keys.profile_base import Profile
from keys.profiles import kinds, parse_profile
from keys.seal import SealError

Passphrase = Annotated[
    str | None,
    typer.Option(help="Reference to the passphrase (file:PATH, env:NAME). Absent: it is asked for.", show_default=False),
]
OutDir = Annotated[Path, typer.Option(help="Where the files go.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
Base = Annotated[
    Path | None, typer.Option(help="Where relative references start. Absent: the directory of the profile.", show_default=False)
]
CommonName = Annotated[str, typer.Option(help="Whom the certificate names.")]
Organization = Annotated[str | None, typer.Option(help="Organization in the name.", show_default=False)]
Country = Annotated[str | None, typer.Option(help="Country in the name, two letters.", show_default=False)]
DnsNames = Annotated[list[str] | None, typer.Option("--dns", help="DNS name, for a TLS server; may be repeated.")]
Addresses = Annotated[list[str] | None, typer.Option("--address", help="IP address, for a TLS server; may be repeated.")]
Days = Annotated[int, typer.Option(help="How long the certificate is valid.", min=1, max=3650)]
Kind = Annotated[str, typer.Option(help=f"Kind of key: {', '.join(store.KEY_KINDS)}.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it, for the history. Absent: the user of this process.")]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def fail(code: int, text: str) -> NoReturn:
    """Says what is wrong, and ends with this exit code."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(text)}")
    raise typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Turns the errors of the room into words and exit codes."""
    try:
        yield
    except SealError as problem:
        fail(1, str(problem))
    except OSError as problem:
        fail(1, f"{problem.filename2 or problem.filename or 'a file'}: {why(problem)}")


def say(text: str) -> None:
    """One line on standard output; rich markup."""
    Console(soft_wrap=True).print(text)


def whoever(by: str | None) -> str:
    """Who acts, for a history: as given, or the user, and who became that user by sudo."""
    if by:
        return by
    user, before = getpass.getuser(), os.environ.get("SUDO_USER")
    return f"{before} as {user}" if before and before != user else user


def check_name(name: str) -> None:
    """Refuses names that are no file names."""
    if not _NAME.fullmatch(name):
        fail(2, "NAME is made of letters, digits and . _ - and names files in --out-dir")


def kind_named(kind: str) -> store.KeyKind:
    """The kind of key an option names."""
    known = next((known for known in store.KEY_KINDS if known == kind), None)
    if known is None:
        fail(2, f"--kind {kind}: there are {', '.join(store.KEY_KINDS)}")
    return known


def new_passphrase(reference: str | None) -> bytes:
    """The passphrase of a file about to be written; asked for twice where no reference names it."""
    if reference is not None:
        return secrets.passphrase(reference, Path())
    word: str = typer.prompt("Passphrase of the new key file", hide_input=True, confirmation_prompt=True)
    return word.encode()


def subject_of(
    common_name: str, organization: str | None, country: str | None, dns: list[str] | None, addresses: list[str] | None
) -> store.Subject:
    """The subject that options spell out."""
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
        fail(2, f"the name of the certificate is malformed: {problem}")
    return subject


def deliver(content: bytes, out: Path | None) -> None:
    """To a new file, or to standard output."""
    if out is None:
        typer.echo(content.decode(), nl=False)
        return
    store.write_new(out, content, private=False)
    say(f"wrote {escape(str(out))}")


def fingerprint(encoded: bytes) -> str:
    """SHA-256, as banks print it but without colons."""
    return hashlib.sha256(encoded).hexdigest().upper()


def base_of(profile: Path) -> Path:
    """Where the references of a profile start: for a connection file, as everywhere, at its configuration directory."""
    directory = profile.absolute().parent
    connection = directory.name == "connections" and (directory.parent / "bankgate.toml").is_file()
    return directory.parent if connection else directory


def read_profile(path: Path) -> Profile:
    """The seal profile of a TOML file: its [seal] table, or the file as a whole."""
    document = read_toml(path)
    table = document.get("seal", document)
    try:
        return parse_profile(table)
    except (ValidationError, TypeError, ValueError) as problem:
        fail(2, f"{path}: " + "; ".join(_profile_problems(problem)))


def _profile_problems(problem: Exception) -> list[str]:
    """In words, key by key. What stands in the file is not repeated: it may be a secret in the wrong place."""
    if not isinstance(problem, ValidationError):
        return ["[seal] is not a table"]
    known = kinds()  # pydantic puts the kind into the path
    return [
        f"seal.{'.'.join(str(part) for part in error['loc'] if part not in known) or 'kind'}: {error['msg']}"
        for error in problem.errors(include_url=False, include_input=False)
    ]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        fail(2, f"{path}: {problem.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        fail(2, f"{path}: this is not TOML: {problem}")
