"""Sealed customers: the bank opens what `openssl cms` sealed, and the other way round; bad seals are refused."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator.fixture import iban, run_bank
from tests.simulator.helpers import Identities, Pay, Ways, pain001, texts

DEBTOR = iban("NL", "FAST0000000004")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key, certificate and passphrase files of a bank and of its customer, made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    folder = tmp_path_factory.mktemp("seal")
    (folder / "passphrase").write_text("a passphrase\n")
    (folder / "passphrase").chmod(0o600)
    for party in ("bank", "customer", "stranger"):
        make = f"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -aes-256-cbc -pass file:passphrase -out {party}.key"
        run(folder, make)
        (folder / f"{party}.key").chmod(0o600)
        run(
            folder, f"openssl req -x509 -new -key {party}.key -passin file:passphrase -subj /CN={party} -days 30 -out {party}.crt"
        )
    return folder


def run(folder: Path, command: str, content: bytes = b"") -> bytes:
    return subprocess.run(command.split(), cwd=folder, input=content, capture_output=True, check=True).stdout


def seal(keys: Path, content: bytes, signer: str = "customer") -> bytes:
    sign = f"openssl cms -sign -binary -nodetach -outform DER -md sha256 -signer {signer}.crt -inkey {signer}.key"
    signed = run(keys, f"{sign} -passin file:passphrase", content)
    return run(keys, "openssl cms -encrypt -binary -aes-256-cbc -outform DER bank.crt", signed)


def unseal(keys: Path, content: bytes) -> bytes:
    opened = run(
        keys, "openssl cms -decrypt -inform DER -recip customer.crt -inkey customer.key -passin file:passphrase", content
    )
    return run(keys, "openssl cms -verify -binary -inform DER -CAfile bank.crt -certfile bank.crt -purpose any", opened)


@pytest.fixture
async def ways(tmp_path: Path, keys: Path, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    table = {
        "kind": "cms",
        "signing_key": f"file:{keys}/bank.key",
        "signing_key_passphrase": f"file:{keys}/passphrase",
        "signing_certificate": f"file:{keys}/bank.crt",
        "bank_encryption_certificates": [f"file:{keys}/customer.crt"],
        "bank_signing_certificates": [f"file:{keys}/customer.crt"],
        "decryption_keys": [
            {"key": f"file:{keys}/bank.key", "passphrase": f"file:{keys}/passphrase", "certificate": f"file:{keys}/bank.crt"}
        ],
    }
    customer = {"id": "acme", "accounts": [DEBTOR], "sftp": acme["sftp"], "seal": table}
    async with run_bank(tmp_path, customers=[customer], ledger={"kind": "fast", "statements": False}) as bank:
        yield Ways(bank, identities, "acme", DEBTOR)


async def test_a_sealed_file_is_executed_and_answered_sealed(ways: Ways, keys: Path) -> None:
    await ways.upload(seal(keys, pain001("SEAL-1", DEBTOR, Pay("1"))), "seal-1.xml.p7m")

    ((name, answer),) = (await ways.fetch()).items()
    assert name == "pain.002.001.10-1.xml.p7m"
    assert texts(unseal(keys, answer), "OrgnlMsgId") == ["SEAL-1"]


@pytest.mark.parametrize("how", ["in clear", "by a stranger", "spoilt"])
async def test_a_bad_seal_is_put_into_quarantine_with_the_reason_and_the_next_file_is_still_taken(
    ways: Ways, keys: Path, how: str
) -> None:
    content = pain001("SEAL-2", DEBTOR, Pay("2"))
    if how == "in clear":
        bad = content
    elif how == "by a stranger":
        bad = seal(keys, content, "stranger")
    else:
        bad = seal(keys, content)[:-100]
    await ways.upload(bad, "bad.xml.p7m")
    await ways.upload(seal(keys, pain001("SEAL-3", DEBTOR, Pay("3"))), "good.xml.p7m")

    assert (await ways.bank.books())["messages"].keys() == {"SEAL-3"}
    quarantine = ways.bank.tree("acme").quarantine
    kept, reason = sorted(path for path in quarantine.iterdir())
    assert kept.read_bytes() == bad
    assert reason.name == f"{kept.name}.error.txt"
    assert reason.read_text()
    assert ways.bank.bank.customers["acme"].counts["files_quarantined"] == 1


async def test_garbage_can_be_sealed_as_answers_are_or_not(ways: Ways, keys: Path) -> None:
    ways.bank.moods.set("garbage", value="truncated")
    await ways.upload(seal(keys, pain001("SEAL-4", DEBTOR, Pay("4"))), "seal-4.xml.p7m")
    broken, whole = (await ways.fetch()).values()
    assert unseal(keys, whole).startswith(unseal(keys, broken))

    ways.bank.moods.set("garbage", value="truncated", sealed=False)
    await ways.upload(seal(keys, pain001("SEAL-5", DEBTOR, Pay("5"))), "seal-5.xml.p7m")
    broken, whole = (await ways.fetch()).values()
    assert unseal(keys, whole).startswith(broken)


async def test_an_answer_sealed_once_more_has_other_bytes_and_the_same_content(ways: Ways, keys: Path) -> None:
    for how in ("resealed", "other_name"):
        ways.bank.moods.set("duplicate_answers", value=how)
        await ways.upload(seal(keys, pain001(f"SEAL-{how}", DEBTOR, Pay(how))), f"{how}.xml.p7m")
        one, two = (await ways.fetch()).values()
        assert (one == two) is (how == "other_name")
        assert unseal(keys, one) == unseal(keys, two)
