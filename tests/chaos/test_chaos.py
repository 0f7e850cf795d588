"""Chaos on real parts, the short form: every kind of fault, and the control that must fail. `make chaos` is the long form."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import Kind
from tests.chaos.run import Chaos, run
from tests.chaos.scene import ACCOUNTS, LUNA
from tests.support.postgres import MISSING, programs

SEED = 1
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.xdist_group("chaos")  # one after the other: each starts a dozen processes


@pytest.fixture(scope="session")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of `make chaos` with PostgreSQL, shorter; what it told is printed."""
    if programs() is None:
        pytest.skip(MISSING)
    written = tmp_path_factory.mktemp("chaos") / "figures.json"
    command = [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), "--seconds", "14", "--every", "0.5", "--runs", "1"]
    done = subprocess.run(
        [*command, "--payments", "150", "--json", str(written)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    figures: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return {**figures, "status": done.returncode, "told": done.stdout}


@pytest.mark.timeout(170)
def test_under_chaos_on_postgresql_a_payment_is_paid_twice_or_lost_or_an_event_is_missed(on_postgresql: dict[str, Any]) -> None:
    assert on_postgresql["problems"] == []
    assert (on_postgresql["doubles"], on_postgresql["lost"], on_postgresql["waiting"]) == (0, 0, 0)
    assert on_postgresql["status"] == 0
    assert on_postgresql["payments"] > 50
    assert on_postgresql["faults"] > 15
    recovered = [kind for kind in on_postgresql["faults_by_kind"].values() if kind["worst_seconds"] is not None]
    assert len(recovered) > len(on_postgresql["faults_by_kind"]) / 2
    assert all(on_postgresql["settled_over"].get(account.connection_id, 0) > 0 for account in ACCOUNTS)


@pytest.mark.timeout(170)
def test_no_replica_was_cut_off_from_the_database_while_others_went_on(on_postgresql: dict[str, Any]) -> None:
    reason = [line for line in on_postgresql["told"].splitlines() if line.startswith("no replica is cut off")]
    if reason:
        pytest.skip(reason[0])
    assert on_postgresql["faults_by_kind"][Kind.CUT_OFF.value]["struck"] >= 1


def test_orders_over_ebics_meet_none_of_the_faults_that_are_theirs(on_postgresql: dict[str, Any]) -> None:
    theirs = {Kind.CUT_EBICS, Kind.STALL_EBICS, Kind.FORGET}
    assert {kind.value for kind in theirs} <= set(on_postgresql["faults_by_kind"])
    assert any(proof.startswith(f"{LUNA}: arrived by ebics") for proof in on_postgresql["proofs"])


@pytest.mark.timeout(170)
async def test_under_chaos_on_sqlite_a_payment_is_paid_twice_or_lost_or_an_event_is_missed(tmp_path: Path) -> None:
    told: list[str] = []
    figures = await run(Chaos(seed=SEED, seconds=9, every=0.5, payments=120, strict_bank=True), tmp_path, told.append)
    print("\n".join([*told, figures.table()]))
    assert figures.problems == []
    assert (figures.doubles, figures.lost, figures.waiting) == (0, 0, 0)
    assert figures.payments > 20
    assert figures.faults > 8
    assert all(figures.settled_over.get(account.connection_id, 0) > 0 for account in ACCOUNTS)


@pytest.mark.timeout(170)
async def test_the_chaos_no_longer_shows_a_courier_that_sends_again_what_it_lost_track_of(tmp_path: Path) -> None:
    told: list[str] = []
    losing = frozenset({Kind.LOSE_ANSWER, Kind.CUT_SFTP})  # what makes one lose track of a send
    naive = Chaos(seed=SEED, seconds=3, every=0.5, replicas=1, payments=40, courier="naive", only=losing)
    figures = await run(naive, tmp_path, told.append)
    print("\n".join([*told, figures.table()]))
    assert figures.doubles > 0
    assert figures.doubled_over.get(LUNA, 0) > 0
    assert any("was executed" in problem for problem in figures.problems)
