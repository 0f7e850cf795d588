"""`bankgate keys …`, as a person and as a script meet it."""

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from keys import sm_keys
from tests.keys.terminal import WORD, Terminal


def make(terminal: Terminal, name: str, *more: str) -> None:
    made = terminal.run("new", name, "--common-name", name, "--kind", "ec-p256", "--passphrase", "file:word", *more)
    assert made == 0, terminal.errors


PROFILE = """
[seal]
kind = "cms"
signature = "ecdsa-sha256"
signing_key = "file:{own}.key"
signing_key_passphrase = "file:word"
signing_certificate = "file:{own}.crt"
bank_encryption_certificates = ["file:{bank}.crt"]
bank_signing_certificates = ["file:{bank}.crt"]

[[seal.decryption_keys]]
key = "file:{own}.key"
passphrase = "file:word"
certificate = "file:{own}.crt"
"""


def make_profiles(terminal: Terminal) -> None:
    for own, bank in (("us", "bank"), ("bank", "us")):
        make(terminal, own)
        (terminal.directory / f"{own}.toml").write_text(PROFILE.format(own=own, bank=bank))


def test_a_new_key_is_encrypted_private_and_never_replaced(terminal: Terminal) -> None:
    make(terminal, "us", "--out-dir", "keys", "--organization", "Ours", "--country", "DE", "--dns", "localhost")
    key, certificate = Path("keys/us.key"), Path("keys/us.crt")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert load_pem_private_key(key.read_bytes(), WORD.encode()).public_key() == loaded.public_key()
    assert loaded.subject.rfc4514_string() == "CN=us,O=Ours,C=DE"
    before = key.read_bytes()
    assert terminal.run("new", "us", "--common-name", "us", "--passphrase", "file:word", "--out-dir", "keys") == 1
    assert "never overwritten" in terminal.errors
    assert key.read_bytes() == before


def test_a_passphrase_is_asked_for_twice(terminal: Terminal) -> None:
    arguments = ("new", "us", "--common-name", "us", "--kind", "ec-p384")
    assert terminal.run(*arguments, typed=f"{WORD}\n{WORD}\n") == 0
    assert load_pem_private_key(Path("us.key").read_bytes(), WORD.encode())
    assert terminal.run("new", "other", *arguments[2:], typed="one\ntwo\n") != 0
    assert not Path("other.key").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", "../us", "--common-name", "x"), "NAME is made of"),
        (("new", "us", "--common-name", "x", "--kind", "dsa"), "--kind dsa: there are rsa-3072"),
        (("new", "us", "--common-name", "x", "--country", "Germany", "--passphrase", "file:word"), "malformed"),
        (("new", "us", "--common-name", "x", "--address", "x", "--passphrase", "file:word"), "malformed"),
        (("new", "us"), "Missing option"),
        (("list",), "name a directory"),
        (("list", "nowhere"), "no such directory"),
        (("list", "--config", "nowhere"), "no such directory"),
        (("check",), "name --profile"),
        (("check", "--profile", "nowhere.toml"), "No such file"),
        (("export-public", "us.crt", "--der"), "--der needs --out"),
    ],
)
def test_wrong_usage_is_explained(terminal: Terminal, arguments: tuple[str, ...], words: str) -> None:
    assert terminal.run(*arguments) == 2
    assert words in terminal.errors


@pytest.mark.parametrize("command", ["check", "seal", "open"])
def test_the_help_names_the_table_that_is_read(terminal: Terminal, command: str) -> None:
    """Its brackets are markup to the terminal, which swallows them."""
    assert terminal.run(command, "--help") == 0
    assert "a [seal] table" in " ".join(terminal.output.replace("│", " ").split())


def test_a_key_in_clear_is_taken_over_and_works_from_then_on(terminal: Terminal) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    Path("old.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert terminal.run("csr", "old.pem", "--common-name", "x", "--passphrase", "file:word") == 1
    Path("old.pem").chmod(0o600)
    assert terminal.run("csr", "old.pem", "--common-name", "x", "--passphrase", "file:word") == 1
    assert "run: bankgate keys import" in terminal.errors
    assert terminal.run("import", "old.pem", "us", "--passphrase", "file:word") == 0
    assert terminal.run("csr", "us.key", "--common-name", "x", typed=f"{WORD}\n") == 0
    assert terminal.run("csr", "us.key", "--common-name", "x", "--passphrase", "file:word") == 0
    assert x509.load_pem_x509_csr(terminal.output.encode()).public_key() == key.public_key()


def test_an_encrypted_key_is_asked_its_passphrase(terminal: Terminal) -> None:
    make(terminal, "us")
    Path("both.pem").write_bytes(Path("us.crt").read_bytes() + Path("us.key").read_bytes())
    assert terminal.run("import", "both.pem", "again", "--passphrase", "file:word", typed="wrong\n") == 1
    assert terminal.run("import", "both.pem", "again", "--passphrase", "file:word", typed=f"{WORD}\n") == 0
    assert Path("again.crt").read_bytes() == Path("us.crt").read_bytes()
    assert terminal.run("import", "both.pem", "third", "--passphrase", "file:word", "--source-passphrase", "file:word") == 0


@pytest.mark.parametrize("form", ["base64", "hex"])
def test_a_bare_key_of_sm2_is_kept_encrypted_with_its_public_key_beside_it(terminal: Terminal, form: str) -> None:
    number = bytes(range(1, 33))
    Path("bank.txt").write_bytes(base64.b64encode(number) + b"\n" if form == "base64" else number.hex().upper().encode())
    assert terminal.run("import", "bank.txt", "us", "--sm2", "--passphrase", "file:word") == 0, terminal.errors
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in Path("us.key").read_bytes()
    assert stat.S_IMODE(Path("us.key").stat().st_mode) == 0o600
    key = sm_keys.load_private_key("file:us.key", "file:word", Path())
    assert key.number() == number
    assert sm_keys.identity("us.pub", Path("us.pub").read_bytes()).public == key.public
    assert "delete bank.txt" in terminal.output
    assert terminal.run("import", "bank.txt", "us", "--sm2", "--passphrase", "file:word") == 1
    assert "never overwritten" in terminal.errors


def test_what_is_no_key_of_sm2_is_not_taken_for_one(terminal: Terminal) -> None:
    Path("short.txt").write_bytes(base64.b64encode(b"x" * 31))
    assert terminal.run("import", "short.txt", "us", "--sm2", "--passphrase", "file:word") == 1
    make(terminal, "rsa")
    assert terminal.run("import", "rsa.key", "us", "--sm2", "--passphrase", "file:word", "--source-passphrase", "file:word") == 1
    assert terminal.run("import", "short.txt", "us", "--sm2", "--store", "keys") == 2
    assert not Path("us.key").exists()


def test_what_is_no_key_is_refused(terminal: Terminal) -> None:
    Path("text").write_text("hello")
    assert terminal.run("import", "text", "us", "--passphrase", "file:word") == 1
    assert terminal.run("import", "nowhere", "us", "--passphrase", "file:word") == 1
    assert "nowhere" in terminal.errors


def test_the_public_half_is_exported(terminal: Terminal) -> None:
    make(terminal, "us")
    assert terminal.run("export-public", "us.crt") == 0
    assert terminal.output == Path("us.crt").read_text()
    assert terminal.run("export-public", "us.crt", "--public-key", "--der", "--out", "us.der") == 0
    assert b"PRIVATE" not in Path("us.der").read_bytes()
    assert terminal.run("export-public", "us.key") == 1


def test_a_file_is_sealed_and_opened_alone(terminal: Terminal) -> None:
    make_profiles(terminal)
    Path("payment.xml").write_text("<Document/>")
    assert terminal.run("seal", "--profile", "us.toml", "payment.xml", "payment.p7m") == 0, terminal.errors
    assert stat.S_IMODE(Path("payment.p7m").stat().st_mode) == 0o600
    assert terminal.run("open", "--profile", "bank.toml", "payment.p7m", "opened.xml") == 0, terminal.errors
    assert Path("opened.xml").read_text() == "<Document/>"


def test_a_bad_seal_leaves_nothing_behind(terminal: Terminal) -> None:
    make_profiles(terminal)
    Path("payment.xml").write_bytes(b"<Document/>" * 100_000)
    assert terminal.run("seal", "--profile", "us.toml", "payment.xml", "payment.p7m") == 0
    message = bytearray(Path("payment.p7m").read_bytes())
    message[len(message) // 2] ^= 1
    Path("payment.p7m").write_bytes(message)
    Path("opened.xml").write_text("what was there")
    before = sorted(path.name for path in terminal.directory.iterdir())
    assert terminal.run("open", "--profile", "bank.toml", "payment.p7m", "opened.xml") == 1
    assert "[signature.invalid]" in terminal.errors
    assert Path("opened.xml").read_text() == "what was there"
    assert sorted(path.name for path in terminal.directory.iterdir()) == before
    assert terminal.run("open", "--profile", "bank.toml", "nowhere", "opened.xml") == 1
    assert terminal.run("open", "--profile", "bank.toml", "payment.p7m", "no/such/directory/x") == 1


def test_a_profile_may_be_the_bare_table_and_its_keys_stand_beside_it(terminal: Terminal) -> None:
    make_profiles(terminal)
    bare = PROFILE.format(own="us", bank="bank").replace("[seal]\n", "").replace("[[seal.", "[[")
    Path("elsewhere").mkdir()
    Path("elsewhere/bare.toml").write_text(bare)
    Path("in").write_text("x")
    assert terminal.run("seal", "--profile", "elsewhere/bare.toml", "in", "out") == 1
    assert "file:us.crt" in terminal.errors
    assert terminal.run("seal", "--profile", "elsewhere/bare.toml", "--base", ".", "in", "out") == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kind = ", "this is not TOML"),
        ("\xff", "this is not TOML"),
        ("seal = 1", "[seal] is not a table"),
        ("", "seal.kind: "),
        ("[seal]\nkind = 'pgp'", "seal.kind: "),
        ("[seal]\nkind = 'plain'\nsurplus = 1", "seal.surplus: Extra inputs"),
        ("[seal]\nkind = 'cms'\nsigning_key = 'hush'", "seal.signing_key: String should match"),
    ],
)
def test_a_wrong_profile_is_explained_key_by_key(terminal: Terminal, content: str, words: str) -> None:
    Path("p.toml").write_bytes(content.encode("latin-1"))
    Path("in").write_text("x")
    assert terminal.run("seal", "--profile", "p.toml", "in", "out") == 2
    assert words in terminal.errors
    assert "hush" not in terminal.errors
    assert not Path("out").exists()


def test_a_directory_is_listed_with_what_is_wrong_in_it(terminal: Terminal) -> None:
    make(terminal, "us")
    assert terminal.run("list", ".") == 0
    assert "CN=us" in terminal.output
    make(terminal, "short", "--days", "1")
    Path("short.key").chmod(0o644)
    Path("clear.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    Path("clear.key").chmod(0o600)
    assert terminal.run("list", ".", "--json") == 1
    rows = {row["file"]: row for row in json.loads(terminal.output)}
    assert rows["us.crt"]["days_left"] in {729, 730}
    assert rows["us.crt"]["problem"] is None
    assert rows["short.crt"]["days_left"] in {0, 1}
    assert "chmod 600" in rows["short.key"]["problem"]
    assert "not encrypted" in rows["clear.key"]["problem"]
    assert terminal.run("list", ".") == 1
    assert "chmod 600" in terminal.output


def test_a_connection_file_is_a_profile_whose_references_start_at_its_configuration(terminal: Terminal) -> None:
    make_profiles(terminal)
    (terminal.directory / "bankgate.toml").touch()
    (terminal.directory / "connections").mkdir()
    (terminal.directory / "connections" / "us.toml").write_bytes((terminal.directory / "us.toml").read_bytes())
    (terminal.directory / "in").write_bytes(b"payments")
    assert terminal.run("seal", "--profile", "connections/us.toml", "in", "out") == 0, terminal.errors
    assert terminal.run("check", "--profile", "connections/us.toml") == 0


def test_a_configuration_is_listed_and_checked_connection_by_connection(terminal: Terminal) -> None:
    make_profiles(terminal)
    Path("connections").mkdir()
    Path("connections/a.toml").write_text(PROFILE.format(own="us", bank="bank"))
    Path("connections/b.toml").write_text("bank = 'x'\n")
    assert terminal.run("list", "--config", ".", "--json") == 0
    assert {(row["connection"], row["use"], row["file"]) for row in json.loads(terminal.output)} == {
        ("a", "signing_certificate", "us.crt"),
        ("a", "bank_encryption_certificates", "bank.crt"),
        ("a", "bank_signing_certificates", "bank.crt"),
        ("a", "decryption_keys", "us.crt"),
    }
    assert terminal.run("check", "--config", ".") == 0
    assert "ready" in terminal.output
    Path("bank.crt").unlink()
    assert terminal.run("check", "--config", ".", "--json") == 1
    (found,) = json.loads(terminal.output)
    assert len(found["problems"]) == 2
    assert terminal.run("check", "--profile", "us.toml", "--no-private") == 1
    assert "2 problems" in terminal.output
    assert terminal.run("list", "--config", ".") == 1
