"""From the setting `store` to a store."""

from pathlib import Path

import pytest

from gateway.config import DatabaseSettings
from gateway.store.factory import BadStoreUrl, open_store
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.store import StoreUnavailable
from tests.store.support.make import HandClock, waiting


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///bankgate.db", "base/bankgate.db"),
        ("sqlite:///data/with%20space.db", "base/data/with space.db"),
        ("sqlite:///{absolute}/other.db", "elsewhere/other.db"),
    ],
)
async def test_a_url_names_a_file(tmp_path: Path, url: str, expected: str) -> None:
    for folder in ("base/data", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    clock = HandClock()
    store = open_store(url.format(absolute=tmp_path / "elsewhere"), tmp_path / "base", clock)
    assert not (tmp_path / expected).exists(), "nothing happens before the store is opened"
    await store.open()
    assert (tmp_path / expected).is_file()
    (new,) = await waiting(store, 1)
    found = await store.payment(new.payment_id)
    assert found is not None
    assert found.created_at == clock()
    await store.close()


@pytest.mark.parametrize(
    "url", ["", "bankgate.db", "sqlite://x.db", "sqlite:///", "sqlite:///folder/", "mysql://x/y", "sqlite:///a%00b"]
)
def test_what_names_no_file_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadStoreUrl, match="sqlite:///"):
        open_store(url, tmp_path)


async def test_a_database_url_opens_a_store_over_it(database: Database, tmp_path: Path) -> None:
    clock = HandClock()
    store = open_store(database.url, tmp_path, clock, database=DatabaseSettings(application_name="a test", readers=2))
    assert isinstance(store, PostgresStore)
    await store.open()
    try:
        (new,) = await waiting(store, 1)
        found = await store.payment(new.payment_id)
        assert found is not None
        assert found.created_at == clock()
        assert (store.database.readers, store.database.application_name) == (2, "a test")
    finally:
        await store.close()


def test_a_database_elsewhere_is_opened_over_tls_only(tmp_path: Path) -> None:
    with pytest.raises(BadStoreUrl, match="verify-full"):
        open_store("postgresql://u@db.example/bankgate", tmp_path)


def test_a_secret_that_cannot_be_had_is_named_and_never_the_one_that_can(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="file:nowhere"):
        open_store(database.url, tmp_path, database=DatabaseSettings(password="file:nowhere"))
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    store = open_store(database.url, tmp_path, database=DatabaseSettings(password="file:password"))
    assert isinstance(store, PostgresStore)
    assert "hunter2" not in repr(store.database)
