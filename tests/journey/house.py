"""A house with rules and people, set up by the commands of the guides: policies, a screening list, habits, accounts with apps."""

import asyncio
import json
import os
import sys
from base64 import b32decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.cli.connect import Service
from gateway.demo.scenery import SFTP_ACCOUNT
from gateway.people import totp
from gateway.rpc.client import CallFailed, Client
from keys.store import Subject, new_key, self_signed

PASSWORD = "quite a long sentence of {}"

SETTINGS = """
[people]
key = "file:people.key"

[audit]
checkpoint_key = "file:keys/checkpoints.key"
checkpoint_key_passphrase = "env:CHECKPOINTS"

[habits]
hold_score = 40

[[screening.lists]]
id = "house"
file = "lists/house.csv"
kind = "own"

[[callers]]
name = "console"
certificate_sha256 = ["{fingerprint}"]
actions = ["people", "approve", "submit", "read", "audit"]
"""

POLICY = f"""
id = "house"
version = 3
valid_from = 2026-01-01
default = "approval"
default_steps = [{{ group = "accounting" }}, {{ group = "management" }}]

[[automatic]]
id = "small"
when = {{ amount_up_to = "100.00", currency = "EUR" }}

[[velocity]]
id = "new-beneficiary-velocity"
period = "day"
nth = 2
per = ["creditor_account"]
when = {{ beneficiary = ["new"] }}
outcome = "hold"

[[limits]]
id = "day-of-an-account"
when = {{ debtor_accounts = ["{SFTP_ACCOUNT}"] }}
period = "day"
amount = "5000.00"
currency = "EUR"
outcome = "block"
"""


@dataclass
class Person:
    """Somebody with an authenticator app. A code counts once, and so does the app's time."""

    name: str
    session: Path
    secret: bytes = b""
    used: int = 0
    recovery_codes: list[str] = field(default_factory=list)

    async def code(self) -> str:
        """The app's next code that was not used: of the step before, of this one or of the next, which all count."""
        while True:
            step, within = divmod(time(), totp.STEP_SECONDS)
            self.used = max(self.used + 1, int(step) - (within < totp.STEP_SECONDS * 2 / 3))
            if self.used <= step + 1:
                return self.last_code()
            self.used -= 1
            await asyncio.sleep(totp.STEP_SECONDS - within)

    @property
    def token(self) -> str:
        return self.session.read_text(encoding="utf-8").strip()

    def last_code(self) -> str:
        return totp.code_at(self.secret, self.used)


class House:
    """The gateway of a stage, and whoever works there. Commands show the certificate of the console unless told otherwise."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.gateway: Path = stage.made.gateway
        self.database = self.gateway / "bankgate.db"
        self.people: dict[str, Person] = {}

    async def set_up(self) -> None:
        """Files as the guides have them, then the commands for keys and people."""
        made, stage = self.stage.made, self.stage
        key = new_key("ec-p256")
        certificate = self_signed(key, Subject(common_name="console"), on=datetime.now(UTC), days=30)
        shown = certificate.public_bytes(Encoding.PEM)
        for name, files in (
            ("erp", (made.authority, made.erp_certificate, made.erp_key)),
            ("console", (made.authority, shown, key.encrypted_pem(PASSWORD.encode()))),
        ):
            (stage.directory / name).mkdir()
            for file, content in zip(("ca.crt", "client.crt", "client.key"), files, strict=True):
                (stage.directory / name / file).write_bytes(content)
        (stage.directory / "console" / "client.passphrase").write_text(PASSWORD, encoding="utf-8")
        (stage.directory / "console" / "client.passphrase").chmod(0o600)
        (self.gateway / "trust" / "callers.pem").write_bytes(made.authority + shown)
        fingerprint = certificate.fingerprint(SHA256()).hex()
        with (self.gateway / "bankgate.toml").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(fingerprint=fingerprint))
        for folder, name, text in (
            ("policies", "house.toml", POLICY),
            ("lists", "house.csv", "id,name,reason\nb1,Boris Frolov,false invoices in 2025\n"),
            (".", "people.key", "5a" * 32),
        ):
            (self.gateway / folder).mkdir(exist_ok=True)
            (self.gateway / folder / name).write_text(text, encoding="utf-8")
        (self.gateway / "people.key").chmod(0o600)
        made.passphrases.worker["CHECKPOINTS"] = "a passphrase of the checkpoints"

    async def say(self, *words: object, code: int = 0, who: str = "console", lines: str = "", **environment: str) -> str:
        """What a command prints; `code`: the exit status that it has to have."""
        process = await self._start(who, words, environment)
        printed, complaints = await process.communicate(lines.encode())
        told = printed.decode() + complaints.decode()
        assert process.returncode == code, (words, told)
        assert "Traceback" not in told
        return printed.decode() if code == 0 else told

    async def _start(self, who: str, words: Any, environment: dict[str, str]) -> asyncio.subprocess.Process:
        base = {
            "PATH": os.environ["PATH"],
            "BANKGATE_CONFIG": str(self.gateway),
            "BANKGATE_TARGET": self.stage.address,
            "BANKGATE_TLS_DIR": str(self.stage.directory / who),
            **self.stage.made.passphrases.worker,
        }
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.main", *map(str, words)),
            stdin=pipe, stdout=pipe, stderr=pipe, env={**base, **environment}, cwd=self.stage.directory,
        )  # fmt: skip

    def console(self) -> Client:
        """Calls as the console makes them."""
        return Client(Service(target=self.stage.address, tls_dir=self.stage.directory / "console").as_target())

    async def call(self, name: str, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call of the console with a person's session. Raises `CallFailed`."""
        async with self.console() as client:
            return await client.call(service, method, request, session=self.people[name].token)

    async def begin(self, name: str, enrolment_code: str) -> None:
        """A person at a pipe: the code of the officer, a password, and then the app's first code."""
        person = self.people[name] = Person(name, self.stage.directory / f"{name}.session")
        words = ("session", "begin", name, "--session-file", person.session, "--json")
        process = await self._start("console", words, {})
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(f"{enrolment_code}\n{PASSWORD.format(name)}\n".encode())
        told = ""
        while "otpauth://" not in told:
            line = await process.stderr.readline()
            assert line, told
            told += line.decode()
        secret = parse_qs(urlparse(told[told.index("otpauth://") :].strip()).query)["secret"][0]
        person.secret = b32decode(secret + "=" * (-len(secret) % 8))
        process.stdin.write(f"{await person.code()}\n".encode())
        printed, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        person.recovery_codes = json.loads(printed)["recovery_codes"]

    async def decide(self, what: str, name: str, one: dict[str, Any], *more: str) -> str:
        """approve or refuse by the command, with the app's next code."""
        person = self.people[name]
        words = ("approvals", what, one["payment_id"], "--digest", one["digest"], "--session-file", person.session)
        return await self.say(*words, *more, BANKGATE_CODE=await person.code())

    async def refused(self, name: str, one: dict[str, Any], digest: str, code: str) -> str:
        """What is said against an approval that must not be taken."""
        request = {"approval_id": one["payment_id"], "approve": True, "digest": digest, "second_factor": {"totp_code": code}}
        with pytest.raises(CallFailed) as refused:
            await self.call(name, "OperationsService", "DecideApproval", request)
        return str(refused.value)
