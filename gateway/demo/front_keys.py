"""The keys of a connection to CMB 云直联, made for one demo: ours written encrypted, each side with the other's public key."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keys import store
from keys.sm import SmPrivateKey
from keys.sm_keys import encrypted_pem

KEY_FILE = "cmb.key.pem"
BANK_FILE = "bank.pub"


@dataclass(frozen=True, slots=True)
class FrontKeys:
    """`customer`: what the bank has to know of us. `environment`: what only the worker gets."""

    customer: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def make_keys(bank: str, directory: Path) -> FrontKeys:
    """Before the bank opens; nothing where the front machine has the keys. Raises `KeyUnavailable` without SM2's library."""
    if bank != "cmb_cloud":
        return FrontKeys()
    keys = directory / "keys"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase, user_key = secrets.token_urlsafe(24), secrets.token_hex(8)
    key = SmPrivateKey("our key", secrets.token_bytes(32), store.random_bytes)
    store.write_new(keys / KEY_FILE, encrypted_pem(key, passphrase.encode(), store.random_bytes), private=True)
    public = base64.b64encode(b"\x04" + key.public.point).decode()
    return FrontKeys(
        customer={"sm4_key": user_key, "public_key": public},
        environment={"DEMO_FRONT_SEAL_KEY": passphrase, "DEMO_FRONT_USER_KEY": user_key},
    )


def take_bank_key(bank: str, directory: Path, ready: Mapping[str, Any]) -> None:
    """Once the bank is open."""
    if bank == "cmb_cloud":
        (directory / "keys" / BANK_FILE).write_text(str(ready["bank_public_key"]), encoding="ascii")
