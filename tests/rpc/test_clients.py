"""Programs of their own against a server with TLS: the example of the docs, the command, and `serve` itself."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import clock
from gateway.config import CallerSettings, Configuration, ListenSettings, TlsSettings
from gateway.rpc.server import RpcServer
from gateway.telemetry import Metrics

from .certificates import PASSPHRASE, Authority, write_server_files
from .fakes import FakeGateway

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "submit_and_watch.py"


@pytest.fixture
async def address(tmp_path: Path, gateway: FakeGateway, tls_settings: TlsSettings) -> AsyncIterator[str]:
    """A TLS server that knows the client whose files are in tmp_path/client."""
    authority = Authority()
    client = authority.client("erp")
    write_server_files(tmp_path, authority, authority.server())
    directory = tmp_path / "client"
    directory.mkdir()
    (directory / "ca.crt").write_bytes(authority.root.certificate_pem)
    (directory / "client.crt").write_bytes(client.certificate_pem)
    (directory / "client.key").write_bytes(client.key_pem())
    configuration = Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", tls=tls_settings),
        callers=(CallerSettings(name="erp", certificate_sha256=(client.fingerprint,)),),
    )
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    yield f"localhost:{await server.start()}"
    await server.drain(0)


async def run(*arguments: str | Path) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def test_the_example_of_the_docs_submits_and_watches_and_is_short(
    address: str, gateway: FakeGateway, tmp_path: Path
) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 30
    code, out, err = await run(EXAMPLE, address, tmp_path / "client", "house", "once")
    assert (code, err) == (0, "")
    assert out.count("stored") == 2
    assert "2026-0001 PAYMENT_STATE_APPROVED" in out
    assert gateway.payments["2026-0002"].caller == "erp"
    _, again, _ = await run(EXAMPLE, address, tmp_path / "client", "house", "once")
    assert again.count("known before") == 2


async def test_the_command_shows_its_certificate_and_opens_an_encrypted_key(
    address: str, gateway: FakeGateway, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = tmp_path / "client" / "client.key"
    opened = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE)))
    submit = ("-m", "gateway.main", "submit", "docs/examples/payments.jsonl", "--target", address, "--connection", "house")
    code, _, err = await run(*submit, "--tls-dir", tmp_path / "client")
    assert code == 2
    assert "is encrypted: give --key-passphrase" in err
    phrase = tmp_path / "client" / "client.passphrase"
    phrase.write_bytes(PASSPHRASE + b"\n")
    phrase.chmod(0o600)
    code, out, err = await run(*submit, "--tls-dir", tmp_path / "client")
    assert (code, err) == (0, "")
    assert "3 stored" in out
    assert len(gateway.payments) == 3


async def test_serve_answers_until_it_is_told_to_stop_and_then_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "connections").mkdir()
    (tmp_path / "bankgate.toml").write_text(
        '[listen]\naddress = "127.0.0.1:0"\n[[callers]]\nname = "erp"\nplaintext = true\n', encoding="utf-8"
    )
    (tmp_path / "connections" / "house.toml").write_text(
        'initiating_party = "M"\n[[accounts]]\niban = "DE89370400440532013000"\nholder = "M"\n'
        '[channel]\nkind = "folder"\nupload = "o"\n',
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.main", "serve", "--config", str(tmp_path)),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PATH": "/usr/bin:/bin"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while not (listening := re.search(rb'"port": (\d+), .*"rpc.listening"', await process.stderr.readline())):
            pass
        target = f"127.0.0.1:{listening.group(1).decode()}"
        code, out, _ = await run(
            "-m", "gateway.main", "submit", "docs/examples/payments.jsonl", "--connection", "house", "--target", target
        )
        assert (code, out.startswith("3 stored")) == (0, True)
        process.send_signal(signal.SIGTERM)
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert "rpc.stopped" in rest
    assert "Traceback" not in rest
