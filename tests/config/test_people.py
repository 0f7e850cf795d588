"""What can be wrong with [people], told by its key; and that what is right is taken."""

from pathlib import Path

import pytest

from gateway.config_load import ConfigurationProblems, load
from gateway.people.person import Role

HOUSE = """
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
[channel]
kind = "folder"
upload = "out"
"""
OIDC = '[people.oidc]\nissuer = "https://id.example.com"\naudience = "bankgate"\n'
ROLES = '[people.oidc.roles]\n"pay" = "approver"\n'


def folder(tmp_path: Path, people: str) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "bankgate.toml").write_text(f'[[callers]]\nname = "console"\nplaintext = true\nactions = ["people"]\n{people}')
    (tmp_path / "people.key").write_text("11" * 32)
    (tmp_path / "people.key").chmod(0o600)
    return tmp_path


@pytest.mark.parametrize(
    ("people", "key"),
    [
        ('[people]\nkey = "secret"', "people.key"),
        ('[people]\nkey = "file:missing"', "people.key"),
        ('[people]\nrelying_party = "pay.example.com"', "people"),
        ('[people]\norigins = ["https://pay.example.com"]', "people"),
        ('[people]\nrelying_party = "pay.example.com"\norigins = ["http://pay.example.com"]', "people.origins[0]"),
        ('[people]\nrelying_party = "pay.example.com"\norigins = ["https://pay.example.com/"]', "people.origins[0]"),
        ('[people]\nrelying_party = "pay.example.com"\norigins = ["https://xpay.example.com"]', "people.origins[0]"),
        ("[people]\nidle_seconds = 1", "people.idle_seconds"),
        ("[people]\nidle = 900", "people.idle"),
        (f'{OIDC}jwks = "http://id.example.com/keys"\n{ROLES}', "people.oidc.jwks"),
        (f'{OIDC}jwks = "file:missing.json"\n{ROLES}', "people.oidc.jwks"),
        (f'{OIDC}jwks = "https://id.example.com/keys"\n', "people.oidc.roles"),
        (f'{OIDC}jwks = "https://id.example.com/keys"\n[people.oidc.roles]\n"pay" = "root"\n', "people.oidc.roles.pay"),
    ],
)
def test_what_is_wrong_is_told_by_its_key_and_a_secret_is_not_shown(tmp_path: Path, people: str, key: str) -> None:
    with pytest.raises(ConfigurationProblems) as refused:
        load(folder(tmp_path, people))
    assert [problem.key for problem in refused.value.problems] == [key]
    assert "secret" not in str(refused.value).replace("the secret itself", "")


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    people = (
        '[people]\nkey = "file:people.key"\nrelying_party = "example.com"\n'
        'origins = ["https://pay.example.com", "https://example.com:8443"]\n'
        f'{OIDC}jwks = "https://id.example.com/keys"\n{ROLES}'
    )
    found = load(folder(tmp_path, people)).people
    assert found.oidc is not None
    assert (found.oidc.roles, found.idle_seconds) == ({"pay": Role.APPROVER}, 900)
