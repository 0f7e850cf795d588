"""A gateway whose audit log is looked after by commands, and the stranger's check of a bundle."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.audit.lines import by_caller
from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.store.factory import open_store
from gateway.store.records import PaymentFilter
from tests.cli.test_store import configured
from tests.store.support.make import payment

AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
CHECK = Path(__file__).resolve().parents[2] / "deploy" / "scripts" / "audit_check.py"
WORD = "a word for tests only"
KEY = '\n[audit]\ncheckpoint_key = "file:audit.key"\ncheckpoint_key_passphrase = "env:AUDIT_WORD"\n'


@dataclass
class Place:
    """A configuration, its store's address, and the public key that checkpoints are signed by."""

    config: Path
    url: str
    key: Path

    def sql(self, *statements: str) -> None:
        """As the owner of the tables."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.config / "bankgate.db")) as db, db:
                for statement in statements:
                    db.execute(statement)
        else:
            with psycopg.connect(self.url) as server:
                for statement in statements:
                    server.execute(statement)

    def without_triggers(self, *tables: str) -> None:
        for table in tables or ("audit_log",):
            if self.url.startswith("sqlite"):
                self.sql(*(f"DROP TRIGGER {table}_{name}" for name in ("update", "delete", "insert")))
            else:
                self.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")

    def write(self, *records: AuditRecord, at: datetime = AT) -> str:
        """Some lines, after a payment; its id."""

        async def work() -> str:
            store = open_store(self.url, self.config, lambda: at)
            await store.open()
            known, _ = await store.list_payments(PaymentFilter(), limit=1)
            if not known:
                await store.submit([payment("one", connection_id="house")])
                known, _ = await store.list_payments(PaymentFilter(), limit=1)
            await store.audit(records)
            await store.close()
            return known[0].payment_id

        return asyncio.run(work())


def told(by: str, action: str, kind: str, name: str, **detail: Any) -> AuditRecord:
    line = by_caller(Caller("erp", (), frozenset(), address="192.0.2.7"), action, kind, name, **detail)
    return AuditRecord(
        action=action, actor=by, object_kind=kind, object_id=name, caller="erp", address=line.address, detail=line.detail
    )


def checked(bundle: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    """The stranger's check, in an interpreter that sees nothing of ours."""
    command = [sys.executable, "-I", str(CHECK), str(bundle), *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=bundle.parent)


def placed(folder: Path, url: str) -> Place:
    """A new one, with a key for its checkpoints."""
    config = configured(folder / "config", url)
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.BestAvailableEncryption(WORD.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)
    (config / "audit.key").write_bytes(pem)
    (config / "audit.key").chmod(0o600)
    public = folder / "given.pem"
    known = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(known)
    with (config / "bankgate.toml").open("a", encoding="utf-8") as file:
        file.write(KEY)
    return Place(config, url, public)
