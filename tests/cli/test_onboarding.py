"""Setting up the access to an EBICS bank, as a person types it: what cannot be done says why, and nothing is made in vain."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.config.test_ebics import EBICS


@pytest.fixture
def ebics(directory: Path) -> Path:
    keys = EBICS.replace('{ key = "pkcs11:token=t;object=e", passphrase = "env:PIN" }', '{ key = "store:bank-e" }')
    keys = (
        keys.replace("bank-a@1", "bank-a")
        .replace("bank-x@1", "bank-x")
        .replace('trust = ["env:CA"]', "allow_plaintext_loopback = true")
    )
    keys = keys.replace("https://ebics.bank.example/ebics", "http://127.0.0.1:9/ebics")
    (directory / "connections" / "bank.toml").write_text(keys, encoding="utf-8")
    return directory


def with_key_store(bankgate: Any, directory: Path) -> Path:
    master, store = directory / "master", directory / "keys"
    bankgate("keys", "master", "new", master)
    assert bankgate("keys", "master", "init", "--store", store, "--master", f"file:{master}").code == 0
    return store


def test_a_connection_without_onboarding_or_of_no_such_name_is_refused_with_the_way_out(bankgate: Any, ebics: Path) -> None:
    for command in ("init", "letter", "confirm-bank-keys"):
        other = bankgate("connections", command, "house", "--config", ebics)
        assert (other.code, "needs no onboarding" in other.err) == (2, True)
        nobody = bankgate("connections", command, "hous", "--config", ebics)
        assert (nobody.code, "there is no connection 'hous'; there are bank, house" in nobody.err) == (2, True)


def test_without_a_key_store_nothing_is_sent_and_the_command_that_makes_one_is_named(bankgate: Any, ebics: Path) -> None:
    done = bankgate("connections", "init", "bank", "--config", ebics)
    assert done.code == 1
    assert "there is no key store yet; see bankgate keys master new" in done.err


def test_keys_are_made_once_and_kept_when_the_bank_cannot_be_reached(bankgate: Any, ebics: Path) -> None:
    store = with_key_store(bankgate, ebics)
    first = bankgate("connections", "init", "bank", "--config", ebics)
    assert first.code == 1
    assert "made store:bank-a" in first.out
    assert "Run this again: it goes on where it stopped, with the same keys" in first.err
    before = {path.name for path in store.rglob("*")}
    again = bankgate("connections", "init", "bank", "--config", ebics)
    assert (again.code, "made" in again.out) == (1, False)
    assert {path.name for path in store.rglob("*")} == before
    told = json.loads(bankgate("audit", "list", "--config", ebics, "--action", "connection", "--personal", "--json").out)
    lines = [(line["action"], line["outcome"], json.loads(line["detail"])) for line in reversed(told)]
    assert [(action, outcome) for action, outcome, _ in lines] == [("connection.keys_sent", "failed")] * 2
    assert ("store:bank-a" in lines[0][2]["made"], lines[1][2]["made"]) == (True, [])
    assert {len(known) for known in lines[0][2]["keys"].values()} == {64}
    (row,) = json.loads(bankgate("connections", "check", "bank", "--config", ebics, "--json").out)
    assert "no connection" in row["problems"][0]


def test_fingerprints_are_refused_where_no_bank_key_waits(bankgate: Any, ebics: Path) -> None:
    with_key_store(bankgate, ebics)
    bankgate("connections", "init", "bank", "--config", ebics)
    typed = ("--authentication", "00" * 32, "--encryption", "11" * 32)
    done = bankgate("connections", "confirm-bank-keys", "bank", *typed, "--config", ebics)
    assert (done.code, "no bank keys wait" in done.err) == (1, True)


def test_a_letter_in_another_language_names_those_there_are(bankgate: Any, ebics: Path) -> None:
    done = bankgate("connections", "letter", "bank", "--language", "xx", "--config", ebics)
    assert (done.code, "there are zh, de, fr, en" in done.err) == (2, True)
