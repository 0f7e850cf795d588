"""Every command that changes or reveals a key is one line of the audit log, with fingerprints and without a secret."""

import asyncio
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway import clock
from gateway.key_journal import JournalUnwritable
from gateway.store.audit import AuditFilter
from gateway.store.sqlite import SqliteStore
from keys import store
from keys.keystore import KeyStore
from tests.cli.conftest import CONFIGURATION, Bankgate
from tests.keys.authorities import Authority

WORD = "correct horse battery"
CONNECTION = """
bank = "iso20022"
initiating_party = "Muster GmbH"
accounts = [{ iban = "DE89370400440532013000", holder = "Muster GmbH", agent_bic = "COBADEFFXXX" }]
channel = { kind = "folder", upload = "out" }
"""


@dataclass
class House:
    """A configuration with a database, and commands run in its directory."""

    bankgate: Bankgate
    directory: Path

    def run(self, *arguments: str) -> str:
        done = self.bankgate("keys", *arguments)
        assert done.code == 0, done.err
        assert WORD not in done.out + done.err
        return done.err

    def lines(self) -> list[dict[str, Any]]:
        """About keys, oldest first."""

        async def work() -> list[dict[str, Any]]:
            log = SqliteStore(self.directory / "bankgate.db")
            await log.open()
            rows, _ = await log.list_audit(AuditFilter(), limit=999)
            await log.close()
            return [
                {"action": row.action, "object": row.object_id, "outcome": row.outcome, "actor": row.actor}
                | json.loads(row.detail or "")
                for row in reversed(rows)
                if row.object_kind != "key_journal"
            ]

        return asyncio.run(work())

    def make_database(self) -> None:
        async def work() -> None:
            log = SqliteStore(self.directory / "bankgate.db")
            await log.open()
            await log.close()

        asyncio.run(work())


@pytest.fixture
def house(bankgate: Bankgate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BANKGATE_CONFIG", raising=False)
    monkeypatch.setattr(store.SoftwareKey.encrypted_pem, "__kwdefaults__", {"iterations": 1000})
    (tmp_path / "word").write_text(WORD)
    (tmp_path / "word").chmod(0o600)
    (tmp_path / "bankgate.toml").write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "house.toml").write_text(CONNECTION, encoding="utf-8")
    found = House(bankgate, tmp_path)
    found.make_database()
    return found


AT = ("--store", "keys")
NEW = ("--common-name", "Ours", "--kind", "ec-p256", "--by", "ada")
FILES = ("--passphrase", "file:word")


def public_of(house: House, version: int) -> str:
    return sha256(KeyStore(house.directory / "keys").public_manifest("us").version(version).public_key).hexdigest()


def certificate_in(path: Path) -> str:
    found = x509.load_pem_x509_certificate(path.read_bytes())
    return sha256(found.public_bytes(Encoding.DER)).hexdigest()


def test_the_life_of_a_key_in_a_store_is_one_line_a_command(house: House) -> None:
    house.run("master", "new", "master")
    house.run("master", "init", *AT, "--master", "file:master")
    house.run("new", "us", *AT, *NEW, "--active")
    house.run("rotate", "us", *AT, "--no-certificate", "--kind", "ec-p384")
    house.run("csr", "us", *AT, "--common-name", "Ours", "--out", "us.csr")
    request = x509.load_pem_x509_csr(Path("us.csr").read_bytes())
    issued = Authority("Bank CA").issue("Ours", request.public_key(), on=clock.now())
    Path("issued.crt").write_bytes(issued.public_bytes(Encoding.PEM))
    house.run("import", "issued.crt", "us", *AT)
    house.run("activate", "us", *AT)
    house.run("export-public", "us", *AT)
    house.run("retire", "us", *AT)
    house.run("retire", "us", *AT, "--undo")
    house.run("retire", "us", *AT)
    house.run("destroy", "us", *AT, "--version", "1", "--yes")
    house.run("backup", *AT, "kept")
    house.run("restore", "kept", "--store", "other")
    house.run("master", "new", "second")
    house.run("master", "rotate", *AT, "--master", "file:second")
    lines = house.lines()
    first, second = {"public_key_sha256": public_of(house, 1)}, {"public_key_sha256": public_of(house, 2)}
    own = {"certificate_sha256": certificate_in(Path("issued.crt"))}
    expected: list[tuple[str, str, dict[str, str]]] = [
        ("master_key.created", f"file:{house.directory}/master", {}),
        ("key_store.created", "keys", {"master": "file:master"}),
        ("key.created", "store:us@1", first | {"by": "ada"}),
        ("key.rotated", "store:us@2", second),
        ("key.certificate_requested", "store:us@2", second),
        ("key.certificate_attached", "store:us", second | own),
        ("key.activated", "store:us@2", second | own),
        ("key.exported", "store:us@2", own),
        ("key.retired", "store:us@1", first),
        ("key.retirement_undone", "store:us@1", first),
        ("key.retired", "store:us@1", first),
        ("key.destroyed", "store:us@1", first),
        ("key_store.backed_up", "keys", {"backup_sha256": sha256(Path("kept").read_bytes()).hexdigest()}),
        ("key_store.restored", "other", {"backup_sha256": sha256(Path("kept").read_bytes()).hexdigest()}),
        ("master_key.created", f"file:{house.directory}/second", {}),
        ("key_store.master_changed", "keys", {"master": "file:second"}),
    ]
    assert [(line["action"], line["object"]) for line in lines] == [(action, thing) for action, thing, _ in expected]
    for line, (_, _, facts) in zip(lines, expected, strict=True):
        assert facts.items() <= line.items()
        assert (line["outcome"], line["actor"].startswith("operator: ")) == ("done", True)
    secrets = [Path("master").read_text().strip(), Path("second").read_text().strip()]
    written = Path("keys.journal").read_text() + json.dumps(lines)
    assert not [secret for secret in secrets if secret in written]
    assert Path("keys.journal").stat().st_mode & 0o077 == 0


def test_keys_in_files_of_a_configuration_are_told_too_and_no_passphrase(house: House) -> None:
    house.run("new", "us", *NEW, *FILES)
    key = load_pem_private_key(Path("us.key").read_bytes(), WORD.encode())
    Path("clear.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    house.run("import", "clear.pem", "again", *FILES)
    house.run("csr", "us.key", "--common-name", "Ours", "--passphrase", "file:word", "--out", "us.csr")
    house.run("export-public", "us.crt", "--public-key", "--out", "us.pub")
    assert house.bankgate("keys", "new", "us", *NEW, *FILES).code == 1
    lines = house.lines()
    assert [(line["action"], line["outcome"]) for line in lines] == [
        *(("key.created", "done"), ("key.imported", "done"), ("key.certificate_requested", "done"), ("key.exported", "done")),
        ("key.created", "failed"),
    ]
    assert len({line["public_key_sha256"] for line in lines[:3]}) == 1
    assert lines[3]["certificate_sha256"] == lines[0]["certificate_sha256"] == certificate_in(Path("us.crt"))
    assert WORD not in json.dumps(lines) + Path("keys.journal").read_text()


def test_trust_is_told_from_the_proposal_to_the_verdict(house: House) -> None:
    for name in ("bank", "other"):
        key = store.new_key("ec-p256")
        made = store.self_signed(key, store.Subject(common_name=name), on=clock.now(), days=99)
        Path(f"{name}.crt").write_bytes(made.public_bytes(Encoding.PEM))
        house.run("trust", "propose", f"{name}.crt", "--config", ".", "--connection", "house", "--by", "ada")
    bank, other = certificate_in(Path("bank.crt")), certificate_in(Path("other.crt"))
    assert house.bankgate("keys", "trust", "confirm", bank[:16], "--config", ".", "--fingerprint", other).code == 1
    house.run("trust", "confirm", bank[:16], "--config", ".", "--fingerprint", bank)
    house.run("trust", "reject", other[:16], "--config", ".", "--reason", "not ours")
    assert [(line["action"], line["certificate_sha256"], line["outcome"]) for line in house.lines()] == [
        *(("trust.proposed", bank, "done"), ("trust.proposed", other, "done"), ("trust.confirmed", bank, "failed")),
        *(("trust.confirmed", bank, "done"), ("trust.rejected", other, "done")),
    ]


def test_without_a_database_it_is_kept_and_said_and_brought_in_by_the_next_command(house: House) -> None:
    Path("bankgate.db").rename("away.db")
    assert "not in the audit log yet (there is no database yet)" in house.run("new", "us", *NEW, *FILES)
    assert not Path("bankgate.db").exists(), "a command about keys makes no database"
    Path("away.db").rename("bankgate.db")
    assert house.lines() == []
    assert house.run("export-public", "us.crt", "--out", "us.pem") == ""
    assert [line["action"] for line in house.lines()] == ["key.created", "key.exported"]


def test_a_store_or_a_file_of_no_configuration_has_its_own_journal_or_none(
    house: House, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    word = str(house.directory / "word")
    monkeypatch.chdir(elsewhere)
    house.run("new", "us", *NEW, "--passphrase", f"file:{word}")
    assert not list(elsewhere.glob("*.journal")), "a key of nobody changes nothing"
    house.run("master", "new", "master")
    house.run("master", "init", "--store", "vault", "--master", "file:master")
    house.run("new", "us", "--store", "vault", *NEW)
    assert Path("vault.journal").read_text().count('"begun"') == 2
    assert house.lines() == []
    monkeypatch.setenv("BANKGATE_CONFIG", str(house.directory))
    house.run("new", "them", "--store", "vault", *NEW)
    assert [line["object"] for line in house.lines()] == ["store:them@1"]


def test_where_the_directory_is_read_only_the_line_goes_straight_into_the_log_or_nothing_is_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.run("new", "us", *NEW, *FILES)
    Path("keys.journal").unlink()

    def read_only(*_: object, **__: object) -> Any:
        raise JournalUnwritable("keys.journal cannot be written: Read-only file system")

    monkeypatch.setattr("gateway.key_journal.opened", read_only)
    house.run("export-public", "us.crt", "--out", "us.pem")
    assert house.bankgate("keys", "new", "us", *NEW, *FILES).code == 1
    assert [(line["action"], line["outcome"]) for line in house.lines()] == [
        *(("key.created", "done"), ("key.exported", "done"), ("key.created", "failed")),
    ]
    Path("bankgate.db").rename("away.db")
    refused = house.bankgate("keys", "new", "them", *NEW, *FILES)
    assert (refused.code, "Read-only file system" in refused.err, Path("them.key").exists()) == (1, True, False)
