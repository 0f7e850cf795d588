"""The options by which commands find a service and show who they are."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.addresses import is_loopback, split_address
from gateway.cli.output import UNREACHABLE, USAGE, CommandFailed
from gateway.rpc.client import CallFailed, ClientTls, Target

DEFAULT_TARGET = "127.0.0.1:50051"

TargetOption = Annotated[str, typer.Option("--target", help="Where the service listens, host:port.", envvar="BANKGATE_TARGET")]
TlsDir = Annotated[
    Path | None,
    typer.Option(
        help="Directory with ca.crt, client.crt, client.key and client.passphrase (or .pem for .crt).",
        envvar="BANKGATE_TLS_DIR",
        show_default=False,
    ),
]
Ca = Annotated[Path | None, typer.Option(help="PEM certificates of the authority to believe.", show_default=False)]
Cert = Annotated[Path | None, typer.Option(help="PEM client certificate.", show_default=False)]
Key = Annotated[Path | None, typer.Option(help="PEM private key of the client certificate.", show_default=False)]
KeyPassphrase = Annotated[
    str | None, typer.Option(help="Reference to the key's passphrase: file:PATH or env:NAME.", show_default=False)
]


def target_of(
    address: str,
    *,
    tls_dir: Path | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    key_passphrase: str | None = None,
) -> Target:
    """The target that the options describe. Raises `CommandFailed` with exit code 2."""
    try:
        host, _ = split_address(address)
    except ValueError as error:
        raise CommandFailed(f"--target {address}: {error}", USAGE) from None
    if tls_dir is not None:
        ca = ca or _in(tls_dir, "ca.crt", "ca.pem")
        cert = cert or _in(tls_dir, "client.crt", "client.pem")
        key = key or _in(tls_dir, "client.key")
        phrase = tls_dir / "client.passphrase"
        if key_passphrase is None and phrase.is_file():
            key_passphrase = f"file:{phrase.absolute()}"
    if ca is None and cert is None and key is None:
        if not is_loopback(host):
            raise CommandFailed(f"--target {address} is not on this machine: give --tls-dir, or --ca, --cert and --key", USAGE)
        return Target(address)
    if (cert is None) != (key is None):
        raise CommandFailed("--cert and --key belong together", USAGE)
    return Target(
        address,
        ClientTls(
            ca=_read("--ca", ca) if ca else None,
            certificate=_read("--cert", cert) if cert else None,
            key=_opened(key, key_passphrase) if key else None,
        ),
    )


def explained(error: CallFailed, address: str) -> CommandFailed:
    """A failed call as the command's end: exit code 3 if the service was not reached, else 1."""
    if error.unreachable:
        return CommandFailed(f"{address}: {error.text} [{error.code}]", UNREACHABLE)
    lines = [error.text]
    lines += [f"  {one.field}: {one.text} [{one.rule}]" for one in error.broken if f"{one.field}: {one.text}" != error.text]
    if error.total > len(error.broken):
        lines.append(f"  and {error.total - len(error.broken)} more; `--dry-run` lists them all")
    return CommandFailed("\n".join(lines))


def _in(directory: Path, *names: str) -> Path:
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise CommandFailed(f"--tls-dir {directory}: there is no {' or '.join(names)}", USAGE)


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{option} {path}: {error.strerror}", USAGE) from None


def _opened(path: Path, reference: str | None) -> bytes:
    """The client's key, opened in memory."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    from keys.seal import KeyUnavailable
    from keys.secrets import passphrase

    try:
        phrase = passphrase(reference, Path.cwd()) if reference else None
        key = load_pem_private_key(_read("--key", path), password=phrase)
    except KeyUnavailable as error:
        raise CommandFailed(f"--key-passphrase: {error}", USAGE) from None
    except TypeError:
        hint = "is encrypted: give --key-passphrase" if reference is None else "is not encrypted: leave out --key-passphrase"
        raise CommandFailed(f"--key {path} {hint}", USAGE) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CommandFailed(f"--key {path}: is no PEM private key, or its passphrase is another one", USAGE) from None
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
