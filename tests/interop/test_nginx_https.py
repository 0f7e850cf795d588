"""The HTTPS channel against nginx: its TLS, its demand for client certificates, its WebDAV PUT and its JSON listings."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Channel, Fate, InDoubt, NotSent, Refused
from keys.store import SoftwareKey
from tests.channels.support.parcels import Shelf, channel_of, parcel
from tests.channels.support.tls import identity, issue, world
from tests.keys import keystores

NGINX = Path("/usr/sbin/nginx")
CONTENT = os.urandom(3_000_000)
FILE = parcel(CONTENT, pieces=5)

pytestmark = pytest.mark.skipif(not NGINX.exists(), reason=f"{NGINX} is missing (Debian package nginx-light)")

CONFIGURATION = """
daemon off;
pid {etc}/pid;
error_log {etc}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
  access_log {etc}/access.log;
  client_body_temp_path {etc}/body; proxy_temp_path {etc}/t1; fastcgi_temp_path {etc}/t2; uwsgi_temp_path {etc}/t3;
  scgi_temp_path {etc}/t4;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {etc}/server.pem; ssl_certificate_key {etc}/server.key;
    ssl_protocols {protocol};
    ssl_client_certificate {etc}/ca.pem; ssl_crl {etc}/crl.pem; ssl_verify_client {verify};
    root {root};
    client_max_body_size 10m;
    location /inbox/ {{
      dav_methods PUT;
      set $known "";
      if ($request_method = PUT) {{ set $known "put"; }}
      if (-f $request_filename) {{ set $known "${{known}} known"; }}
      if ($known = "put known") {{ return 412; }}
    }}
    location /outbox/ {{ dav_methods DELETE; autoindex on; autoindex_format json; }}
    location /broken/ {{ return 503; }}
    location /moved/ {{ return 307 /inbox/; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx and its directory."""

    root: Path
    port: int

    def channel(self, client: str | None = "CLIENT", **changes: Any) -> Channel:
        table = {
            "kind": "https",
            "base_url": f"https://127.0.0.1:{self.port}",
            "trust": ["env:CA"],
            "upload_path": "/inbox",
            "list_path": "/outbox/",
            "timeouts": {"connect": 5, "read": 5, "total": 20},
            **identity(client),
        }
        base = changes.pop("base", None)
        where = {} if base is None else {"base": base, "resolved": True}
        return channel_of({**table, **changes}, secrets=world().secrets, **where)


@pytest.fixture(scope="module", params=["TLSv1.2", "TLSv1.3"])
def nginx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """One nginx for each TLS version; it refuses what comes without a good client certificate."""
    etc, root = tmp_path_factory.mktemp("etc"), tmp_path_factory.mktemp("bank")
    people = world()
    (etc / "server.pem").write_bytes(people.server.pem)
    (etc / "server.key").write_bytes(people.server.plain_key_pem)
    (etc / "ca.pem").write_bytes(people.ca.pem)
    (etc / "crl.pem").write_bytes(people.revocations)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("inbox", "outbox"):
        (root / name).mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(etc=etc, root=root, port=port, user=user, protocol=request.param, verify="on")
    (etc / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-e", etc / "error.log", "-c", etc / "nginx.conf"])
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if process.poll() is not None:
            pytest.fail(f"nginx does not start: {(etc / 'error.log').read_text()}")
        time.sleep(0.05)
    yield Nginx(root, port)
    process.terminate()
    process.wait(10)


async def test_put_question_conflict_list_and_delete(nginx: Nginx) -> None:
    channel = nginx.channel()
    assert await channel.check() == ()
    assert (await channel.send(FILE)).evidence == "http 201"
    assert (nginx.root / "inbox" / FILE.name).read_bytes() == CONTENT
    assert (await channel.fate(FILE)).fate is Fate.ARRIVED
    assert (await channel.send(FILE)).evidence == "http 412"
    with pytest.raises(Refused, match=r"name\.taken"):
        await channel.send(parcel(CONTENT[:-1], FILE.name))
    assert (await channel.fate(parcel(b"x", "NEVER.xml"))).fate is Fate.UNKNOWN
    for name in ("回单.xml", "b.xml"):
        (nginx.root / "outbox" / name).write_bytes(name.encode())
    shelf = Shelf()
    assert await channel.receive(shelf.keep) == 2
    assert sorted(shelf.files) == sorted((name, name.encode()) for name in ("回单.xml", "b.xml"))
    assert list((nginx.root / "outbox").iterdir()) == []
    await channel.close()


async def test_key_and_certificate_from_files(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(world().client.pem)
    (tmp_path / "c.key").write_bytes(world().client.key_pem)
    (tmp_path / "c.key").chmod(0o600)
    references = {"client_certificate": f"file:{tmp_path}/c.pem", "client_key": f"file:{tmp_path}/c.key"}
    channel = nginx.channel(**references)
    assert await channel.check() == ()
    await channel.close()


@pytest.mark.parametrize("client", [None, "EXPIRED", "STRANGER", "REVOKED"])
async def test_without_a_good_client_certificate_nothing_is_delivered_and_check_says_so(nginx: Nginx, client: str | None) -> None:
    channel = nginx.channel(client)
    refused = parcel(CONTENT, "REFUSED.xml")
    with pytest.raises((Refused, InDoubt, NotSent)):
        await channel.send(refused)
    assert not (nginx.root / "inbox" / refused.name).exists()
    assert len(await channel.check()) == 1
    assert (await channel.fate(refused)).fate is Fate.UNKNOWN
    await channel.close()


@pytest.mark.parametrize(
    "changes", [{"trust": ["env:OTHER_CA"]}, {"server_certificate_sha256": ["00" * 32]}, {"client_key_passphrase": "env:WRONG"}]
)
async def test_what_fails_before_sending_is_not_sent(nginx: Nginx, changes: dict[str, Any]) -> None:
    channel = nginx.channel(**changes)
    with pytest.raises(NotSent):
        await channel.send(parcel(CONTENT, "UNBELIEVED.xml"))
    assert not (nginx.root / "inbox" / "UNBELIEVED.xml").exists()
    await channel.close()


@pytest.mark.parametrize(
    ("path", "outcome"), [("/broken", InDoubt), ("/moved", InDoubt), ("/outbox", Refused), ("/nowhere", Refused)]
)
async def test_answers_that_are_not_a_receipt(nginx: Nginx, path: str, outcome: type[Exception]) -> None:
    channel = nginx.channel(upload_path=path)
    with pytest.raises(outcome):
        await channel.send(parcel(b"small", "OTHER.xml"))
    assert not (nginx.root / "inbox" / "OTHER.xml").exists()
    await channel.close()


async def test_a_file_larger_than_the_server_takes_is_no_receipt(nginx: Nginx) -> None:
    channel = nginx.channel()
    with pytest.raises((Refused, InDoubt)):
        await channel.send(parcel(CONTENT * 4, "LARGE.xml", pieces=20))
    assert not (nginx.root / "inbox" / "LARGE.xml").exists()
    await channel.close()


@pytest.mark.parametrize("purpose", ["tls-client", "sign"])
async def test_a_key_of_the_key_store_is_shown_through_memory(nginx: Nginx, tmp_path: Path, purpose: str) -> None:
    """Key and certificate are one name in the profile. A key made for something else is not handed to the TLS library."""
    ours = issue("erp", world().ca)
    vault = keystores.made(tmp_path)
    vault.add("bank-tls", SoftwareKey(ours.key), [purpose], certificates=[ours.certificate], **keystores.BY)
    vault.activate("bank-tls", 1, **keystores.BY)
    (tmp_path / "ca.pem").write_bytes(world().ca.pem)
    channel = nginx.channel(None, client_key="store:bank-tls", trust=["file:ca.pem"], base=tmp_path)
    problems = await channel.check()
    await channel.close()
    assert "made to sign" in problems[0] if purpose == "sign" else problems == ()
