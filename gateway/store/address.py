"""What the setting `store` may say, and what it means. Nothing is opened or looked up here.

    sqlite:///bankgate.db                          a file, relative to the configuration directory
    sqlite:////var/lib/bankgate/bankgate.db        an absolute one
    postgresql://USER@HOST:5432/DATABASE?sslmode=verify-full&sslrootcert=tls/database-ca.pem
    postgresql://USER@HOST1,HOST2/DATABASE?…       the first of these that can be written to
    postgresql://USER@/DATABASE?host=/run/postgresql

The forms are those of libpq ("Connection URIs"), of which only these parts are taken: a parameter that is not understood may be
one that matters. A password never stands here: the setting is printed, logged and kept in places where secrets are not.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gateway.addresses import is_loopback

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")
POSTGRES_PORT: Final = 5432
SYSTEM: Final = "system"
"""In place of a file of root certificates: those the operating system trusts."""

_PARAMETERS: Final = ("host", "port", "sslmode", "sslrootcert")
_PASSWORDS: Final = ("password", "passfile", "sslpassword")
_AS_IN: Final = "postgresql://USER@HOST:5432/DATABASE?sslmode=verify-full&sslrootcert=FILE"


class BadStoreUrl(ValueError):
    """The setting `store` names no store that this program can open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """A database and who asks for it. `hosts`: (name, port) each, or one (directory of the Unix socket, port)."""

    user: str
    hosts: tuple[tuple[str, int], ...]
    database: str
    root_certificates: str | None  # a path, or `SYSTEM`; None: without TLS, which nobody else can listen to

    @property
    def by_socket(self) -> bool:
        """Whether it is this machine's, by a Unix socket."""
        return self.hosts[0][0].startswith("/")


def is_postgres(url: str) -> bool:
    """Whether the setting means PostgreSQL."""
    return url.startswith(POSTGRES)


def sqlite_file(url: str, base: Path) -> Path:
    """The file of a `sqlite:///` URL. Raises `BadStoreUrl`."""
    path = unquote(url.removeprefix(SQLITE))
    if not url.startswith(SQLITE) or not path or path.endswith("/") or "\0" in path:
        raise BadStoreUrl(
            "store: expected sqlite:/// and the path of a file, as in sqlite:///bankgate.db, or a PostgreSQL database, as in"
            f" {_AS_IN}"
        )
    return base / path


def postgres_address(url: str) -> PostgresAddress:
    """What a `postgresql://` URL says. Raises `BadStoreUrl`, which never repeats the URL: a password may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadStoreUrl(f"store: is no URL; expected {_AS_IN}") from None
    parameters = _parameters(parts)
    user, hosts_text = _user(parts)
    database = unquote(parts.path.removeprefix("/"))
    if not user or not database or "/" in database or "\0" in database + user:
        raise BadStoreUrl(f"store: expected a user and a database, as in {_AS_IN}")
    hosts = _hosts(hosts_text, parameters)
    return PostgresAddress(user=user, hosts=hosts, database=database, root_certificates=_tls(hosts, parameters))


def _user(parts: SplitResult) -> tuple[str, str]:
    """The user, and what stands behind the "@"."""
    before, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = before.partition(":")
    if colon:
        raise BadStoreUrl(
            "store: a password does not belong into the URL; take it out, change it, and name where it is:"
            ' [database] password = "file:PATH", "env:NAME" or "credential:NAME"'
        )
    return (unquote(user) if at else ""), hosts


def _parameters(parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), errors="strict")
    except ValueError:
        raise BadStoreUrl("store: what stands behind the ? are no parameters, as in ?sslmode=verify-full") from None
    found = dict(pairs)
    if any(name in _PASSWORDS for name in found):
        raise BadStoreUrl('store: a password does not belong into the URL; name where it is: [database] password = "file:PATH"')
    if len(found) != len(pairs) or parts.fragment or any(name not in _PARAMETERS for name in found):
        raise BadStoreUrl(
            f"store: the URL may have the parameters {', '.join(_PARAMETERS)}, each once; the rest stands in [database]"
        )
    return found


def _hosts(text: str, parameters: dict[str, str]) -> tuple[tuple[str, int], ...]:
    socket = parameters.get("host")
    if socket is not None:
        if text or not socket.startswith("/"):
            raise BadStoreUrl("store: the parameter host is for the directory of a Unix socket, and then none stands before it")
        return ((socket, _port(parameters.get("port", str(POSTGRES_PORT)))),)
    if "port" in parameters:
        raise BadStoreUrl("store: the parameter port is for a Unix socket; else it stands behind the host, as in HOST:5432")
    found = []
    for one in text.split(","):
        host, colon, port = one.rpartition(":") if not one.endswith("]") else (one, "", "")
        if not colon:
            host, port = one, str(POSTGRES_PORT)
        found.append((unquote(host.removeprefix("[").removesuffix("]")), _port(port)))
    if not all(host for host, _ in found) or any(host.startswith("/") for host, _ in found):
        raise BadStoreUrl(f"store: expected a host, as in {_AS_IN}, or ?host= and the directory of a Unix socket")
    return tuple(found)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65_535):
        raise BadStoreUrl("store: the port must be a number from 1 to 65535")
    return int(text)


def _tls(hosts: tuple[tuple[str, int], ...], parameters: dict[str, str]) -> str | None:
    mode, roots = parameters.get("sslmode"), parameters.get("sslrootcert")
    here = all(host.startswith("/") or is_loopback(host) for host, _ in hosts)
    if mode == "verify-full":
        if hosts[0][0].startswith("/"):
            raise BadStoreUrl("store: a Unix socket has no TLS; leave out sslmode")
        if not roots:
            raise BadStoreUrl(
                "store: sslmode=verify-full needs sslrootcert= and the file of the authority's certificates, or system"
            )
        return roots
    if not here:
        raise BadStoreUrl(
            "store: the database is on another machine: sslmode=verify-full&sslrootcert=FILE is required, since all other modes"
            " can be listened to or take any server for the right one"
        )
    if mode not in {None, "disable"} or roots:
        raise BadStoreUrl("store: sslmode may be verify-full, with sslrootcert; on this machine it may also be left out")
    return None
