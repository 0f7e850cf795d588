"""Orders that wait for signatures, and the lock of an access, at the simulator's bank: signed once, over what was looked at, and
never blindly; whatever is lost, a second try does nothing twice."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from channels.channel import ChannelError, NotSent
from channels.ebics.correspondent import NotReady
from channels.ebics.ordering import Declined
from channels.ebics.parked import Done, Gone
from channels.ebics.subscriber import Standing
from gateway.parked_orders import Origin, origin, pays
from keys.ebics_signature import order_digest
from simulator.ebics.bankkeys import BankKeys
from simulator.fixture import run_bank
from tests.channels.support.parcels import parcel
from tests.ebics.support.desk import Crash
from tests.ebics.support.door import Connection
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, Branch
from tests.simulator.helpers import Pay, pain001

DATA = pain001("W-1", DEBTOR, Pay("W-1a", "1.10"), Pay("W-1b", "2.20"))
DIGEST = order_digest((DATA,))


@dataclass
class People:
    """One who sends (class A), one who signs (class B)."""

    branch: Branch
    sender: Connection
    signer: Connection

    @property
    def states(self) -> list[str]:
        return [order["state"] for order in self.branch.orders]

    async def parked(self) -> str:
        """The number of an order that waits."""
        await self.sender.channel().send(parcel(DATA))
        assert self.states[-1] == "parked"
        return str(self.branch.orders[-1]["order_id"])

    async def executed(self) -> int:
        await self.branch.bank.idle()
        return self.branch.executed(await self.branch.bank.books())


@pytest.fixture(scope="module")
def bank_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank-keys")
    BankKeys(folder)
    return folder


@pytest.fixture(params=["H004", "H005"])
async def people(request: pytest.FixtureRequest, tmp_path: Path, bank_keys: Path) -> AsyncIterator[People]:
    shutil.copytree(bank_keys, tmp_path / "data")
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"segment_chars": 4000}) as bank:
        branch = Branch(bank)
        found = [Connection(tmp_path / user, branch, request.param, user) for user in ("USER2", "USER3")]
        for each in found:
            await each.ready()
        yield People(branch, *found)
        for each in found:
            await each.close()


async def test_what_is_signed_is_what_was_shown_and_the_order_is_executed_once(people: People) -> None:
    order = await people.parked()
    desk = people.signer.channel().parked
    (listed,) = await desk.waiting()
    assert (listed.order_id, listed.done, listed.ready, listed.digest) == (order, 1, True, DIGEST)
    content = await desk.content(order)
    assert (content.proved, content.digest, content.data) == (True, DIGEST, DATA)
    found = pays(content)
    assert found is not None
    assert (found.words, found.own) == ("2 payments, 3.30 EUR", True)
    assert await people.executed() == 0
    assert await desk.sign(order, content.digest) is Done.DONE
    assert await people.executed() == 2
    assert await desk.waiting() == ()
    with pytest.raises(Gone, match="no order"):
        await people.signer.channel().parked.sign(order, DIGEST)
    assert await people.executed() == 2


async def test_another_digest_than_the_one_looked_at_is_never_signed(people: People) -> None:
    order = await people.parked()
    with pytest.raises(NotReady, match="another digest"):
        await people.signer.channel().parked.sign(order, bytes(32))
    content = await people.signer.channel().parked.content(order)
    foreign = replace(content, data=DATA.replace(b"2.20", b"9.20"))
    assert not foreign.proved
    assert pays(foreign) is None, "what it pays is not told from data that is not what would be signed"
    assert people.states == ["parked"]


async def test_a_signature_that_is_there_already_is_no_error(people: People) -> None:
    order = await people.parked()
    assert await people.sender.channel().parked.sign(order, DIGEST) is Done.ALREADY
    people.branch.bank.moods.set("ebics_return_code", 1, {"order_type": "HVE", "code": "091306"})
    assert await people.signer.channel().parked.sign(order, DIGEST) is Done.ALREADY
    assert people.states == ["parked"]


@pytest.mark.parametrize("mood", ["ebics_lose_answer", "ebics_lose_request"])
async def test_a_lost_signature_counts_once_and_the_second_try_says_what_became_of_the_first(people: People, mood: str) -> None:
    order = await people.parked()
    people.branch.bank.moods.set(mood, 1, {"order_type": "HVE"})
    assert await people.signer.channel().parked.sign(order, DIGEST) is Done.OPEN
    if mood == "ebics_lose_answer":
        with pytest.raises(Gone, match="may have been the last one it waited for"):
            await people.signer.channel().parked.sign(order, DIGEST)
    else:
        assert await people.signer.channel().parked.sign(order, DIGEST) is Done.DONE
    assert await people.executed() == 2


@contextmanager
def dying(connection: Connection, part: str, step: int, *, stored: bool) -> Iterator[None]:
    """The process dies at the note of this number among those whose names hold `part`: before it is stored, or just after."""
    noted = connection.notes.write
    count = 0

    async def write(name: str, text: str, *, was: str | None) -> bool:
        nonlocal count
        count += part in name
        if part not in name or count != step:
            return await noted(name, text, was=was)
        if stored:
            await noted(name, text, was=was)
        raise Crash

    connection.notes.write = write  # type: ignore[method-assign]
    try:
        with pytest.raises(Crash):
            yield
    finally:
        connection.notes.write = noted  # type: ignore[method-assign]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("step", [1, 2])
async def test_a_crash_while_signing_is_gone_on_from(people: People, step: int, stored: bool) -> None:
    order = await people.parked()
    with dying(people.signer, "/HVE/", step, stored=stored):
        await people.signer.channel().parked.sign(order, DIGEST)
    if step == 1:  # it had not left
        assert await people.signer.channel().parked.sign(order, DIGEST) is Done.DONE
    else:
        with pytest.raises(Gone, match="may have been the last"):
            await people.signer.channel().parked.sign(order, DIGEST)
    assert await people.executed() == 2


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 4])
async def test_a_crash_while_cancelling_is_gone_on_from_and_the_next_try_says_what_may_have_ended_the_order(
    people: People, step: int, stored: bool
) -> None:
    order = await people.parked()
    with dying(people.signer, "/HVS/", step, stored=stored):
        await people.signer.channel().parked.cancel(order, DIGEST)
    if step < 4:  # of two messages, each with a note before it and one after
        assert people.states == ["parked"]
        assert await people.signer.channel().parked.cancel(order, DIGEST) is Done.DONE
    with pytest.raises(Gone, match="Our cancellation went out before and may be what ended it"):
        await people.signer.channel().parked.cancel(order, DIGEST)
    assert people.states == ["cancelled"]
    assert await people.executed() == 0


async def test_a_signature_after_a_cancellation_that_was_not_answered_is_not_given(people: People) -> None:
    order = await people.parked()
    people.branch.bank.moods.set("ebics_lose_answer", 3, {"order_type": "HVS", "when": "last"})
    assert await people.signer.channel().parked.cancel(order, DIGEST) is Done.OPEN
    with pytest.raises(Gone, match="no order"):
        await people.signer.channel().parked.sign(order, DIGEST)
    assert await people.executed() == 0


@pytest.mark.parametrize("mood", [None, "ebics_lose_answer", "ebics_lose_request"])
async def test_a_cancelled_order_is_not_executed(people: People, mood: str | None) -> None:
    order = await people.parked()
    if mood:
        people.branch.bank.moods.set(mood, 3, {"order_type": "HVS", "when": "last"})
    first = await people.signer.channel().parked.cancel(order, DIGEST)
    assert first is (Done.OPEN if mood else Done.DONE)
    if mood == "ebics_lose_request":
        assert await people.signer.channel().parked.cancel(order, DIGEST) is Done.DONE
    with pytest.raises(Gone):
        await people.signer.channel().parked.cancel(order, DIGEST)
    assert people.states == ["cancelled"]
    assert await people.executed() == 0


async def test_an_order_that_became_final_meanwhile_is_said_to_be_so_and_is_not_signed(people: People) -> None:
    order = await people.parked()
    people.branch.bank.moods.set("ebics_return_code", 1, {"order_type": "HVE", "code": "091115"})
    with pytest.raises(Gone, match="does not wait any more"):
        await people.signer.channel().parked.sign(order, DIGEST)
    assert people.states == ["parked"]


@dataclass
class Stored:
    """As much of a store as is asked: one message, its document, the notes of its upload."""

    people: People
    document: bytes

    async def list_deliveries(self, where: Any, *, limit: int) -> tuple[list[Any], None]:
        sha256 = hashlib.sha256(DATA).hexdigest()
        return [SimpleNamespace(document_id=None), SimpleNamespace(delivery_id="d7", document_id=7, document_sha256=sha256)], None

    async def channel_note(self, name: str) -> str | None:
        return await self.people.sender.notes.read(name)

    async def document_chunks(self, document_id: int) -> AsyncIterator[bytes]:
        yield self.document


async def test_an_order_that_we_sent_is_compared_with_the_document_that_was_stored(people: People) -> None:
    content = await people.sender.channel().parked.content(await people.parked())
    profile = people.sender.profile()
    for document, same in ((DATA, True), (DATA.replace(b"2.20", b"9.20"), False)):
        store: Any = Stored(people, document)
        assert await origin(store, profile, "bank", content) == Origin(ours=True, matches=same, delivery_id="d7")
    by_another = replace(content, order=replace(content.order, user_id="USER4"))
    assert await origin(store, profile, "bank", by_another) == Origin(ours=False)


# ---- the lock ---------------------------------------------------------------------------------------------------------------


def state_at_bank(people: People) -> str:
    return people.branch.desk.subscribers.known("PARTNER1", "USER3").state.value


@pytest.mark.parametrize("mood", [None, "ebics_lose_answer", "ebics_lose_request"])
async def test_a_locked_access_sends_nothing_more_and_a_second_lock_proves_the_first(people: People, mood: str | None) -> None:
    if mood:
        people.branch.bank.moods.set(mood, 1, {"order_type": "SPR"})
        assert await people.signer.channel().locking.lock() is False
        assert (await people.signer.channel().onboarding.standing()).standing is Standing.LOCKED
    assert await people.signer.channel().locking.lock() is True
    assert state_at_bank(people) == "locked"
    with pytest.raises(NotSent, match="locked at the bank"):
        await people.signer.channel().send(parcel(DATA))
    with pytest.raises(ChannelError, match="begin anew"):
        await people.signer.channel().parked.waiting()
    with pytest.raises(NotReady, match="make new ones"):
        await people.signer.channel().locking.begin_anew()


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(("part", "step"), [("/subscription", 1), ("/SPR/", 1), ("/SPR/", 2)])
async def test_a_crash_while_locking_never_leaves_an_access_at_work_that_the_bank_locked(
    people: People, part: str, step: int, stored: bool
) -> None:
    with dying(people.signer, part, step, stored=stored):
        await people.signer.channel().locking.lock()
    here = (await people.signer.channel().onboarding.standing()).standing
    nothing = part == "/subscription" and not stored
    assert here is (Standing.READY if nothing else Standing.LOCKED)
    assert state_at_bank(people) == ("locked" if (part, step) == ("/SPR/", 2) else "ready")
    assert await people.signer.channel().locking.lock() is True
    assert state_at_bank(people) == "locked"


async def test_a_bank_that_refuses_the_second_order_to_lock_does_not_unlock_us_and_that_is_said(people: People) -> None:
    people.branch.bank.moods.set("ebics_lose_request", 1, {"order_type": "SPR"})
    assert await people.signer.channel().locking.lock() is False
    people.branch.bank.moods.set("ebics_return_code", 1, {"order_type": "SPR", "code": "090003"})
    with pytest.raises(Declined, match="of the one before, which was not answered, nothing is known"):
        await people.signer.channel().locking.lock()
    assert (await people.signer.channel().onboarding.standing()).standing is Standing.LOCKED


async def test_a_bank_that_does_not_lock_leaves_the_access_at_work(people: People) -> None:
    people.branch.bank.moods.set("ebics_return_code", 1, {"order_type": "SPR", "code": "090003"})
    with pytest.raises(Declined, match="did not lock"):
        await people.signer.channel().locking.lock()
    assert state_at_bank(people) == "ready"
    assert await people.signer.channel().parked.waiting() == ()


async def test_after_a_reset_onboarding_begins_anew_with_new_keys(people: People) -> None:
    assert await people.signer.channel().locking.lock()
    people.branch.desk.subscribers.command("PARTNER1", "USER3", "reset")
    people.signer.new_keys("HCS")
    people.signer.put_in_use("HCS")
    assert (await people.signer.channel().locking.begin_anew()).standing is Standing.NEW
    await people.signer.ready()
    assert people.signer.bank_has == {"signature/2", "authentication/2", "encryption/2"}
    assert await people.signer.channel().parked.waiting() == ()


async def test_what_the_bank_says_of_itself_and_of_us_is_read_without_using_it_up(people: People) -> None:
    for _ in range(2):
        found = await people.signer.channel().describe(7)
        assert found.refused == ()
        assert found.bank is not None
        assert found.bank.host_id == "TESTHOST"
        assert found.user is not None
        assert [user.user_id for user in found.user.users] == ["USER3"]
        assert found.customer is not None
        assert len(found.customer.users) == 4
        assert found.protocol is not None
        assert {"INI", "HIA"} <= {step.order_type for step in found.protocol}
        assert "USER3" in (found.text or "")
