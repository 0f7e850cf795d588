from pathlib import Path

import pytest

from keys import store
from tests.keys.terminal import WORD, Terminal
from tests.keys.workshop import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Two RSA and two elliptic curve parties, shared: tests that need others make their own under names of their own."""
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    made.party("us", "rsa-3072")
    made.party("bank", "rsa-3072")
    made.party("us-ec", "ec-p256")
    made.party("bank-ec", "ec-p384")
    return made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(store.SoftwareKey.encrypted_pem, "__kwdefaults__", {"iterations": 1000})
    (tmp_path / "word").write_text(WORD + "\n")
    (tmp_path / "word").chmod(0o600)
    return Terminal(tmp_path)
