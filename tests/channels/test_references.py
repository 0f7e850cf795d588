"""Private keys of routes: never in clear on a disk."""

import subprocess
from pathlib import Path

import asyncssh
import pytest

from channels.references import References, Unresolved
from tests.channels.support.tls import world


def references(base: Path) -> References:
    def read(reference: str) -> bytes:
        return (base / reference.removeprefix("file:")).read_bytes()

    return References(secret=read, certificate=read, base=base)


def written(base: Path, content: bytes) -> str:
    (base / "key").touch(mode=0o600)
    (base / "key").write_bytes(content)
    return "file:key"


def clear_keys() -> dict[str, bytes]:
    ssh = asyncssh.generate_private_key("ssh-ed25519")
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    return {
        "pkcs8": world().client.plain_key_pem,
        "openssh": ssh.export_private_key("openssh"),
        "pkcs1": rsa.export_private_key("pkcs1-pem"),
    }


@pytest.mark.parametrize("form", ["pkcs8", "openssh", "pkcs1"])
def test_a_key_in_clear_in_a_file_is_refused_with_a_way_out(tmp_path: Path, form: str) -> None:
    with pytest.raises(Unresolved, match="is not encrypted"):
        references(tmp_path).refuse_clear_key("client_key", written(tmp_path, clear_keys()[form]))


def test_encrypted_keys_pass_in_every_form(tmp_path: Path) -> None:
    pytest.importorskip("bcrypt", reason="encrypted keys in OpenSSH form need the package bcrypt")
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    for content in (
        world().client.key_pem,
        rsa.export_private_key("openssh", "phrase"),
        rsa.export_private_key("pkcs1-pem", "phrase"),
        rsa.export_private_key("pkcs8-pem", "phrase"),
    ):
        references(tmp_path).refuse_clear_key("client_key", written(tmp_path, content))


def test_what_ssh_keygen_writes_is_told_apart(tmp_path: Path) -> None:
    for name, phrase, refused in (("clear", "", True), ("closed", "phrase words", False)):
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(path)], check=True)
        if refused:
            with pytest.raises(Unresolved):
                references(tmp_path).refuse_clear_key("client_key", f"file:{name}")
        else:
            references(tmp_path).refuse_clear_key("client_key", f"file:{name}")


def test_a_key_in_the_environment_may_be_open(tmp_path: Path) -> None:
    References(secret=lambda _: clear_keys()["pkcs8"], certificate=lambda _: b"", base=tmp_path).refuse_clear_key(
        "client_key", "env:KEY"
    )
