"""A person says that a payee is not the one on a list: what that covers, what it does not, how it ends, what it never lifts."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from formats.model import Account, Party, PostalAddress
from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.people.person import Role
from gateway.rescreening import Rescreener
from gateway.review_screening import ScreenCheck
from gateway.screening_settings import ScreeningSettings
from gateway.store.audit import AuditFilter
from gateway.store.screening import Clearance
from gateway.use_cases.screening import Hits, ScreeningHit
from tests.gateway.review.conftest import CONSOLE, Build, House, person

IVAN = Party(name="Ivan Sidorow", postal_address=PostalAddress(town_name="Amsterdam", country="NL"))
LISTED = "id,name,reason\ne1,Ivan Sidorov,invented\n"


@dataclass
class Desk:
    house: House

    def lists(self, content: str) -> None:
        (self.house.directory / "own.csv").write_text(content, encoding="utf-8")

    async def hits(self, payment_id: str, until: str = "") -> Hits:
        return await self.house.gateway.screening_hits(CONSOLE, payment_id, until)

    async def clear(self, name: str, payment_id: str, *, until: str = "", place: int = 0, **changes: object) -> list[Clearance]:
        found = await self.hits(payment_id, until)
        hit: ScreeningHit = found.hits[place][0]
        given = {
            "digest": found.digest,
            "valid_until": until,
            "reason": "born 1999, passport seen",
            "factor": self.house.code(name),
            **changes,
        }
        entry = given.pop("entry", hit.entry)
        acting = await self.house.doorkeeper.acting("console", name, "ipv4:10.0.0.1:1")
        cleared = await self.house.gateway.clear_hit(CONSOLE, acting, payment_id, entry, **given)  # type: ignore[arg-type]
        await self.house.reviewer.pump()
        return cleared

    async def revoke(self, name: str, clearance_id: str, **changes: object) -> Clearance:
        acting = await self.house.doorkeeper.acting("console", name, "ipv4:10.0.0.1:1")
        given = {"reason": "the passport was forged", "factor": self.house.code(name), **changes}
        ended = await self.house.gateway.revoke_clearance(CONSOLE, acting, clearance_id, **given)  # type: ignore[arg-type]
        await self.house.reviewer.pump()
        return ended

    async def pay(self, prefix: str, **changes: object) -> str:
        (payment_id,) = await self.house.judged("50.00", prefix=prefix, **{"creditor": IVAN, **changes})  # type: ignore[arg-type]
        return payment_id

    async def state(self, payment_id: str) -> str:
        (state,) = await self.house.states([payment_id])
        return state

    async def said(self, payment_id: str) -> list[str]:
        return [one.text_en for one in (await self.house.case(payment_id)).review.verdict.findings]


@pytest.fixture
def desk(build: Build) -> Desk:
    return _desk(build())


def _desk(plain: House, **settings: object) -> Desk:
    made = Desk(plain)
    made.lists(LISTED)
    given = {"id": "own", "file": "own.csv", "kind": "own", "date": "2026-11-01", **settings}
    screening = ScreeningSettings.model_validate({"lists": [given]})
    configuration = plain.configuration.model_copy(update={"screening": screening})
    made.house = House(plain.directory, plain.store, plain.moment, configuration, plain.doorkeeper)
    return made


async def test_who_was_cleared_is_paid_now_and_later_and_it_is_said_by_whom_and_until_when(desk: Desk) -> None:
    first = await desk.pay("A")
    assert await desk.state(first) == "held"
    (cleared,) = await desk.clear("ada", first, until="2026-12-31")
    later = await desk.pay("B")
    assert (await desk.state(first), await desk.state(later)) == ("approved", "approved")
    (said,) = await desk.said(later)
    assert said.endswith("; cleared by ada until 2026-12-31 as somebody else: born 1999, passport seen.")
    assert (cleared.creditor_name, cleared.entry_id, cleared.signed.factor.kind) == ("Ivan Sidorow", "e1", "totp")
    ((line,), _) = await desk.house.store.list_audit(AuditFilter(action="screening.cleared"), limit=9)
    assert (line.object_id, line.actor, "passport seen" in (line.detail or "")) == (first, "person: ada", True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"creditor_account": Account(iban="NL84MOCK0000000003")}, "another account"),
        ({"creditor": Party(name="Ivan Sidorov", postal_address=IVAN.postal_address)}, "another spelling"),
    ],
)
async def test_attack_a_clearance_covers_no_other_account_and_no_other_name(
    desk: Desk, changes: dict[str, object], why: str
) -> None:
    await desk.clear("ada", await desk.pay("A"))
    assert await desk.state(await desk.pay("B", **changes)) == "held", why


async def test_a_clearance_falls_when_the_entry_changes_and_covers_no_other_entry(desk: Desk) -> None:
    waits = await desk.pay("A")
    await desk.clear("ada", waits)
    desk.lists(LISTED + "e2,Iwan Sidorov,another\n")
    await desk.house.reviewer.pump()
    assert await desk.state(waits) == "held"
    assert [one[0].entry[1] for one in (await desk.hits(waits)).hits if not one[0].why_not] == ["e2"]
    desk.lists(LISTED.replace("Ivan Sidorov", "Ivan Petrovich Sidorov"))
    changed = await desk.pay("B")
    assert "fell when the entry changed" in (await desk.said(changed))[0]


async def test_a_clearance_ends_with_its_last_day(desk: Desk) -> None:
    waits = await desk.pay("A")
    await desk.clear("ada", waits, until="2026-11-27")
    desk.house.moment[0] += timedelta(days=2)
    await desk.house.reviewer.pump()
    assert await desk.state(waits) == "approved", "the 27th is its last day"
    desk.house.moment[0] += timedelta(days=1)
    await desk.house.reviewer.pump()
    assert await desk.state(waits) == "held"
    assert "no longer valid" in (await desk.said(waits))[0]


async def test_what_was_revoked_counts_no_more_and_is_listed_among_what_ended(desk: Desk) -> None:
    waits = await desk.pay("A")
    (cleared,) = await desk.clear("ada", waits)
    ended = await desk.revoke("cai", cleared.clearance_id)
    assert await desk.state(waits) == "held"
    assert ended.revoked is not None
    assert (ended.revoked.person, ended.revoked.reason) == ("cai", "the passport was forged")
    with pytest.raises(TooLate):
        await desk.revoke("cai", cleared.clearance_id)
    gateway = desk.house.gateway
    assert await gateway.list_clearances(CONSOLE, None, 9, None, ended=False) == ([], None)
    (((found,), _)) = await gateway.list_clearances(CONSOLE, None, 9, None, ended=True)
    assert found == ended
    with pytest.raises(NotFound):
        await desk.revoke("cai", "0" * 32)


async def test_what_was_sent_on_a_clearance_that_is_revoked_is_told_and_a_new_clearance_looks_at_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    house.reviewer.rescreener = Rescreener(house.store, house.now, 30)
    paid = await desk.pay("A")
    (cleared,) = await desk.clear("ada", paid)
    assert await house.send() == 1
    looks, hits = [], ScreenCheck.hits

    async def counted(check: ScreenCheck, subjects: object, now: object) -> object:
        looks.append(subjects)
        return await hits(check, subjects, now)  # type: ignore[arg-type]

    await desk.clear("ada", await desk.pay("B", creditor_account=Account(iban="NL84MOCK0000000003")))
    monkeypatch.setattr(ScreenCheck, "hits", counted)
    await house.reviewer.pump()
    assert (looks, await house.discrepancies()) == ([], [])
    await desk.revoke("cai", cleared.clearance_id)
    assert await house.discrepancies() == [("screening_hit_after_sending", paid)]
    assert await desk.state(paid) == "sent"


# -- what is refused ---------------------------------------------------------------------------------------------------


async def test_attack_who_submitted_a_payment_or_is_no_approver_clears_nothing(desk: Desk) -> None:
    desk.house.doorkeeper.people["vic"] = person("vic", roles=(Role.VIEWER,))
    desk.house.doorkeeper.people["far"] = person("far", "finance", connections=("two",))
    (own,) = await desk.house.judged("50.00", by="ada", creditor=IVAN)
    for name in ("ada", "vic", "far"):
        with pytest.raises(Forbidden):
            await desk.clear(name, own)
    assert await desk.house.store.clearances_stamp() == "0.0"


async def test_attack_a_factor_for_another_purpose_or_used_before_clears_nothing(desk: Desk) -> None:
    waits = await desk.pay("A")
    used = desk.house.code("ada")
    await desk.house.doorkeeper.prove(await desk.house.doorkeeper.acting("console", "ada", ""), used, b"x" * 32)
    with pytest.raises(Forbidden):
        await desk.clear("ada", waits, factor=used)
    desk.house.doorkeeper.bound_to = b"x" * 32
    with pytest.raises(Forbidden, match="not given for this decision"):
        await desk.clear("ada", waits)
    desk.house.doorkeeper.bound_to, desk.house.doorkeeper.age = None, timedelta(minutes=6)
    with pytest.raises(Forbidden, match="not just now"):
        await desk.clear("ada", waits)
    assert await desk.state(waits) == "held"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"digest": b"0" * 32}, TooLate),
        ({"entry": ("own", "e1", "0" * 64)}, TooLate),
        ({"entry": ("own", "e9", "0" * 64)}, TooLate),
        ({"reason": "no"}, BadRequest),
        ({"valid_until": "2026-11-24"}, BadRequest),
        ({"valid_until": "2028-01-01"}, BadRequest),
        ({"valid_until": "soon"}, BadRequest),
    ],
)
async def test_what_does_not_fit_what_was_looked_at_is_refused(
    desk: Desk, changes: dict[str, object], error: type[Exception]
) -> None:
    waits = await desk.pay("A")
    with pytest.raises(error):
        await desk.clear("ada", waits, **changes)
    assert await desk.state(waits) == "held"


async def test_banks_countries_and_words_are_cleared_for_nobody(desk: Desk) -> None:
    desk.lists("id,country\nc1,DE\n")
    waits = await desk.pay("A")
    ((hit, _),) = (await desk.hits(waits)).hits
    assert "whoever is paid" in hit.why_not
    with pytest.raises(BadRequest, match="whoever is paid"):
        await desk.clear("ada", waits)


@pytest.mark.parametrize("lifts", [False, True])
async def test_attack_no_clearance_lifts_a_block_unless_the_list_says_so(build: Build, lifts: bool) -> None:
    desk = _desk(build(), action="block", decisions_lift_blocks=lifts)
    near = await desk.pay("A")
    assert await desk.state(near) == "held", "what is only near is held"
    (cleared,) = await desk.clear("ada", near)
    assert (await desk.state(near), cleared.entry_id) == ("approved", "e1")
    exact = await desk.pay("B", creditor=Party(name="Ivan Sidorov", postal_address=IVAN.postal_address))
    assert await desk.state(exact) == "rejected"
    if lifts:
        await desk.clear("ada", exact)
    else:
        with pytest.raises(BadRequest, match="decisions_lift_blocks"):
            await desk.clear("ada", exact)
    again = await desk.pay("C", creditor=Party(name="Ivan Sidorov", postal_address=IVAN.postal_address))
    assert await desk.state(again) == ("approved" if lifts else "rejected")
