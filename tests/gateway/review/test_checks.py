"""Every kind of check in the lane: lists that change, habits, and policies that count what the others let through."""

from gateway.config import Configuration
from gateway.habits_settings import HabitsSettings
from gateway.review_checks import is_reviewed
from gateway.screening_settings import ScreeningSettings
from tests.gateway.review.conftest import BIG, DAY_LIMIT, Build, House

LIST = {"id": "own", "file": "lists/own.csv", "kind": "own", "action": "block", "date": "2026-11-01"}


def with_lists(house: House, *names: str) -> House:
    """The house with a list of its own."""
    folder = house.directory / "lists"
    folder.mkdir(exist_ok=True)
    lines = ["name,reason", *(f"{name},told by the bank" for name in names)]
    (folder / "own.csv").write_text("\n".join(lines), encoding="utf-8")
    screening = ScreeningSettings.model_validate({"lists": [LIST]})
    return House(
        house.directory,
        house.store,
        house.moment,
        house.configuration.model_copy(update={"screening": screening}),
        house.doorkeeper,
    )


async def test_a_name_on_a_list_is_stopped_and_counts_for_no_limit(build: Build) -> None:
    house = with_lists(build(DAY_LIMIT), "Supplier")
    blocked = await house.judged("900.00")
    assert await house.states(blocked) == ["rejected"]
    assert (await house.payment(blocked[0])).reason.code.startswith("policy.screening.own")


async def test_waiting_payments_are_screened_again_when_a_list_changes(build: Build) -> None:
    house = with_lists(build(BIG), "Somebody Else")
    small, big = await house.judged("50.00", "150.00")
    assert await house.states([small, big]) == ["approved", "awaiting_approval"]
    with_lists(house, "Somebody Else", "Supplier")
    await house.reviewer.pump()
    assert await house.states([small, big]) == ["rejected", "rejected"]
    assert await house.send() == 0


async def test_the_same_payment_under_another_reference_is_held(build: Build) -> None:
    plain = build()
    settings = HabitsSettings()
    house = House(
        plain.directory,
        plain.store,
        plain.moment,
        Configuration(directory=plain.directory, connections=plain.configuration.connections, habits=settings),
        plain.doorkeeper,
    )
    assert is_reviewed(house.configuration)
    assert not is_reviewed(plain.configuration), "only where the table is written down"
    first = await house.judged("4711.13", prefix="A")
    second = await house.judged("4711.13", prefix="B")
    assert await house.states([*first, *second]) == ["approved", "held"]
    both = await house.judged("815.07", "815.07", prefix="C")
    assert await house.states(both) == ["approved", "held"], "also within one batch"
    assert (await house.payment(second[0])).reason.code.startswith("policy.")
