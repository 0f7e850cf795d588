"""Fixtures of the channels' tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.channels.support.sftp_bank import SftpBank


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[SftpBank]:
    """A bank's SFTP server, running."""
    bank = SftpBank(tmp_path)
    await bank.start()
    yield bank
    await bank.stop()
