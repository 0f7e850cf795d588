"""A list that lost most of its entries: the one in use stays; after a start, when there is none, payments wait for people."""

import hashlib

import pytest

from gateway.screening_settings import ScreeningSettings
from tests.gateway.review.conftest import Build, House


def listed(*names: str) -> str:
    return '"id","schema","name","aliases"\n' + "".join(f'"{name}","Person","{name}",""\n' for name in names)


WHOLE = listed("Anna Berg", "Boris Frolov", "Supplier", "Dora Kim")
CUT = listed("Anna Berg")


def housed(plain: House, content: str, **settings: object) -> House:
    (plain.directory / "list.csv").write_text(content, encoding="utf-8")
    given = {"id": "os", "file": "list.csv", "kind": "opensanctions-csv", "date": "2026-11-25", **settings}
    screening = ScreeningSettings.model_validate({"lists": [given]})
    configuration = plain.configuration.model_copy(update={"screening": screening})
    return House(plain.directory, plain.store, plain.moment, configuration, plain.doorkeeper)


async def test_attack_a_list_cut_short_while_running_is_not_taken_and_the_one_in_use_goes_on(build: Build) -> None:
    house = housed(build(), WHOLE)
    (first,) = await house.judged("50.00", prefix="A")
    (house.directory / "list.csv").write_text(CUT, encoding="utf-8")
    (second,) = await house.judged("50.00", prefix="B")
    assert await house.states([first, second]) == ["held", "held"]
    assert (await house.payment(second)).reason.code == "policy.screening.os"


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({}, "held"),
        ({"when_implausible": "hold"}, "held"),
        ({"when_implausible": "tell"}, "approved"),
        ({"shrinks_percent_max": 80}, "approved"),
        ({"sha256": hashlib.sha256(CUT.encode()).hexdigest()}, "approved"),
    ],
)
async def test_attack_a_list_cut_short_while_nobody_ran_holds_payments_after_the_start(
    build: Build, settings: dict[str, object], state: str
) -> None:
    plain = build()
    await housed(plain, WHOLE).reviewer.pump()
    house = housed(plain, CUT, **settings)  # another process, later
    (paid,) = await house.judged("50.00")
    assert await house.states([paid]) == [state]
    if state == "held":
        assert (await house.payment(paid)).reason.code == "policy.screening.implausible"
        (house.directory / "list.csv").write_text(listed("Anna Berg", "Boris Frolov", "Dora Kim"), encoding="utf-8")
        await house.reviewer.pump()
        assert await house.states([paid]) == ["approved"], "judged anew once the list is whole"
