"""OpenPGP against plain `gpg` command lines in a home that is not ours, in both directions."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keys.openpgp_workshop import PASSPHRASE, OpenPgpWorkshop, gpg_is_missing
from tests.keys.sealing import opened, sealed

pytestmark = pytest.mark.skipif(gpg_is_missing(), reason="needs the programs gpg and gpg-agent")

CONTENT = b'<?xml version="1.0"?>\r\n<Document>\n' + bytes(range(256)) * 2000 + b"\n</Document>"
PARTIES = ["rsa", "curve"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPgpWorkshop]:
    made = OpenPgpWorkshop(tmp_path_factory.mktemp("gpg"))
    made.party("rsa", "rsa4096")
    made.party("curve")
    made.party("us")
    yield made
    made.close()


def read_by_gpg(workshop: OpenPgpWorkshop, message: bytes, directory: Path) -> tuple[bytes, str]:
    """What gpg finds in a message, and what it says about its signature."""
    (directory / "message").write_bytes(message)
    words = ["gpg", "--homedir", str(workshop.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE]
    words += ["--status-fd", "2", "--output", str(directory / "content"), "--decrypt", str(directory / "message")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (directory / "content").read_bytes(), done.stderr


@pytest.mark.parametrize("bank", PARTIES)
@pytest.mark.parametrize("own", PARTIES)
def test_gpg_opens_what_we_seal(workshop: OpenPgpWorkshop, tmp_path: Path, own: str, bank: str) -> None:
    content, said = read_by_gpg(workshop, sealed(workshop.seal(own, bank), CONTENT), tmp_path)
    assert content == CONTENT
    assert f"VALIDSIG {workshop.fingerprints[own]}" in said
    assert "DECRYPTION_INFO 2 9" in said, "AES-256 with protection against alteration"


@pytest.mark.parametrize(
    "changes",
    [
        {"encoding": "armour"},
        {"compression": "none", "cipher": "aes-128", "digest": "sha256"},
        {"compression": "bzip2", "digest": "sha384"},
        {"compression": "zip", "encoding": "armour"},
    ],
    ids=repr,
)
def test_gpg_opens_every_form_that_we_write(workshop: OpenPgpWorkshop, tmp_path: Path, changes: dict[str, Any]) -> None:
    for content in (CONTENT, b""):
        place = tmp_path / str(len(content))
        place.mkdir()
        assert read_by_gpg(workshop, sealed(workshop.seal("us", "curve", **changes), content), place)[0] == content


BY_GPG: dict[str, tuple[str, ...]] = {
    "as it likes it best": (),  # compressed
    "armoured": ("--armor",),
    "not compressed": ("-z", "0"),
    "bzip2": ("--compress-algo", "bzip2"),
    "AES-128, SHA-256": ("--cipher-algo", "AES", "--digest-algo", "SHA256"),
    "recipient not named": ("--throw-keyids",),
    "strictly RFC 4880": ("--rfc4880", "--cipher-algo", "AES256", "--digest-algo", "SHA512"),
    "with comment, version and notation": ("--armor", "--comment", "Bank", "--emit-version", "-N", "a@example.com=b"),
}


@pytest.mark.parametrize("how", BY_GPG)
def test_we_open_every_form_that_gpg_writes(workshop: OpenPgpWorkshop, how: str) -> None:
    for signer in PARTIES:
        recipients = ("-r", workshop.fingerprints["us"], "-r", workshop.fingerprints["rsa"])
        words = (*BY_GPG[how], "--sign", "--encrypt", "--local-user", workshop.fingerprints[signer], *recipients)
        assert opened(workshop.seal("us", signer), workshop.gpg(*words, content=CONTENT)) == CONTENT


def test_we_open_for_an_rsa_key_of_ours(workshop: OpenPgpWorkshop) -> None:
    words = ("--sign", "--encrypt", "--local-user", workshop.fingerprints["curve"], "-r", workshop.fingerprints["rsa"])
    assert opened(workshop.seal("rsa", "curve"), workshop.gpg(*words, content=CONTENT)) == CONTENT
