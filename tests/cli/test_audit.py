"""`bankgate audit` on both kinds of store; the checker that a stranger runs; and what an owner of the tables could do to them."""

import asyncio
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import clock
from gateway.lifecycle import PaymentEvent
from gateway.store.factory import open_store
from gateway.store.records import PaymentFilter, Reason
from tests.cli.audited import AT, Place, checked, told
from tests.store.support.make import news, seal_events, sent


def test_the_life_of_a_log_from_a_proof_to_an_erasure(
    bankgate: Any, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = place.write()
    place.write(
        told("person: li.wei", "payment.cancelled", "payment", payment_id, reason="Frau Weber asked"),
        told("caller: erp", "discrepancy.resolved", "discrepancy", "7"),
    )
    shown = bankgate("audit", "list", "--config", place.config)
    assert "payment.cancelled" in shown.out
    assert "li.wei" not in shown.out + shown.err
    assert "Weber" not in shown.out
    assert "li.wei" in bankgate("audit", "list", "--config", place.config, "--personal", "--action", "payment").out

    bundle = tmp_path / "bundle"
    done = bankgate("audit", "proof", payment_id, "--config", place.config, "--out", bundle)
    assert (done.code, "3 lines and 1 events, proved by a checkpoint over 4, signed" in done.out) == (0, True), done.err
    good = checked(bundle, "--key", place.key)
    assert good.returncode == 0, good.stderr
    assert f"payment {payment_id}: 12.50 EUR" in good.stdout
    assert "li.wei" not in "".join(file.read_text() for file in bundle.iterdir() if file.suffix != ".sig")
    whole = tmp_path / "whole.zip"
    assert bankgate("audit", "proof", payment_id, "--config", place.config, "--out", whole, "--personal").code == 0
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(tmp_path / "whole")
    assert checked(tmp_path / "whole", "--key", place.key).returncode == 0
    assert "li.wei" in (tmp_path / "whole" / "lines.json").read_text()

    erased = bankgate("audit", "erase", "--config", place.config, "--person", "li.wei", "--reason", "asked for by letter")
    assert "erased: who of 1 lines, detail of 1 lines" in erased.out
    assert "li.wei" not in bankgate("audit", "list", "--config", place.config, "--personal").out
    kept = tmp_path / "kept"
    assert bankgate("audit", "checkpoint", "--config", place.config, "--out", kept).code == 0
    given = ("--checkpoint", kept / "checkpoint.json", "--key", place.key)
    verified = bankgate("audit", "verify", "--config", place.config, *given)
    assert (verified.code, "good: 7 lines, 1 of them with erased" in verified.out) == (0, True), verified.err

    for form, name in (("jsonl", "log.jsonl"), ("csv", "log.csv")):
        assert bankgate("audit", "export", "--config", place.config, "--out", tmp_path / name, "--format", form).code == 0
    monkeypatch.setenv("BANKGATE_CONFIG", str(place.config))  # says nothing against --export
    of_export = json.loads(bankgate("audit", "verify", "--export", tmp_path / "log.jsonl", *given, "--json").out)
    assert (of_export["ok"], of_export["lines"], of_export["checkpoints_signed"]) == (True, 8, 1)
    assert "192.0.2.7" in (tmp_path / "log.csv").read_text()
    assert "operator" not in (tmp_path / "log.csv").read_text()


def altered_file(name: str, was: bytes, now: bytes) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        content = (bundle / name).read_bytes()
        assert was in content
        (bundle / name).write_bytes(content.replace(was, now, 1))

    return change


def of_event(name: str, value: object) -> Callable[[Path], None]:
    """One field of the first event, changed."""

    def change(bundle: Path) -> None:
        found = json.loads((bundle / "events.json").read_bytes())
        found["events"][0][name] = value
        (bundle / "events.json").write_text(json.dumps(found), encoding="utf-8")

    return change


def of_seal(name: str, value: object) -> Callable[[Path], None]:
    """One field of the first seal, changed."""

    def change(bundle: Path) -> None:
        found = json.loads((bundle / "events.json").read_bytes())
        found["seals"][0][name] = value
        (bundle / "events.json").write_text(json.dumps(found), encoding="utf-8")

    return change


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another amount": (altered_file("payment.json", b'"12.50"', b'"99.50"'), "payment.json is not the one"),
    "another outcome": (altered_file("lines.json", b'"done"', b'"refused"'), "is not what its hash was made of"),
    "another detail": (altered_file("lines.json", b"payment_sha256", b"payment_sha512"), "detail is not what was written"),
    "another number": (altered_file("lines.json", b'"number": 2,', b'"number": 1,'), "is not what its hash was made of"),
    "another log": (altered_file("checkpoint.json", b'"size":', b'"size":1'), "the signature of the checkpoint is not one of"),
    "no signature": (lambda bundle: (bundle / "checkpoint.sig").unlink(), "is not signed, and a key was given"),
    "no lines": (lambda bundle: (bundle / "lines.json").unlink() or None, "the bundle is not whole"),
    "another state of an event": (of_event("state", "settled"), "event 1 of payment_events is not what was sealed"),
    "another payment": (of_event("payment_id", "other"), "event 1 of payment_events is not what was sealed"),
    "another source": (of_event("source", "person: x"), "source or reason is not what was sealed"),
    "another number of an event": (of_event("number", 2), "its seal is not there"),
    "another root": (of_seal("root", "00" * 32), "the seal payment_events:1 is not what its hash was made of"),
    "another seal": (of_seal("hash", "00" * 32), "the seal payment_events:1 is not what its hash was made of"),
    "no events": (lambda bundle: (bundle / "events.json").unlink(), "the bundle is not whole"),
    "half erased": (altered_file("lines.json", b'"detail_salt": "', b'"detail_salt": null, "x": "'), "is half erased"),
}


def test_a_bundle_that_somebody_changed_is_refused_and_it_says_where(bankgate: Any, place: Place, tmp_path: Path) -> None:
    payment_id = place.write(told("caller: erp", "payment.cancelled", "payment", "other"))
    bundle = tmp_path / "bundle"
    bankgate("audit", "proof", payment_id, "--config", place.config, "--out", bundle, "--personal")
    for name, (change, says) in TAMPERED.items():
        broken = tmp_path / name.replace(" ", "-")
        shutil.copytree(bundle, broken)
        change(broken)
        done = checked(broken, "--key", place.key)
        assert (done.returncode, says in done.stderr) == (1, True), (name, done.stderr)
    strange = tmp_path / "strange.pem"
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    strange.write_bytes(other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert "is not one of" in checked(bundle, "--key", strange).stderr


FIELDS = ("action", "object_kind", "caller", "outcome", "actor", "address", "factor", "object_id", "detail")


def test_an_owner_who_drops_the_triggers_is_found_out_at_the_line(bankgate: Any, place: Place, tmp_path: Path) -> None:
    lines = [told("person: a", "payment.cancelled", "payment", str(number), factor="t") for number in range(4)]
    place.write(*lines)
    kept = tmp_path / "kept"
    assert bankgate("audit", "checkpoint", "--config", place.config, "--out", kept).code == 0
    place.without_triggers()
    given = ("--config", place.config, "--checkpoint", kept / "checkpoint.json", "--key", place.key, "--json")
    place.sql("CREATE TABLE copy AS SELECT * FROM audit_log")

    def found_after(*statements: str) -> tuple[int, str]:
        place.sql(*statements)
        verdict = json.loads(bankgate("audit", "verify", *given).out)
        place.sql("DELETE FROM audit_log", "INSERT INTO audit_log SELECT * FROM copy ORDER BY number")
        assert verdict["ok"] is False
        return verdict["fault"]["number"], verdict["fault"]["kind"]

    for field in FIELDS:
        assert found_after(f"UPDATE audit_log SET {field} = 'x' WHERE number = 3") == (3, "altered"), field
    for digest in ("who_digest", "previous_hash", "hash"):
        assert found_after(f"UPDATE audit_log SET {digest} = object_digest WHERE number = 3") == (3, "altered"), digest
    for number in range(1, 5):
        assert found_after(f"UPDATE audit_log SET outcome = 'x' WHERE number = {number}") == (number, "altered")
    assert found_after("DELETE FROM audit_log WHERE number = 2") == (2, "missing")
    assert found_after("DELETE FROM audit_log WHERE number = 4") == (4, "cut_off")
    assert found_after("DELETE FROM audit_log") == (1, "cut_off")
    moved = ("SET number = 99 WHERE number = 2", "SET number = 2 WHERE number = 3", "SET number = 3 WHERE number = 99")
    assert found_after(*(f"UPDATE audit_log {one}" for one in moved)) == (2, "reordered")
    place.sql("UPDATE audit_log SET actor = NULL, address = NULL, factor = NULL, who_salt = NULL WHERE number = 2")
    silent = json.loads(bankgate("audit", "verify", *given).out)
    assert (silent["ok"], silent["fault"]) == (False, None)
    assert silent["problems"] == ["line 2: who is gone, and no line tells who erased it and why"]
    place.sql("DELETE FROM audit_log", "INSERT INTO audit_log SELECT * FROM copy ORDER BY number", "DROP TABLE copy")
    assert bankgate("audit", "verify", *given).code == 0


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # each store's own: tests/store/test_event_seals.py
def test_an_event_that_was_changed_is_told_with_its_payment_and_what_is_not_sealed_with_its_number(
    bankgate: Any, place: Place
) -> None:
    payment_id = asyncio.run(_settled(place.url, place.config))
    not_yet = bankgate("audit", "verify", "--config", place.config)
    assert "payment_events: events up to 0 are sealed, 0 of them compared; 10 are not sealed yet, the oldest of" in not_yet.out
    asyncio.run(_seal(place))
    good = bankgate("audit", "verify", "--config", place.config)
    assert "payment_events: events up to 10 are sealed, 10 of them compared; 0 are not sealed yet" in good.out
    assert "delivery_events: events up to 3 are sealed" in good.out
    place.sql("DROP TRIGGER events_update", "UPDATE events SET state = 'rejected' WHERE seq = 10")
    bad = bankgate("audit", "verify", "--config", place.config)
    assert (bad.code, f"payment_events: event 10, of {payment_id}: altered: it is not what was sealed" in bad.err) == (1, True)
    assert bankgate("audit", "verify", "--config", place.config, "--no-events").code == 0
    refused = bankgate("audit", "proof", payment_id, "--config", place.config, "--out", place.config / "bundle")
    assert (refused.code, "is not what was sealed: run `bankgate audit verify`" in refused.err) == (1, True)


def test_arguments_that_do_not_go_together_are_refused_in_words(bankgate: Any, place: Place, tmp_path: Path) -> None:
    empty = bankgate("audit", "checkpoint", "--config", place.config, "--out", tmp_path / "x")
    assert (empty.code, "the audit log is empty" in empty.err) == (1, True)
    (tmp_path / "no.jsonl").write_text("{}\n", encoding="utf-8")
    config = ("--config", place.config)
    for arguments, code, says in (
        (("verify",), 2, "name --config DIR or --export FILE"),
        (("verify", "--export", tmp_path / "no.jsonl"), 1, "no.jsonl, line 1 is not a line of an export"),
        (("verify", "--export", tmp_path / "absent"), 1, "cannot be read"),
        (("proof", "nobody", *config, "--out", tmp_path / "b"), 1, "there is no payment nobody"),
        (("erase", *config, "--reason", "asked for by letter"), 2, "name --person NAME or --payment ID"),
        (("erase", *config, "--person", "x", "--reason", "short"), 2, "at least 10 characters"),
        (("erase", *config, "--person", "x", "--reason", "asked for by letter"), 1, "there is no such line"),
        (("export", *config, "--out", tmp_path / "no.jsonl"), 2, "is there already"),
        (("export", *config, "--out", tmp_path / "y", "--format", "xml"), 2, "jsonl or csv"),
    ):
        done = bankgate("audit", *arguments)
        assert (done.code, says in done.err) == (code, True), (arguments, done.err)


async def _seal(place: Place) -> None:
    store = open_store(place.url, place.config, lambda: AT)
    await store.open()
    await seal_events(store)
    await store.close()


async def _settled(url: str, config: Path) -> str:
    store = open_store(url, config, lambda: AT)
    await store.open()
    delivery = await sent(store, 2)
    for event, status in ((PaymentEvent.BANK_ACCEPTED, "ACSP"), (PaymentEvent.BANK_SETTLED, "ACSC")):
        await store.apply_message_news(news(delivery, event, status, reason=Reason(code=status, bank_text="ok, 好")))
    page, _ = await store.list_payments(PaymentFilter(), limit=1)
    await store.close()
    return page[0].payment_id


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_the_proof_of_a_payment_whose_month_was_archived(bankgate: Any, place: Place, tmp_path: Path) -> None:
    payment_id = asyncio.run(_settled(place.url, place.config))
    config, archives = ("--config", place.config), tmp_path / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: datetime(2027, 2, 3, tzinfo=UTC))
        assert bankgate("store", "migrate", *config).code == 0
        done = bankgate("store", "archive", *config, "--out", archives, "--before", "2026-12")
        assert (done.code, "2026-11: 2 payments" in done.out) == (0, True), done.err
        gone = bankgate("audit", "proof", payment_id, *config, "--out", tmp_path / "no")
        assert (gone.code, "if its month was archived, give --archive DIR" in gone.err) == (1, True)
        for name, more in (("masked", ()), ("whole", ("--personal",))):
            made = bankgate("audit", "proof", payment_id, *config, "--archive", archives, "--out", tmp_path / name, *more)
            assert (made.code, "and 8 events" in made.out) == (0, True), made.err
            good = checked(tmp_path / name, "--key", place.key)
            assert good.returncode == 0, good.stderr
            assert "5 events of the payment and 3 of its message are as they were sealed" in good.stdout
    assert "12.50" in (tmp_path / "masked" / "payment.json").read_text(encoding="utf-8")
    assert "Müller" not in (tmp_path / "masked" / "payment.json").read_text(encoding="utf-8")
    assert "Müller" in (tmp_path / "whole" / "payment.json").read_text(encoding="utf-8")
    assert "ok, 好" not in (tmp_path / "masked" / "events.json").read_text(encoding="utf-8")
    assert "ok, 好" in (tmp_path / "whole" / "events.json").read_text(encoding="utf-8")
    told_of = bankgate("audit", "verify", *config)
    assert "10 are archived and were not compared: give --archive DIR" in told_of.out, told_of.err
    assert "10 of them compared" in bankgate("audit", "verify", *config, "--archive", archives).out
