"""From the setting `store` to a store."""

from pathlib import Path

import pytest

from gateway.store.factory import BadStoreUrl, open_store
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


@pytest.mark.parametrize("url", ["postgresql://db/bankgate", "postgres://db/bankgate"])
def test_postgresql_is_not_mistaken_for_a_file(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadStoreUrl, match="SQLite only"):
        open_store(url, tmp_path)
