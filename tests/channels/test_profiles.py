"""Profiles: what is accepted, and that mistakes are named without repeating secrets."""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from channels.channel import Guarantee
from channels.https_client import HttpsClient
from channels.https_profile import HttpsProfile
from channels.profiles import build_channel, parse_profile
from channels.references import References, Unresolved
from channels.sftp_profile import SftpProfile
from channels.sftp_session import SftpSession
from tests.channels.support.parcels import NOON
from tests.channels.support.tls import issue

SFTP: dict[str, Any] = {
    "kind": "sftp",
    "host": "sftp.bank.example",
    "username": "erp",
    "host_keys": ["file:trust/bank.pub"],
    "client_key": "file:keys/erp.pem",
    "upload": "/inbox",
}
HTTPS: dict[str, Any] = {"kind": "https", "base_url": "https://bank.example/h2h", "trust": ["file:trust/ca.pem"]}
FOLDER: dict[str, Any] = {"kind": "folder", "upload": "out"}


@pytest.mark.parametrize("table", [SFTP, HTTPS, FOLDER])
def test_the_smallest_profile_of_each_kind_builds_and_asks_for_no_secret(table: dict[str, Any]) -> None:
    def no_secret(reference: str) -> bytes:
        raise AssertionError(f"{reference} was read although nothing was connected")

    channel = build_channel(
        parse_profile(table),
        guarantee=Guarantee.BLIND,
        absence_is_final=False,
        secret=no_secret,
        certificate=no_secret,
        clock=lambda: NOON,
        base=Path("/nowhere"),
    )
    assert (channel.kind, channel.guarantee) == (table["kind"], Guarantee.BLIND)


@pytest.mark.parametrize(
    ("table", "changes", "where"),
    [
        (SFTP, {"kind": "ftp"}, "kind"),
        (SFTP, {"hots": "x"}, "hots"),
        (SFTP, {"host_keys": []}, "host_keys"),
        (SFTP, {"host_keys": ["SHA256:abc"]}, "host_keys"),
        (SFTP, {"client_key": None}, "client_key and password"),
        (SFTP, {"client_key": None, "password": "env:P", "client_key_passphrase": "env:X"}, "without client_key"),
        (SFTP, {"password": "hunter2"}, "password"),
        (SFTP, {"port": 0}, "port"),
        (SFTP, {"host": "a b"}, "host"),
        (SFTP, {"downloads": ["/out"]}, "done_directory"),
        (SFTP, {"downloads": ["/out/"], "done_directory": "/out"}, "other directories"),
        (SFTP, {"upload": "in\nbox"}, "control characters"),
        (SFTP, {"timeouts": {"connect": 0}}, "connect"),
        (HTTPS, {"base_url": "http://bank.example"}, "this machine only"),
        (HTTPS, {"base_url": "http://bank.example", "allow_plaintext_loopback": True}, "this machine only"),
        (HTTPS, {"base_url": "http://127.0.0.1:8"}, "allow_plaintext_loopback"),
        (HTTPS, {"base_url": "https://user:pw@bank.example"}, "base_url"),
        (HTTPS, {"proxy": "http://proxy.example"}, "http://HOST:PORT"),
        (HTTPS, {"proxy": "http://proxy.example:none"}, "http://HOST:PORT"),
        (HTTPS, {"proxy": "https://proxy.example:3128"}, "http://HOST:PORT"),
        (HTTPS, {"proxy": "http://user:pw@proxy.example:3128"}, "http://HOST:PORT"),
        (HTTPS, {"proxy": "http://proxy.example:3128/path"}, "http://HOST:PORT"),
        (HTTPS, {"proxy_login": "env:LOGIN"}, "proxy_login is for a proxy"),
        (HTTPS, {"base_url": "ftp://bank.example"}, "https://"),
        (HTTPS, {"trust": []}, "trust"),
        (HTTPS, {"client_key": "file:k"}, "go together"),
        (HTTPS, {"client_key_passphrase": "env:P"}, "without client_key"),
        (HTTPS, {"success_statuses": [200, 409]}, "one meaning"),
        (HTTPS, {"success_statuses": [302]}, "3xx"),
        (HTTPS, {"upload_path": "in"}, "begins with /"),
        (HTTPS, {"upload_path": "/in?x=1"}, "begins with /"),
        (HTTPS, {"file_path": "/files"}, "{name}"),
        (HTTPS, {"server_certificate_sha256": ["abc"]}, "server_certificate_sha256"),
        (HTTPS, {"timeouts": {"connect": 60, "total": 60}}, "shorter"),
        (HTTPS, {"headers": {"Bad Header": "x"}}, "headers"),
        (FOLDER, {"file_mode": "999"}, "file_mode"),
        (FOLDER, {"partial_suffix": "part"}, "partial_suffix"),
        (FOLDER, {"downloads": ["in"]}, "done_directory"),
    ],
)
def test_a_mistake_is_named_and_its_value_is_not_repeated(table: dict[str, Any], changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_profile({**table, **changes})
    assert where in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "user:pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]/x", "http://localhost"])
def test_plaintext_is_possible_on_this_machine_when_asked_for(url: str) -> None:
    parse_profile({"kind": "https", "base_url": url, "allow_plaintext_loopback": True})


def test_profiles_do_not_change() -> None:
    with pytest.raises(ValidationError):
        parse_profile(FOLDER).kind = "sftp"


def test_every_example_in_the_rooms_readme_is_a_profile() -> None:
    readme = (Path(__file__).parents[2] / "channels" / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    kinds = [parse_profile(tomllib.loads(example)["channel"]).kind for example in examples]
    assert kinds == ["sftp", "https", "folder", "frontend"]


def references(secret: Callable[[str], bytes], base: Path) -> References:
    return References(secret=secret, certificate=secret, base=base)


def test_a_reference_that_fails_names_setting_and_reference(tmp_path: Path) -> None:
    def broken(reference: str) -> bytes:
        raise KeyError("there is no variable of that name")

    with pytest.raises(Unresolved, match=r"password: env:X .*no variable"):
        references(broken, tmp_path).text("password", "env:X")
    with pytest.raises(Unresolved, match="not UTF-8"):
        references(lambda _: b"\xff", tmp_path).text("password", "env:X")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memfd_create(2) is Linux's")
def test_a_secret_in_memory_gets_a_path_that_ends_with_its_use(tmp_path: Path) -> None:
    with references(lambda _: b"key", tmp_path).path("client_key", "env:X") as path:
        assert Path(path).read_bytes() == b"key"
        assert Path(path).read_bytes() == b"key"
    assert not Path(path).exists() or Path(path).read_bytes() != b"key"


def test_a_system_without_memory_files_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with (
        pytest.raises(Unresolved, match="write file:"),
        references(lambda _: b"key", tmp_path).path("client_key", "env:X"),
    ):
        pass


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_or_passphrase_that_others_may_read_is_refused_like_those_of_seals(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "word"
    file.write_bytes(b"word\n")
    file.chmod(mode)
    known = references(lambda reference: (tmp_path / reference.removeprefix("file:")).read_bytes(), tmp_path)
    for ask in (
        lambda: known.read("client_key", "file:word", private=True),
        lambda: known.text("password", "file:word", private=True),
        lambda: known.path("client_key", "file:word", private=True).__enter__(),
    ):
        with pytest.raises(Unresolved, match=f"chmod 600 {file}"):
            ask()
    assert known.text("trust", "file:word") == "word", "certificates are nobody's secret"
    file.chmod(0o600)
    assert known.text("password", "file:word", private=True) == "word"
    with known.path("client_key", "file:word", private=True) as path:
        assert Path(path) == file


@pytest.mark.parametrize("setting", ["password", "client_key", "client_key_passphrase"])
async def test_the_sftp_route_asks_for_its_secrets_as_private(tmp_path: Path, setting: str) -> None:
    for name in ("password", "client_key", "client_key_passphrase"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0o644 if name == setting else 0o600)
    host_key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    keys = {"client_key": "file:client_key", "client_key_passphrase": "file:client_key_passphrase"}
    login = {"client_key": None, "password": "file:password"} if setting == "password" else keys
    profile = parse_profile({**SFTP, "host_keys": [host_key], **login})
    assert isinstance(profile, SftpProfile)
    session = SftpSession(profile, references(lambda _: b"x", tmp_path))
    with pytest.raises(Unresolved, match=f"{setting}: group or others"):
        await session.client()


@pytest.mark.parametrize("setting", ["client_key", "client_key_passphrase", "secret_headers.X-Key"])
async def test_the_https_route_asks_for_its_secrets_as_private(tmp_path: Path, setting: str) -> None:
    for name in ("client_key", "client_key_passphrase", "secret_headers.X-Key", "certificate"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0o644 if name == setting else 0o600)
    secrets = {name: f"file:{name}" for name in ("client_key", "client_key_passphrase")}
    table = {**HTTPS, **secrets, "client_certificate": "file:certificate", "trust": ["env:T"]}
    profile = parse_profile({**table, "secret_headers": {"X-Key": "file:secret_headers.X-Key"}})
    assert isinstance(profile, HttpsProfile)
    bank = issue("bank").pem
    client = HttpsClient(profile, references(lambda reference: bank if reference == "env:T" else b"x", tmp_path))
    with pytest.raises(Unresolved, match=f"{setting}: group or others"):
        await client.open()


@pytest.mark.parametrize("table", [SFTP, HTTPS])
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("pkcs11:token=bank;object=us", "a key in a token cannot be used here"),
        ("keys/erp.pem", "a reference is written"),
        ("store:", "a reference is written"),
    ],
)
def test_a_key_that_a_route_cannot_use_is_refused_with_a_way_out(table: dict[str, Any], reference: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        parse_profile(
            {**table, "client_key": reference, "client_certificate": "file:c.pem"}
            if table is HTTPS
            else {**table, "client_key": reference}
        )


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        (SFTP, {"password": "store:bank-ssh"}),
        (SFTP, {"client_key_passphrase": "store:bank-ssh"}),
        (HTTPS, {"secret_headers": {"X-Api-Key": "store:bank-tls"}}),
        (HTTPS, {"trust": ["store:bank-tls"]}),
        (HTTPS, {"client_key": "file:k", "client_certificate": "file:c", "client_key_passphrase": "store:bank-tls"}),
    ],
)
def test_a_private_key_of_the_key_store_is_never_told_to_the_bank_as_a_secret(
    table: dict[str, Any], changes: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match=r"no password, header or passphrase.*file:PATH"):
        parse_profile({**table, **changes})


@pytest.mark.parametrize("table", [SFTP, HTTPS])
def test_a_key_of_the_key_store_stands_alone_and_has_no_passphrase(table: dict[str, Any]) -> None:
    parse_profile({**table, "client_key": "store:us"})
    with pytest.raises(ValidationError, match="the master key opens it"):
        parse_profile({**table, "client_key": "store:us", "client_key_passphrase": "env:P"})
