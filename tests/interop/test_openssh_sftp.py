"""The SFTP channel against OpenSSH's own server, which runs as its own process with its own configuration."""

import asyncio
import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.channel import Channel, Fate, InDoubt, NotSent, Refused
from keys.store import SoftwareKey, new_key
from tests.channels.support.parcels import Shelf, channel_of, eventually, parcel
from tests.channels.support.proxy import Proxy
from tests.keys import keystores

SSHD = Path("/usr/sbin/sshd")
PASSPHRASE = b"correct horse"
CONTENT = os.urandom(200_000)
FILE = parcel(CONTENT, pieces=5)

pytestmark = pytest.mark.skipif(not SSHD.exists(), reason=f"{SSHD} is missing (Debian package openssh-server)")


@dataclass(frozen=True)
class Sshd:
    """A running sshd and its directory."""

    root: Path
    port: int
    host_key: str
    authority: str  # who certified the host key, for the name 127.0.0.1
    client_key: Any
    authorized_keys: Path
    process: subprocess.Popen[bytes]

    def channel(self, **changes: Any) -> Channel:
        secrets = {
            "env:KEY": self.client_key.export_private_key("pkcs8-pem", PASSPHRASE.decode()),
            "env:PASSPHRASE": PASSPHRASE,
            "env:WRONG": b"battery staple",
            "env:STRANGER": asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem", PASSPHRASE.decode()),
            **changes.pop("secrets", {}),
        }
        final, base = changes.pop("final", False), changes.pop("base", None)
        where = {} if base is None else {"base": base, "resolved": True}
        table = {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": getpass.getuser(),
            "host_keys": [self.host_key],
            "client_key": "env:KEY",
            "client_key_passphrase": "env:PASSPHRASE",
            "upload": "inbox",
            "archive": ["archive"],
            "downloads": ["outbox"],
            "done_directory": "done",
            "timeouts": {"connect": 5, "login": 10, "operation": 5, "total": 30},
            **changes,
        }
        return channel_of(table, secrets=secrets, final=final, **where)

    def files(self, directory: str = "inbox") -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.root / directory).iterdir()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One sshd for the module."""
    if os.geteuid() == 0 and Path("/run").is_dir():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, started by root, locks its helpers in
    etc, root = tmp_path_factory.mktemp("etc"), tmp_path_factory.mktemp("bank")
    host_key, client_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    (etc / "host_key").write_bytes(host_key.export_private_key("openssh"))
    (etc / "host_key").chmod(0o600)
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_host_certificate(host_key, "bank", principals=["127.0.0.1"])
    (etc / "host_key-cert.pub").write_bytes(certificate.export_certificate())
    (etc / "authorized_keys").write_bytes(client_key.export_public_key())
    port = free_port()
    (etc / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile {etc}/pid\n"
        f"HostKey {etc}/host_key\nHostCertificate {etc}/host_key-cert.pub\n"
        f"AuthorizedKeysFile {etc}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"PermitRootLogin prohibit-password\nMaxStartups 100\nSubsystem sftp internal-sftp -d {root}\n"
    )
    with (etc / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", etc / "sshd_config"], stderr=log)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if process.poll() is not None:
            pytest.fail(f"sshd does not start: {(etc / 'log').read_text()}")
        time.sleep(0.05)
    believed = host_key.export_public_key().decode(), authority.export_public_key().decode()
    yield Sshd(root, port, *believed, client_key, etc / "authorized_keys", process)
    process.terminate()
    process.wait(10)


@pytest.fixture
def sshd(server: Sshd) -> Sshd:
    """Empty directories for one test."""
    for name in ("inbox", "archive", "outbox", "done"):
        directory = server.root / name
        directory.mkdir(exist_ok=True)
        for path in directory.iterdir():
            path.unlink()
    return server


async def test_delivery_question_and_fetching(sshd: Sshd) -> None:
    channel = sshd.channel()
    assert await channel.check() == ()
    assert (await channel.send(FILE)).evidence == "sftp.rename"
    assert sshd.files() == {FILE.name: CONTENT}
    assert (await channel.send(FILE)).evidence == "sftp.exists"
    (sshd.root / "inbox" / FILE.name).rename(sshd.root / "archive" / FILE.name)
    assert (await channel.fate(FILE)).evidence == "sftp.listing archive"
    assert (await channel.fate(parcel(b"x", "NEVER.xml"))).fate is Fate.UNKNOWN
    (sshd.root / "outbox" / "camt.xml").write_bytes(CONTENT)
    shelf = Shelf()
    assert await channel.receive(shelf.keep) == 1
    assert shelf.files == [("camt.xml", CONTENT)]
    assert sshd.files("done") == {"camt.xml": CONTENT}
    await channel.close()


async def test_a_host_key_certified_by_a_pinned_authority_is_believed(sshd: Sshd) -> None:
    channel = sshd.channel(host_keys=[], host_authorities=[sshd.authority])
    assert (await channel.send(FILE)).evidence == "sftp.rename"
    await channel.close()


async def test_a_host_key_certified_by_somebody_else_ends_before_anybody_logs_in(sshd: Sshd) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    channel = sshd.channel(host_keys=[], host_authorities=[stranger])
    with pytest.raises(NotSent, match="nor certified by host_authorities"):
        await channel.send(FILE)
    await channel.close()


async def test_plain_rename_of_openssh_does_not_overwrite(sshd: Sshd) -> None:
    """The rule the channel rests on, seen directly: the file appears between our look and our rename."""
    channel = sshd.channel()
    (sshd.root / "inbox" / (FILE.name + ".part")).write_bytes(CONTENT)
    (sshd.root / "inbox" / FILE.name).write_bytes(b"another")
    with pytest.raises(Refused, match=r"name\.taken"):
        await channel._place(FILE)  # type: ignore[attr-defined]
    assert sshd.files()[FILE.name] == b"another"
    await channel.close()


async def test_another_file_by_this_name_is_refused(sshd: Sshd) -> None:
    (sshd.root / "inbox" / FILE.name).write_bytes(CONTENT[:-1] + b"?")
    channel = sshd.channel()
    with pytest.raises(Refused, match=r"name\.taken"):
        await channel.send(FILE)
    await channel.close()


async def test_a_leftover_part_file_is_replaced(sshd: Sshd) -> None:
    (sshd.root / "inbox" / (FILE.name + ".part")).write_bytes(b"leftover")
    channel = sshd.channel()
    await channel.send(FILE)
    assert sshd.files() == {FILE.name: CONTENT}
    await channel.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host_keys": [asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()]}, "host key is not among"),
        ({"client_key": "env:STRANGER"}, "does not accept this user"),
        ({"client_key_passphrase": "env:WRONG"}, "cannot be opened"),
        ({"username": "nobody-of-this-name"}, "does not accept this user"),
        ({"upload": "nowhere"}, "No such file"),
    ],
)
async def test_what_fails_before_the_rename_is_not_sent_and_says_why(sshd: Sshd, changes: dict[str, Any], said: str) -> None:
    channel = sshd.channel(**changes)
    with pytest.raises(NotSent, match=said):
        await channel.send(FILE)
    assert sshd.files() == {}
    await channel.close()


async def test_a_key_encrypted_by_ssh_keygen_opens(sshd: Sshd, tmp_path: Path) -> None:
    """What an operator has: ssh-keygen's own format. Opening it needs the package bcrypt."""
    pytest.importorskip("bcrypt", reason="encrypted keys in OpenSSH form need the package bcrypt")
    path = tmp_path / "key"
    path.write_bytes(sshd.client_key.export_private_key("openssh"))
    path.chmod(0o600)
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE.decode(), "-f", str(path)]
    process = await asyncio.create_subprocess_exec(*change)
    assert await process.wait() == 0
    channel = sshd.channel(secrets={"env:KEY": path.read_bytes()})
    assert await channel.check() == ()
    await channel.close()


def authorize(sshd: Sshd, key: SoftwareKey) -> None:
    line = key.public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    sshd.authorized_keys.write_bytes(sshd.authorized_keys.read_bytes() + line + b"\n")


async def test_a_rotation_in_the_key_store_takes_effect_at_the_next_connection(sshd: Sshd, tmp_path: Path) -> None:
    """The private key goes from the key store to the SSH library through memory."""
    vault = keystores.made(tmp_path)
    authorize(sshd, keystores.with_key(vault, "bank-ssh", "ssh"))
    channel = sshd.channel(client_key="store:bank-ssh", client_key_passphrase=None, base=tmp_path)
    assert await channel.check() == ()
    await channel.close()
    second = new_key("ec-p384")
    vault.add_version("bank-ssh", second, **keystores.BY)
    vault.activate("bank-ssh", 2, **keystores.BY)
    with pytest.raises(NotSent, match="does not accept this user"):  # version 2 is in force, and the bank does not know it yet
        await channel.send(FILE)
    authorize(sshd, second)
    await channel.send(FILE)
    await channel.close()
    assert sshd.files() == {FILE.name: CONTENT}


async def test_without_the_master_key_nobody_logs_in_with_a_key_of_the_store(sshd: Sshd, tmp_path: Path) -> None:
    authorize(sshd, keystores.with_key(keystores.made(tmp_path), "bank-ssh", "ssh"))
    (tmp_path / "master").unlink()
    with pytest.raises(NotSent, match="master"):
        await sshd.channel(client_key="store:bank-ssh", client_key_passphrase=None, base=tmp_path).send(FILE)
    assert sshd.files() == {}


async def test_a_key_made_to_sign_is_not_handed_to_the_ssh_library(sshd: Sshd, tmp_path: Path) -> None:
    authorize(sshd, keystores.with_key(keystores.made(tmp_path), "us-sign", "sign"))
    with pytest.raises(NotSent, match="made to sign"):
        await sshd.channel(client_key="store:us-sign", client_key_passphrase=None, base=tmp_path).send(FILE)


async def test_a_connection_ended_by_the_server_is_opened_again(sshd: Sshd) -> None:
    async with Proxy(sshd.port) as proxy:
        channel = sshd.channel(port=proxy.port)
        await channel.send(parcel(CONTENT, "BG1.xml"))
        proxy.up_limit = 0  # the next byte cuts
        with pytest.raises(NotSent):
            await channel.send(parcel(CONTENT, "BG2.xml"))
        proxy.faultless()
        assert (await channel.send(parcel(CONTENT, "BG2.xml"))).evidence == "sftp.rename"
        await channel.close()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_cut_in_either_direction_never_gives_a_false_outcome(sshd: Sshd, direction: str) -> None:
    small = CONTENT[:300]
    outcomes = set()
    async with Proxy(sshd.port) as proxy:
        channel = sshd.channel(port=proxy.port)
        await channel.send(parcel(small, "MEASURE.xml"))
        whole = proxy.up if direction == "up" else proxy.down
        await channel.close()
        for offset in [whole // 2, *range(whole - 200, whole + 80, 28)]:
            await eventually(lambda: proxy.idle)
            proxy.faultless()
            setattr(proxy, f"{direction}_limit", offset)
            name = f"BG{offset}{direction}.xml"
            channel = sshd.channel(port=proxy.port)
            try:
                await channel.send(parcel(small, name))
                outcome = "receipt"
            except (NotSent, InDoubt) as error:
                outcome = type(error).__name__
            await channel.close()
            await eventually(lambda: proxy.idle)
            await asyncio.sleep(0.05)  # sshd's child may still be at work on what got through
            delivered = sshd.files().get(name)
            assert delivered in (None, small)
            assert outcome != "receipt" or delivered == small, f"false receipt at byte {offset}"
            assert outcome != "NotSent" or delivered is None, f"false NotSent at byte {offset}"
            outcomes.add(outcome)
    assert outcomes >= {"NotSent", "InDoubt"}
