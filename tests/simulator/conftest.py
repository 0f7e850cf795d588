"""Fixtures of the simulator's tests: who comes in, and a mock-bank that lives as long as a module."""

import shutil
from collections.abc import AsyncIterator, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree

from simulator.ebics.bankkeys import BankKeys
from simulator.fixture import run_bank
from simulator.identity import make_certificate
from simulator.mockbank_process import MockBankProcess
from simulator.settings import MockBankSettings
from tests.simulator.ebics_support.bank import CUSTOMER, Branch
from tests.simulator.helpers import CLOCK, Identities


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    folder = tmp_path_factory.mktemp("identities")
    paths = {name: (folder / f"{name}.pem", folder / f"{name}.key") for name in ("client", "stranger", "outsider")}
    prints = {name: make_certificate(name, *pair, server=False) for name, pair in paths.items()}
    key = asyncssh.generate_private_key("ssh-ed25519")
    return Identities(
        key,
        key.export_public_key().decode().strip(),
        *paths["client"],
        prints["client"],
        *paths["stranger"],
        *paths["outsider"],
    )


@pytest.fixture(scope="module")
def mock_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a mock-bank that lives as long as the module."""
    process = MockBankProcess.start(MockBankSettings(clock=CLOCK), tmp_path_factory.mktemp("mock-bank"))
    yield process.url
    process.stop()


@pytest.fixture(scope="session")
def acme(identities: Identities) -> dict[str, Any]:
    """The `[[customers]]` table of a customer who uses both doors; its accounts are added by each test."""
    return {
        "id": "acme",
        "sftp": {"user": "acme-user", "authorized_keys": [identities.ssh_line]},
        "https": {"certificate_sha256": [identities.fingerprint]},
    }


@pytest.fixture(scope="session")
def h005() -> etree.XMLSchema:
    """Everything of H005, out of the package painfree, which is found through its metadata."""
    entry = next(file for file in metadata.files("painfree") or () if file.name == "ebics_H005.xsd")
    return etree.XMLSchema(etree.parse(str(entry.locate())))


@pytest.fixture(scope="session")
def ebics_bank_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank's EBICS keys, made once."""
    folder = tmp_path_factory.mktemp("bank-keys")
    BankKeys(folder)
    return folder


@pytest.fixture
async def branch(tmp_path: Path, ebics_bank_keys: Path, request: pytest.FixtureRequest) -> AsyncIterator[Branch]:
    """A fast bank with an EBICS door; `@pytest.mark.parametrize("branch", [table], indirect=True)` gives it other settings."""
    shutil.copytree(ebics_bank_keys, tmp_path / "data")
    table = {"segment_chars": 4000, **getattr(request, "param", {})}
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics=table) as bank:
        yield Branch(bank)
