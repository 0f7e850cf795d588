"""Mistakes in the settings of callers, permissions, tokens and their listeners."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import (
    CallerSettings,
    LimitSettings,
    ListenSettings,
    PermissionSettings,
    TlsSettings,
    TokenIssuerSettings,
)
from gateway.config_load import load

from .test_load import HOUSE, Directory

FINGERPRINT = "ab" * 32
TLS = """
[listen.tls]
certificate = "file:pem"
key = "file:pem"
key_passphrase = "env:P"
client_ca = "file:pem"
"""
TOKENS = """
[[tokens]]
issuer = "https://login.example"
audience = ["bankgate"]
keys = "https://login.example/keys"
"""
CALLER = """
[[callers]]
name = "erp"
token = {issuer = "https://login.example", subject = "erp"}
"""
PERMISSION = """
[[callers.permissions]]
actions = ["submit", "read"]
connections = ["house"]
accounts = ["DE89370400440532013000"]
amount_max = {EUR = "50000.00"}
valid_from = 2026-01-01
"""
WHOLE = "[listen]\n" + TLS + 'client_certificates = "none"\n' + TOKENS.replace("[[tokens]]", "[[tokens]]") + CALLER + PERMISSION


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    (tmp_path / "pem").write_text("x")
    made = Directory(tmp_path)
    made.connection("house", HOUSE)
    return made


def test_a_whole_entry_is_read_as_it_is_written(directory: Directory) -> None:
    directory.main(WHOLE)
    (caller,) = load(directory.path).callers
    (permission,) = caller.permissions
    assert permission.amount_max == {"EUR": Decimal("50000.00")}
    assert caller.token is not None


REQUIRED = ('client_certificates = "none"\n', "")
TOKEN_PORT = ("[listen]\n", '[listen]\ntoken_address = "0.0.0.0:1"\n')
MISTAKES = [
    (
        (('amount_max = {EUR = "50000.00"}', "amount_max = {EUR = 50000.0}"),),
        "P.amount_max.EUR",
        "in quotes",
    ),
    ((('EUR = "50000.00"', 'EUR = "-1"'),), "P.amount_max.EUR", "above zero"),
    ((('EUR = "50000.00"', 'EUR = "NaN"'),), "P.amount_max.EUR", "above zero"),
    ((('EUR = "50000.00"', 'EURO = "1"'),), "P.amount_max.EURO", "ISO 4217"),
    ((('amount_max = {EUR = "50000.00"}', 'currencies = ["EUR", "XX"]'),), "P.currencies[1]", "ISO 4217"),
    ((("valid_from", 'currencies = ["EUR"]\nvalid_from'),), "P.amount_max", "names the currencies"),
    ((("valid_from", "valid_until = 2025-01-01\nvalid_from"),), "P.valid_until", "before"),
    ((('["house"]', '["hause"]'),), "P.connections[0]", "no connection"),
    ((('connections = ["house"]\n', ""),), "P.connections", "required"),
    ((('"read"]', '"statements"]'),), "P.amount_max", "cannot limit statements"),
    ((('["submit", "read"]', '["operate"]'), ('amount_max = {EUR = "50000.00"}\n', "")), "P.accounts", "cannot limit operate"),
    ((('"DE89370400440532013000"]', '"*", "x"]'),), "P.accounts", "for all"),
    ((("token =", 'actions = ["read"]\ntoken ='),), "callers[0].actions", "beside permissions"),
    ((('subject = "erp"', 'subject = "erp", client_id = "c"'),), "callers[0].token", "exactly one"),
    (((', subject = "erp"', ""),), "callers[0].token", "exactly one"),
    ((('{issuer = "https://login', '{issuer = "https://lagin'),), "callers[0].token.issuer", "is none of [[tokens]]"),
    ((("token =", 'addresses = ["10.0.0.1/8"]\ntoken ='),), "callers[0].addresses[0]", "CIDR"),
    ((("token =", f'certificate_sha256 = ["{FINGERPRINT}"]\ntoken ='),), "callers[0].certificate_sha256", "never seen"),
    ((REQUIRED,), "callers[0].token", "never comes through"),
    ((("[listen]\n", '[listen]\ntoken_address = "0.0.0.0:1"\n'),), "listen.token_address", "no meaning"),
    ((("[listen]\n", '[listen]\ntoken_address = "0.0.0.0"\n'), REQUIRED), "listen.token_address", "host:port"),
    ((("[listen]\n", '[listen]\nproxies = ["lb"]\n'),), "listen.proxies[0]", "CIDR"),
    (((TLS, ""), REQUIRED, TOKEN_PORT), "listen.token_address", "in the clear"),
    ((('keys = "https', 'keys = "http'),), "tokens[0].keys", "https"),
    ((('keys = "https://login.example/keys"', 'keys = "file:none.json"'),), "tokens[0].keys", "there is no file"),
    ((('keys = "https://login.example/keys"', 'keys = "https://u:p@login.example/keys"'),), "tokens[0].keys", "https"),
    ((("[[tokens]]", '[[tokens]]\nalgorithms = ["none"]'),), "tokens[0].algorithms[0]", "must be"),
    ((("[[tokens]]", '[[tokens]]\nalgorithms = ["HS256"]'),), "tokens[0].algorithms[0]", "must be"),
    ((("[[tokens]]", "[[tokens]]\nkeep_seconds = 60"),), "tokens[0].keep_seconds", "shorter"),
    ((('audience = ["bankgate"]', "audience = []"),), "tokens[0].audience", "empty"),
    (
        (('client_ca = "file:pem"\n', ""), REQUIRED, TOKEN_PORT),
        "listen.tls.client_ca",
        "required",
    ),
]


@pytest.mark.parametrize(("changes", "key", "says"), MISTAKES)
def test_mistakes_are_told_where_they_are(
    directory: Directory, changes: tuple[tuple[str, str], ...], key: str, says: str
) -> None:
    key = key.replace("P.", "callers[0].permissions[0].")
    text = WHOLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    directory.main(text)
    found = {problem.key: problem.problem for problem in directory.problems()}
    assert says in found.get(key, str(found))
    assert all(key.startswith(one) for one in found), "a mistake that is none was told"


def test_the_example_of_the_operators_guide_loads_as_it_stands(directory: Directory) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "operator.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(# bankgate.toml, callers of every kind\n.*?)```", guide, re.DOTALL)
    directory.connection("house-bank", HOUSE)
    (directory.path / "tls").mkdir()
    for reference in re.findall(r'"file:([^"]+)"', block):
        if reference.startswith("tls/"):
            (directory.path / reference).write_text("x")
    directory.main(block)
    loaded = load(directory.path)
    explained = set(re.findall(r"^(?:tls\.)?(\w+) = ", block, re.MULTILINE))
    models = (ListenSettings, TlsSettings, TokenIssuerSettings, CallerSettings, PermissionSettings, LimitSettings)
    told_elsewhere = {"metrics_address", "drain_seconds", "plaintext", "tls", "permissions", "limits"}
    assert {name for model in models for name in model.model_fields} - told_elsewhere == explained
    assert [caller.name for caller in loaded.callers] == ["erp", "payroll"]


def test_a_token_is_one_callers_and_no_plaintext_caller_has_one(directory: Directory) -> None:
    directory.main("[listen]\n" + TOKENS + CALLER + "plaintext = true\n" + CALLER.replace('"erp"', '"b"', 1))
    found = {problem.key: problem.problem for problem in directory.problems()}
    assert set(found) == {"callers[0].token", "callers[1].token"}


def test_nobody_can_ask_for_certificates_of_nobody(directory: Directory) -> None:
    """No client certificates and no tokens: there would be no way to say who calls."""
    directory.main("[listen]\n" + TLS + 'client_certificates = "none"\n[[callers]]\nname = "erp"\n')
    assert "listen.tls.client_certificates" in {problem.key for problem in directory.problems()}
