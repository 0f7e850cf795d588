"""A workshop for the tests of the seal kind "openpgp": parties whose keys plain gpg makes in a home that is not ours."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from keys.openpgp import OpenPgpSeal
from keys.openpgp_profile import OpenPgpProfile, build
from tests.keys.sealing import NOW, today

PASSPHRASE = "correct horse"
BEFORE = NOW - timedelta(days=1)  # when the keys are made


@dataclass
class OpenPgpWorkshop:
    """Makes each party once: NAME.sec (encrypted private key) and NAME.pub in one directory, from one gpg home beside them."""

    directory: Path
    fingerprints: dict[str, str] = field(default_factory=dict)
    subkeys: dict[str, str] = field(default_factory=dict)  # for encryption

    def __post_init__(self) -> None:
        self.home.mkdir(mode=0o700)
        # Measuring the machine takes long, and each sandbox has its own agent; the keys of tests need no stretching.
        (self.home / "gpg-agent.conf").write_text("s2k-count 65536\nallow-loopback-pinentry\n")
        for name, word in (("passphrase", PASSPHRASE), ("wrong", "another")):
            (self.directory / name).write_text(word + "\n")
            (self.directory / name).chmod(0o600)

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def close(self) -> None:
        """Ends the agent of the workshop's home."""
        self._end_agent(self.home)

    @staticmethod
    def _end_agent(home: Path) -> None:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False, capture_output=True)

    def gpg(self, *arguments: str, content: bytes = b"", at: datetime = NOW) -> bytes:
        """Plain gpg in the workshop's home: what it writes. Its own words are shown when it fails."""
        words = [
            "gpg",
            "--homedir",
            str(self.home),
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            PASSPHRASE,
        ]
        words += ["--trust-model", "always", "--faked-system-time", f"{int(at.timestamp())}!"]
        done = subprocess.run([*words, *arguments], input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def party(self, name: str, kind: str = "ed25519", *, days: int = 365) -> str:
        """A signing primary key with an encryption subkey; for RSA one key that does both, because making them is slow."""
        one = kind.startswith("rsa")
        person = f"{name} <{name}@example.com>"
        self.gpg("--quick-generate-key", person, kind, "sign,encr" if one else "sign", f"{days}d", at=BEFORE)
        self.fingerprints[name] = self._fingerprints(name)[0]
        if not one:
            self.gpg("--quick-add-key", self.fingerprints[name], "cv25519", "encr", f"{days}d", at=BEFORE)
            self.subkeys[name] = self._fingerprints(name)[1]
        self.export(name)
        return name

    def _fingerprints(self, name: str) -> list[str]:
        listing = self.gpg("--with-colons", "--list-keys", f"{name}@example.com", at=BEFORE).decode()
        return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")]

    def export(self, name: str, called: str | None = None) -> None:
        """Writes the files of a party."""
        public, secret = (self.directory / f"{called or name}.{end}" for end in ("pub", "sec"))
        public.write_bytes(self.gpg("--armor", "--export", self.fingerprints[name]))
        secret.write_bytes(self.gpg("--armor", "--export-secret-keys", self.fingerprints[name]))
        secret.chmod(0o600)

    def revoke(self, name: str) -> None:
        """NAME-revoked.pub: the public key with its revocation."""
        certificate = (self.home / "openpgp-revocs.d" / f"{self.fingerprints[name]}.rev").read_text()
        beside = self.directory / "revoking"
        beside.mkdir(mode=0o700)
        words = ["gpg", "--homedir", str(beside), "--batch", "--quiet"]
        for content in ((self.directory / f"{name}.pub").read_bytes(), certificate.replace(":-----BEGIN", "-----BEGIN").encode()):
            subprocess.run([*words, "--import"], input=content, check=True, capture_output=True)
        exported = subprocess.run([*words, "--export", self.fingerprints[name]], check=True, capture_output=True)
        (self.directory / f"{name}-revoked.pub").write_bytes(exported.stdout)
        self._end_agent(beside)

    def table(self, own: str, bank: str, **changes: Any) -> dict[str, Any]:
        """The `[seal]` table of `own` towards `bank`."""
        return {
            "kind": "openpgp",
            "signing_key": f"file:{own}.sec",
            "signing_key_passphrase": "file:passphrase",
            "signing_fingerprint": self.fingerprints[own],
            "bank_keys": [f"file:{bank}.pub"],
            "bank_encryption_fingerprints": [self.fingerprints[bank]],
            "bank_signing_fingerprints": [self.fingerprints[bank]],
            "decryption_keys": [{"key": f"file:{own}.sec", "passphrase": "file:passphrase"}],
        } | changes

    def profile(self, own: str, bank: str, **changes: Any) -> OpenPgpProfile:
        return OpenPgpProfile.model_validate(self.table(own, bank, **changes))

    def seal(self, own: str, bank: str, *, clock: Callable[[], datetime] = today, **changes: Any) -> OpenPgpSeal:
        return build(self.profile(own, bank, **changes), self.directory, clock)


def gpg_is_missing() -> bool:
    return shutil.which("gpg") is None or shutil.which("gpg-agent") is None
