"""What was judged and decided: written once, in the order of judging, and found again by what rules look back at."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.record import AuditRecord
from gateway.lanes import REVIEW_LANE
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.people.person import FactorProof, Person, Role
from gateway.people.records import Account
from gateway.policy.chain import Choice, Decision
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.verdict import ApprovalStep, Finding, Outcome, Verdict
from gateway.store.people import AccountChange
from gateway.store.records import NewPayment, PaymentChange, Reason
from gateway.store.reviews import Decided, Facts, Judged, PastBy, Signed, Step
from gateway.store.sqlite import SqliteStore
from gateway.store.store import RightsChanged, Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import CALLER, CONNECTION, START, HandClock, feed, states, waiting

_P, _E = PaymentState, PaymentEvent
DAY = {"since": START - timedelta(hours=9), "until": START + timedelta(hours=15)}
PASS, HELD = (
    Verdict(findings=()),
    Verdict(
        findings=(
            Finding(
                rule="velocity",
                version=7,
                outcome=Outcome.HOLD,
                text_en="third payment today",
                text_zh="今日第三笔",
                score=60,
                facts=(("count", "3"),),
            ),
            Finding(
                rule="big",
                version=1,
                outcome=Outcome.APPROVAL,
                text_en="big",
                text_zh="大额",
                steps=(ApprovalStep(group="finance", count=2),),
            ),
        )
    ),
)
ADA = Person(name="ada", roles=frozenset({Role.APPROVER}), groups=frozenset({"finance"}), connections=(CONNECTION,))
PROOF = FactorProof(kind="totp", factor_id="t1", at=START, bound_to="ab" * 32, evidence="{}")


async def received(store: Store, count: int, **given_: Any) -> list[NewPayment]:
    return await waiting(store, count, state=_P.RECEIVED, reason=Reason(code="bankgate.in-review"), **given_)


def facts(new: NewPayment, **given_: Any) -> Facts:
    return Facts(
        **{
            "debtor_account": "NL41MOCK0000000001",
            "creditor_account": "DE89370400440532013000",
            "creditor_name": "Müller & Söhne",
            "creditor_key": "müllersöhne",
            "creditor_country": "DE",
            "amount": new.transfer.amount,
            "currency": "EUR",
            "requested_execution_date": date(2026, 11, 26),
            "end_to_end_id": new.transfer.end_to_end_id,
            "remittance": "发票 4711",
            "submitted_at": START,
            **given_,
        }
    )


def judged(new: NewPayment, *events: PaymentEvent, verdict: Verdict = PASS, **given_: Any) -> Judged:
    state, steps = _P.RECEIVED, []
    for event in events:
        state = advance(PAYMENT_TABLE, state, event)
        steps.append(Step(event=event, state=state, reason=Reason(code="policy.velocity", text_en="held", text_zh="暂挂")))
    fields: dict[str, Any] = {
        "version": 1,
        "review": None,
        "facts": facts(new),
        "digest": new.content_sha256,
        "steps": tuple(steps),
        **given_,
    }
    return Judged(payment_id=new.payment_id, verdict=verdict, **fields)


def decided(new: NewPayment, choice: Choice, steps: tuple[Step, ...] = (), **given_: Any) -> Decided:
    decision = Decision(choice=choice, person=ADA, digest=new.content_sha256, at=START, holds=frozenset({"velocity, 7"}))
    signed = Signed(decision=decision, reason="asked Li Wei", factor=PROOF, caller="console", address="ipv4:10.0.0.1:1")
    fields: dict[str, Any] = {"version": 2, "review": 1, "told": Reason(code="bankgate.approved-in-part"), **given_}
    return Decided(payment_id=new.payment_id, signed=signed, steps=steps, **fields)


async def judge_all(store: Store, new: list[NewPayment], *events: PaymentEvent, **given_: Any) -> frozenset[str]:
    book = await store.review_book()
    return await store.write_judged(book.fence, "rules", [judged(one, *events, **given_) for one in new])


async def test_what_waits_to_be_judged_wakes_its_lane_and_is_given_in_the_order_of_submission(store: Store) -> None:
    new = await received(store, 3)
    assert [one.payment.payment_id for one in await store.unjudged(2)] == [one.payment_id for one in new[:2]]
    claimed = await store.claim_lane("me", START, timedelta(seconds=9), [REVIEW_LANE]) if isinstance(store, SqliteStore) else None
    assert claimed is None or claimed[0] == REVIEW_LANE
    assert await store.waiting_groups(CONNECTION) == [], "nothing of it goes into a message"


async def test_one_approval_of_several_says_whom_the_payment_waits_for_now(store: Store) -> None:
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.REQUIRE_APPROVAL)
    stands = Reason(code="policy.big", text_en="next: board")
    await store.decide(decided(new, Choice.APPROVE, stands=stands))
    found = await store.review(new.payment_id)
    assert found is not None
    assert (found.payment.state, found.payment.reason) == (_P.AWAITING_APPROVAL, stands)


async def test_a_judgement_moves_the_payment_and_is_found_again_word_for_word(store: Store, clock: HandClock) -> None:
    (new,) = await received(store, 1, submitted_by="bo")
    now = clock.advance(seconds=3)
    assert await judge_all(store, [new], _E.HOLD, verdict=HELD) == {new.payment_id}
    found = await store.review(new.payment_id)
    assert found is not None
    assert found.review is not None
    assert (found.payment.state, found.payment.version, found.payment.submitted_by) == (_P.HELD, 2, "bo")
    assert (found.review.verdict, found.review.digest, found.review.rules) == (HELD, new.content_sha256, "rules")
    assert (found.review.number, found.review.version, found.review.judged_at) == (1, 1, now)
    assert [(row.state, row.source) for row in await feed(store)] == [(_P.RECEIVED, "caller"), (_P.HELD, "review")]
    assert await store.unjudged(9) == []
    assert [one.payment.payment_id for one in (await store.waiting((_P.HELD,), None, limit=9))[0]] == [new.payment_id]


async def test_of_two_runners_that_counted_before_either_wrote_the_slower_one_is_refused(
    store: Store, another: OpenAnother
) -> None:
    """Both would have found room under a limit for one payment each."""
    other = await another()
    first, second = await received(store, 2)
    for fence in (0, 1):
        assert (await store.review_book()).fence == (await other.review_book()).fence == fence
        new = (first, second)[fence]
        outcomes = await asyncio.gather(
            store.write_judged(fence, "rules", [judged(new, _E.APPROVE)]),
            other.write_judged(fence, "rules", [judged(new, _E.APPROVE)]),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in outcomes) == ["Stale", "frozenset"]
    assert await states(store, [first, second]) == ["approved", "approved"]
    assert [(await store.review(one.payment_id)).review.number for one in (first, second)] == [1, 2]  # type: ignore[union-attr]


async def test_a_payment_cancelled_before_its_judgement_was_written_is_left_out_and_the_others_are_written(store: Store) -> None:
    new = await received(store, 3)
    cancel = PaymentChange(
        payment_id=new[1].payment_id, version=1, event=_E.CANCEL, state=_P.CANCELLED, reason=Reason(), source="caller"
    )
    await store.change_payments([cancel])
    assert await judge_all(store, new, _E.APPROVE) == {new[0].payment_id, new[2].payment_id}
    assert await states(store, new) == ["approved", "cancelled", "approved"]
    assert (await store.review(new[1].payment_id)).review is None  # type: ignore[union-attr]
    assert len(await store.waiting_groups(CONNECTION)) == 1


async def test_judged_again_it_keeps_its_place_and_says_so_without_moving(store: Store) -> None:
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.HOLD, verdict=HELD)
    again = replace(judged(new, verdict=PASS), version=2, review=1, told=Reason(code="bankgate.judged-again"))
    book = await store.review_book()
    assert await store.write_judged(book.fence, "rules 2", [again]) == {new.payment_id}
    found = await store.review(new.payment_id)
    assert found is not None
    assert found.review is not None
    assert (found.review.number, found.review.version, found.review.rules, found.review.verdict) == (1, 2, "rules 2", PASS)
    last = (await feed(store))[-1]
    assert (last.state, last.previous_state, last.reason.code) == (_P.HELD, _P.HELD, "bankgate.judged-again")
    await store.finish_rules(book.fence + 1, "rules 2")
    assert (await store.review_book()).rules == "rules 2"
    with pytest.raises(Stale):
        await store.finish_rules(book.fence + 1, "rules 3")


async def test_a_decision_is_kept_with_its_proof_beside_what_it_leads_to(store: Store) -> None:
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.REQUIRE_APPROVAL, verdict=HELD)
    line = AuditRecord(action="approval.decided", actor="person: ada", object_kind="payment", object_id=new.payment_id)
    await store.decide(decided(new, Choice.APPROVE, audit=(line,)))
    step = Step(event=_E.APPROVE, state=_P.APPROVED, reason=Reason(code="bankgate.reviewed"))
    await store.decide(decided(new, Choice.APPROVE, (step,), review=2))
    found = await store.review(new.payment_id)
    assert found is not None
    assert [one.decision for one in found.signed] == [decided(new, Choice.APPROVE).signed.decision] * 2
    assert found.signed[0] == decided(new, Choice.APPROVE).signed
    assert found.payment.state is _P.APPROVED
    assert [(row.state.value, row.source) for row in (await feed(store))[-2:]] == [
        ("awaiting_approval", "person: ada"),
        ("approved", "person: ada"),
    ]
    lines = [(row.action, row.object_id) for row in await store.audit_rows(0, 9)]
    assert lines == [("payment.judged", new.payment_id), ("approval.decided", new.payment_id)]


@pytest.mark.parametrize("outdated", [{"version": 1}, {"review": 7}])
async def test_a_decision_about_what_has_moved_on_is_refused_whole(store: Store, outdated: dict[str, int]) -> None:
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.REQUIRE_APPROVAL, verdict=HELD)
    with pytest.raises(Stale):
        await store.decide(decided(new, Choice.APPROVE, **outdated))
    found = await store.review(new.payment_id)
    assert found is not None
    assert (found.signed, found.payment.state) == ((), _P.AWAITING_APPROVAL)


async def test_of_two_decisions_at_once_about_the_same_review_one_is_written(store: Store, another: OpenAnother) -> None:
    other = await another()
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.REQUIRE_APPROVAL, verdict=HELD)
    decision = decided(new, Choice.APPROVE)
    outcomes = await asyncio.gather(store.decide(decision), other.decide(decision), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", "Stale"]
    assert len((await store.review(new.payment_id)).signed) == 1  # type: ignore[union-attr]


# -- looking back ------------------------------------------------------------------------------------------------------


async def test_totals_leave_out_what_was_rejected_or_cancelled_and_what_was_judged_later(store: Store) -> None:
    new = await received(store, 5, amount=Decimal("0.1"))
    book = await store.review_book()
    outcomes = (_E.APPROVE, _E.HOLD, _E.REFUSE, _E.APPROVE, _E.REQUIRE_APPROVAL)
    await store.write_judged(book.fence, "r", [judged(one, event) for one, event in zip(new, outcomes, strict=True)])
    keys = {
        name: UsageKey(**DAY, **values)  # type: ignore[arg-type]
        for name, values in {
            "all": {},
            "caller": {"caller": CALLER, "currency": "EUR"},
            "debtor": {"debtor_account": "NL41MOCK0000000001", "connection_id": CONNECTION},
            "creditor": {"creditor_account": "DE89370400440532013000", "caller": CALLER, "currency": "EUR"},
            "other": {"caller": "payroll"},
            "dollars": {"currency": "USD"},
        }.items()
    }
    found = await store.used(list(keys.values()))
    counted = {name: found[key] for name, key in keys.items()}
    four = Used(amount=Decimal("0.4"), count=4)
    assert counted == {
        **dict.fromkeys(("all", "caller", "debtor", "creditor"), four),
        **dict.fromkeys(("other", "dollars"), Used()),
    }
    assert (await store.used([keys["all"]], below=4))[keys["all"]] == Used(amount=Decimal("0.2"), count=2)
    late = UsageKey(since=START + timedelta(seconds=1), until=START + timedelta(days=1))
    assert (await store.used([late]))[late] == Used()


AMOUNTS = st.lists(
    st.decimals(min_value=Decimal("0.00001"), max_value=Decimal("999999999999999999"), places=5), min_size=1, max_size=6
)


@given(amounts=AMOUNTS)
def test_sums_are_exact_to_the_last_digit_and_never_overflow(amounts: list[Decimal]) -> None:
    """Over the SQL of SQLite, which has no decimals."""
    import sqlite3

    from gateway.store.sqlite import review_questions, schema

    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    for key, amount in enumerate(amounts):
        db.execute(
            "INSERT INTO payments (payment_key, payment_id, caller, payment_reference, connection_id, terms_id, end_to_end_id,"
            " amount, currency, state, version, created_at, updated_at) VALUES (?, ?, '', ?, '', 1, '', '', '', 'sent', 1, 0, 0)",
            (key, str(key), str(key)),
        )
        db.execute(
            "INSERT INTO reviews"
            " VALUES (?, ?, 1, '', 'erp', '', '', '', '', '', ?, 'EUR', '', '', '', 0, x'', '', 0, '[]', 0, 1)",
            (key, key, f"{amount:f}"),
        )
    # One minute is looked through review by review; sums by the hour are tried by tests/store/test_totals.py.
    first = datetime.fromtimestamp(0, START.tzinfo)
    key_ = UsageKey(caller="erp", since=first, until=first + timedelta(minutes=1))
    with localcontext(prec=60):
        assert review_questions.used(db, [key_], None)[key_] == Used(amount=sum(amounts, Decimal(0)), count=len(amounts))


async def test_past_payments_of_an_account_come_newest_first_with_where_they_stand_now(store: Store) -> None:
    new = await received(store, 3)
    book = await store.review_book()
    rows = [
        replace(judged(one, _E.APPROVE), facts=facts(one, submitted_at=START + timedelta(minutes=place)))
        for place, one in enumerate(new)
    ]
    rows[2] = replace(rows[2], facts=replace(rows[2].facts, creditor_account="OTHER", creditor_name="Otto", creditor_key="otto"))
    await store.write_judged(book.fence, "r", rows)
    found = await store.past(PastBy.CREDITOR_ACCOUNT, ["DE89370400440532013000", "NONE"], since=START, limit=9)
    assert [one.payment_id for one in found["DE89370400440532013000"]] == [new[1].payment_id, new[0].payment_id]
    assert found.keys() == {"DE89370400440532013000"}
    one = found["DE89370400440532013000"][0]
    assert (one.amount, one.state, one.creditor_name, one.remittance) == (
        Decimal("12.50"),
        _P.APPROVED,
        "Müller & Söhne",
        "发票 4711",
    )
    assert await store.past(PastBy.DEBTOR_ACCOUNT, ["NL41MOCK0000000001"], since=START, limit=2, caller="payroll") == {}
    by_debtor = await store.past(PastBy.DEBTOR_ACCOUNT, ["NL41MOCK0000000001"], since=START, limit=2)
    assert [one.payment_id for one in by_debtor["NL41MOCK0000000001"]] == [new[2].payment_id, new[1].payment_id]
    assert list(await store.past(PastBy.CREDITOR_KEY, ["otto"], since=START + timedelta(days=1), limit=2)) == []


async def test_a_creditor_is_known_since_the_first_payment_that_the_bank_took(store: Store) -> None:
    from tests.store.support.make import sent

    key = CreditorKey(creditor_account="DE89370400440532013000", caller=CALLER)
    await sent(store, 1)
    assert await store.first_paid([key]) == {key: None}, "what was not judged is not looked back at"
    (new,) = await received(store, 1)
    await judge_all(store, [new], _E.APPROVE)
    assert await store.first_paid([key]) == {key: None}, "approved is not paid"


async def test_what_waits_for_people_is_listed_oldest_first_and_by_connection(store: Store, clock: HandClock) -> None:
    new = await received(store, 3)
    (elsewhere,) = await received(store, 1, connection_id="bank-b")
    await judge_all(store, [*new, elsewhere], _E.REQUIRE_APPROVAL, verdict=HELD)
    first, token = await store.waiting((_P.AWAITING_APPROVAL, _P.HELD), (CONNECTION,), limit=2)
    rest, end = await store.waiting((_P.AWAITING_APPROVAL, _P.HELD), (CONNECTION,), limit=2, after=token)
    assert [one.payment.payment_id for one in (*first, *rest)] == [one.payment_id for one in new]
    assert end is None
    assert await store.waiting_since(CONNECTION) == {_P.AWAITING_APPROVAL: (clock(), date(2026, 11, 26))}
    assert (await store.waiting((_P.APPROVED,), None, limit=2))[0] == []


@pytest.mark.parametrize(
    "taken",
    [{"roles": frozenset({Role.VIEWER})}, {"groups": frozenset({"board"})}, {"connections": ("two",)}, {"disabled": True}],
)
async def test_a_decision_with_rights_that_were_taken_away_meanwhile_is_not_written(store: Store, taken: dict[str, Any]) -> None:
    (new,) = await received(store, 1)
    await store.write_judged(0, "r", [judged(new, _E.REQUIRE_APPROVAL, verdict=HELD)])
    account = Account(
        name="ada", roles=ADA.roles, groups=ADA.groups, connections=ADA.connections, created_at=START, updated_at=START
    )
    await store.change_account(AccountChange(account=account, was=None))
    await store.change_account(AccountChange(account=replace(account, version=2, **taken), was=1))
    with pytest.raises(RightsChanged):
        await store.decide(decided(new, Choice.APPROVE))
    found = await store.review(new.payment_id)
    assert found is not None
    assert found.signed == ()
    await store.change_account(AccountChange(account=replace(account, version=3), was=2))
    await store.decide(decided(new, Choice.APPROVE))
