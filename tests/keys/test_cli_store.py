"""`bankgate keys` over a key store, as a person meets it: the life of a key, backup, the master key, and taking over."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from gateway import clock
from keys import store
from keys.keymaterial import material_of
from keys.keystore import KeyStore
from keys.seal import KeyUnavailable
from tests.keys.authorities import Authority
from tests.keys.terminal import WORD, Terminal


@pytest.fixture
def keystore(terminal: Terminal) -> KeyStore:
    assert terminal.run("master", "new", "master.key") == 0
    assert Path("master.key").stat().st_mode & 0o077 == 0
    assert terminal.run("master", "init", "--store", "keys", "--master", "file:master.key", "--by", "ada") == 0, terminal.errors
    return KeyStore(Path("keys"))


def new(terminal: Terminal, name: str, *more: str) -> None:
    arguments = ("new", name, "--store", "keys", "--common-name", name, "--kind", "ec-p256", "--by", "ada", *more)
    assert terminal.run(*arguments) == 0, terminal.errors


def rows(terminal: Terminal) -> dict[str, dict[str, Any]]:
    terminal.run("list", "keys", "--json")
    return {row["file"]: row for row in json.loads(terminal.output)}


def test_a_whole_rotation_as_the_readme_tells_it(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--purpose", "sign", "--purpose", "decrypt", "--active")
    assert "SHA-256 of the certificate" in terminal.output
    assert not list(Path().glob("*.crt")), "nothing is written beside the store"
    assert terminal.run("rotate", "us", "--store", "keys", "--by", "bob") == 0, terminal.errors
    assert "version 1 is active as before" in terminal.output
    assert terminal.run("export-public", "us", "--store", "keys") == 0
    sent = x509.load_pem_x509_certificate(terminal.output.encode())
    assert terminal.run("activate", "us", "--store", "keys", "--from", "2099-01-01T06:00Z", "--by", "cy") == 0, terminal.errors
    found = keystore.manifest("us")
    assert found.current(clock.now()).number == 1
    assert found.last.certificate() == sent
    assert sent.subject.rfc4514_string() == "CN=us"
    assert terminal.run("retire", "us", "--store", "keys") == 0
    assert terminal.run("retire", "us", "--store", "keys", "--undo") == 0
    assert terminal.run("retire", "us", "--store", "keys") == 0
    assert terminal.run("destroy", "us", "--store", "keys", "--version", "1", typed="us\n") == 2
    assert terminal.run("destroy", "us", "--store", "keys", "--version", "1", "--by", "dee", typed="us@1\n") == 0
    states = {name: row["state"] for name, row in rows(terminal).items()}
    assert states == {"store:us@1": "destroyed", "store:us@2": "active"}
    assert [event.who for event in keystore.manifest("us").history if event.who in {"ada", "bob", "cy", "dee"}] == [
        *("ada", "ada", "bob", "cy", "cy", "dee")
    ]
    assert terminal.run("check", "--store", "keys") == 0
    assert "ready" in terminal.output


def test_a_certificate_a_bank_issues_is_asked_for_and_attached(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--active")
    assert terminal.run("rotate", "us", "--store", "keys", "--no-certificate", "--kind", "ec-p384") == 0
    assert terminal.run("activate", "us", "--store", "keys") == 1
    assert "no certificate yet" in terminal.errors
    assert terminal.run("export-public", "us", "--store", "keys") == 1
    assert terminal.run("csr", "us", "--store", "keys", "--common-name", "Ours", "--out", "us.csr") == 0
    assert rows(terminal)["store:us@2"]["state"] == "certificate_requested"
    request = x509.load_pem_x509_csr(Path("us.csr").read_bytes())
    issued = Authority("Bank CA").issue("Ours", request.public_key(), on=clock.now())
    Path("issued.crt").write_bytes(issued.public_bytes(Encoding.PEM))
    assert terminal.run("import", "issued.crt", "us", "--store", "keys") == 0, terminal.errors
    assert terminal.run("activate", "us", "--store", "keys") == 0
    assert keystore.manifest("us").current(clock.now()).certificate() == issued
    Path("issued.crt").write_bytes(Authority("Bank CA").certificate.public_bytes(Encoding.PEM))
    assert terminal.run("import", "issued.crt", "us", "--store", "keys") == 1
    assert "belongs to no version" in terminal.errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("new", "us", "--store", "nowhere", "--common-name", "x"), 1, "is no key store"),
        (("new", "us", "--store", "keys", "--common-name", "x", "--purpose", "win"), 2, "there are sign, decrypt"),
        (("new", "a.b", "--store", "keys", "--common-name", "x"), 1, "the name of a key"),
        (("rotate", "absent", "--store", "keys"), 1, "there is no key of this name"),
        (("activate", "us", "--store", "keys", "--from", "tomorrow"), 2, "write a moment as"),
        (("retire", "us", "--store", "keys"), 1, "0 versions are in overlap"),
        (("destroy", "us", "--store", "keys", "--version", "1", "--yes"), 1, "is active and cannot become destroyed"),
        (("master", "init", "--store", "keys", "--master", "file:master.key"), 1, "is not empty"),
        (("master", "init", "--store", "new", "--master", "file:absent"), 1, "cannot be read"),
        (("master", "new", "master.key"), 1, "never overwritten"),
        (("check",), 2, "name --profile"),
        (("restore", "absent", "--store", "again"), 1, "cannot be read"),
    ],
)
def test_wrong_usage_is_explained(
    terminal: Terminal, keystore: KeyStore, arguments: tuple[str, ...], code: int, words: str
) -> None:
    new(terminal, "us", "--active")
    assert terminal.run(*arguments) == code
    assert words in terminal.errors


def test_a_store_is_listed_without_the_master_key_and_days_are_counted(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--active", "--days", "20")
    Path("master.key").rename("gone.key")
    found = rows(terminal)["store:us@1"]
    assert (found["days_left"], found["state"], found["created_by"], found["purposes"]) == (19, "active", "ada", ["sign"])
    assert terminal.run("list", "keys") == 0
    assert "store:us@1" in terminal.output
    assert terminal.run("check", "--store", "keys") == 1
    assert "master.key cannot be read" in terminal.output


def test_an_expired_certificate_is_a_problem_while_it_is_in_use(terminal: Terminal, keystore: KeyStore) -> None:
    key = store.new_key("ec-p256")
    on = clock.now() - timedelta(days=100)
    old = store.self_signed(key, store.Subject(common_name="old"), on=on, days=10)
    keystore.add("old", key, ("sign",), certificates=[old], who="ada", at=on)
    assert terminal.run("list", "keys") == 0
    keystore.activate("old", 1, who="ada", at=on)
    assert terminal.run("list", "keys") == 1
    assert "has expired" in terminal.output


def test_backup_and_restore_open_every_row_first(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--active")
    assert terminal.run("backup", "keys.backup", "--store", "keys") == 0, terminal.errors
    assert terminal.run("restore", "keys.backup", "--store", "again") == 0, terminal.errors
    assert "every one opened" in terminal.output
    shutil.copy("master.key", "elsewhere.key")
    assert terminal.run("restore", "keys.backup", "--store", "third", "--master", "file:elsewhere.key") == 0
    assert KeyStore(Path("third")).public_index().master == "file:elsewhere.key"
    Path("master.key").unlink()
    assert terminal.run("master", "new", "master.key") == 0
    assert terminal.run("restore", "keys.backup", "--store", "fourth") == 1
    assert "does not open" in terminal.errors
    assert not Path("fourth").exists()
    assert terminal.run("backup", "second.backup", "--store", "keys") == 1


def test_the_master_key_is_changed_in_one_step(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--active")
    assert terminal.run("master", "new", "fresh.key") == 0
    assert terminal.run("master", "rotate", "--store", "keys", "--master", "file:fresh.key", "--by", "eve") == 0
    assert terminal.run("master", "check", "--store", "keys") == 0
    assert terminal.run("master", "check", "--store", "keys", "--master", "file:master.key") == 1
    assert keystore.public_index().history[-1].who == "eve"


def test_a_configuration_is_checked_with_its_store(terminal: Terminal, keystore: KeyStore) -> None:
    new(terminal, "us", "--active", "--purpose", "sign", "--purpose", "decrypt")
    assert terminal.run("new", "bank", "--common-name", "bank", "--kind", "ec-p256", "--passphrase", "file:word") == 0
    Path("connections").mkdir()
    Path("connections/a.toml").write_text("""
[seal]
kind = "cms"
signature = "ecdsa-sha256"
signing_key = "store:us"
bank_encryption_certificates = ["file:bank.crt"]
bank_signing_certificates = ["file:bank.crt"]
decryption_keys = [{ key = "store:us" }]
""")
    assert terminal.run("check", "--config", ".", "--json") == 0, terminal.output
    assert [row["profile"] for row in json.loads(terminal.output)] == ["a", "keys"]
    assert terminal.run("list", "--config", ".", "--json") == 0
    assert {(row["use"], row["file"]) for row in json.loads(terminal.output)} >= {("signing_certificate", "store:us")}
    Path("in").write_text("x")
    assert terminal.run("seal", "--profile", "connections/a.toml", "--base", ".", "in", "out") == 0, terminal.errors
    material = Path("keys/material/us.1.key")
    content = material.read_bytes()
    material.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert terminal.run("check", "--config", ".") == 1
    assert "us.1.key was altered" in terminal.output


# ---- taking over ---------------------------------------------------------------------------------------------------------------


def bundle() -> bytes:
    key = store.new_key("rsa-3072")
    own = store.self_signed(key, store.Subject(common_name="old"), on=clock.now(), days=9)
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    return pkcs12.serialize_key_and_certificates(b"old", key._key, own, None, BestAvailableEncryption(WORD.encode()))  # type: ignore[arg-type]


def test_pkcs12_is_taken_into_the_store(terminal: Terminal, keystore: KeyStore) -> None:
    Path("old.p12").write_bytes(bundle())
    arguments = ("import", "old.p12", "old", "--store", "keys", "--purpose", "decrypt", "--active")
    assert terminal.run(*arguments, typed="wrong\n") == 1
    assert terminal.run(*arguments, typed=f"{WORD}\n") == 0, terminal.errors
    assert "Now delete old.p12" in terminal.output
    assert keystore.manifest("old").purposes == ("decrypt",)
    assert terminal.run("import", "old.p12", "other", "--store", "keys", "--source-passphrase", "file:word") == 0


def java_store(key: store.SoftwareKey, *more: store.SoftwareKey, key_word: str = WORD) -> bytes:
    jks = pytest.importorskip("jks", reason="needs the package pyjks")
    entries = []
    for number, found in enumerate((key, *more)):
        own = store.self_signed(found, store.Subject(common_name="java"), on=clock.now(), days=9)
        chain = [own.public_bytes(Encoding.DER)]
        entry = jks.PrivateKeyEntry.new(f"key{number}", chain, material_of(found), "pkcs8")
        if key_word != WORD:
            entry.encrypt(key_word)
        entries.append(entry)
    return bytes(jks.KeyStore.new("jks", entries).saves(WORD))


def test_a_java_key_store_is_taken_into_the_store(terminal: Terminal, keystore: KeyStore) -> None:
    key = store.new_key("ec-p256")
    Path("old.jks").write_bytes(java_store(key))
    assert terminal.run("import", "old.jks", "old", "--store", "keys", typed="wrong\n") == 1
    assert "the passphrase is wrong" in terminal.errors
    assert terminal.run("import", "old.jks", "old", "--store", "keys", "--active", typed=f"{WORD}\n") == 0, terminal.errors
    assert keystore.private_key("old", 1).public_key == key.public_key
    assert terminal.run("import", "old.jks", "files", "--passphrase", "file:word", "--source-passphrase", "file:word") == 0
    assert Path("files.crt").exists()


def test_java_key_stores_that_cannot_be_taken_over_are_explained() -> None:
    one, two = store.new_key("ec-p256"), store.new_key("ec-p256")
    for content, words in (
        (java_store(one, two), "one private key was expected in this Java key store and 2 are in it"),
        (java_store(one, key_word="another"), "has another passphrase than the store"),
        (java_store(one)[:-30], "is damaged"),
    ):
        with pytest.raises(KeyUnavailable, match=words):
            store.take_over("it", content, WORD.encode())


@pytest.mark.skipif(shutil.which("keytool") is None, reason="needs the program keytool (a Java run-time)")
def test_what_keytool_writes_is_taken_over(tmp_path: Path) -> None:
    pytest.importorskip("jks", reason="needs the package pyjks")
    for kind in ("JKS", "JCEKS", "PKCS12"):
        path = tmp_path / f"store.{kind}"
        make = ["keytool", "-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-storetype", kind, "-keystore", str(path)]
        words = ["-storepass", WORD, "-keypass", WORD, "-alias", "us", "-dname", "CN=Java"]
        subprocess.run([*make, *words], check=True, capture_output=True)
        key, certificates = store.take_over(str(path), path.read_bytes(), WORD.encode())
        assert key.description == "RSA 2048"
        assert certificates[0].public_key() == key.public_key


def test_clear_keys_are_not_left_behind_by_an_import(terminal: Terminal, keystore: KeyStore) -> None:
    key = store.new_key("ec-p256")
    clear = key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path("clear.pem").write_bytes(clear)
    assert terminal.run("import", "clear.pem", "us", "--store", "keys") == 0, terminal.errors
    Path("clear.pem").unlink()
    assert not [path for path in Path().rglob("*") if path.is_file() and material_of(key)[-40:] in path.read_bytes()]
