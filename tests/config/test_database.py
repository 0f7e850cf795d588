"""The settings of the database: every mistake named, no secret in clear, none repeated."""

from pathlib import Path

import pytest

from gateway.config import Configuration
from gateway.config_load import ConfigurationProblems, Problem, load

MAIN = """
store = "postgresql://serve@db.example/bankgate?sslmode=verify-full&sslrootcert=tls/ca.pem"
[listen]
address = "127.0.0.1:50051"
[[callers]]
name = "erp"
plaintext = true
[database]
password = "env:BANKGATE_DATABASE"
"""

HOUSE = """
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
[channel]
kind = "folder"
upload = "out"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "tls").mkdir()
    for name in ("ca.pem", "client.crt", "client.key"):
        (tmp_path / "tls" / name).write_text("x", encoding="utf-8")
    return tmp_path


def read(directory: Path, text: str) -> Configuration:
    (directory / "bankgate.toml").write_text(text, encoding="utf-8")
    return load(directory)


def problems(directory: Path, text: str) -> list[Problem]:
    with pytest.raises(ConfigurationProblems) as caught:
        read(directory, text)
    return caught.value.problems


def test_a_database_on_another_machine_with_its_password_by_reference_is_good(directory: Path) -> None:
    configuration = read(directory, MAIN + "readers = 6\nstatement_seconds = 30\n[retention]\nmonths = 14\n")
    assert configuration.database.password == "env:BANKGATE_DATABASE"
    assert configuration.database.readers == 6
    assert configuration.retention.months == 14


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("serve@", "serve:hunter2@", "store", "password does not belong"),
        ('"env:BANKGATE_DATABASE"', '"hunter2"', "database.password", "is no reference"),
        ('"env:BANKGATE_DATABASE"', '"file:secret"', "database.password", "there is no file secret"),
        ("tls/ca.pem", "tls/other.pem", "store", "there is no file tls/other.pem"),
        ("?sslmode=verify-full&sslrootcert=tls/ca.pem", "", "store", "another machine"),
        ("[database]", "[database]\nreaders = 0", "database.readers", "at least 1"),
        ("[database]", "[database]\nstatement_seconds = 0", "database.statement_seconds", "at least 1"),
        ("[database]", "[retention]\nmonths = 1\n[database]", "retention.months", "at least 2"),
        ("[database]", '[database]\nclient_certificate = "file:tls/client.crt"', "database", "belong together"),
        (
            "[database]",
            '[database]\nclient_certificate = "file:tls/client.crt"\nclient_key = "file:tls/client.key"',
            "database.client_key_passphrase",
            "rest encrypted",
        ),
        (
            "[database]",
            '[database]\nclient_certificate = "file:tls/client.crt"\nclient_key = "env:KEY"\nclient_key_passphrase = "env:X"',
            "database.client_key",
            "file:PATH",
        ),
    ],
)
def test_each_mistake_is_named_with_its_key(directory: Path, old: str, new: str, key: str, says: str) -> None:
    found = problems(directory, MAIN.replace(old, new))
    assert [problem.key for problem in found] == [key]
    assert says in found[0].problem
    assert "hunter2" not in str(found[0])


def test_settings_of_a_database_beside_a_file_are_a_mistake(directory: Path) -> None:
    (found,) = problems(directory, MAIN.replace(MAIN.splitlines()[1], 'store = "sqlite:///bankgate.db"'))
    assert (found.key, found.problem) == ("database", "has a meaning only with a PostgreSQL store")
