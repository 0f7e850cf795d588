"""Several hundred lives, spread over every kind of world. `make sim` lives a hundred thousand, and any other."""

import pytest

from tests.sim.run import digest, known_seeds, many, one, replay_command, told
from tests.sim.settings import WORLDS

pytestmark = pytest.mark.timeout(900)  # a chunk of lives takes its time where others use the machine
SEEDS = 390  # in all; the first of each world, or those from here on, which show what is rare
FIRST = {"blind": 60}
CHUNKS = 13
CHUNK = SEEDS // CHUNKS
FRONT_CHUNKS, FRONT_CHUNK = 1, 35  # `make sim WORLD=front SEEDS=0-1999` lives more
CONTROL_LIVES = 14  # likewise; `make sim WORLD=control SEEDS=0-1999` lives more
EBICS_CHUNKS, EBICS_CHUNK = 1, 45  # its lives cost several times as much; `make sim WORLD=ebics SEEDS=0-1999` lives more
MUST_OF = {
    "instant-blind": ("out again as normal",),
    "instant-queryable": ("out again as normal",),
    "instant-idempotent": ("out again as normal", "copy answered with DU01"),
    "careless": ("a person wrongly said 'did not arrive'", "paid twice by a person's wrong word"),
    "torn": ("upload torn", "torn message rejected"),
    "bounds": ("outside its window",),
    "blind": ("stopped before it writes an outcome", "stopped before it writes a start", "a file read again", "'got it' lost"),
}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_breaks_nothing_is_paid_twice_and_nothing_is_lost(chunk: int) -> None:
    names = [name for name, kind in WORLDS.items() if not kind.ebics and kind.front is None and kind.control is None]
    name = names[chunk % len(names)]
    start = FIRST.get(name, 0) + chunk // len(names) * CHUNK
    outcome = many([(seed, name) for seed in range(start, start + CHUNK)], stop_at_first=True)
    assert not outcome.violations, outcome.summary()
    must = ("killed", "stopped", "clock jumped", "the disk is full", "the database is gone", "answer torn")
    missing = [what for what in must if not outcome.seen[what]]
    assert not missing, "the world was too kind for this to prove anything"
    missing = [what for what in MUST_OF.get(name, ()) if not outcome.seen[what]]
    assert not missing, "this world is there for that"


@pytest.mark.parametrize("chunk", range(EBICS_CHUNKS))
def test_over_ebics_no_order_is_executed_twice_and_none_is_lost(chunk: int) -> None:
    must = ("killed before a note", "killed after a note", "last segment lost", "answer to a last segment lost")
    must += ("recovery (061101)", "transaction forgotten", "customer protocol late")
    _over_ebics("ebics", chunk * EBICS_CHUNK, must)


def test_of_an_order_that_no_answer_and_no_protocol_shows_nothing_is_executed_twice() -> None:
    must = ("answer to a last segment lost", "customer protocol late")
    must += ("asked, unknown by ebics.hac", "asked, arrived by ebics.hac")
    _over_ebics("ebics-deaf", 0, must)


def _over_ebics(name: str, start: int, must: tuple[str, ...]) -> None:
    outcome = many([(seed, name) for seed in range(start, start + EBICS_CHUNK)], stop_at_first=True)
    assert not outcome.violations, outcome.summary()
    missing = [what for what in must if not outcome.seen[f"ebics: {what}"]]
    assert not missing, "the world was too kind for this to prove anything"


@pytest.mark.parametrize("chunk", range(FRONT_CHUNKS))
def test_before_a_front_machine_nothing_is_executed_twice_and_nothing_is_lost(chunk: int) -> None:
    start = chunk * FRONT_CHUNK
    outcome = many([(seed, "front") for seed in range(start, start + FRONT_CHUNK)], stop_at_first=True)
    assert not outcome.violations, outcome.summary()
    must = ("payment lost", "answer to a payment lost", "payment on its way for long", "payment meets garbage")
    must += ("payment meets wrong_code", "payment meets forget_for", "question meets status_code", "asked, did_not_arrive")
    missing = [what for what in must if not outcome.seen[f"front: {what}"]]
    assert not missing, "the world was too kind for this to prove anything"


def test_in_a_house_with_rules_nothing_leaves_without_its_approvals_and_nothing_is_lost() -> None:
    outcome = many([(seed, "control") for seed in range(CONTROL_LIVES)], stop_at_first=True)
    assert not outcome.violations, outcome.summary()
    must = ("approved", "released", "refused", "rules changed", "a file of rules is broken", "disabled", "groups", "signed out")
    must += ("tries twice at once", "tries two at once", "tries a code again", "tries wrong codes", "tries another digest")
    must += ("tries an old session", "by hand: approved", "by hand: payee", "payments of a standing order")
    must += ("FactorRefused", "Forbidden", "TooLate", "NotSignedIn")
    missing = [what for what in must if not outcome.seen[f"control: {what}"]]
    assert not missing, "the world was too kind for this to prove anything"


@pytest.mark.parametrize(("seed", "name", "what"), list(known_seeds()))
def test_a_seed_that_once_found_something_finds_nothing_any_more(seed: int, name: str, what: str) -> None:
    world = one(seed, name)
    assert world.violation is None, f"{world.violation}; once: {what}; {replay_command(world)}"


@pytest.mark.parametrize("name", ["queryable", "instant-idempotent", "ebics", "front", "control"])
def test_the_same_seed_lives_the_same_life(name: str) -> None:
    first, second = one(4711, name), one(4711, name)
    assert told(first) == told(second)
    assert digest(first) == digest(second)
    assert digest(one(4712, name)) != digest(first)


def test_a_life_is_told_as_a_numbered_story_that_one_command_shows_again() -> None:
    world = one(1, "blind")
    lines = told(world).splitlines()
    assert len(lines) == len(world.story)
    assert lines[0].split()[0] == "1."
    assert "worker 1" in lines[0]
    assert replay_command(world) == "make sim SEEDS=1 WORLD=blind"


def test_what_a_lying_bank_executes_twice_happens_at_all() -> None:
    seen = many([(seed, "lies") for seed in range(30)]).seen
    assert seen["paid twice by a lie"] + seen["held because of a lie"] > 5
