"""People in both stores: what counts once counts once, whoever tries at the same moment, and each change brings its audit
line."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.audit.record import AuditRecord
from gateway.people.pauses import pause_after
from gateway.people.person import Role
from gateway.people.records import Account, Challenge, Factor, FactorKind, Opening, Pausing, Proposal, Session
from gateway.store.people import AccountChange, FactorUse, IdTokenUse
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import START, HandClock, discrepancy

LINE = [AuditRecord(action="person.changed", actor="person: ada", object_kind="person", object_id="eve")]
EVE = Account(
    name="eve",
    roles=frozenset({Role.APPROVER, Role.VIEWER}),
    groups=frozenset({"treasury"}),
    connections=("bank-a", "bank-b"),
    password="$argon2id$x",
    enrolment="ab" * 32,
    enrolment_until=START + timedelta(hours=1),
    created_at=START,
    updated_at=START,
)
FACTOR = Factor(factor_id="f1", name="eve", kind=FactorKind.TOTP, label="phone", content="x", confirmed=False, created_at=START)
SESSION = Session(
    session_id="s1",
    token_sha256="d1",
    name="eve",
    caller="console",
    address="192.0.2.7",
    enrolling=True,
    factor="",
    created_at=START,
    seen_at=START,
    fresh_at=None,
    expires_at=START + timedelta(hours=10),
)
ASKED = Challenge(challenge_id="c1", name="eve", kind="factor", content="{}", expires_at=START + timedelta(minutes=3))
RULE = Pausing(free=2, first_seconds=10, longest_seconds=60)


async def lines(store: Store) -> int:
    return len(await store.audit_rows(0, 1000))


async def with_eve(store: Store) -> Store:
    await store.change_account(AccountChange(account=EVE, was=None), LINE)
    return store


async def test_an_account_comes_back_as_it_was_put(store: Store, another: OpenAnother) -> None:
    await with_eve(store)
    assert await (await another()).account("eve") == EVE
    assert await store.account("bob") is None
    bare = Account(name="bob", roles=frozenset({Role.AUDITOR}), connections=(), sealed=True, created_at=START, updated_at=START)
    await store.change_account(AccountChange(account=bare, was=None), LINE)
    assert await store.accounts() == [bare, EVE]
    assert await lines(store) == 2


async def test_of_two_who_change_an_account_at_once_one_does(store: Store, another: OpenAnother) -> None:
    await with_eve(store)
    other = await another()
    changed = [
        AccountChange(account=replace(EVE, groups=frozenset({group}), version=2), was=1) for group in ("treasury", "board")
    ]
    outcomes = await asyncio.gather(
        store.change_account(changed[0], LINE), other.change_account(changed[1], LINE), return_exceptions=True
    )
    assert sum(isinstance(one, Stale) for one in outcomes) == 1
    assert await lines(store) == 2, "and the other's line is not there"
    with pytest.raises(Stale):
        await store.change_account(AccountChange(account=EVE, was=None), LINE)


async def test_a_factor_is_used_by_one_of_two_at_once_with_its_challenge(store: Store, another: OpenAnother) -> None:
    await with_eve(store)
    other = await another()
    await store.add_factor(FACTOR)
    await store.open_session(SESSION, most=5)
    await store.put_challenge(ASKED)
    use = FactorUse(name="eve", factor_id="f1", counter_was=0, counter=7, challenge_id="c1", signs_off="s1", proof="totp f1")
    outcomes = await asyncio.gather(*(one.use_factor(use, LINE) for one in (store, other, store)), return_exceptions=True)
    assert [type(one).__name__ for one in outcomes].count("Stale") == 2
    (factor,) = await store.factors_of("eve")
    assert (factor.counter, factor.confirmed, factor.used_at) == (7, True, START)
    found = await store.session("d1")
    assert found is not None
    session, account = found
    assert (session.fresh_at, session.factor, session.enrolling) == (START, "totp f1", False)
    assert (account.enrolment, account.enrolment_until) == (None, None), "whoever has a factor has begun"
    assert await store.challenge("c1") is None
    assert await lines(store) == 2


async def test_a_use_that_fails_leaves_everything_as_it_was(store: Store, clock: HandClock) -> None:
    await with_eve(store)
    await store.add_factor(FACTOR)
    await store.put_challenge(ASKED)
    use = FactorUse(name="eve", factor_id="f1", counter_was=0, counter=7, challenge_id="c1", signs_off="gone")
    for wrong in (use, replace(use, signs_off=None, counter_was=1), replace(use, signs_off=None, name="bob")):
        with pytest.raises(Stale):
            await store.use_factor(wrong, LINE)
    assert await store.challenge("c1") == ASKED
    assert await store.factors_of("eve") == [FACTOR]
    assert await lines(store) == 1
    clock.advance(minutes=3)
    with pytest.raises(Stale):
        await store.use_factor(replace(use, signs_off=None), LINE)


async def test_a_credential_is_one_person_s_and_an_unconfirmed_factor_gives_way(store: Store) -> None:
    await with_eve(store)
    await store.add_factor(FACTOR)
    await store.add_factor(replace(FACTOR, factor_id="f2"))
    assert [one.factor_id for one in await store.factors_of("eve")] == ["f2"]
    key = replace(FACTOR, factor_id="k1", kind=FactorKind.PASSKEY, credential_id="cred", confirmed=True)
    await store.add_factor(key, audit=LINE)
    with pytest.raises(Stale):
        await store.add_factor(replace(key, factor_id="k2"), audit=LINE)
    codes = [replace(FACTOR, factor_id=f"r{n}", kind=FactorKind.RECOVERY_CODE, confirmed=True) for n in range(3)]
    await store.replace_codes("eve", codes, LINE)
    await store.replace_codes("eve", codes[:1], LINE)
    assert [one.factor_id for one in await store.factors_of("eve")] == ["f2", "k1", "r0"]
    assert await store.drop_factor("eve", "k1", LINE)
    assert not await store.drop_factor("eve", "k1", LINE)
    with pytest.raises(Stale):
        await store.add_factor(replace(FACTOR, name="nobody"))


async def test_a_person_keeps_the_newest_sessions_and_all_of_them_can_end(store: Store, clock: HandClock) -> None:
    await with_eve(store)
    for number in range(4):
        one = replace(SESSION, session_id=f"s{number}", token_sha256=f"d{number}", created_at=clock.advance(seconds=1))
        await store.open_session(one, most=3, audit=LINE)
    assert [one.session_id for one in await store.sessions_of("eve")] == ["s3", "s2", "s1"]
    assert await store.session("d0") is None
    await store.seen("s3", clock.advance(minutes=5))
    assert (await store.sessions_of("eve"))[0].seen_at == clock()
    assert await store.end_sessions("bob", "s3", LINE) == 0
    assert await store.end_sessions("eve", "s3", LINE) == 1
    await store.change_account(
        AccountChange(account=replace(EVE, version=2), was=1, end_sessions=True, keep_session="s2", drop_factors=True)
    )
    assert [one.session_id for one in await store.sessions_of("eve")] == ["s2"]
    clock.advance(hours=11)
    await store.open_session(replace(SESSION, session_id="s9", token_sha256="d9", created_at=clock(), expires_at=clock()), most=3)
    assert [one.session_id for one in await store.sessions_of("eve")] == ["s9"], "those that time has ended are gone"


async def test_a_challenge_is_taken_once_and_not_too_late(store: Store, clock: HandClock) -> None:
    await store.put_challenge(ASKED)
    assert await store.take_challenge("c1") == ASKED
    assert await store.take_challenge("c1") is None
    await store.put_challenge(ASKED)
    clock.advance(minutes=3)
    assert await store.take_challenge("c1") is None
    await store.put_challenge(replace(ASKED, challenge_id="c2", expires_at=clock() + timedelta(minutes=1)))
    assert await store.challenge("c1") is None


async def test_tries_at_the_same_moment_are_no_more_than_one_after_the_other(store: Store, another: OpenAnother) -> None:
    other = await another()
    long_ago = START - timedelta(days=1)

    async def try_once(one: Store) -> bool:
        return await one.count_try({"k": RULE, "a": RULE}, pause_after, long_ago) is None

    looked_at = await asyncio.gather(*(try_once(one) for one in (store, other) * 10))
    assert sum(looked_at) == 3, "two are free, and the third one begins the pause"
    found = await store.tries(["k", "a", "x"])
    assert found.keys() == {"k", "a"}
    assert (found["k"].count, found["k"].paused_until) == (3, START + timedelta(seconds=10))


async def test_a_right_try_takes_back_and_old_ones_are_forgotten(store: Store, clock: HandClock) -> None:
    long_ago = START - timedelta(days=1)
    for _ in range(2):
        assert await store.count_try({"k": RULE, "a": RULE}, pause_after, long_ago) is None
    assert await store.take_back_try(["k"], ["a"]) == 2
    assert {key: one.count for key, one in (await store.tries(["k", "a"])).items()} == {"a": 1}
    clock.advance(days=1)
    await store.count_try({"b": RULE}, pause_after, clock())
    assert (await store.tries(["a", "b"])).keys() == {"b"}


async def test_an_emergency_is_reviewed_once_and_a_proposal_is_carried_out_once(store: Store) -> None:
    await with_eve(store)
    opening = Opening(
        opening_id="o1",
        name="eve",
        opened_by="machine: root",
        reason="fire",
        opened_at=START,
        open_until=START + timedelta(hours=1),
    )
    told = discrepancy("emergency:o1")
    await store.open_sealed(opening, LINE, [told, discrepancy("another")])
    assert await store.openings() == await store.openings("eve") == [opening]
    assert await store.openings("bob") == []
    await store.review_opening("o1", "ada", "looked", LINE)
    found, _ = await store.list_discrepancies(include_resolved=True, limit=9)
    assert {one.key: one.resolution for one in found} == {"emergency:o1": "reviewed by ada", "another": None}
    with pytest.raises(Stale):
        await store.review_opening("o1", "ada", "again", LINE)
    assert await store.openings() == [replace(opening, reviewed_at=START, reviewed_by="ada", review="looked")]
    wish = Proposal(
        proposal_id="p1",
        kind="put",
        name="eve",
        content="{}",
        asked_by="ada",
        asked_at=START,
        expires_at=START + timedelta(days=7),
    )
    await store.propose(wish, LINE)
    assert await store.proposals() == [wish]
    change = AccountChange(account=replace(EVE, version=2), was=1, proposal_id="p1")
    await store.change_account(change, LINE)
    with pytest.raises(Stale):
        await store.change_account(AccountChange(account=replace(EVE, version=3), was=2, proposal_id="p1"), LINE)
    assert not await store.drop_proposal("p1", LINE)


async def test_an_id_token_is_used_by_one_of_two_at_once_with_its_challenge_and_session(
    store: Store, another: OpenAnother, clock: HandClock
) -> None:
    await with_eve(store)
    other = await another()
    await store.open_session(SESSION, most=5)
    await store.put_challenge(ASKED)
    use = IdTokenUse(
        name="eve",
        token_sha256="t1",
        expires_at=START + timedelta(minutes=5),
        challenge_id="c1",
        signs_off="s1",
        proof="oidc mfa",
    )
    with pytest.raises(Stale):
        await store.use_id_token(replace(use, signs_off="gone"), LINE)
    assert await store.challenge("c1") == ASKED, "a use that fails leaves everything as it was"
    outcomes = await asyncio.gather(*(one.use_id_token(use, LINE) for one in (store, other)), return_exceptions=True)
    assert [type(one).__name__ for one in outcomes].count("Stale") == 1
    found = await store.session("d1")
    assert found is not None
    assert (found[0].fresh_at, found[0].factor, found[0].enrolling) == (START, "oidc mfa", False)
    assert await store.challenge("c1") is None
    assert await lines(store) == 2
    again = replace(use, challenge_id=None, signs_off=None)
    clock.advance(minutes=4)
    with pytest.raises(Stale):
        await store.use_id_token(again)
    clock.advance(minutes=1)
    await store.use_id_token(again)
