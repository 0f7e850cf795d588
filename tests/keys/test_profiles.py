"""The `[seal]` table: what it may say, what is said about mistakes, and that nothing is opened before its time."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from keys import store
from keys.profiles import build_seal, certificates, check, parse_profile, profile_file_suffix
from keys.seal import KeyUnavailable
from tests.keys.workshop import NOW, Workshop, later, opened, sealed, today

NOWHERE = Path("/nowhere")


def problems(table: dict[str, Any]) -> set[str]:
    """The keys that are complained about."""
    with pytest.raises(ValidationError) as refused:
        parse_profile(table)
    return {".".join(str(part) for part in error["loc"]) for error in refused.value.errors()}


def test_plain_is_a_copy() -> None:
    profile = parse_profile({"kind": "plain"})
    seal = build_seal(profile, NOWHERE, today)
    assert seal.kind == "plain"
    assert opened(seal, sealed(seal, b"content" * 100_000)) == b"content" * 100_000
    assert (profile_file_suffix(profile), certificates(profile, NOWHERE), check(profile, NOWHERE, NOW, open_keys=True)) == (
        "",
        [],
        (),
    )


def test_every_mistake_is_named_at_once(workshop: Workshop) -> None:
    table = workshop.table("us", "bank", signature="md5", encoding="xml", suffix="p7m", surplus=1, decryption_keys=[])
    del table["signing_key"]
    assert problems(table) == {
        *("cms.signing_key", "cms.signature", "cms.encoding", "cms.suffix", "cms.surplus", "cms.decryption_keys")
    }
    assert problems({"kind": "pgp"}) == {""}
    assert problems({}) == {""}
    assert problems({"kind": "plain", "signing_key": "file:x"}) == {"plain.signing_key"}


def test_a_secret_in_the_wrong_place_is_not_repeated(workshop: Workshop) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_profile(workshop.table("us", "bank", signing_key_passphrase="hunter2-hunter2"))
    assert "hunter2" not in str(refused.value)
    assert "signing_key_passphrase" in str(refused.value)


def test_the_suffix_is_that_of_the_profile(workshop: Workshop) -> None:
    assert profile_file_suffix(parse_profile(workshop.table("us", "bank"))) == ".p7m"
    assert profile_file_suffix(parse_profile(workshop.table("us", "bank", suffix=".xml.pem"))) == ".xml.pem"


def test_building_opens_nothing(workshop: Workshop) -> None:
    """`serve` builds seals and must not hold a private key; a missing file is no reason not to start."""
    seal = build_seal(parse_profile(workshop.table("us", "bank")), NOWHERE, today)
    with pytest.raises(KeyUnavailable, match=r"file:us\.crt"):
        seal.seal(io.BytesIO(b""), io.BytesIO())
    with pytest.raises(KeyUnavailable, match=r"file:us\.crt"):
        seal.open(io.BytesIO(b""), io.BytesIO())


def test_sealing_needs_no_decryption_key_and_opening_no_signing_key(workshop: Workshop) -> None:
    gone = {"key": "file:gone.key", "passphrase": "file:gone", "certificate": "file:gone.crt"}
    sender = workshop.seal("us", "bank", decryption_keys=[gone], bank_signing_certificates=["file:gone.crt"])
    reader = workshop.seal("bank", "us", signing_key="file:gone.key", bank_encryption_certificates=["file:gone.crt"])
    assert opened(reader, sealed(sender, b"x")) == b"x"


def test_a_key_that_cannot_be_opened_does_not_hide_one_that_can(workshop: Workshop) -> None:
    """A message for two of our keys, one of which was taken off this machine."""
    gone = workshop.decryption_key("bank") | {"key": "file:gone.key"}
    message = sealed(workshop.seal("us", "bank", bank_encryption_certificates=["file:bank.crt", "file:bank-ec.crt"]), b"x")
    both = workshop.seal("bank", "us", decryption_keys=[gone, workshop.decryption_key("bank-ec")])
    assert opened(both, message) == b"x"
    with pytest.raises(KeyUnavailable, match=r"gone\.key"):
        opened(workshop.seal("bank", "us", decryption_keys=[gone]), message)


def test_a_repaired_key_works_without_building_anew(workshop: Workshop, directory: Path) -> None:
    (directory / "passphrase").write_bytes((workshop.directory / "passphrase").read_bytes())
    (directory / "passphrase").chmod(0o644)
    for name in ("us.key", "us.crt", "bank.crt"):
        (directory / name).write_bytes((workshop.directory / name).read_bytes())
        (directory / name).chmod(0o600)
    seal = build_seal(parse_profile(workshop.table("us", "bank")), directory, today)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        sealed(seal, b"x")
    (directory / "passphrase").chmod(0o600)
    assert opened(workshop.seal("bank", "us"), sealed(seal, b"x")) == b"x"


def test_a_scheme_that_does_not_fit_the_key_is_explained(workshop: Workshop) -> None:
    for own, signature in (("us", "ecdsa-sha256"), ("us-ec", "rsa-pss-sha256")):
        with pytest.raises(KeyUnavailable, match=f"cannot sign as {signature}; change `signature`"):
            sealed(workshop.seal(own, "bank", signature=signature), b"x")


def test_certificates_are_listed_with_their_end(workshop: Workshop) -> None:
    listed = certificates(parse_profile(workshop.table("us", "bank")), workshop.directory)
    assert listed == [(f"file:{name}.crt", NOW + timedelta(days=365)) for name in ("us", "bank", "bank", "us")]


def test_check_finds_nothing_where_all_is_well(workshop: Workshop) -> None:
    assert check(parse_profile(workshop.table("us", "bank")), workshop.directory, NOW, open_keys=True) == ()


def test_check_finds_everything_that_is_wrong(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    table = workshop.table(
        "us",
        "bank",
        signature="ecdsa-sha256",
        signing_key="file:bank.key",
        bank_encryption_certificates=["file:gone.crt"],
        decryption_keys=[workshop.decryption_key("us") | {"passphrase": "env:BANKGATE_TEST_ABSENT"}],
    )
    found = check(parse_profile(table), workshop.directory, later(366)(), open_keys=True)
    for words in (
        "bank_encryption_certificates: file:gone.crt: ",
        "signing_certificate: the certificate file:us.crt has expired",
        "bank_signing_certificates: the certificate file:bank.crt has expired",
        "signature: ecdsa-sha256 does not fit",
        "signing_key: file:bank.key: this private key does not belong to the certificate file:us.crt",
        "decryption_keys: env:BANKGATE_TEST_ABSENT: the environment variable is not set",
    ):
        assert [problem for problem in found if problem.startswith(words)], words
    monkeypatch.setattr(store, "load_private_key", None)  # would fail if it were called
    assert check(parse_profile(table), workshop.directory, NOW, open_keys=False)


def test_one_valid_certificate_of_a_rotation_is_enough(workshop: Workshop) -> None:
    workshop.same_key("bank-past", "bank", on=later(-100)(), days=10)
    pinned = ["file:bank-past.crt", "file:bank.crt"]
    table = workshop.table("us", "bank", bank_signing_certificates=pinned, bank_encryption_certificates=pinned)
    assert check(parse_profile(table), workshop.directory, NOW, open_keys=False) == ()
