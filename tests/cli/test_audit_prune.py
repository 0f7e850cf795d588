"""Old lines leave the log for a file, and whatever anybody does to what is left, or to the place where it begins, is found."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import clock
from gateway.cli import audit_prune
from gateway.store.store import Store
from tests.cli.audited import AT, Place, checked, told

on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # what knows nothing of the store
LATER = datetime(2027, 3, 10, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    def be(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    be(AT)
    return be


def keep(place: Place, months: int) -> None:
    file = place.config / "bankgate.toml"
    file.write_text(file.read_text(encoding="utf-8") + f"\n[retention]\naudit_months = {months}\n", encoding="utf-8")


@pytest.fixture
def aged(place: Place, bankgate: Any, tmp_path: Path, now: Callable[[datetime], None]) -> str:
    """Seven old lines under two checkpoints, one of them kept elsewhere, and a young one; the payment that they are about."""
    payment_id = place.write()
    place.write(*(told("person: li.wei", "payment.cancelled", "payment", payment_id, factor="t") for _ in range(3)))
    assert bankgate("audit", "proof", payment_id, "--config", place.config, "--out", tmp_path / "early").code == 0
    place.write(*(told("caller: erp", "discrepancy.resolved", "discrepancy", str(number)) for number in range(2)))
    assert bankgate("audit", "checkpoint", "--config", place.config, "--out", tmp_path / "kept").code == 0
    now(LATER)
    place.write(told("person: bo", "payment.cancelled", "payment", payment_id), at=LATER)
    keep(place, 2)
    return payment_id


def verdict(bankgate: Any, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bankgate("audit", "verify", *arguments, "--json").out)
    return found


def test_old_lines_go_to_a_file_and_all_of_it_verifies_alone_and_together(
    place: Place, bankgate: Any, tmp_path: Path, aged: str, now: Callable[[datetime], None]
) -> None:
    config, key, file = ("--config", place.config), ("--key", place.key), tmp_path / "old.jsonl"
    done = bankgate("audit", "prune", *config, *key, "--out", file, "--by", "ada")
    assert (done.code, f"{file}: lines 1 to 7, SHA-256 " in done.out, "begins with line 8 now" in done.out) == (0, True, True), (
        done
    )
    assert oct(file.stat().st_mode & 0o777) == "0o600"

    left = bankgate("audit", "verify", *config, *key)
    assert (left.code, "good: 2 lines from line 8 on (those before were pruned)" in left.out) == (0, True), left.err
    elsewhere = ("--checkpoint", tmp_path / "early" / "checkpoint.json", *key)
    alone = verdict(bankgate, *config, *elsewhere)
    assert (alone["ok"], alone["checkpoints_of_pruned_lines"]) == (True, 1)
    of_file = verdict(bankgate, "--export", file, *elsewhere)
    assert (of_file["ok"], of_file["lines"], of_file["checkpoints_signed"]) == (True, 7, 3)
    joined = verdict(bankgate, *config, "--export", file, *elsewhere)
    assert (joined["ok"], joined["lines"], joined["checkpoints_of_pruned_lines"]) == (True, 9, 0)
    assert joined["log"] == alone["log"] == of_file["log"]
    assert joined["events"]["payment_events"]["checked"] == 1

    again = bankgate("audit", "export", *config, "--out", tmp_path / "rest.jsonl")
    assert again.code == 0
    rest = verdict(bankgate, "--export", tmp_path / "rest.jsonl", *key)
    assert (rest["ok"], rest["first_line"], rest["lines"]) == (True, 8, 3)
    assert verdict(bankgate, "--export", file, "--export", tmp_path / "rest.jsonl", *key)["lines"] == 10
    assert bankgate("audit", "proof", aged, *config, "--out", tmp_path / "bundle").code == 0
    good = checked(tmp_path / "bundle", *key)
    assert good.returncode == 0, "its seal is told of by a line that went; the line of the pruning hands it on: " + good.stderr
    assert "1 events of the payment" in good.stdout
    assert "erased: who of 1 lines" in bankgate("audit", "erase", *config, "--person", "bo", "--reason", "asked by letter").out

    second = tmp_path / "second.jsonl"
    assert bankgate("audit", "checkpoint", *config, "--out", tmp_path / "late").code == 0
    now(datetime(2027, 8, 1, tzinfo=UTC))
    assert bankgate("audit", "prune", *config, "--out", second).code == 0
    assert verdict(bankgate, *config, "--export", file, "--export", second, *elsewhere)["ok"] is True
    assert verdict(bankgate, "--export", second, *key)["ok"] is True
    assert verdict(bankgate, *config)["events"]["payment_events"] == joined["events"]["payment_events"]


@on_sqlite
def test_what_may_not_go_stays_and_it_says_why(
    place: Place, bankgate: Any, tmp_path: Path, aged: str, now: Callable[[datetime], None]
) -> None:
    out = ("--out", tmp_path / "old.jsonl")
    early = bankgate("audit", "prune", "--config", place.config, *out, "--before", "2027-02-01")
    assert (early.code, "audit_months = 2 keeps all lines from 2027-01-01 on" in early.err) == (2, True)
    none = bankgate("audit", "prune", "--config", place.config, *out, "--before", "2026-11-01")
    assert (none.code, "no checkpoint over lines that are all from before 2026-11-01" in none.err) == (1, True)
    (tmp_path / "there").write_text("x", encoding="utf-8")
    there = bankgate("audit", "prune", "--config", place.config, "--out", tmp_path / "there")
    assert (there.code, "is there already; nothing was pruned" in there.err) == (2, True)
    place.without_triggers()
    place.sql("UPDATE audit_log SET outcome = 'x' WHERE number = 8")
    broken = bankgate("audit", "prune", "--config", place.config, *out)
    assert (broken.code, "nothing was pruned: the log does not verify: altered" in broken.err) == (1, True)
    assert not (tmp_path / "old.jsonl").exists()
    file = place.config / "bankgate.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("audit_months = 2", ""), encoding="utf-8")
    for_ever = bankgate("audit", "prune", "--config", place.config, *out)
    assert (for_ever.code, "set [retention] audit_months" in for_ever.err) == (2, True)
    assert len(json.loads(bankgate("audit", "list", "--config", place.config, "--json").out)) == 8


@on_sqlite
def test_a_crash_anywhere_loses_nothing_and_the_next_run_goes_on(
    place: Place, bankgate: Any, tmp_path: Path, aged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, file = ("--config", place.config), tmp_path / "old.jsonl"

    class Crash(Exception):
        pass

    async def crash(*_: object) -> None:
        raise Crash

    def crashed(*arguments: object) -> None:
        with pytest.raises(Crash):
            bankgate("audit", "prune", *config, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(audit_prune, "_read_back", crash)
        crashed("--out", file)
    before = verdict(bankgate, *config)
    assert (before["ok"], before["lines"], file.exists()) == (True, 8, True)

    kept = audit_prune._remove

    async def half_way(store: Store) -> int:
        assert await store.remove_pruned(3) == 3
        raise Crash

    with monkeypatch.context() as patch:
        calls = iter([kept, half_way])
        patch.setattr(audit_prune, "_remove", lambda store: next(calls)(store))  # noqa: PLW0108 - another one each time
        crashed("--out", tmp_path / "again.jsonl")
    half = verdict(bankgate, *config)
    assert half["problems"] == ["lines up to 7 were pruned, and some are still there: run `bankgate audit prune` again"]
    with monkeypatch.context() as patch:
        patch.setattr(audit_prune, "REMOVED", 3)
        done = bankgate("audit", "prune", *config, "--out", tmp_path / "third.jsonl")
    assert (done.code, "that an earlier run had written to its file" in done.out) == (0, True)
    joined = verdict(bankgate, *config, "--export", tmp_path / "again.jsonl")
    assert (joined["ok"], joined["lines"], (tmp_path / "third.jsonl").exists()) == (True, 9, False)


@on_sqlite
def test_whoever_touches_the_anchor_or_what_hangs_on_it_is_found_out(
    place: Place, bankgate: Any, tmp_path: Path, aged: str
) -> None:
    config, file = ("--config", place.config), tmp_path / "old.jsonl"
    assert bankgate("audit", "prune", *config, "--out", file).code == 0
    tables = ("audit_log", "audit_anchors", "audit_checkpoints")
    place.without_triggers(*tables)
    place.sql(*(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in tables))

    def found(*statements: str) -> str:
        place.sql(*statements)
        said = verdict(bankgate, *config)
        place.sql(*(f"DELETE FROM {table}" for table in tables))
        place.sql(*(f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in tables))
        assert said["ok"] is False, statements
        return f"{said['fault']} {said['problems']}"

    assert "there is no line 1 to 7" in found("DELETE FROM audit_anchors")
    assert "there is no line" in found("UPDATE audit_anchors SET size = 6")
    assert "there is no such anchor" in found("UPDATE audit_anchors SET head = x''")
    assert "there is no such anchor" in found("UPDATE audit_anchors SET export_sha256 = 'x'")
    assert "there is no line 1 to 7" in found("DELETE FROM audit_checkpoints")
    assert "no frontier" in found("UPDATE audit_checkpoints SET frontier = x''")
    content = "UPDATE audit_checkpoints SET content = replace(content, '\"size\":7', '\"size\":8')"
    assert "is not signed by the key beside it" in found(content)
    assert "there is no line 8" in found("DELETE FROM audit_log WHERE number = 8")
    assert "no line tells who did it" in found("DELETE FROM audit_log WHERE number = 9")
    assert "altered" in found("UPDATE audit_log SET detail = replace(detail, '7', '6') WHERE number = 9")
    assert verdict(bankgate, *config)["ok"] is True

    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"outcome":"done"', '"outcome":"nope"', 1), encoding="utf-8")
    assert verdict(bankgate, *config, "--export", file)["fault"]["number"] == 1
    lines = text.splitlines(keepends=True)
    file.write_text("".join(lines[1:]), encoding="utf-8")  # a checkpoint less: it verifies, and is not what was written
    assert "is not a file that lines were pruned to" in verdict(bankgate, *config, "--export", file)["problems"][0]


def test_lines_go_only_as_far_as_an_anchor_tells(place: Place, bankgate: Any, tmp_path: Path, aged: str) -> None:
    """The triggers, of which the owner is not free either."""
    assert bankgate("audit", "prune", "--config", place.config, "--out", tmp_path / "old.jsonl").code == 0
    for attack in (
        "DELETE FROM audit_log",
        "DELETE FROM audit_checkpoints",
        "DELETE FROM audit_anchors",
        "UPDATE audit_anchors SET size = 8",
        "INSERT INTO audit_anchors SELECT size + 1, head, export_sha256, pruned_at FROM audit_anchors",
        "INSERT INTO audit_anchors SELECT size - 1, head, export_sha256, pruned_at FROM audit_anchors",
    ):
        with pytest.raises(Exception, match="append-only"):
            place.sql(attack)
    assert verdict(bankgate, "--config", place.config)["ok"] is True
