"""Payments that leave together, with rules and without: none before its group, all at one moment, and who decides about all."""

import json
import sqlite3
from datetime import date
from decimal import Decimal

import pytest

from gateway.callers import Caller, Permission
from gateway.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, TooLate, TooMany
from gateway.people.person import Acting
from gateway.policy.chain import Choice
from gateway.release_groups import standing_words
from gateway.review_standing import purpose
from gateway.store.groups import Figures, GroupAct, GroupKey, GroupState
from gateway.use_cases import group_approvals
from gateway.use_cases.groups import GroupName, ShownGroup
from tests.gateway.review.conftest import ACTIONS, BIG, CONSOLE, ERP, IBAN, Build, House, order, person

NAME = "PAYROLL-2026-11"
GROUP = GroupName(connection_id="one", name=NAME)
ID = GroupKey("erp", "one", NAME).group_id
CALLER = Acting(caller="erp", address="ipv4:10.0.0.2:1")


def figures(*amounts: str) -> Figures:
    sums = (("EUR", sum((Decimal(amount) for amount in amounts), Decimal(0))),) if amounts else ()
    return Figures(number_of_transactions=len(amounts), control_sums=sums)


async def members(house: House, *amounts: str, prefix: str = "PAY", **changes: object) -> list[str]:
    """Submitted into the group and judged; the payment ids."""
    stored = await house.submit(*amounts, prefix=prefix, release_group=NAME, **changes)  # type: ignore[arg-type]
    await house.reviewer.pump()
    return [one.payment_id for one in stored]


async def close(house: House, *amounts: str) -> ShownGroup:
    return await house.gateway.close_group(ERP, CALLER, GROUP, figures(*amounts))


async def words(house: House) -> tuple[str, str]:
    return standing_words((await house.gateway.release_group(ERP, GROUP)).group)


async def back(house: House) -> list[str]:
    """Which payments keep the group back."""
    return [one.payment_reference for one in (await house.gateway.release_group(ERP, GROUP)).keeping_back]


async def decide(house: House, name: str, choice: Choice = Choice.APPROVE, *, digest: bytes | None = None) -> int:
    acting = await house.doorkeeper.acting("console", name, "ipv4:10.0.0.1:1")
    seen = (await house.gateway.group_case(CONSOLE, ID)).digest if digest is None else digest
    reason, factor = "asked Li Wei on the telephone", house.code(name)
    _, decided = await house.gateway.decide_group(CONSOLE, acting, ID, choice, digest=seen, reason=reason, factor=factor)
    return decided


def write(house: House, statement: str) -> None:
    """Somebody with the database's password."""
    with sqlite3.connect(house.directory / "bankgate.db") as db:
        db.execute(statement)


# -- together ----------------------------------------------------------------------------------------------------------


async def test_without_rules_a_group_leaves_in_one_message_once_it_is_closed(build: Build) -> None:
    house = build()
    ids = await members(house, "1.00", "2.00", requested_execution_date=date(2026, 11, 26))
    assert (await house.payment(ids[0])).reason.code == "bankgate.waits-for-group"
    assert await house.send() == 0
    assert (await words(house))[0].startswith("Open: 2 payments so far.")
    shown = await close(house, "1.00", "2.00")
    assert (shown.group.state, shown.group.closed_by) == (GroupState.CLOSED, "caller: erp")
    assert await house.send() == 1
    assert await house.states(ids) == ["sent", "sent"]
    assert [(row.action, row.actor, row.object_id) for row in await house.store.audit_rows(0, 9)] == [
        ("release_group.closed", "caller: erp", ID),
        ("release_group.released", "bankgate", ID),
    ]
    assert (await words(house))[0] == "Released: its payments leave together."
    assert (await close(house, "1.00", "2.00")).group.state is GroupState.RELEASED, "the same call again"


async def test_a_member_that_waits_for_people_keeps_all_back_and_that_is_told_in_both_languages(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "50.00", "150.00", "60.00")
    await close(house, "50.00", "150.00", "60.00")
    assert await house.send() == 0
    assert await words(house) == (
        "Waits for its group: 1 of 3 not approved yet.",
        "等待同组付款：3 笔中尚有 1 笔未审批通过。",
    )
    assert await back(house) == ["PAY-1"]
    await house.decide("ada", ids[1])
    await house.decide("bo", ids[1])
    assert (await house.payment(ids[1])).reason.code == "bankgate.waits-for-group"
    assert await back(house) == []
    assert await house.send() == 1
    assert await house.states(ids) == ["sent"] * 3


async def test_a_process_that_died_after_the_last_approval_leaves_the_group_to_the_next_one(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "50.00", "150.00")
    await close(house, "50.00", "150.00")
    await house.decide("ada", ids[1])
    await house.decide("bo", ids[1])
    again = House(house.directory, house.store, house.moment, house.configuration, house.doorkeeper)
    assert await again.send() == 1
    assert await again.states(ids) == ["sent", "sent"]


async def test_a_refused_member_keeps_the_group_until_somebody_releases_the_rest(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "50.00", "150.00", "60.00")
    await close(house, "50.00", "150.00", "60.00")
    await house.decide("ada", ids[1], Choice.REFUSE)
    assert await house.send() == 0
    assert "3 (EUR 260.00) are to go, and 2 (EUR 110.00) are left" in (await words(house))[0]
    assert await back(house) == ["PAY-1"], "what was lost is named"
    with pytest.raises(TooLate, match=r"2 \(EUR 110.00\) of it are left"):
        await house.gateway.release_rest(ERP, CALLER, GROUP, figures("50.00", "61.00"), "")
    rest = await house.gateway.release_rest(ERP, CALLER, GROUP, figures("50.00", "60.00"), "without Li")
    assert await back(house) == []
    assert (rest.group.expected, rest.group.reason) == (figures("50.00", "60.00"), "without Li")
    assert await house.send() == 1
    assert await house.states(ids) == ["sent", "rejected", "sent"]
    rows = await house.store.audit_rows(0, 9)
    (line,) = [row for row in rows if row.action == "release_group.rest_released"]
    assert json.loads(line.detail or "")["was"] == "3 (EUR 260.00)"


async def test_cancelling_a_group_cancels_all_of_it_and_a_released_one_is_too_late(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "50.00", "150.00")
    for _ in range(2):
        gone = await house.gateway.cancel_group(ERP, CALLER, GROUP, "wrong month")
        assert gone.group.state is GroupState.CANCELLED
    assert (await house.states(ids), await house.send()) == (["cancelled"] * 2, 0)
    assert (await house.payment(ids[0])).reason.bank_text == "wrong month"
    with pytest.raises(Invalid) as refused:
        await members(house, "1.00", prefix="MORE")
    assert refused.value.violations[0].violation.rule == "release-group.not-open"
    other = GroupName(connection_id="one", name="OTHER")
    await house.submit("1.00", prefix="OTHER", release_group="OTHER")
    await house.reviewer.pump()
    await house.gateway.close_group(ERP, CALLER, other, figures("1.00"))
    await house.send()
    with pytest.raises(TooLate, match="single payments"):
        await house.gateway.cancel_group(ERP, CALLER, other, "")


async def test_rules_that_change_after_the_release_may_still_hold_a_payment(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "50.00", "90.00")
    await close(house, "50.00", "90.00")
    (ready,) = await house.store.groups_to_release("one")
    assert ready.group_id == ID
    await house.preparer.store.free_group(ID, ready.version, GroupAct(by="gateway"), (await house.payment(ids[0])).reason)
    house.write("p0", BIG.replace("version = 7", "version = 8").replace('"100.00"', '"80.00"'))
    await house.reviewer.pump()
    assert await house.states(ids) == ["approved", "awaiting_approval"]
    assert await house.send() == 1
    assert await house.states(ids) == ["sent", "awaiting_approval"]


async def test_a_date_that_passed_while_the_group_waited_is_told_before_and_after(build: Build) -> None:
    house = build(send_window={"calendar": "WEEKDAYS", "opens": "08:00", "cut_off": "16:00"})
    ids = await members(house, "1.00")
    shown = await house.gateway.release_group(ERP, GROUP)
    assert (shown.late, [one.requested for one in shown.windows]) == (None, [date(2026, 11, 26)])
    house.advance(days=2)
    shown = await close(house, "1.00")
    assert shown.late is not None
    assert shown.late[0].startswith("The requested execution date 2026-11-26 passed while the group waited")
    assert shown.windows[0].execution_date == date(2026, 11, 27)
    await house.send()
    told = [row.reason for row in await house.store.payment_events(ids[0]) if row.reason.code == "bankgate.released-with-group"]
    assert "2026-11-26 passed" in told[0].bank_text


# -- submitting --------------------------------------------------------------------------------------------------------


async def test_a_closed_group_refuses_new_payments_by_name_and_answers_repetitions(build: Build) -> None:
    house = build()
    await members(house, "1.00")
    await close(house, "1.00")
    late = order("LATE", release_group=NAME)
    with pytest.raises(Invalid) as refused:
        await house.gateway.submit(ERP, [order("FREE"), late])
    (told,) = refused.value.violations
    assert (told.index, told.payment_reference, told.violation.field) == (1, "LATE", "release_group")
    assert "is closed: nothing is added to it" in told.violation.message_en
    with pytest.raises(NotFound):
        await house.gateway.payment(ERP, payment_reference="FREE")
    violations, _, _, _ = await house.gateway.check(ERP, [late, order("PAY-0", amount=Decimal("1.00"), release_group=NAME)], None)
    assert [(one.index, one.violation.rule) for one in violations] == [(0, "release-group.not-open")]
    (again,) = await house.submit("1.00", prefix="PAY", release_group=NAME)
    assert again.already_known


async def test_the_same_reference_in_another_group_is_another_payment(build: Build) -> None:
    house = build()
    await members(house, "1.00")
    for other in ("ANOTHER", None):
        with pytest.raises(Conflict) as refused:
            await house.submit("1.00", prefix="PAY", release_group=other)
        assert refused.value.conflicts[0].fields == ("release_group",)
    with pytest.raises(Conflict) as refused:
        await house.gateway.submit(ERP, [order("TWICE", release_group="A"), order("TWICE", release_group="B")])
    assert refused.value.conflicts[0].fields == ("release_group",)


@pytest.mark.parametrize("name", ["x" * 36, "pay roll", "工资"])
async def test_names_of_groups_have_a_form(build: Build, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await build().submit("1.00", release_group=name)
    assert [one.violation.rule for one in refused.value.violations] == ["release-group.form"]


# -- whose -------------------------------------------------------------------------------------------------------------


async def test_a_group_is_its_callers_alone_and_what_a_permission_does_not_reach_closes_it_to_all(build: Build) -> None:
    house = build()
    await members(house, "1.00", "90.00")
    other = Caller("other", ("*",), ACTIONS)
    for which in (GROUP, GroupName(group_id=ID)):
        with pytest.raises(NotFound):
            await house.gateway.release_group(other, which)
        with pytest.raises(NotFound):
            await house.gateway.cancel_group(other, CALLER, which, "")
    assert (await house.gateway.release_groups(other, None, (), 10, None))[0] == []
    small = Permission(actions=frozenset({"submit", "cancel"}), amount_max=(("EUR", Decimal(10)),))
    limited = Caller("erp", ("*",), ACTIONS, (small, Permission(actions=frozenset({"read"}))))
    with pytest.raises(Forbidden, match="so large an amount"):
        await house.gateway.close_group(limited, CALLER, GROUP, figures("1.00", "90.00"))
    with pytest.raises(Forbidden, match="so large an amount"):
        await house.gateway.cancel_group(limited, CALLER, GROUP, "")
    blind = Caller(
        "erp", ("*",), ACTIONS, (Permission(actions=ACTIONS, accounts=frozenset({IBAN}), currencies=frozenset({"USD"})),)
    )
    with pytest.raises(NotFound):
        await house.gateway.release_group(blind, GROUP)
    assert (await house.gateway.release_groups(blind, None, (), 10, None))[0] == []
    for wrong in (GroupName(), GroupName(name=NAME)):
        with pytest.raises(BadRequest):
            await house.gateway.release_group(ERP, wrong)
    with pytest.raises(BadRequest):
        await house.gateway.close_group(ERP, CALLER, GROUP, figures())
    assert (await house.gateway.release_group(ERP, GROUP)).group.state is GroupState.OPEN


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [(), (BIG,)], ids=["without rules", "with rules"])
async def test_a_member_that_somebody_put_into_a_message_is_held_and_those_beside_it_leave(build: Build, rules) -> None:
    house = build(*rules)
    ids = await members(house, "1.00")
    write(house, "UPDATE payments SET release_waits = 0")
    (free,) = await house.judged("2.00", prefix="FREE")
    assert await house.send() == 0, "the message that had both is given up"
    assert await house.send() == 1
    assert await house.states([*ids, free]) == ["held", "sent"]
    assert (await house.payment(ids[0])).reason.code == "bankgate.group-not-released"
    assert await house.discrepancies() == [("group_not_released", ids[0])]
    await house.reviewer.pump()
    assert await house.states(ids) == ["held"], "rules do not release it"


async def test_a_member_approved_by_hand_still_waits_for_its_group_and_then_for_its_approvals(build: Build) -> None:
    house = build(BIG)
    (big,) = await members(house, "150.00")
    write(house, "UPDATE payments SET state = 'approved'")
    assert (await house.send(), await house.states([big])) == (0, ["approved"])
    await close(house, "150.00")
    assert (await house.send(), await house.states([big])) == (0, ["held"])
    assert (await house.payment(big)).reason.code == "bankgate.approval-void"


# -- people ------------------------------------------------------------------------------------------------------------


async def test_all_payments_of_a_group_are_approved_with_one_second_factor_and_each_keeps_its_decision(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "150.00", "50.00", "250.00")
    await close(house, "150.00", "50.00", "250.00")
    case = await house.gateway.group_case(CONSOLE, ID)
    assert [one.payment.payment_id for one in case.awaiting] == [ids[0], ids[2]]
    assert await decide(house, "ada") == 2
    assert len(house.doorkeeper.used) == 1
    assert (await house.states(ids), await house.send()) == (["awaiting_approval", "approved", "awaiting_approval"], 0)
    assert await decide(house, "bo") == 2
    for one in (ids[0], ids[2]):
        first, second = (await house.case(one)).signed
        assert (first.decision.person.name, second.decision.person.name) == ("ada", "bo")
        assert first.factor.bound_to == purpose(Choice.APPROVE, case.digest).hex()
        assert first.decision.digest == (await house.case(one)).digest
    assert await house.send() == 1
    assert await house.states(ids) == ["sent"] * 3
    actions = [row.action for row in await house.store.audit_rows(0, 20)]
    assert actions.count("release_group.decided") == 2
    assert actions.count("approval.decided") == 4


async def test_one_payment_that_is_not_theirs_to_decide_keeps_a_person_from_all_of_them(build: Build) -> None:
    """Whose turn it is, who submitted it, and what was approved already hold for each."""
    house = build(BIG)
    await members(house, "150.00")
    (own,) = await members(house, "250.00", prefix="OWN", by="ada")
    await close(house, "150.00", "250.00")
    with pytest.raises(Forbidden, match="PAY-0: it is not your turn yet"):
        await decide(house, "bo")
    with pytest.raises(Forbidden, match=r"OWN-0: .*submits a payment does not decide"):
        await decide(house, "ada")
    assert await decide(house, "cai") == 2
    with pytest.raises(Forbidden, match="approved it already"):
        await decide(house, "cai")
    assert len(house.doorkeeper.used) == 1, "what is refused uses up no factor"
    assert len((await house.case(own)).signed) == 1


async def test_a_decision_is_about_the_group_as_it_was_seen(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "150.00", "250.00", "50.00")
    with pytest.raises(TooLate, match="only a closed group"):
        await house.gateway.group_case(CONSOLE, ID)
    await close(house, "150.00", "250.00", "50.00")
    seen = (await house.gateway.group_case(CONSOLE, ID)).digest
    await house.gateway.cancel(ERP, payment_id=ids[2], reason="")
    with pytest.raises(TooLate, match="not what you decided about"):
        await decide(house, "ada", digest=seen)
    write(house, "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), '250', '950') AS BLOB)")
    with pytest.raises(TooLate, match="refuse it"):
        await decide(house, "ada")
    assert await house.states(ids[:2]) == ["awaiting_approval"] * 2
    assert not house.doorkeeper.used


async def test_a_group_is_refused_with_a_reason_and_then_there_is_nothing_left_to_decide(build: Build) -> None:
    house = build(BIG)
    ids = await members(house, "150.00", "50.00")
    await close(house, "150.00", "50.00")
    assert await decide(house, "ada", Choice.REFUSE) == 1
    assert (await house.states(ids), await house.send()) == (["rejected", "approved"], 0)
    with pytest.raises(TooLate, match="no payment of the group waits"):
        await decide(house, "ada")


async def test_callers_strangers_and_too_large_groups_are_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    house = build(BIG)
    await members(house, "150.00", "160.00")
    await close(house, "150.00", "160.00")
    digest, factor = (await house.gateway.group_case(CONSOLE, ID)).digest, house.code("ada")

    async def tries(
        caller: Caller, acting: Acting, group_id: str = ID, reason: str = "", choice: Choice = Choice.APPROVE
    ) -> None:
        await house.gateway.decide_group(caller, acting, group_id, choice, digest=digest, reason=reason, factor=factor)

    ada = await house.doorkeeper.acting("console", "ada", "")
    with pytest.raises(Forbidden, match="not callers"):
        await tries(CONSOLE, Acting(caller="console"))
    with pytest.raises(Forbidden, match="may not approve"):
        await tries(Caller("console", ("*",), frozenset({"submit"})), ada)
    with pytest.raises(NotFound):
        await tries(Caller("console", ("two",), ACTIONS), ada)
    with pytest.raises(NotFound):
        await tries(CONSOLE, ada, "0" * 32)
    with pytest.raises(BadRequest):
        await tries(CONSOLE, ada, choice=Choice.REFUSE)
    house.doorkeeper.people["dan"] = person("dan", "treasury")
    with pytest.raises(Forbidden, match="none of the groups"):
        await decide(house, "dan")
    house.doorkeeper.bound_to = b"something else".ljust(32)
    with pytest.raises(Forbidden, match="not given for this decision"):
        await decide(house, "ada")
    house.doorkeeper.bound_to = None
    monkeypatch.setattr(group_approvals, "MEMBERS_MAX", 1)
    with pytest.raises(TooMany):
        await decide(house, "ada")


async def test_two_people_who_decide_at_once_never_count_as_one(build: Build) -> None:
    """Between the look and the writing somebody else approves one of the payments: it is looked at again, and nothing is half."""
    house = build(BIG)
    ids = await members(house, "150.00", "250.00")
    await close(house, "150.00", "250.00")
    store, asked = house.store, 0
    write_all = store.decide_group

    async def slow(group_id: str, version: int, decided: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await house.decide("ada", ids[1])
        await write_all(group_id, version, decided)  # type: ignore[arg-type]

    store.decide_group = slow  # type: ignore[method-assign, assignment]
    with pytest.raises(Forbidden, match="PAY-1: "):
        await decide(house, "ada")
    assert ([len((await house.case(one)).signed) for one in ids], asked) == ([0, 1], 1)
