"""Lists that cannot be what they say: cut short at a line's end, of another day, grown old; and what follows from it."""

from dataclasses import replace
from datetime import date

import pytest

from gateway.policy.screening.entries import ListEntry, ScreeningList
from gateway.policy.screening.plausible import Bounds, Taken, doubts, implausible, in_doubt
from gateway.policy.verdict import Outcome
from gateway.screening_lists import ScreeningProblems, bounds_of, load_screen
from gateway.screening_settings import ScreeningSettings

from .conftest import TODAY, Lists, made_list

BOUNDS = Bounds(entries_min=1, shrinks_percent_max=50, may_be_older=False, old_after_days=7, when="refuse")


def of(count: int, day: int = 20, sha256: str = "b" * 64) -> ScreeningList:
    entries = (ListEntry(entry_id=str(number), names=(f"Name {number}",)) for number in range(count))
    return replace(made_list(*entries, sha256=sha256), date=date(2026, 11, day))


BEFORE = Taken.of(of(100, sha256="a" * 64))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (of(100), None),
        (of(50), None),  # half of it, exactly
        (of(49), "it has 49 entries, and the one before it had 100"),
        (of(0), "it has 0 entries, and is to have 1 at least"),
        (of(1000), None),
        (of(100, day=19), "it is of 2026-11-19, and the one before it of 2026-11-20"),
        (of(10, day=10, sha256="a" * 64), None),  # the very file that was taken
    ],
)
def test_a_list_that_lost_more_than_half_or_is_older_than_the_one_in_use_is_not_plausible(
    found: ScreeningList, why: str | None
) -> None:
    words = implausible(found, BEFORE, BOUNDS)
    assert (None if words is None else words[0]) == why


def test_the_first_list_is_plausible_with_as_many_entries_as_are_asked_for() -> None:
    assert implausible(of(2), None, BOUNDS) is None
    assert implausible(of(2), None, replace(BOUNDS, entries_min=3)) is not None


@pytest.mark.parametrize(("when", "held"), [("refuse", True), ("hold", True), ("tell", False)])
def test_payments_wait_while_a_list_is_in_doubt_unless_it_is_only_to_be_told(when: str, held: bool) -> None:
    bounds = {"watch": replace(BOUNDS, when=when)}  # type: ignore[arg-type]
    found = doubts([of(3)], {"watch": BEFORE}, bounds, TODAY)
    assert [(one.rule, one.outcome) for one in found] == ([("screening.implausible", Outcome.HOLD)] if held else [])
    assert bool(in_doubt([of(3)], {"watch": BEFORE}, bounds)) is held


def test_a_list_that_grew_old_holds_payments_only_where_that_is_asked_for() -> None:
    asked = {"watch": replace(BOUNDS, when="hold")}
    assert doubts([of(100)], {}, asked, date(2026, 11, 27)) == ()
    (found,) = doubts([of(100)], {}, asked, date(2026, 11, 28))
    assert "it is 8 days old" in found.text_en
    assert "已有 8 天未更新" in found.text_zh
    assert doubts([of(100)], {}, {"watch": BOUNDS}, date(2026, 11, 28)) == ()


def test_attack_a_file_cut_at_a_line_end_does_not_replace_the_list_in_use(lists: Lists) -> None:
    text = '"id","schema","name","aliases"\n' + "".join(f'"{number}","Person","Name {number}",""\n' for number in range(9))
    settings = ScreeningSettings(lists=(lists.settings(text, "opensanctions-csv"),))
    taken = {one.id: Taken.of(one) for one in load_screen(lists.path, settings).lists}
    (lists.path / "list.csv").write_text("".join(text.splitlines(keepends=True)[:5]), encoding="utf-8")
    with pytest.raises(ScreeningProblems, match="not taken in place of the list in use: it has 4 entries, and the one before it"):
        load_screen(lists.path, settings, taken)
    for change in ({"when_implausible": "tell"}, {"when_implausible": "hold"}, {"shrinks_percent_max": 60}):
        other = ScreeningSettings(lists=(settings.lists[0].model_copy(update=change),))
        assert len(load_screen(lists.path, other, taken).lists[0].entries) == 4


def test_who_pins_a_list_by_its_sha256_has_looked_at_it(lists: Lists) -> None:
    pinned = ScreeningSettings(lists=(lists.settings("name\nAnna Berg\n").model_copy(update={"sha256": "c" * 64}),))
    assert bounds_of(pinned)["watch"].shrinks_percent_max == 100
    assert bounds_of(pinned)["watch"].may_be_older
