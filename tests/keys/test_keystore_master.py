"""The master key: where it may be, what a process without it can do, and how it is changed."""

from pathlib import Path

import pytest

from keys import store
from keys.keystore import KeyStore
from keys.seal import KeyUnavailable
from tests.keys.keystores import BY, made, master_file, with_key
from tests.keys.workshop import NOW


@pytest.fixture
def keystore(directory: Path) -> KeyStore:
    return made(directory)


# ---- without the master key -------------------------------------------------------------------------------------------------


def test_a_process_without_the_master_key_reads_what_is_public_and_opens_nothing(keystore: KeyStore, directory: Path) -> None:
    """That is `serve`."""
    key = with_key(keystore, "us-sign")
    (directory / "master").unlink()
    without = KeyStore(keystore.directory)
    assert [manifest.name for manifest in without.public_manifests()] == ["us-sign"]
    assert store.load_certificate("store:us-sign", directory, lambda: NOW).public_key == key.public_key
    own = store.own_key(None, "store:us-sign", None, directory, lambda: NOW)
    assert own.certificate.public_key == key.public_key
    for use in (lambda: without.private_key("us-sign", 1), lambda: without.manifest("us-sign")):
        with pytest.raises(KeyUnavailable, match="master cannot be read"):
            use()
    with pytest.raises(KeyUnavailable, match="master cannot be read"):
        without.add("x", store.new_key("ec-p256"), ("sign",), **BY)


@pytest.mark.parametrize("form", ["raw", "hex", "base64"])
@pytest.mark.parametrize("where", ["file", "env", "credential"])
def test_the_master_key_comes_from_file_environment_or_credential(
    directory: Path, monkeypatch: pytest.MonkeyPatch, where: str, form: str
) -> None:
    import base64

    text = {"raw": b"k" * 32, "hex": b"6b" * 32 + b"\n", "base64": base64.b64encode(b"k" * 32) + b"\n"}[form]
    path = directory / "the-master"
    path.write_bytes(text)
    path.chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    monkeypatch.setenv("BANKGATE_TEST_MASTER", text.decode())
    reference = {"file": "file:the-master", "env": "env:BANKGATE_TEST_MASTER", "credential": "credential:the-master"}[where]
    with_key(KeyStore.create(directory / "keys", reference, **BY), "a")
    assert KeyStore(directory / "keys").check_all() == ()


@pytest.mark.parametrize(
    ("reference", "content", "words"),
    [
        ("env:BANKGATE_TEST_MASTER", "a passphrase, however long it may be", "32 random bytes"),
        ("env:BANKGATE_TEST_MASTER", "", "32 random bytes"),
        ("env:BANKGATE_TEST_ABSENT", "", "not set"),
        ("credential:absent", "", "no systemd credentials"),
        ("store:other", "", "a master key is given as"),
        ("pkcs11:token=x;object=y?module-path=/evil.so", "", "BANKGATE_PKCS11_MODULE"),
        ("file:keys/master", "", "protects nothing"),
    ],
)
def test_a_master_key_that_is_none_is_refused_without_being_shown(
    directory: Path, monkeypatch: pytest.MonkeyPatch, reference: str, content: str, words: str
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("BANKGATE_TEST_MASTER", content)
    with pytest.raises(KeyUnavailable, match=words) as refused:
        KeyStore.create(directory / "keys", reference, **BY)
    assert "however long" not in str(refused.value)
    assert not (directory / "keys" / "index.json").exists()


def test_a_master_key_that_others_may_read_is_refused(keystore: KeyStore, directory: Path) -> None:
    (directory / "master").chmod(0o640)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        KeyStore(keystore.directory).manifest("x")


def test_a_process_that_was_told_its_master_key_takes_no_store_under_another(
    keystore: KeyStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write the directory can put a whole store of their own there; its index even names their master key."""
    with_key(keystore, "us-sign")
    monkeypatch.setenv("BANKGATE_MASTER_KEY", "file:master")
    assert KeyStore(keystore.directory).check_all() == ()
    theirs = directory / "theirs"
    theirs.mkdir()
    master_file(theirs, "own")
    forged = KeyStore.create(theirs / "keys", f"file:{theirs}/own", **BY)
    monkeypatch.delenv("BANKGATE_MASTER_KEY")
    with_key(forged, "us-sign")
    keystore.directory.rename(directory / "moved-away")
    (theirs / "keys").rename(keystore.directory)
    assert KeyStore(keystore.directory).check_all() == (), "without being told, nothing is wrong with it"
    monkeypatch.setenv("BANKGATE_MASTER_KEY", "file:master")
    with pytest.raises(KeyUnavailable, match="does not open the key store"):
        KeyStore(keystore.directory).private_key("us-sign", 1)


# ---- the master key changes -----------------------------------------------------------------------------------------------


def test_a_new_master_key_opens_everything_and_the_old_one_nothing(keystore: KeyStore, directory: Path) -> None:
    keys = {name: with_key(keystore, name) for name in ("a", "b")}
    keystore.destroy("a", keystore.add_version("a", keys["b"], **BY).last.number, **BY)
    before = {name: keystore.manifest(name).versions[0].wrapped_key for name in keys}
    index = keystore.change_master(master_file(directory, "fresh"), who="eve", at=NOW)
    assert (index.master, index.master_generation, index.history[-1].who) == ("file:fresh", 2, "eve")
    for name, key in keys.items():
        assert keystore.private_key(name, 1).public_key == key.public_key
        assert KeyStore(keystore.directory).private_key(name, 1).public_key == key.public_key
        assert keystore.manifest(name).versions[0].wrapped_key != before[name]
    assert keystore.check_all() == ()
    with pytest.raises(KeyUnavailable, match=r"the master key file:master does not open"):
        KeyStore(keystore.directory, "file:master").manifest("a")


def test_another_process_notices_the_new_master_key(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "a")
    other = KeyStore(keystore.directory)
    assert other.private_key("a", 1)
    keystore.change_master(master_file(directory, "fresh"), **BY)
    assert other.private_key("a", 1)
