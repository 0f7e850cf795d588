"""The options by which commands find a service and show who they are."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.addresses import is_loopback, split_address
from gateway.cli.output import UNREACHABLE, USAGE, CommandFailed, run
from gateway.rpc.client import CallFailed, Client, ClientTls, Target

DEFAULT_TARGET = "127.0.0.1:50051"

Limit = Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)]
Connection = Annotated[str | None, typer.Option(help="Only this connection.", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="Who was asked and what they said; at least 10 characters.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where the service is and who we are, as the options of a command say it: each field is one option."""

    target: Annotated[str, typer.Option(help="Where the service listens, host:port.", envvar="BANKGATE_TARGET")] = DEFAULT_TARGET
    tls_dir: Annotated[
        Path | None,
        typer.Option(
            help="Directory with ca.crt, client.crt, client.key and client.passphrase (or .pem for .crt).",
            envvar="BANKGATE_TLS_DIR",
            show_default=False,
        ),
    ] = None
    ca: Annotated[Path | None, typer.Option(help="PEM certificates of the authority to believe.", show_default=False)] = None
    cert: Annotated[Path | None, typer.Option(help="PEM client certificate.", show_default=False)] = None
    key: Annotated[Path | None, typer.Option(help="PEM private key of the client certificate.", show_default=False)] = None
    key_passphrase: Annotated[
        str | None, typer.Option(help="Reference to the key's passphrase: file:PATH or env:NAME.", show_default=False)
    ] = None

    token: Annotated[
        str | None,
        typer.Option(
            help="Reference to a bearer token: file:PATH or env:NAME; over TLS only.", envvar="BANKGATE_TOKEN", show_default=False
        ),
    ] = None

    def as_target(self) -> Target:
        """The target that the options describe. Raises `CommandFailed` with exit code 2."""
        address, directory = self.target, self.tls_dir
        try:
            host, _ = split_address(address)
        except ValueError as error:
            raise CommandFailed(f"--target {address}: {error}", USAGE) from None
        ca, cert, key, key_passphrase = self.ca, self.cert, self.key, self.key_passphrase
        if directory is not None:
            ca = ca or _in(directory, "ca.crt", "ca.pem")
            if self.token is None or any((directory / name).is_file() for name in ("client.crt", "client.pem", "client.key")):
                cert = cert or _in(directory, "client.crt", "client.pem")
                key = key or _in(directory, "client.key")
            phrase = directory / "client.passphrase"
            if key_passphrase is None and phrase.is_file():
                key_passphrase = f"file:{phrase.absolute()}"
        if ca is None and cert is None and key is None:
            if self.token is not None:
                raise CommandFailed("--token needs --ca or --tls-dir: a token in the clear is anybody's", USAGE)
            if not is_loopback(host):
                raise CommandFailed(
                    f"--target {address} is not on this machine: give --tls-dir, or --ca, --cert and --key", USAGE
                )
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
            _token(self.token),
        )


def calls_a_service(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `Service` in place of its parameter `service`: --target there, the rest at the end."""
    first, *rest = inspect.signature(Service, eval_str=True).parameters.values()
    own = inspect.signature(command, eval_str=True)
    shown = [first if name == "service" else parameter for name, parameter in own.parameters.items()] + rest

    @wraps(command)
    def call(**given: Any) -> None:
        service = Service(**{option.name: given.pop(option.name) for option in (first, *rest)})
        command(**given, service=service)

    call.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]  # typer reads the options from here
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return call


def service_call(target: Target, service: str, method: str, request: dict[str, Any], *, session: str = "") -> dict[str, Any]:
    """One call and its answer as dicts, under the session of a person if one is given.

    Raises `CommandFailed` with the words and exit status of what went wrong.
    """

    async def call() -> dict[str, Any]:
        async with Client(target) as client:
            return await client.call(service, method, request, session=session)

    try:
        return run(call)
    except CallFailed as error:
        raise explained(error, target.address) from None


def explained(error: CallFailed, address: str) -> CommandFailed:
    """A failed call as the command's end: exit code 3 if the service was not reached, else 1."""
    if error.unreachable:
        return CommandFailed(f"{address}: {error.text} [{error.code}]", UNREACHABLE)
    lines = [error.text]
    lines += [f"  {one.field}: {one.text} [{one.rule}]" for one in error.broken if f"{one.field}: {one.text}" != error.text]
    if error.total > len(error.broken):
        lines.append(f"  and {error.total - len(error.broken)} more; `--dry-run` lists them all")
    return CommandFailed("\n".join(lines))


def _token(reference: str | None) -> str | None:
    from keys.seal import KeyUnavailable
    from keys.secrets import resolve

    if reference is None:
        return None
    try:
        return resolve(reference, Path.cwd(), private=True).decode("ascii").strip()
    except (KeyUnavailable, UnicodeDecodeError) as error:
        raise CommandFailed(f"--token: {error}", USAGE) from None


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
