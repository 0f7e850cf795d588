"""A small configuration without files, for tests of what is written down about one."""

from pathlib import Path
from typing import Any

from gateway.config import AccountSettings, CallerSettings, Configuration, ConnectionSettings

IBAN = "DE89370400440532013000"
SECRET_WORDS = (IBAN, "hunter2", "Muster GmbH")
"""What must never be seen of it."""


def configuration_of(directory: Path, *, seal: dict[str, Any] | None = None) -> Configuration:
    """One connection, "house", and one caller."""
    house = ConnectionSettings(
        id="house",
        initiating_party="Muster GmbH",
        accounts=(AccountSettings(iban=IBAN, holder="Muster GmbH", agent_bic="COBADEFFXXX"),),
        channel={"kind": "folder", "upload": "out"},
        bank_settings={"password": "env:hunter2"},
        seal=seal or {"kind": "plain"},
    )
    callers = (CallerSettings(name="erp", plaintext=True),)
    return Configuration(directory=directory, connections={"house": house}, callers=callers)
