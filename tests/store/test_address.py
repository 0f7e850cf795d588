"""What the setting `store` may say: every form that is taken; and what could leak or be misread, refused."""

from pathlib import Path

import pytest

from gateway.store.address import SYSTEM, BadStoreUrl, PostgresAddress, postgres_address, sqlite_file

TLS = "?sslmode=verify-full&sslrootcert=tls/ca.pem"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            f"postgresql://bankgate@db.example:6432/payments{TLS}",
            PostgresAddress(user="bankgate", hosts=(("db.example", 6432),), database="payments", root_certificates="tls/ca.pem"),
        ),
        (
            f"postgres://serve@db.example/payments{TLS.replace('tls/ca.pem', 'system')}",
            PostgresAddress(user="serve", hosts=(("db.example", 5432),), database="payments", root_certificates=SYSTEM),
        ),
        (
            f"postgresql://u@one,two:5433,[2001:db8::1]:7/db{TLS}",
            PostgresAddress(
                user="u", hosts=(("one", 5432), ("two", 5433), ("2001:db8::1", 7)), database="db", root_certificates="tls/ca.pem"
            ),
        ),
        (
            "postgresql://u%40x@127.0.0.1/d%20b",
            PostgresAddress(user="u@x", hosts=(("127.0.0.1", 5432),), database="d b", root_certificates=None),
        ),
        (
            "postgresql://u@[::1]/db?sslmode=disable",
            PostgresAddress(user="u", hosts=(("::1", 5432),), database="db", root_certificates=None),
        ),
        (
            "postgresql://u@/db?host=/run/postgresql&port=5433",
            PostgresAddress(user="u", hosts=(("/run/postgresql", 5433),), database="db", root_certificates=None),
        ),
    ],
)
def test_a_url_says_who_asks_which_database_where_and_how_it_is_known(url: str, expected: PostgresAddress) -> None:
    assert postgres_address(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:hunter2@127.0.0.1/db", "password does not belong"),
        ("postgresql://u@127.0.0.1/db?password=hunter2", "password does not belong"),
        ("postgresql://u@127.0.0.1/db?sslpassword=hunter2", "password does not belong"),
        ("postgresql://u@db.example/db", "verify-full"),
        ("postgresql://u@db.example/db?sslmode=require", "verify-full"),
        ("postgresql://u@db.example/db?sslmode=verify-ca&sslrootcert=ca.pem", "verify-full"),
        ("postgresql://u@127.0.0.1,db.example/db", "verify-full"),
        ("postgresql://u@db.example/db?sslmode=verify-full", "sslrootcert"),
        ("postgresql://u@127.0.0.1/db?sslmode=prefer", "sslmode may be"),
        ("postgresql://u@/db?host=/run/postgresql&sslmode=verify-full&sslrootcert=x", "no TLS"),
        ("postgresql://127.0.0.1/db", "a user and a database"),
        ("postgresql://u@127.0.0.1/", "a user and a database"),
        ("postgresql://u@127.0.0.1/a/b", "a user and a database"),
        ("postgresql://u@/db", "expected a host"),
        ("postgresql://u@127.0.0.1/db?host=/run", "none stands before it"),
        ("postgresql://u@/db?host=db.example", "directory of a Unix socket"),
        ("postgresql://u@127.0.0.1:99999/db", "port"),
        ("postgresql://u@127.0.0.1/db?port=5432", "behind the host"),
        ("postgresql://u@127.0.0.1/db?options=-csynchronous_commit=off", "may have the parameters"),
        ("postgresql://u@127.0.0.1/db?sslmode=disable&sslmode=disable", "each once"),
        ("postgresql://u@127.0.0.1/db?sslmode", "no parameters"),
        ("postgresql://u@[::1/db", "no URL"),
    ],
)
def test_what_could_be_listened_to_or_is_not_understood_is_refused_with_the_way_out(url: str, says: str) -> None:
    with pytest.raises(BadStoreUrl, match=r"^store: ") as caught:
        postgres_address(url)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_starts_at_the_configuration_directory() -> None:
    assert sqlite_file("sqlite:///a%20b.db", Path("/etc/bankgate")) == Path("/etc/bankgate/a b.db")
    assert sqlite_file("sqlite:////var/b.db", Path("/etc/bankgate")) == Path("/var/b.db")
