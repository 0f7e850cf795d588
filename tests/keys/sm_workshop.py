"""A workshop for the tests of SM2, SM3 and SM4: parties with keys and certificates that the program openssl makes."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from keys import store
from keys.sm import SmPrivateKey
from keys.sm_envelope import SmSeal
from keys.sm_keys import encrypted_pem, load_private_key, public_pem, take_over
from keys.sm_profile import SmProfile, build
from tests.keys.sealing import NOW, today

PASSPHRASE = "correct horse"
ITERATIONS = 1000  # the real number is tested once; here it would only cost time

NEEDS = find_spec("gmssl_pyx") is None or shutil.which("openssl") is None
NEEDS_REASON = "needs the package gmssl-pyx (pip install bankgate[sm]) and the program openssl"


def openssl(*arguments: str, content: bytes = b"") -> bytes:
    """What openssl writes; its own words are shown when it fails."""
    done = subprocess.run(["openssl", *arguments], input=content, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@dataclass
class SmWorkshop:
    """Makes each party once: NAME.clear (for openssl alone), NAME.key (encrypted), NAME.pub and NAME.crt."""

    directory: Path
    keys: dict[str, SmPrivateKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, word in (("passphrase", PASSPHRASE), ("wrong", "another")):
            (self.directory / name).write_text(word + "\n")
            (self.directory / name).chmod(0o600)

    def party(self, name: str, *, days: int = 3650) -> str:
        clear = self.path(f"{name}.clear")
        openssl("genpkey", "-algorithm", "SM2", "-out", str(clear))
        self.keys[name] = take_over(name, clear.read_bytes(), None)
        pem = encrypted_pem(self.keys[name], PASSPHRASE.encode(), store.random_bytes, iterations=ITERATIONS)
        self.path(f"{name}.key").write_bytes(pem)
        self.path(f"{name}.key").chmod(0o600)
        self.path(f"{name}.pub").write_bytes(public_pem(self.keys[name].public))
        subject = ("-subj", f"/C=CN/O=Example/CN={name}", "-days", str(days), "-set_serial", str(len(self.keys)))
        how = ("-sm3", "-sigopt", "distid:1234567812345678")
        openssl("req", "-x509", "-new", "-key", str(clear), *how, *subject, "-out", str(self.path(f"{name}.crt")))
        return name

    def path(self, name: str) -> Path:
        return self.directory / name

    def table(self, own: str, bank: str, *, end: str = "crt", **changes: Any) -> dict[str, Any]:
        """The `[seal]` table of `own` towards `bank`. `end`: "crt" names certificates, "pub" bare public keys."""
        return {
            "kind": "sm",
            "signing_key": f"file:{own}.key",
            "signing_key_passphrase": "file:passphrase",
            "signing_certificate": f"file:{own}.{end}",
            "bank_encryption_certificates": [f"file:{bank}.{end}"],
            "bank_signing_certificates": [f"file:{bank}.{end}"],
            "decryption_keys": [{"key": f"file:{own}.key", "passphrase": "file:passphrase", "certificate": f"file:{own}.{end}"}],
        } | changes

    def profile(self, own: str, bank: str, **changes: Any) -> SmProfile:
        return SmProfile.model_validate(self.table(own, bank, **changes))

    def seal(self, own: str, bank: str, *, clock: Callable[[], datetime] | None = None, **changes: Any) -> SmSeal:
        return build(self.profile(own, bank, **changes), self.directory, clock or valid_now)

    def private(self, name: str) -> SmPrivateKey:
        """As production opens it."""
        return load_private_key(f"file:{name}.key", "file:passphrase", self.directory)


def valid_now() -> datetime:
    """openssl of some versions makes certificates valid from its own now on only: a day within every party's validity."""
    return max(NOW, datetime.now(tz=NOW.tzinfo))


__all__ = ["ITERATIONS", "NEEDS", "NEEDS_REASON", "PASSPHRASE", "SmWorkshop", "openssl", "today", "valid_now"]
