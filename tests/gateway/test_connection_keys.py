"""Certificates of routes are counted down like those of seals, and a key store that a route uses must open whole."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Configuration, ConnectionSettings
from gateway.connection import certificate_ends, stored_keys
from gateway.worker import Worker
from keys.seal import KeyUnavailable
from tests.channels.support.tls import world
from tests.keys import keystores
from tests.keys.authorities import pem
from tests.keys.workshop import NOW


def settings(**channel: Any) -> ConnectionSettings:
    table = {"kind": "https", "base_url": "https://bank.example", "trust": ["file:ca.pem"], **channel}
    accounts = [{"iban": "DE89370400440532013000", "currency": "EUR", "holder": "Example AG"}]
    return ConnectionSettings.model_validate(
        {"id": "house", "bank": "sepa", "initiating_party": "Example AG", "accounts": accounts, "channel": table}
    )


def test_the_end_of_a_routes_certificates_is_seen_coming(tmp_path: Path) -> None:
    pem(tmp_path / "ca.pem", world().ca.certificate)
    keystores.with_key(keystores.made(tmp_path), "bank-tls", "tls-client")
    found = dict(certificate_ends(settings(client_key="store:bank-tls"), tmp_path))
    assert set(found) == {"store:bank-tls", "file:ca.pem"}
    assert (found["store:bank-tls"] - NOW).days == 365
    assert found["file:ca.pem"] == world().ca.certificate.not_valid_after_utc


def test_a_certificate_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    pem(tmp_path / "ca.pem", world().ca.certificate)
    found = certificate_ends(settings(client_key="env:K", client_certificate="file:absent.pem"), tmp_path)
    assert [name for name, _ in found] == ["file:ca.pem"]


def test_a_worker_does_not_start_over_a_key_store_of_a_route_that_does_not_open(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    keystores.with_key(keystores.made(elsewhere), "bank-tls", "tls-client")
    one = settings(client_key="store:elsewhere/keys#bank-tls")
    assert stored_keys(one) == ("store:elsewhere/keys#bank-tls",)
    (elsewhere / "master").unlink()
    configuration = Configuration.model_construct(directory=tmp_path, connections={"house": one})
    with pytest.raises(KeyUnavailable, match="does not open whole"):
        Worker(configuration, store=None).check_key_stores()  # type: ignore[arg-type]
