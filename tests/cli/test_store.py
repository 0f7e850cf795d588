"""`bankgate store` on both kinds of store: what it says, what it refuses, and its exit codes."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.lifecycle import PaymentState
from gateway.store.factory import open_store
from gateway.store.records import PaymentFilter
from tests.store.support.make import payment
from tests.support.postgres import Cluster

LAST_YEAR = datetime(2025, 6, 3, tzinfo=UTC)
MAIN = """
store = "{store}"
[listen]
address = "127.0.0.1:50051"
[[callers]]
name = "erp"
plaintext = true
"""
HOUSE = """
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
[channel]
kind = "folder"
upload = "out"
"""


def configured(directory: Path, store: str) -> Path:
    (directory / "connections").mkdir(parents=True)
    (directory / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (directory / "bankgate.toml").write_text(MAIN.format(store=store), encoding="utf-8")
    return directory


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    return configured(tmp_path / "config", "sqlite:///bankgate.db")


@pytest.fixture
def postgres_config(postgres: Cluster, postgres_url: str, tmp_path: Path) -> Iterator[Path]:
    return configured(tmp_path / "config", postgres_url)


def submitted(config: Path, *references: str, at: datetime, state: PaymentState = PaymentState.CANCELLED) -> None:
    async def submit() -> None:
        url = (config / "bankgate.toml").read_text(encoding="utf-8").split('"')[1]
        store = open_store(url, config, lambda: at)
        await store.open()
        await store.submit([payment(name, connection_id="house", state=state) for name in references])
        await store.close()

    asyncio.run(submit())


def test_the_life_of_a_month_from_status_to_archive_and_back(bankgate: Any, postgres_config: Path, tmp_path: Path) -> None:
    empty = json.loads(bankgate("store", "status", "--config", postgres_config, "--json").out)
    assert empty["missing_migrations"][0] == "0001"
    submitted(postgres_config, "a", "b", at=LAST_YEAR)
    assert bankgate("store", "migrate", "--config", postgres_config).out == "up to date\n"
    status = json.loads(bankgate("store", "status", "--config", postgres_config, "--json").out)
    assert status["missing_migrations"] == []
    june = {row["month"]: row for row in status["months"]}["2025-06"]
    assert (june["payments"], june["events"]) == (2, 2)
    assert status["oldest_open_payment"] is None
    out = tmp_path / "archives"
    done = bankgate("store", "archive", "--config", postgres_config, "--before", "2025-08", "--out", out)
    assert done.code == 0, done.err
    assert "2025-06: 2 payments, 25 EUR, 2 events" in done.out
    assert bankgate("store", "verify", out, "--config", postgres_config).code == 0
    again = bankgate("store", "archive", "--config", postgres_config, "--before", "2025-08", "--out", out)
    assert "no month to archive" in again.out
    (out / "bankgate-2025-06" / "payments.jsonl.gz").write_bytes(b"x")
    spoiled = bankgate("store", "verify", out)
    assert spoiled.code == 1
    assert "payments.jsonl.gz: is not the file that was written" in spoiled.err
    told = bankgate("store", "status", "--config", postgres_config).out
    assert "archived" in told
    assert "2025-06" in told


def test_an_open_month_is_refused_and_what_is_open_named(bankgate: Any, postgres_config: Path, tmp_path: Path) -> None:
    submitted(postgres_config, "a", at=LAST_YEAR, state=PaymentState.HELD)
    bankgate("store", "migrate", "--config", postgres_config)
    done = bankgate("store", "archive", "--config", postgres_config, "--before", "2025-08", "--out", tmp_path / "archives")
    assert done.code == 1
    assert "2025-06 is not at an end" in done.err
    assert "(a, held)" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("words", [["archive", "--before", "June", "--out", "x"], ["archive", "--out", "x"]])
def test_a_month_that_is_none_and_no_month_at_all_are_usage_errors(
    bankgate: Any, postgres_config: Path, words: list[str]
) -> None:
    done = bankgate("store", *words, "--config", postgres_config)
    assert done.code == 2
    assert "YYYY-MM" in done.err or "as in 2026-11" in done.err


def test_of_sqlite_is_said_what_works_and_what_does_not(bankgate: Any, sqlite: Path, tmp_path: Path) -> None:
    missing = bankgate("store", "status", "--config", sqlite)
    assert missing.code == 1
    assert "there is no database" in missing.err
    submitted(sqlite, "a", at=LAST_YEAR, state=PaymentState.APPROVED)
    status = json.loads(bankgate("store", "status", "--config", sqlite, "--json").out)
    assert (status["kind"], status["payments"], status["oldest_open_payment"]) == ("sqlite", 1, LAST_YEAR.isoformat())
    done = bankgate("store", "archive", "--config", sqlite, "--before", "2025-08", "--out", tmp_path / "archives")
    assert done.code == 2
    assert "PostgreSQL only" in done.err


def test_after_a_restore_what_may_have_left_is_held(bankgate: Any, sqlite: Path) -> None:
    submitted(sqlite, "a", "b", at=LAST_YEAR, state=PaymentState.APPROVED)
    done = bankgate("store", "restored", "--config", sqlite, "--by", "ada", "--backup-of", "2025-06-03 06:00")
    assert done.code == 0, done.err
    assert "2 payments are held" in done.out

    async def states() -> dict[PaymentState, int]:
        store = open_store("sqlite:///bankgate.db", sqlite)
        await store.open()
        try:
            return await store.count_payments(PaymentFilter())
        finally:
            await store.close()

    assert asyncio.run(states())[PaymentState.HELD] == 2


def test_a_store_moves_to_postgresql_and_only_there(bankgate: Any, sqlite: Path, postgres_url: str, tmp_path: Path) -> None:
    submitted(sqlite, "a", "b", at=LAST_YEAR)
    new = configured(tmp_path / "new", postgres_url)
    source = f"sqlite:///{sqlite / 'bankgate.db'}"
    done = bankgate("store", "move", "--config", new, "--from", source, "--json")
    assert done.code == 0, done.err
    assert {row["table"]: row["rows"] for row in json.loads(done.out)}["payments"] == 2
    again = bankgate("store", "move", "--config", new, "--from", source)
    assert again.code == 1
    assert "not empty" in again.err
    assert bankgate("store", "move", "--config", sqlite, "--from", source).code == 2
    assert bankgate("store", "move", "--config", new, "--from", "mysql://x").code == 2


def test_the_rights_are_printed_for_psql(bankgate: Any) -> None:
    done = bankgate("store", "grants", "--serve", 'a"b')
    assert done.code == 0
    assert 'TO "a""b"' in done.out
    assert all(line.endswith(";") for line in done.out.splitlines())


def test_a_database_that_is_not_there_is_told_in_a_sentence(bankgate: Any, tmp_path: Path) -> None:
    config = configured(tmp_path / "config", "postgresql://nobody@127.0.0.1:1/none")
    for words in (["status"], ["migrate"], ["archive", "--before", "2025-01", "--out", "x"]):
        done = bankgate("store", *words, "--config", config)
        assert done.code == 1
        assert "cannot be reached" in done.err
        assert "Traceback" not in done.err
