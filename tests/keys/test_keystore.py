"""The key store: nothing in clear, nothing altered unnoticed, a life for every key, and never half of a change."""

import json
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from keys import secrets, store
from keys.algorithms import scheme_named
from keys.keystore import KeyStore
from keys.keystore_files import Files
from keys.keystore_model import NEXT, PURPOSES, STATES, Manifest, State, decode_index, decode_manifest
from keys.seal import KeyUnavailable
from tests.keys.keystores import BY, certificate_for, files_of, made, master_file, private_octets, with_key
from tests.keys.workshop import NOW

ECDSA = scheme_named("ecdsa-sha256")


@pytest.fixture
def keystore(directory: Path) -> KeyStore:
    return made(directory)


# ---- at rest ------------------------------------------------------------------------------------------------------------


def test_a_key_goes_in_and_comes_out_and_signs(keystore: KeyStore) -> None:
    key = with_key(keystore, "us-sign")
    found = keystore.private_key("us-sign", 1)
    assert found.public_key == key.public_key
    assert ECDSA.verifies(key.public_key, found.sign(ECDSA, b"x"), b"x")
    again = KeyStore(keystore.directory)
    assert again.private_key("us-sign", 1).public_key == key.public_key
    assert again.check_all() == ()


def test_nothing_on_disk_or_shown_is_a_private_key(keystore: KeyStore, directory: Path) -> None:
    key = with_key(keystore, "us-sign")
    opened = keystore.private_key("us-sign", 1)
    manifest, master = keystore.manifest("us-sign"), (directory / "master").read_bytes().strip()
    shown = "".join(map(repr, (opened, manifest, keystore, keystore.__dict__, keystore.public_index()))).encode()
    for secret in (*private_octets(key), master):
        assert secret not in shown
        assert not [path for path, content in files_of(keystore.directory).items() if secret in content]
    for holder in (opened, keystore._unlocked.master):  # type: ignore[union-attr]
        with pytest.raises(TypeError, match="not copied"):
            pickle.dumps(holder)


def test_every_file_is_its_owners_alone(keystore: KeyStore) -> None:
    with_key(keystore, "us-sign")
    for path in (keystore.directory, *keystore.directory.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    (keystore.directory / "index.json").chmod(0o644)
    assert [problem for problem in keystore.check_all() if problem.startswith("group or others may reach")]


def test_errors_carry_no_secret(keystore: KeyStore, directory: Path) -> None:
    key = with_key(keystore, "us-sign")
    material = keystore.directory / "material" / "us-sign.1.key"
    content = material.read_bytes()
    material.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(KeyUnavailable) as refused:
        keystore.private_key("us-sign", 1)
    told = "".join(traceback.format_exception(refused.value)).encode()
    assert not [secret for secret in private_octets(key) if secret in told]
    assert refused.value.__cause__ is None


def test_each_key_has_a_data_key_of_its_own_bound_to_its_id_and_version(keystore: KeyStore) -> None:
    with_key(keystore, "a")
    with_key(keystore, "b")
    wrapped = {keystore.manifest(name).last.wrapped_key for name in ("a", "b")}
    assert len(wrapped) == 2
    one, other = (keystore.directory / "material" / f"{name}.1.key" for name in ("a", "b"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(KeyUnavailable, match=r"a\.1\.key was altered"):
        keystore.private_key("a", 1)
    assert keystore.private_key("b", 1)


# ---- altered --------------------------------------------------------------------------------------------------------------


def test_no_altered_byte_goes_unnoticed_and_the_file_is_named(keystore: KeyStore) -> None:
    with_key(keystore, "us-sign")
    with_key(keystore, "us-dec", "decrypt")
    assert keystore.check_all() == ()
    for path, content in files_of(keystore.directory).items():
        step = 1 if path.suffix == ".key" else 41
        for at in range(0, len(content), step):
            path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
            problems = KeyStore(keystore.directory).check_all()
            assert problems, (path, at)
            assert path.name == "index.json" or any(path.name in problem for problem in problems), (path, at)
        path.write_bytes(content)
    assert keystore.check_all() == ()


@pytest.mark.parametrize("change", ["gone", "cut", "longer", "older"])
def test_files_that_are_gone_cut_longer_or_older_are_noticed(keystore: KeyStore, change: str) -> None:
    with_key(keystore, "us-sign", active=False)
    older = files_of(keystore.directory / "manifests")
    keystore.activate("us-sign", 1, **BY)
    for path, content in files_of(keystore.directory).items():
        if path.name == "lock":
            continue
        match change:
            case "gone":
                path.unlink()
            case "cut":
                path.write_bytes(content[:-7])
            case "longer":
                path.write_bytes(content + b"\n")
            case _:
                if path.suffix != ".json" or path.name == "index.json":
                    continue
                path.write_bytes(next(iter(older.values())))
        assert KeyStore(keystore.directory).check_all(), path
        path.write_bytes(content)
        path.chmod(0o600)
    assert keystore.check_all() == ()


def test_a_store_under_another_master_key_opens_nothing(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "us-sign")
    master_file(directory)
    with pytest.raises(KeyUnavailable, match=r"the master key file:master does not open the key store"):
        KeyStore(keystore.directory).private_key("us-sign", 1)
    assert len(KeyStore(keystore.directory).check_all()) == 1


# ---- the life of a key ----------------------------------------------------------------------------------------------------


def test_the_table_of_states_is_total_and_ends_in_destruction() -> None:
    assert set(NEXT) == set(STATES)
    assert NEXT["destroyed"] == ()
    assert all(set(following) <= set(STATES) for following in NEXT.values())
    reached: set[State] = {"created"}
    for _ in STATES:
        reached |= {following for state in reached for following in NEXT[state]}
    assert reached == set(STATES)


def test_a_whole_life_with_who_did_what_when(keystore: KeyStore) -> None:
    key = store.new_key("ec-p256")
    at = iter(NOW + timedelta(hours=hour) for hour in range(20))
    keystore.add("k", key, ("sign",), who="ada", at=next(at))
    keystore.request_certificate("k", 1, who="bob", at=next(at))
    keystore.attach_certificates("k", [certificate_for(key, "k")], who="bob", at=next(at))
    keystore.activate("k", 1, who="cy", at=next(at))
    keystore.move("k", 1, "overlap", who="cy", at=next(at))
    keystore.move("k", 1, "retired", who="cy", at=next(at))
    found = keystore.destroy("k", 1, who="dee", at=next(at))
    assert [(event.who, event.what.split(",")[0].split(" from")[0], event.version) for event in found.history] == [
        *(("ada", "created", 1), ("bob", "certificate requested", 1), ("bob", "certificate attached", 1)),
        *(("cy", "active", 1), ("cy", "overlap", 1), ("cy", "retired", 1), ("dee", "destroyed", 1)),
    ]
    assert [event.at for event in found.history] == [NOW + timedelta(hours=hour) for hour in range(7)]
    assert keystore.check_all() == ()


def manifest_in(keystore: KeyStore, state: State) -> Manifest:
    with_key(keystore, "k", active=False)
    steps = {
        "created": (),
        "certificate_requested": (lambda: keystore.request_certificate("k", 1, **BY),),
        "active": (lambda: keystore.activate("k", 1, **BY),),
        "overlap": (lambda: keystore.activate("k", 1, **BY), lambda: keystore.move("k", 1, "overlap", **BY)),
        "retired": (lambda: keystore.activate("k", 1, **BY), lambda: keystore.move("k", 1, "retired", **BY)),
        "destroyed": (lambda: keystore.destroy("k", 1, **BY),),
    }
    for step in steps[state]:
        step()
    return keystore.manifest("k")


@pytest.mark.parametrize("state", STATES)
def test_only_what_the_table_allows_may_follow(keystore: KeyStore, state: State) -> None:
    found = manifest_in(keystore, state)
    assert found.last.state == state
    event = found.history[-1]
    for following in STATES:
        if following in NEXT[state]:
            assert found.moved(1, following, event).last.state == following
        else:
            with pytest.raises(KeyUnavailable, match=f"is {state} and cannot become {following}"):
                found.moved(1, following, event)


def test_a_rotation_overlaps_and_may_be_planned(keystore: KeyStore) -> None:
    with_key(keystore, "k")
    second = store.new_key("ec-p256")
    keystore.add_version("k", second, certificates=[certificate_for(second, "k")], **BY)
    found = keystore.manifest("k")
    assert found.current(NOW).number == 1, "a new version does nothing until it is activated"
    assert [version.number for version in found.readable()] == [2, 1], "but what is encrypted for it can be read"
    tomorrow = NOW + timedelta(days=1)
    found = keystore.activate("k", 2, active_from=tomorrow, **BY)
    assert [version.state for version in found.versions] == ["overlap", "active"]
    assert (found.current(NOW).number, found.current(tomorrow).number) == (1, 2)
    assert found.next_change(NOW) == tomorrow
    back = keystore.activate("k", 1, **BY)
    assert (back.current(tomorrow).number, [version.state for version in back.versions]) == (1, ["active", "overlap"])


def test_no_active_version_is_said_in_words(keystore: KeyStore) -> None:
    with_key(keystore, "k", active=False)
    with pytest.raises(KeyUnavailable, match="no version of this key is active at this moment: version 1 is created"):
        keystore.manifest("k").current(NOW)
    keystore.activate("k", 1, active_until=NOW + timedelta(days=1), **BY)
    with pytest.raises(KeyUnavailable, match="no version"):
        keystore.manifest("k").current(NOW + timedelta(days=2))


def test_a_key_without_certificate_is_not_put_in_use(keystore: KeyStore) -> None:
    keystore.add("k", store.new_key("ec-p256"), ("sign",), **BY)
    with pytest.raises(KeyUnavailable, match="no certificate yet"):
        keystore.activate("k", 1, **BY)
    with pytest.raises(KeyUnavailable, match="belongs to no version"):
        keystore.attach_certificates("k", [certificate_for(store.new_key("ec-p256"), "k")], **BY)
    other = store.new_key("ec-p256")
    with pytest.raises(KeyUnavailable, match="belongs to another key"):
        keystore.add_version("k", store.new_key("ec-p256"), certificates=[certificate_for(other, "k")], **BY)


def test_a_name_is_never_used_again_and_nothing_is_left_of_a_failure(keystore: KeyStore) -> None:
    key = with_key(keystore, "k")
    before = files_of(keystore.directory)
    with pytest.raises(KeyUnavailable, match="never overwritten"):
        keystore.add("k", store.new_key("ec-p256"), ("sign",), **BY)
    for bad in ("", "../k", "k.1", "a b", "-k", "x" * 64):
        with pytest.raises(KeyUnavailable, match="the name of a key"):
            keystore.add(bad, key, ("sign",), **BY)
    with pytest.raises(KeyUnavailable, match="at least one purpose"):
        keystore.add("x", key, (), **BY)
    assert files_of(keystore.directory) == before


def test_destroying_overwrites_removes_and_remembers(keystore: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with_key(keystore, "k")
    keystore.move("k", 1, "retired", **BY)
    with pytest.raises(KeyUnavailable, match="this version is retired"):
        keystore.private_key("k", 1)
    material = keystore.directory / "material" / "k.1.key"
    held, inode = material.read_bytes(), (keystore.directory / "other-name")
    inode.hardlink_to(material)  # sees what happens to the blocks of the file
    wrapped = keystore.manifest("k").last.wrapped_key
    found = keystore.destroy("k", 1, **BY)
    assert not material.exists()
    assert len(inode.read_bytes()) == len(held)
    assert inode.read_bytes() != held
    inode.unlink()
    assert (found.last.state, found.last.wrapped_key, found.history[-1].what) == ("destroyed", None, "destroyed")
    import base64

    assert wrapped is not None
    assert not [path for path, content in files_of(keystore.directory).items() if base64.b64encode(wrapped) in content]
    with pytest.raises(KeyUnavailable, match="was destroyed"):
        keystore.private_key("k", 1)
    assert keystore.check_all() == ()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_key_does_what_it_was_made_for_and_nothing_else(keystore: KeyStore, directory: Path, purpose: str) -> None:
    with_key(keystore, "k", purpose)
    key, peer = keystore.private_key("k", 1), store.new_key("ec-p256").public_key
    uses = {"sign": lambda: key.sign(ECDSA, b"x"), "decrypt": lambda: key.agree(peer)}  # type: ignore[arg-type]
    for use, call in uses.items():
        if use == purpose:
            assert call()
        else:
            with pytest.raises(KeyUnavailable, match=f"made to {purpose}, not to {use}"):
                call()


def test_a_retired_version_is_handed_to_no_library_even_by_its_number(keystore: KeyStore, directory: Path) -> None:
    with_key(keystore, "tls", "tls-client")
    assert secrets.resolve("store:tls@1", directory, private=True)
    keystore.move("tls", 1, "retired", **BY)
    for reference in ("store:tls", "store:tls@1"):
        with pytest.raises(KeyUnavailable, match=r"version .*is retired"):
            secrets.resolve(reference, directory, private=True)


def test_tls_and_ssh_get_their_key_through_memory_and_no_other_key_is_handed_out(keystore: KeyStore, directory: Path) -> None:
    key = with_key(keystore, "tls", "tls-client")
    with_key(keystore, "sign", "sign")
    pem = store.store_reference("store:tls@1", directory)
    assert pem is not None
    found = load_pem_private_key(secrets.resolve("store:tls@1", directory, private=True), None)
    assert found.public_key() == key.public_key
    with pytest.raises(KeyUnavailable, match="is handed to nobody"):
        secrets.resolve("store:sign@1", directory, private=True)
    with pytest.raises(KeyUnavailable, match="no passphrase and no PIN"):
        secrets.passphrase("store:tls", directory)


# ---- crashes and writers ------------------------------------------------------------------------------------------------


class PulledPlugError(Exception):
    """The machine stops here."""


def crash_points(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """Stops at the `number`th change of the disk."""
    left = [number]

    def counted(name: str) -> None:
        real = getattr(Files, name)

        def call(self: Files, *arguments: object) -> None:
            if left[0] == 0:
                raise PulledPlugError
            left[0] -= 1
            real(self, *arguments)

        monkeypatch.setattr(Files, name, call)

    counted("write")
    counted("shred")
    yield
    monkeypatch.undo()


@pytest.mark.parametrize("change", ["add_version", "activate", "destroy", "change_master"])
def test_a_crash_at_any_point_leaves_the_old_state_or_the_new_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    for number in range(20):
        place = directory / str(number)
        place.mkdir()
        keystore = made(place)
        with_key(keystore, "k", active=False)
        key = store.new_key("ec-p256")
        master_file(place, "fresh")
        before = keystore.manifest("k")
        calls = {
            "add_version": lambda: keystore.add_version("k", key, certificates=[certificate_for(key, "k")], **BY),  # noqa: B023
            "activate": lambda: keystore.activate("k", 1, **BY),  # noqa: B023
            "destroy": lambda: keystore.destroy("k", 1, **BY),  # noqa: B023
            "change_master": lambda: keystore.change_master("file:fresh", **BY),  # noqa: B023
        }
        plug = crash_points(monkeypatch, number)
        next(plug)
        crashed = True
        try:
            calls[change]()
            crashed = False
        except PulledPlugError:
            pass
        next(plug, None)
        after = KeyStore(keystore.directory)
        assert after.check_all() == ()
        found = after.manifest("k")
        assert found == before or found.revision == before.revision + 1
        after.add("next", store.new_key("ec-p256"), ("sign",), **BY)
        assert {path.name for path in files_of(keystore.directory)} == expected_files(after), "the next writer clears up"
        if not crashed:
            return
    pytest.fail("the change never came to its end")


def expected_files(keystore: KeyStore) -> set[str]:
    names = {"lock", "index.json"}
    for manifest in keystore.public_manifests():
        names.add(f"{manifest.name}.{manifest.revision}.json")
        names |= {f"{manifest.name}.{version.number}.key" for version in manifest.versions if version.alive}
    return names


def test_writers_come_one_after_the_other(keystore: KeyStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def add(number: int) -> None:
        with_key(KeyStore(keystore.directory), f"k{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    assert len(keystore.public_manifests()) == 12
    assert keystore.check_all() == ()


def test_a_directory_with_something_in_it_becomes_no_store(directory: Path) -> None:
    (directory / "keys").mkdir()
    (directory / "keys" / "us.key").write_bytes(b"x")
    with pytest.raises(KeyUnavailable, match="is not empty"):
        made(directory)
    with pytest.raises(KeyUnavailable, match="is no key store"):
        KeyStore(directory / "keys").public_index()
    assert not KeyStore(directory / "keys").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("name", "key_id", "purposes", "created_at", "created_by", "revision", "versions", "history"),
    *("format", "store_id", "master", "master_generation", "mac_key", "keys"),
)


@given(body=st.dictionaries(st.sampled_from(FIELDS), JSON), mac=JSON, raw=st.binary(max_size=40))
def test_whatever_stands_in_a_file_of_the_store_the_error_is_the_named_one(body: object, mac: object, raw: bytes) -> None:
    """What is read without the master key may have been written by anybody."""
    forged = (json.dumps({"body": body, "mac": mac}, sort_keys=True, indent=1) + "\n").encode()
    for data in (forged, raw):
        for decode in (decode_manifest, decode_index):
            for key in (None, b"k" * 32):
                with pytest.raises(KeyUnavailable):
                    decode(data, key, "it")


def test_every_field_with_octets_is_left_out_of_repr() -> None:
    from keys.keystore_model import Index, Version

    hidden = {"public_key", "certificates", "wrapped_key", "wrapped_mac_key"}
    shown = {found.name for kind in (Version, Index) for found in fields(kind) if found.repr}
    assert not hidden & shown
