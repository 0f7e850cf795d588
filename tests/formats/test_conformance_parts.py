"""What the conformance kit is made of: the guard, the dice, the mutants, requests as samples."""

import gc
import io
import random
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import pytest

from formats.conformance.bank_rules import ALWAYS
from formats.conformance.dice import Dice
from formats.conformance.guards import watched
from formats.conformance.mutants import mutants
from formats.conformance.requests import BadRequest, payments_of

SAMPLES = Path(__file__).parent / "banks" / "sepa"


def test_the_guard_sees_every_way_out_and_leaves_honest_code_alone() -> None:
    with watched() as seen:
        sorted("ba")
        date(2026, 11, 25).isoformat()
        io.BytesIO(b"x").read()
    assert seen == []
    ways = {
        "time.time": time.time,
        "datetime.now": datetime.now,
        "random.choice": lambda: random.choice("ab"),
        "os.environ": lambda: __import__("os").environ.get("HOME"),
        "os.urandom": lambda: __import__("uuid").uuid4(),
        "audit event open": lambda: io.FileIO(__file__).close(),
    }
    for name, way in ways.items():
        with watched() as seen:
            way()
        assert seen, f"{name} was not seen"
        assert all("test_conformance_parts.py:" in line for line in seen)


def test_what_others_do_when_memory_is_collected_is_not_laid_at_a_bank_s_door() -> None:
    def clock(_phase: str, _found: dict[str, int]) -> None:
        time.time()

    gc.callbacks.append(clock)
    try:
        with watched() as seen:
            kept = [[number] for number in range(100_000)]
        assert len(kept) == 100_000
        assert seen == []
        assert gc.isenabled()
    finally:
        gc.callbacks.remove(clock)


def test_the_guard_gives_a_profiler_of_others_back() -> None:
    before = sys.getprofile()
    with watched():
        assert sys.getprofile() is not before
    assert sys.getprofile() is before


def test_dice_fall_the_same_way_everywhere() -> None:
    """Written down once: another Python or machine must throw the same."""
    dice = Dice("acme/7")
    assert [dice.below(1000) for _ in range(4)] == [185, 730, 139, 629]


def test_mutants_are_the_same_each_time_and_really_differ_from_the_file() -> None:
    content = (SAMPLES / "inbound" / "status.xml").read_bytes()
    first, again = (list(mutants(content, "seed", 40)) for _ in range(2))
    assert first == again
    assert len({text for _, text in first}) > 35
    assert sum("Sts" in how or "removed" in how for how, _ in first) > 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "at least one payment"),
        ({"payments": [], "more": 1}, "at least one payment"),
        ({"payments": ["x"]}, "payments[0] is no JSON object"),
        ({"payments": [{"amount": 1}]}, "payments[0].debtor: is required"),
        ({"payments": [{"instruction_id": "mine"}]}, "payments[0].instruction_id is no field"),
    ],
)
def test_a_request_that_says_no_payments_is_named_with_its_place(content: object, says: str) -> None:
    with pytest.raises(BadRequest) as raised:
        payments_of(content)
    assert says in str(raised.value)


def test_nobody_is_exempt_from_having_a_shape_and_samples() -> None:
    assert {"shape", "samples", "exemptions"} == ALWAYS


def test_the_kit_needs_no_pytest_but_in_a_test_and_the_gateway_at_work_needs_no_kit() -> None:
    program = "import sys, {modules}; sys.exit(bool({unwanted!r} & set(sys.modules)))"
    for modules, unwanted in (
        ("formats.conformance, gateway.cli.banks", {"pytest", "hypothesis"}),
        ("gateway.rpc.server, gateway.cli.serve, gateway.cli.check", {"formats.conformance"}),
    ):
        done = subprocess.run([sys.executable, "-c", program.format(modules=modules, unwanted=unwanted)], check=False)
        assert done.returncode == 0, modules
