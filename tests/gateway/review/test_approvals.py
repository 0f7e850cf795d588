"""People who decide: whose decision counts, what it is bound to, and that everybody else is refused."""

import asyncio
import json
import sqlite3
from datetime import timedelta

import pytest

from gateway.callers import Caller
from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.lifecycle import PaymentState
from gateway.people.person import Acting, Role
from gateway.policy.chain import Choice
from gateway.review_standing import purpose
from gateway.store.audit import AuditFilter
from gateway.use_cases.approvals import GivenFactor
from tests.gateway.review.conftest import BIG, CONSOLE, DAY_LIMIT, ERP, Build, House, person


async def waits(build: Build, *more: str, by: str | None = None) -> tuple[House, str]:
    """A payment that finance and then the board have to approve."""
    house = build(BIG, *more)
    (payment_id,) = await house.judged("150.00", by=by)
    return house, payment_id


async def test_a_payment_leaves_once_everybody_who_is_asked_has_approved_it_in_order(build: Build) -> None:
    house, payment_id = await waits(build)
    with pytest.raises(Forbidden, match="not your turn yet"):
        await house.decide("bo", payment_id)
    case = await house.decide("ada", payment_id)
    assert (case.payment.state, case.progress[0].approved) == (PaymentState.AWAITING_APPROVAL, (("ada",), ()))
    assert (case.payment.reason.code, "(1 of 2 given)" in case.payment.reason.text_en) == ("policy.big", True)
    assert await house.send() == 0
    case = await house.decide("bo", payment_id)
    assert case.payment.state is PaymentState.APPROVED
    assert await house.send() == 1
    assert await house.story(payment_id) == [
        ("received", "bankgate.in-review", "caller"),
        ("awaiting_approval", "policy.big", "review"),
        ("awaiting_approval", "bankgate.approved-in-part", "person: ada"),
        ("approved", "bankgate.reviewed", "person: bo"),
        ("batched", "bankgate.batched", "gateway"),
        ("sent", "bankgate.sent", "gateway"),
    ]


async def test_a_decision_its_proof_and_the_line_of_the_audit_log_stand_together(build: Build) -> None:
    house, payment_id = await waits(build)
    digest = (await house.case(payment_id)).digest
    case = await house.decide("ada", payment_id)
    (signed,) = case.signed
    assert (signed.decision.person.name, signed.decision.digest, signed.factor.kind) == ("ada", digest, "totp")
    assert signed.factor.bound_to == purpose(Choice.APPROVE, digest).hex()
    (row,), _ = await house.store.list_audit(AuditFilter(action="approval.decided"), limit=10)
    assert (row.action, row.object_id, row.caller, row.address) == (
        "approval.decided",
        payment_id,
        "console",
        "ipv4:10.0.0.1:1",
    )
    assert json.loads(row.detail or "")["digest"] == digest.hex()


# -- who may not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (person("eve", "finance", roles=(Role.SUBMITTER,)), "do not have the role"),
        (person("dan", "treasury"), "none of the groups"),
        (person("fay", "finance", connections=("two",)), "no rights for this connection"),
        (person("Bob ", "finance"), "submits a payment does not decide"),
    ],
)
async def test_who_is_not_asked_cannot_approve_nor_use_up_a_factor(build: Build, who, words: str) -> None:
    house, payment_id = await waits(build, by="bob")
    house.doorkeeper.people[who.name] = who
    with pytest.raises(Forbidden, match=words):
        await house.decide(who.name, payment_id)
    assert (house.doorkeeper.used, (await house.case(payment_id)).signed) == (set(), ())


async def test_nobody_approves_the_same_payment_twice(build: Build) -> None:
    house, payment_id = await waits(build)
    await house.decide("cai", payment_id)
    with pytest.raises(Forbidden, match="approved it already"):
        await house.decide("cai", payment_id)
    assert await house.states([payment_id]) == ["awaiting_approval"]


async def test_a_caller_decides_nothing_by_itself_nor_without_the_action_or_the_connection(build: Build) -> None:
    house, payment_id = await waits(build)
    digest = (await house.case(payment_id)).digest

    async def tries(caller: Caller, acting: Acting) -> None:
        await house.gateway.decide(
            caller, acting, payment_id, Choice.APPROVE, digest=digest, seen=0, reason="", factor=house.code("ada")
        )

    ada = await house.doorkeeper.acting("console", "ada", "")
    with pytest.raises(Forbidden, match="not callers"):
        await tries(CONSOLE, Acting(caller="console"))
    with pytest.raises(Forbidden, match="may not approve"):
        await tries(Caller("console", ("*",), frozenset({"operate"})), ada)
    with pytest.raises(NotFound):
        await tries(Caller("console", ("two",), CONSOLE.actions), ada)
    assert await house.states([payment_id]) == ["awaiting_approval"]


# -- attacks -----------------------------------------------------------------------------------------------------------


async def test_replayed_approval_does_not_count_again(build: Build) -> None:
    """The same request, factor and all, sent once more."""
    house, payment_id = await waits(build)
    case = await house.case(payment_id)
    acting, factor = await house.doorkeeper.acting("console", "ada", ""), house.code("ada")

    async def call() -> None:
        await house.gateway.decide(
            CONSOLE, acting, payment_id, Choice.APPROVE, digest=case.digest, seen=case.review.version, reason="", factor=factor
        )

    await call()
    with pytest.raises(TooLate):
        await call()
    assert len((await house.case(payment_id)).signed) == 1


async def test_approval_for_one_payment_does_not_serve_another(build: Build) -> None:
    house, first = await waits(build)
    (second,) = await house.judged("150.00", prefix="B")
    digest = (await house.case(first)).digest
    with pytest.raises(TooLate, match="not what you decided about"):
        await house.decide("ada", second, digest=digest)


async def test_approval_for_changed_content_is_refused_and_what_was_given_falls(build: Build) -> None:
    house, payment_id = await waits(build)
    seen = (await house.case(payment_id)).digest
    await house.decide("ada", payment_id)
    change_amount(house, "150", "950")
    with pytest.raises(TooLate, match="not what you decided about") as refused:
        await house.decide("bo", payment_id, digest=seen)
    assert refused.value.state == "changed"
    with pytest.raises(TooLate, match="not what was judged"):
        await house.decide("bo", payment_id)
    case = await house.case(payment_id)
    assert (case.intact, case.progress[0].approved, case.choices) == (False, ((), ()), (Choice.REFUSE,))


def change_amount(house: House, old: str, new: str) -> None:
    """Somebody writes into the database."""
    with sqlite3.connect(house.directory / "bankgate.db") as db:
        db.execute("UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), ?, ?) AS BLOB)", (old, new))


async def test_stolen_session_without_a_factor_decides_nothing(build: Build) -> None:
    house, payment_id = await waits(build)
    case = await house.case(payment_id)
    acting = await house.doorkeeper.acting("console", "ada", "")
    for factor in (GivenFactor(totp_code="000000"), house.code("bo")):
        with pytest.raises(Forbidden, match="second factor"):
            await house.gateway.decide(
                CONSOLE, acting, payment_id, Choice.APPROVE, digest=case.digest, seen=0, reason="", factor=factor
            )
    assert (await house.case(payment_id)).signed == ()


@pytest.mark.parametrize("wrong", ["for_another_purpose", "too_old"])
async def test_a_proof_for_something_else_or_from_long_ago_is_none(build: Build, wrong: str) -> None:
    house, payment_id = await waits(build)
    if wrong == "too_old":
        house.doorkeeper.age = timedelta(minutes=6)
    else:
        house.doorkeeper.bound_to = purpose(Choice.REFUSE, (await house.case(payment_id)).digest)
    with pytest.raises(Forbidden, match="not given for this decision"):
        await house.decide("ada", payment_id)


# -- races -------------------------------------------------------------------------------------------------------------


async def test_of_two_approvers_who_race_for_the_one_place_exactly_one_counts(build: Build) -> None:
    house, payment_id = await waits(build)
    house.doorkeeper.people["abe"] = person("abe", "finance")
    outcomes = await asyncio.gather(house.decide("ada", payment_id), house.decide("abe", payment_id), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["Case", "Forbidden"]
    assert len((await house.case(payment_id)).signed) == 1
    assert await house.states([payment_id]) == ["awaiting_approval"]


async def test_an_approval_and_a_refusal_at_once_end_in_the_refusal_or_before_it(build: Build) -> None:
    house, payment_id = await waits(build)
    await asyncio.gather(house.decide("ada", payment_id), house.decide("bo", payment_id, Choice.REFUSE), return_exceptions=True)
    assert await house.states([payment_id]) == ["rejected"]
    with pytest.raises(TooLate):
        await house.decide("bo", payment_id)


async def test_cancelled_while_it_is_approved_it_stays_cancelled(build: Build) -> None:
    house, payment_id = await waits(build)
    await house.decide("ada", payment_id)
    await asyncio.gather(
        house.gateway.cancel(ERP, payment_id=payment_id, reason="no"), house.decide("bo", payment_id), return_exceptions=True
    )
    await house.gateway.cancel(ERP, payment_id=payment_id, reason="no")
    assert (await house.states([payment_id]), await house.send()) == (["cancelled"], 0)


# -- holds -------------------------------------------------------------------------------------------------------------


async def held(build: Build) -> tuple[House, str]:
    """Over the day's limit, and big enough to be approved by people beside."""
    house = build(BIG, DAY_LIMIT)
    _, payment_id = await house.judged("50.00", "980.00")
    assert await house.states([payment_id]) == ["held"]
    return house, payment_id


async def test_a_released_payment_goes_on_to_those_who_have_to_approve_it(build: Build) -> None:
    house, payment_id = await held(build)
    with pytest.raises(TooLate, match="held"):
        await house.decide("ada", payment_id)
    case = await house.decide("bo", payment_id, Choice.RELEASE)
    assert (case.payment.state, case.holds) == (PaymentState.AWAITING_APPROVAL, frozenset())
    await house.decide("ada", payment_id)
    await house.decide("bo", payment_id)
    assert (await house.states([payment_id]), await house.send()) == (["approved"], 1)


def other(name: str, number: str) -> str:
    """The same rules under other names."""
    renamed = DAY_LIMIT.replace('id = "limits"', f'id = "{name}"')
    return renamed.replace('id = "day"', f'id = "day-{number}"').replace('id = "embargo"', f'id = "embargo-{number}"')


async def test_a_release_is_about_what_held_the_payment_when_the_person_looked(build: Build) -> None:
    house, payment_id = await held(build)
    case = await house.case(payment_id)
    house.write("p2", other("more", "2").replace("1000.00", "500.00"))
    await house.reviewer.pump()
    with pytest.raises(TooLate, match="since you looked"):
        await house.decide("ada", payment_id, Choice.RELEASE, seen=case.review.version)
    await house.decide("ada", payment_id, Choice.RELEASE)
    house.write("p3", other("most", "3"))
    await house.reviewer.pump()
    assert await house.states([payment_id]) == ["held"], "a rule that came later was not looked at"


async def test_a_release_says_which_review_it_is_about_and_why(build: Build) -> None:
    house, payment_id = await held(build)
    case, acting = await house.case(payment_id), await house.doorkeeper.acting("console", "ada", "")

    async def release(seen: int, reason: str) -> None:
        await house.gateway.decide(
            CONSOLE,
            acting,
            payment_id,
            Choice.RELEASE,
            digest=case.digest,
            seen=seen,
            reason=reason,
            factor=house.code("ada"),
        )

    with pytest.raises(BadRequest, match="which version"):
        await release(0, "asked Li Wei on the telephone")
    with pytest.raises(BadRequest, match="say who was asked"):
        await release(case.review.version, "ok")


async def test_approvals_given_stay_when_rules_change_and_the_chain_still_fits(build: Build) -> None:
    house, payment_id = await waits(build)
    await house.decide("ada", payment_id)
    house.write("p0", BIG.replace("version = 7", "version = 8"))
    await house.reviewer.pump()
    assert (await house.case(payment_id)).progress[0].approved == (("ada",), ())
    await house.decide("bo", payment_id)
    assert await house.send() == 1


# -- looking -----------------------------------------------------------------------------------------------------------


async def test_what_waits_for_people_is_listed_with_what_can_be_decided(build: Build) -> None:
    house = build(BIG, DAY_LIMIT)
    ids = await house.judged("50.00", "150.00", "980.00")
    found, token = await house.gateway.list_approvals(CONSOLE, None, (), 10, None)
    assert [one.payment.payment_id for one in found] == ids[1:]
    assert [one.choices for one in found] == [(Choice.APPROVE, Choice.REFUSE), (Choice.RELEASE, Choice.REFUSE)]
    assert token is None
    only, _ = await house.gateway.list_approvals(CONSOLE, "one", (PaymentState.HELD,), 10, None)
    assert [one.payment.payment_id for one in only] == ids[2:]
    with pytest.raises(BadRequest):
        await house.gateway.list_approvals(CONSOLE, None, (PaymentState.SENT,), 10, None)


async def test_an_approval_after_the_last_window_says_so(build: Build) -> None:
    window = {"calendar": "TARGET", "opens": "07:00", "cut_off": "16:30"}
    house = build(BIG, send_window=window, time_zone="Europe/Berlin")
    (payment_id,) = await house.judged("150.00")
    assert (await house.case(payment_id)).late is None
    house.advance(days=2)
    late = (await house.case(payment_id)).late
    assert late is not None
    assert "after the last window for 2026-11-26" in late[0]
