"""From address and settings to what the drivers take: secrets resolved, TLS made ready. At the moment of opening, not before."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.config import DatabaseSettings
from gateway.store.address import SYSTEM, PostgresAddress
from gateway.store.store import StoreUnavailable
from keys.seal import KeyUnavailable
from keys.secrets import file_path, passphrase

if TYPE_CHECKING:
    from gateway.store.postgres.connection import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How one process reaches its database. `base` is where relative paths and references start."""

    address: PostgresAddress
    settings: DatabaseSettings
    base: Path

    def __repr__(self) -> str:
        return f"<{self.address.database} as {self.address.user}>"

    def database(self, url: str) -> "Database":
        """What the store opens. Raises `StoreUnavailable` where a secret cannot be had."""
        from gateway.store.postgres.connection import Database

        settings = self.settings
        return Database(
            url=url,
            options=self.asyncpg(),
            libpq=self.libpq(),
            application_name=settings.application_name,
            readers=settings.readers,
            connect_seconds=settings.connect_seconds,
            statement_seconds=settings.statement_seconds,
            idle_seconds=settings.idle_seconds,
        )

    def asyncpg(self) -> dict[str, Any]:
        """Arguments of `asyncpg.connect` and `create_pool`. Raises `StoreUnavailable` where a secret cannot be had."""
        address, settings = self.address, self.settings
        found: dict[str, Any] = {
            "host": [host for host, _ in address.hosts],
            "port": [port for _, port in address.hosts],
            "user": address.user,
            "database": address.database,
            "ssl": self._tls() if address.root_certificates else False,
        }
        if settings.password is not None:
            found["password"] = self._secret(settings.password)
        if len(address.hosts) > 1:
            found["target_session_attrs"] = "read-write"
        return found

    def libpq(self) -> dict[str, Any]:
        """The same for `psycopg.connect`, as libpq's keywords."""
        address, settings = self.address, self.settings
        found: dict[str, Any] = {
            "host": ",".join(host for host, _ in address.hosts),
            "port": ",".join(str(port) for _, port in address.hosts),
            "user": address.user,
            "dbname": address.database,
            "connect_timeout": max(2, round(settings.connect_seconds)),
            "sslmode": "verify-full" if address.root_certificates else "disable",
            "application_name": settings.application_name,
        }
        if settings.password is not None:
            found["password"] = self._secret(settings.password)
        if len(address.hosts) > 1:
            found["target_session_attrs"] = "read-write"
        if address.root_certificates:
            found["sslrootcert"] = self._roots()
        if settings.client_certificate is not None and settings.client_key is not None:
            found["sslcert"] = str(self._file(settings.client_certificate))
            found["sslkey"] = str(self._file(settings.client_key))
            if settings.client_key_passphrase is not None:
                found["sslpassword"] = self._secret(settings.client_key_passphrase)
        return found

    def _roots(self) -> str:
        roots = self.address.root_certificates or SYSTEM
        return roots if roots == SYSTEM else str(self.base / roots)

    def _tls(self) -> ssl.SSLContext:
        settings, roots = self.settings, self._roots()
        try:
            # Checks the chain and the host's name (`ssl.create_default_context`).
            context = ssl.create_default_context(cafile=None if roots == SYSTEM else roots)
        except (OSError, ssl.SSLError) as error:
            raise StoreUnavailable(f"the certificates {roots} of the database's authority cannot be read: {error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.client_certificate is not None and settings.client_key is not None:
            secret = settings.client_key_passphrase
            try:
                context.load_cert_chain(
                    self._file(settings.client_certificate),
                    self._file(settings.client_key),
                    self._secret(secret) if secret is not None else "",
                )
            except (OSError, ssl.SSLError):
                raise StoreUnavailable(
                    f"the client certificate {settings.client_certificate} or its key {settings.client_key} cannot be read,"
                    " or the passphrase is another one"
                ) from None
        return context

    def _secret(self, reference: str) -> str:
        try:
            return passphrase(reference, self.base).decode()
        except KeyUnavailable as error:
            raise StoreUnavailable(f"[database]: {error}") from None
        except UnicodeDecodeError:
            raise StoreUnavailable(f"[database]: {reference} is not UTF-8 text") from None

    def _file(self, reference: str) -> Path:
        found = file_path(reference, self.base)
        if found is None:
            raise StoreUnavailable(f"[database]: {reference}: certificate and key are given as file:PATH")
        return found
