"""`bankgate audit` on both kinds of store; the checker that a stranger runs; and what an owner of the tables could do to them."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.audited import Place, checked, told


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


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another amount": (altered_file("payment.json", b'"12.50"', b'"99.50"'), "payment.json is not the one"),
    "another outcome": (altered_file("lines.json", b'"done"', b'"refused"'), "is not what its hash was made of"),
    "another detail": (altered_file("lines.json", b"payment_sha256", b"payment_sha512"), "detail is not what was written"),
    "another number": (altered_file("lines.json", b'"number": 2,', b'"number": 1,'), "is not what its hash was made of"),
    "another log": (altered_file("checkpoint.json", b'"size":', b'"size":1'), "the signature of the checkpoint is not one of"),
    "no signature": (lambda bundle: (bundle / "checkpoint.sig").unlink(), "is not signed, and a key was given"),
    "no lines": (lambda bundle: (bundle / "lines.json").unlink() or None, "the bundle is not whole"),
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
