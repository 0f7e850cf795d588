"""Fixtures of the simulator's tests: who comes in, and a mock-bank that lives as long as a module."""

from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from simulator.identity import make_certificate
from simulator.mockbank_process import MockBankProcess
from simulator.settings import MockBankSettings
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
