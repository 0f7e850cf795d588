"""Backup and restore of the key store: whole, or not at all."""

import json
from pathlib import Path

import pytest

from keys.keystore import KeyStore
from keys.keystore_backup import backup, restore
from keys.keystore_files import Files
from keys.keystore_model import digest_of
from keys.seal import KeyUnavailable
from tests.keys.keystores import BY, files_of, made, master_file, private_octets, with_key
from tests.keys.workshop import NOW


@pytest.fixture
def keystore(directory: Path) -> KeyStore:
    return made(directory)


def test_a_backup_comes_back_whole(keystore: KeyStore, directory: Path) -> None:
    key = with_key(keystore, "a")
    assert backup(keystore, directory / "backup.json", at=NOW) == 1
    assert (directory / "backup.json").stat().st_mode & 0o077 == 0
    restored = restore(directory / "backup.json", directory / "again", **BY)
    assert restored.private_key("a", 1).public_key == key.public_key
    names = {path.name: content for path, content in files_of(keystore.directory).items()}
    assert {path.name: content for path, content in files_of(restored.directory).items()} == names
    assert not [secret for secret in private_octets(key) if secret in (directory / "backup.json").read_bytes()]


def test_a_backup_is_restored_elsewhere_with_the_master_key_in_another_place(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "a")
    backup(keystore, directory / "backup.json", at=NOW)
    elsewhere = directory / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    with pytest.raises(KeyUnavailable, match=r"is not restored: .*master cannot be read"):
        restore(directory / "backup.json", elsewhere / "keys", **BY)
    restored = restore(directory / "backup.json", elsewhere / "keys", master=f"file:{directory / 'master'}", **BY)
    assert restored.check_all() == ()
    assert restored.public_index().history[-1].what.startswith("master key found by")


def test_a_backup_that_does_not_open_is_not_restored(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "a")
    backup(keystore, directory / "backup.json", at=NOW)
    whole = (directory / "backup.json").read_bytes()
    for at in range(0, len(whole), 97):
        (directory / "backup.json").write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        try:
            restored = restore(directory / "backup.json", directory / "again", **BY)
        except KeyUnavailable:
            assert not (directory / "again").exists()
            assert not (directory / ".again.restoring").exists()
        else:  # the moment it was made is no part of the store
            assert restored.check_all() == ()
            assert b"made_at" in whole[at - 60 : at + 1]
            for path in files_of(directory / "again"):
                path.unlink()
            Files(directory / "again").remove()
    for cut in (b"", b"{}", b"[]", whole[:-100], json.dumps({"format": "x", "files": {}}).encode()):
        (directory / "backup.json").write_bytes(cut)
        with pytest.raises(KeyUnavailable):
            restore(directory / "backup.json", directory / "again", **BY)
    master_file(directory)
    (directory / "backup.json").write_bytes(whole)
    with pytest.raises(KeyUnavailable, match=r"is not restored: the master key .* does not open"):
        restore(directory / "backup.json", directory / "again", **BY)


def test_nothing_is_written_outside_the_store_by_a_hostile_backup(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "a")
    backup(keystore, directory / "backup.json", at=NOW)
    document = json.loads((directory / "backup.json").read_bytes())
    document["files"]["../../escaped"] = "eA=="
    document["sha256"] = digest_of(json.dumps(document["files"], sort_keys=True).encode())
    (directory / "backup.json").write_text(json.dumps(document))
    with pytest.raises(KeyUnavailable, match="altered or damaged"):
        restore(directory / "backup.json", directory / "again", **BY)


def test_a_store_that_is_not_whole_is_neither_backed_up_nor_overwritten(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "a")
    backup(keystore, directory / "good.json", at=NOW)
    with pytest.raises(KeyUnavailable, match="is not empty"):
        restore(directory / "good.json", keystore.directory, **BY)
    (keystore.directory / "material" / "a.1.key").unlink()
    with pytest.raises(KeyUnavailable, match=r"is not backed up: a, version 1: .*a\.1\.key cannot be read"):
        backup(keystore, directory / "bad.json", at=NOW)
    assert not (directory / "bad.json").exists()
