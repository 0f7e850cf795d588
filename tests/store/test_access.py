"""How the drivers reach a real server: TLS that knows it by its name, a password and a client certificate by reference."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from gateway.config import DatabaseSettings
from gateway.store.address import postgres_address
from gateway.store.postgres.access import Access
from gateway.store.store import StoreUnavailable
from tests.channels.support.tls import PASSPHRASE, Identity, issue
from tests.support.postgres import USER, Cluster

PASSWORD = "correct horse battery"
WHO_MAY_COME_IN = f"""
host all {USER} 127.0.0.1/32 trust
hostssl all by_certificate all cert
hostssl all all all scram-sha-256
"""


@pytest.fixture(scope="module")
def authority() -> Identity:
    return issue("authority")


@pytest.fixture(scope="module")
def server(authority: Identity) -> Iterator[Cluster]:
    """A server whose certificate is for `localhost`: roles `by_password` and `by_certificate` come in over TLS only."""
    cluster = Cluster()
    try:
        cluster.start()
        cluster.execute(f"CREATE ROLE by_password LOGIN PASSWORD '{PASSWORD}'")
        cluster.execute("CREATE ROLE by_certificate LOGIN")
        cluster.stop()
        identity = issue("database", authority, host="localhost")
        for name, content in (
            ("server.crt", identity.pem),
            ("server.key", identity.plain_key_pem),
            ("ca.crt", authority.pem),
            ("pg_hba.conf", WHO_MAY_COME_IN.encode()),
        ):
            (cluster.data / name).write_bytes(content)
            (cluster.data / name).chmod(0o600)
            if cluster.account:
                os.chown(cluster.data / name, *cluster.account)
        with (cluster.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("ssl=on\nssl_ca_file='ca.crt'\n")
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture
def folder(tmp_path: Path, authority: Identity) -> Path:
    client = issue("by_certificate", authority, host="client")
    for name, content in (
        ("ca.pem", authority.pem),
        ("other.pem", issue("other authority").pem),
        ("password", f"{PASSWORD}\n".encode()),
        ("wrong", b"another\n"),
        ("passphrase", PASSPHRASE),
        ("client.crt", client.pem),
        ("client.key", client.key_pem),
    ):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def access(
    server: Cluster, folder: Path, *, user: str = "by_password", host: str = "localhost", ca: str = "ca.pem", **settings: str
) -> Access:
    url = f"postgresql://{user}@{host}:{server.port}/postgres?sslmode=verify-full&sslrootcert={ca}"
    return Access(address=postgres_address(url), settings=DatabaseSettings(**settings), base=folder)


CERTIFICATE = {
    "client_certificate": "file:client.crt",
    "client_key": "file:client.key",
    "client_key_passphrase": "file:passphrase",
}
WHO = "SELECT current_user::text, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


async def who_by_asyncpg(given: Access) -> tuple[str, bool]:
    connection = await asyncpg.connect(**given.asyncpg())
    try:
        return tuple(await connection.fetchrow(WHO))
    finally:
        await connection.close()


async def who_by_psycopg(given: Access) -> tuple[str, bool]:
    async with await psycopg.AsyncConnection.connect(**given.libpq()) as connection:
        return await (await connection.execute(WHO)).fetchone()


BOTH = pytest.mark.parametrize("who", [who_by_asyncpg, who_by_psycopg])


@BOTH
@pytest.mark.parametrize(("user", "settings"), [("by_password", {"password": "file:password"}), ("by_certificate", CERTIFICATE)])
async def test_a_password_and_a_client_certificate_come_by_reference(
    server: Cluster, folder: Path, who, user: str, settings: dict[str, str]
) -> None:
    assert await who(access(server, folder, user=user, **settings)) == (user, True)


@BOTH
@pytest.mark.parametrize(("host", "ca"), [("127.0.0.1", "ca.pem"), ("localhost", "other.pem")])
async def test_a_server_of_another_name_or_authority_is_not_spoken_to(
    server: Cluster, folder: Path, who, host: str, ca: str
) -> None:
    with pytest.raises((OSError, psycopg.OperationalError), match=r"(?i)certificate"):
        await who(access(server, folder, host=host, ca=ca, password="file:password"))


@BOTH
async def test_a_wrong_password_is_told_without_being_shown(server: Cluster, folder: Path, who) -> None:
    with pytest.raises((asyncpg.PostgresError, psycopg.OperationalError)) as caught:
        await who(access(server, folder, password="file:wrong"))
    assert "another" not in str(caught.value)


@BOTH
async def test_without_tls_nobody_who_needs_a_password_gets_in(server: Cluster, folder: Path, who) -> None:
    url = f"postgresql://by_password@127.0.0.1:{server.port}/postgres"
    plain = Access(address=postgres_address(url), settings=DatabaseSettings(password="file:password"), base=folder)
    with pytest.raises((asyncpg.PostgresError, psycopg.OperationalError), match="no encryption"):
        await who(plain)


@BOTH
async def test_of_several_servers_the_first_that_answers_is_taken(server: Cluster, folder: Path, who) -> None:
    url = f"postgresql://by_password@localhost:1,localhost:{server.port}/postgres?sslmode=verify-full&sslrootcert=ca.pem"
    several = Access(address=postgres_address(url), settings=DatabaseSettings(password="file:password"), base=folder)
    assert await who(several) == ("by_password", True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"password": "env:BANKGATE_NOT_SET"}, "env:BANKGATE_NOT_SET"),
        ({"password": "file:nowhere"}, "file:nowhere"),
        ({**CERTIFICATE, "client_key_passphrase": "file:wrong"}, "the passphrase is another one"),
        ({**CERTIFICATE, "client_certificate": "file:nowhere"}, "file:nowhere"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named_before_anything_is_opened(
    server: Cluster, folder: Path, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(StoreUnavailable, match=says):
        access(server, folder, **settings).asyncpg()


def test_an_authority_that_cannot_be_read_is_named(server: Cluster, folder: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere\.pem"):
        access(server, folder, ca="nowhere.pem").asyncpg()
