"""Keys change while files are sealed and opened: none is lost, and no restart is needed."""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from keys import secrets, store
from keys.algorithms import scheme_named
from keys.keystore import KeyStore
from keys.profiles import build_seal, certificates, check, check_key_stores, parse_profile
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.keystores import BY, certificate_for, made, with_key
from tests.keys.workshop import NOW, Workshop, opened, sealed, today

CONTENT = b"<Document>rotation</Document>" * 50


@pytest.fixture
def bank(workshop: Workshop, tmp_path: Path) -> Workshop:
    """The bank "bank-ec" with its key in a file; we have a key store with "us-sign" and "us-dec"."""
    found = Workshop(tmp_path)
    found.keys["bank-ec"], found.certificates["bank-ec"] = workshop.keys["bank-ec"], workshop.certificates["bank-ec"]
    for file in ("bank-ec.key", "bank-ec.crt"):
        (tmp_path / file).write_bytes((workshop.directory / file).read_bytes())
        (tmp_path / file).chmod(0o600)
    return found


OURS: dict[str, Any] = {
    "kind": "cms",
    "signature": "ecdsa-sha256",
    "signing_key": "store:us-sign",
    "bank_encryption_certificates": ["file:bank-ec.crt"],
    "bank_signing_certificates": ["file:bank-ec.crt"],
    "decryption_keys": [{"key": "store:us-dec"}],
}


def bank_table(bank: Workshop, *ours: str, recipient: str) -> dict[str, Any]:
    """The bank's profile: it pins these certificates of ours, and encrypts for one."""
    pinned = [f"file:{name}" for name in ours]
    table = bank.table("bank-ec", "x", signature="ecdsa-sha384", bank_signing_certificates=pinned)
    return table | {"bank_encryption_certificates": [f"file:{recipient}"]}


def export(keystore: KeyStore, directory: Path, name: str, version: int) -> str:
    """Our certificate as the bank gets it."""
    file = f"{name}-{version}.crt"
    content = keystore.public_manifest(name).version(version).certificate().public_bytes(Encoding.PEM)
    (directory / file).write_bytes(content)
    return file


def next_version(keystore: KeyStore, name: str) -> int:
    key = store.new_key("ec-p256")
    return keystore.add_version(name, key, certificates=[certificate_for(key, name)], **BY).last.number


def test_keys_are_rotated_while_threads_seal_and_open_without_a_gap(bank: Workshop) -> None:
    """The order is that of keys/README.md: the bank pins the new certificate before we sign with it, and we can decrypt with the
    new key before the bank encrypts for it. Three rotations of each key, one of the master key, while four threads work."""
    directory = bank.directory
    keystore = made(directory)
    for name, purpose in (("us-sign", "sign"), ("us-dec", "decrypt")):
        with_key(keystore, name, purpose)
    us = build_seal(parse_profile(OURS), directory, today)
    pinned, recipient = [export(keystore, directory, "us-sign", 1)], [export(keystore, directory, "us-dec", 1)]
    signers: set[int] = set()
    failures: list[BaseException] = []
    done, rounds = threading.Event(), [0] * 4

    def banks_seal() -> Any:
        return build_seal(parse_profile(bank_table(bank, *pinned, recipient=recipient[0])), directory, today)

    def work(number: int) -> None:
        try:
            while not done.is_set():
                message = sealed(us, CONTENT)
                assert opened(banks_seal(), message) == CONTENT
                assert opened(us, sealed(banks_seal(), CONTENT)) == CONTENT
                rounds[number] += 1
        except BaseException as problem:  # told to the thread of the test
            failures.append(problem)

    def settle() -> None:
        """Every thread finishes at least one whole round."""
        before = list(rounds)
        while not failures and any(now - then < 2 for now, then in zip(rounds, before, strict=True)):
            done.wait(0.01)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(3):
            settle()
            sign, decrypt = next_version(keystore, "us-sign"), next_version(keystore, "us-dec")
            pinned.append(export(keystore, directory, "us-sign", sign))  # the bank learns of both
            settle()
            keystore.activate("us-sign", sign, **BY)
            signers.add(keystore.manifest("us-sign").current(NOW).number)
            recipient[0] = export(keystore, directory, "us-dec", decrypt)  # the bank switches on its own day
            settle()
            keystore.activate("us-dec", decrypt, **BY)
            if turn == 1:
                (directory / "fresh").write_bytes(store.random_bytes(32))
                (directory / "fresh").chmod(0o600)
                keystore.change_master("file:fresh", **BY)
            settle()
            for name, old in (("us-sign", sign - 1), ("us-dec", decrypt - 1)):
                keystore.move(name, old, "retired", **BY)
                keystore.destroy(name, old, **BY)
            settle()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
    assert signers == {2, 3, 4}
    assert keystore.check_all() == ()
    with pytest.raises(BadSeal, match=r"\[signer\.unknown\]"):
        opened(
            build_seal(parse_profile(bank_table(bank, pinned[0], recipient=recipient[0])), directory, today), sealed(us, CONTENT)
        )


def test_a_planned_rotation_takes_effect_at_its_moment_by_itself(bank: Workshop) -> None:
    keystore, clock = made(bank.directory), Clock()
    with_key(keystore, "us-sign")
    with_key(keystore, "us-dec", "decrypt")
    us = build_seal(parse_profile(OURS), bank.directory, clock)
    first = export(keystore, bank.directory, "us-sign", 1)
    recipient = export(keystore, bank.directory, "us-dec", 1)
    old = build_seal(parse_profile(bank_table(bank, first, recipient=recipient)), bank.directory, today)
    assert opened(old, sealed(us, CONTENT)) == CONTENT
    second = next_version(keystore, "us-sign")
    keystore.activate("us-sign", second, active_from=NOW + timedelta(days=1), **BY)
    both = (first, export(keystore, bank.directory, "us-sign", second))
    assert opened(old, sealed(us, CONTENT)) == CONTENT, "not yet"
    clock.now = NOW + timedelta(days=1)
    with pytest.raises(BadSeal, match=r"\[signer\.unknown\]"):
        opened(old, sealed(us, CONTENT))
    new = build_seal(parse_profile(bank_table(bank, *both, recipient=recipient)), bank.directory, today)
    assert opened(new, sealed(us, CONTENT)) == CONTENT


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_an_emergency_stops_signing_at_once(bank: Workshop) -> None:
    keystore = made(bank.directory)
    with_key(keystore, "us-sign")
    with_key(keystore, "us-dec", "decrypt")
    us = build_seal(parse_profile(OURS), bank.directory, today)
    sealed(us, CONTENT)
    keystore.move("us-sign", 1, "retired", **BY)
    with pytest.raises(KeyUnavailable, match="no version of this key is active"):
        sealed(us, CONTENT)


def test_a_key_of_a_route_is_handed_out_from_its_moment_until_its_end_only(tmp_path: Path, monkeypatch: Any) -> None:
    """For reading a key is tried before it is in use, and after; to log in at a bank it is not."""
    keystore, clock = made(tmp_path), Clock()
    monkeypatch.setattr(store, "system_clock", clock)
    with_key(keystore, "tls", "tls-client", active=False)

    def refused() -> None:
        with pytest.raises(KeyUnavailable, match="no version of this key is active at this moment"):
            secrets.resolve("store:tls", tmp_path, private=True)

    refused()
    keystore.activate("tls", 1, active_from=NOW + timedelta(days=1), active_until=NOW + timedelta(days=2), **BY)
    refused()
    clock.now = NOW + timedelta(days=1)
    assert secrets.resolve("store:tls", tmp_path, private=True)
    clock.now = NOW + timedelta(days=3)
    refused()


# ---- references into the store ----------------------------------------------------------------------------------------------


def test_references_name_a_key_a_version_and_a_store(tmp_path: Path) -> None:
    keystore = made(tmp_path)
    first = with_key(keystore, "us-sign")
    with_key(keystore, "us-dec", "decrypt", active=False)
    version = next_version(keystore, "us-sign")
    keystore.activate("us-sign", version, **BY)
    second = keystore.private_key("us-sign", 2)

    def load(reference: str, base: Path = tmp_path) -> Any:
        return store.load_private_key(reference, None, base, today).public_key

    assert load("store:us-sign") == second.public_key
    assert load("store:us-sign@1") == first.public_key
    assert load("store:keys#us-sign@1") == first.public_key
    assert load(f"store:{tmp_path / 'keys'}#us-sign@1", Path("/nowhere")) == first.public_key
    assert store.load_certificate("store:us-sign", tmp_path, today).public_key == second.public_key
    assert store.own_key("store:us-sign@1", "store:us-sign@1", None, tmp_path, today).open().public_key == first.public_key
    assert len(store.own_keys(None, "store:us-dec", None, tmp_path, today)) == 1, "it decrypts before it is in use"
    for reference, words in (
        ("store:absent", "there is no key of this name"),
        ("store:us-sign@3", "has no version 3"),
        ("store:us-sign@0", "is given as store:NAME"),
        ("store:a b", "is given as store:NAME"),
        ("store:elsewhere#us-sign", "is no key store"),
    ):
        with pytest.raises(KeyUnavailable, match=words):
            load(reference)


def test_a_version_is_found_by_the_certificate_that_the_bank_knows(tmp_path: Path) -> None:
    keystore = made(tmp_path)
    first = with_key(keystore, "us")
    export(keystore, tmp_path, "us", 1)
    keystore.activate("us", next_version(keystore, "us"), **BY)
    own = store.own_key("file:us-1.crt", "store:us", None, tmp_path, today)
    signature = own.open().sign(scheme_named("ecdsa-sha256"), b"x")
    assert scheme_named("ecdsa-sha256").verifies(first.public_key, signature, b"x")
    other = certificate_for(store.new_key("ec-p256"), "other")
    (tmp_path / "other.crt").write_bytes(other.public_bytes(Encoding.PEM))
    with pytest.raises(KeyUnavailable, match=r"file:other\.crt belongs to no version"):
        store.own_key("file:other.crt", "store:us", None, tmp_path, today).open()


def test_a_profile_with_keys_in_the_store_is_checked_and_counted(bank: Workshop) -> None:
    keystore = made(bank.directory)
    with_key(keystore, "us-sign")
    with_key(keystore, "us-dec", "decrypt")
    profile = parse_profile(OURS)
    assert check(profile, bank.directory, NOW, open_keys=True) == ()
    listed = dict(certificates(profile, bank.directory))
    assert listed["store:us-sign"] == NOW + timedelta(days=365)
    (bank.directory / "master").unlink()
    store.store_at(bank.directory / "keys")._unlocked = None
    assert check(profile, bank.directory, NOW, open_keys=False) == (), "certificates are public"
    problems = check(profile, bank.directory, NOW, open_keys=True)
    assert [problem.partition(":")[0] for problem in problems] == ["signing_key", "decryption_keys"]


def test_every_store_that_is_named_is_opened_before_anything_starts(bank: Workshop) -> None:
    profile = parse_profile(OURS)
    (problem,) = check_key_stores([profile], bank.directory)
    assert "is no key store" in problem
    assert check_key_stores([parse_profile({"kind": "plain"})], bank.directory) == (), "none is named, and none is there"
    keystore = made(bank.directory)
    with_key(keystore, "us-sign")
    assert check_key_stores([profile], bank.directory) == ()
    material = keystore.directory / "material" / "us-sign.1.key"
    material.write_bytes(material.read_bytes()[:-1])
    for profiles in ([profile], []):
        (problem,) = check_key_stores(profiles, bank.directory)
        assert problem.startswith("us-sign, version 1: ")


def test_building_a_seal_over_a_store_that_is_not_there_opens_nothing(tmp_path: Path) -> None:
    seal = build_seal(parse_profile(OURS), tmp_path, today)
    assert seal.kind == "cms"
    with pytest.raises(KeyUnavailable, match="index"):
        sealed(seal, b"x")


def test_other_kinds_follow_a_rotation_too(bank: Workshop) -> None:
    """An XML signature by a key of the store: the seal is built anew when the store changed, whatever its kind."""
    pytest.importorskip("signxml", reason="needs the package signxml")
    keystore = made(bank.directory)
    with_key(keystore, "us-sign")
    export(keystore, bank.directory, "us-sign", 1)

    def seal(key: str, certificate: str, pinned: str) -> Any:
        table = {"kind": "xmldsig", "signature": "ecdsa-sha256", "signing_key": key, "signing_certificate": certificate}
        word = {} if key.startswith("store:") else {"signing_key_passphrase": "file:passphrase"}
        return build_seal(parse_profile(table | word | {"bank_signing_certificates": [pinned]}), bank.directory, today)

    us = seal("store:us-sign", "store:us-sign", "file:bank-ec.crt")
    old = seal("file:bank-ec.key", "file:bank-ec.crt", "file:us-sign-1.crt")
    assert b"<D>1" in opened(old, sealed(us, b"<D>1</D>"))
    version = next_version(keystore, "us-sign")
    keystore.activate("us-sign", version, **BY)
    with pytest.raises(BadSeal):
        opened(old, sealed(us, b"<D>1</D>"))
    new = seal("file:bank-ec.key", "file:bank-ec.crt", f"file:{export(keystore, bank.directory, 'us-sign', version)}")
    assert b"<D>1" in opened(new, sealed(us, b"<D>1</D>"))
