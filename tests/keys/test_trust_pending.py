"""A changed key of a bank waits until a person has compared fingerprints: nothing else makes it trusted."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import store
from keys.seal import KeyUnavailable
from keys.trust_pending import Proposal, TrustDirectory, as_typed, fingerprint_of
from tests.keys.terminal import Terminal
from tests.keys.workshop import NOW, Workshop


@pytest.fixture
def trust(tmp_path: Path) -> TrustDirectory:
    return TrustDirectory(tmp_path / "trust")


def proposal(workshop: Workshop, name: str = "bank", replaces: str | None = "bank-ec", **changes: Any) -> Proposal:
    old = None if replaces is None else workshop.certificates[replaces]
    how: dict[str, Any] = {"connection": "house", "use": "signing", "source": "an HPB answer", "proposed_by": "worker"}
    return Proposal(**how | {"certificate": workshop.certificates[name], "replaces": old, "proposed_at": NOW} | changes)


def colons(certificate: x509.Certificate) -> str:
    found = fingerprint_of(certificate).upper()
    return ":".join(found[at : at + 2] for at in range(0, 64, 2))


def test_nothing_is_trusted_before_both_fingerprints_are_given(workshop: Workshop, trust: TrustDirectory) -> None:
    found = trust.propose(proposal(workshop))
    new, old = colons(workshop.certificates["bank"]), colons(workshop.certificates["bank-ec"])
    other = colons(workshop.certificates["us"])
    for given, words in (
        ((), "of the new certificate was not given"),
        ((old,), "of the new certificate was not given"),
        ((new,), "of the certificate it replaces was not given"),
        ((other, old), "of the new certificate was not given"),
        ((new, old, other), "belong to neither"),
        ((new[:40], old), "a part proves nothing"),
        ((found.id, old), "a part proves nothing"),
    ):
        with pytest.raises(KeyUnavailable, match=words):
            trust.confirm(found.id, given, who="ada", at=NOW)
        assert [waiting.id for waiting in trust.waiting()] == [found.id]
        assert not list(trust.directory.glob("*.crt"))
    path = trust.confirm(found.id, (new, old.lower().replace(":", " ")), who="ada", at=NOW)
    loaded = store.load_certificate(f"file:{path.name}", path.parent)
    assert loaded.parsed == workshop.certificates["bank"]
    assert trust.waiting() == ()
    (record,) = trust.judged()
    assert (record["confirmed_by"], record["confirmed_at"], record["proposed_by"], record["source"]) == (
        *("ada", NOW.isoformat(), "worker", "an HPB answer"),
    )


def test_the_first_certificate_of_a_bank_replaces_none(workshop: Workshop, trust: TrustDirectory) -> None:
    found = trust.propose(proposal(workshop, replaces=None))
    assert trust.confirm(found.id, [colons(workshop.certificates["bank"])], who="ada", at=NOW).exists()


def test_a_proposal_that_was_exchanged_on_disk_is_found_out(workshop: Workshop, trust: TrustDirectory) -> None:
    found = trust.propose(proposal(workshop))
    path = trust.directory / "pending" / f"{found.id}.json"
    whole = path.read_text()
    import base64

    other = base64.b64encode(workshop.certificates["us"].public_bytes(Encoding.DER)).decode()
    path.write_text(json.dumps(json.loads(whole) | {"certificate": other}))
    with pytest.raises(KeyUnavailable, match="another one than its name says"):
        trust.confirm(found.id, [colons(workshop.certificates["us"])], who="ada", at=NOW)
    for damage in ("", "{}", "[]", whole[:-20], json.dumps(json.loads(whole) | {"certificate": "!"})):
        path.write_text(damage)
        with pytest.raises(KeyUnavailable, match="no proposal, or it was altered"):
            trust.waiting()


def test_what_was_judged_is_not_proposed_again(workshop: Workshop, trust: TrustDirectory) -> None:
    found = trust.propose(proposal(workshop))
    with pytest.raises(KeyUnavailable, match="exists already"):
        trust.propose(proposal(workshop))
    trust.reject(found.id, "the bank knows nothing of it", who="ada", at=NOW)
    assert trust.waiting() == ()
    assert not list(trust.directory.glob("*.crt"))
    with pytest.raises(KeyUnavailable, match="was judged before"):
        trust.propose(proposal(workshop))
    (record,) = trust.judged()
    assert (record["rejected_by"], record["reason"]) == ("ada", "the bank knows nothing of it")
    with pytest.raises(KeyUnavailable, match="no certificate of this id waits"):
        trust.confirm(found.id, [colons(workshop.certificates["bank"])], who="ada", at=NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"connection": "../house"}, "the connection of a proposal"),
        ({"use": "a/b"}, "the use of a proposal"),
        ({"replaces": "bank"}, "is the one in use"),
    ],
)
def test_odd_proposals_are_refused(workshop: Workshop, trust: TrustDirectory, changes: dict[str, str], words: str) -> None:
    with pytest.raises(KeyUnavailable, match=words):
        trust.propose(proposal(workshop, **changes))
    assert not trust.directory.exists()


def test_ids_lead_nowhere_else(trust: TrustDirectory) -> None:
    for identifier in ("../../etc/passwd", "", "0" * 15, "Z" * 16):
        with pytest.raises(KeyUnavailable, match="16 hexadecimal digits"):
            trust.proposal(identifier)
    with pytest.raises(KeyUnavailable, match="SHA-256"):
        as_typed("sha1:" + "0" * 40)


def test_a_confirmation_that_was_cut_short_is_finished(workshop: Workshop, trust: TrustDirectory) -> None:
    found = trust.propose(proposal(workshop, replaces=None))
    store.write_new(
        trust.directory / f"{found.file_name}.crt", workshop.certificates["bank"].public_bytes(Encoding.PEM), private=False
    )
    trust.confirm(found.id, [found.fingerprint], who="ada", at=NOW)
    assert (trust.waiting(), len(trust.judged())) == ((), 1)


# ---- as a person does it ------------------------------------------------------------------------------------------------------


def test_a_person_proposes_compares_and_confirms(workshop: Workshop, terminal: Terminal) -> None:
    for name in ("bank", "bank-ec"):
        Path(f"{name}.crt").write_bytes(workshop.certificates[name].public_bytes(Encoding.PEM))
    here = ("--config", ".")
    arguments = ("propose", "bank.crt", *here, "--connection", "house", "--replaces", "bank-ec.crt", "--by", "bob")
    assert terminal.run("trust", *arguments) == 0, terminal.errors
    assert terminal.run("trust", *arguments) == 1
    assert terminal.run("trust", "list", *here, "--json") == 0
    (row,) = json.loads(terminal.output)
    assert row["fingerprint"] == fingerprint_of(workshop.certificates["bank"])
    identifier = row["id"]
    assert terminal.run("trust", "compare", identifier, *here) == 0
    assert "CN=bank-ec" in terminal.output
    assert row["fingerprint"] in terminal.output
    new, old = (colons(workshop.certificates[name]) for name in ("bank", "bank-ec"))
    assert terminal.run("trust", "confirm", identifier, *here, typed=f"{new}\n{new}\n") == 1
    assert terminal.run("trust", "confirm", identifier, *here, "--fingerprint", new) == 1
    assert not Path("trust/house-signing-" + identifier + ".crt").exists()
    assert terminal.run("trust", "confirm", identifier, *here, "--by", "ada", typed=f"{new}\n{old}\n") == 0, terminal.errors
    assert f'"file:trust/house-signing-{identifier}.crt"' in terminal.output.replace("\n", "")
    assert terminal.run("trust", "list", *here) == 0
    assert "nothing waits" in terminal.output
    assert terminal.run("trust", "list", *here, "--judged", "--json") == 0
    assert json.loads(terminal.output)[0]["confirmed_by"] == "ada"


def test_a_person_rejects_and_mistakes_are_explained(workshop: Workshop, terminal: Terminal) -> None:
    Path("bank.crt").write_bytes(workshop.certificates["bank"].public_bytes(Encoding.PEM))
    here = ("--config", ".")
    assert terminal.run("trust", "propose", "bank.crt", *here, "--connection", "house", "--use", "x") == 2
    assert terminal.run("trust", "propose", "nowhere.crt", *here, "--connection", "house") == 1
    assert terminal.run("trust", "propose", "bank.crt", *here, "--connection", "house") == 0
    identifier = fingerprint_of(workshop.certificates["bank"])[:16]
    assert terminal.run("trust", "reject", identifier, *here, "--reason", "not ours") == 0
    assert terminal.run("trust", "compare", identifier, *here) == 1
    assert terminal.run("trust", "confirm", identifier, *here, "--fingerprint", "x") == 1
