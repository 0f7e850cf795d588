"""Our own client at the simulator's EBICS door: two codecs that share nothing but the cryptography must understand each other,
and what our upload believes of an order must be what the bank did with it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Fate
from channels.ebics import order_data, orders, upload
from channels.ebics.answers import read_answer
from channels.ebics.envelope import BankKeys, Moment, start_request, transfer_request
from channels.ebics.errors import BadAnswer
from channels.ebics.names import VERSIONS, Subscriber
from channels.ebics.protocol import read_hac, verdict
from channels.ebics.securing import Signing, secured
from keys.ebics_encryption import encrypted, segments
from keys.ebics_signature import order_digest
from simulator.fixture import run_bank
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, EDS, Branch
from tests.simulator.ebics_support.writer import TRANSACTION_KEY, Client
from tests.simulator.ebics_support.xml import find
from tests.simulator.helpers import Pay, pain001

BOTH = pytest.mark.parametrize("version", ["H004", "H005"])
SUBSCRIBER = Subscriber(host_id="TESTHOST", partner_id="PARTNER1", user_id="USER1", product="bankgate", language="en")
SERVICE = orders.Service(name="SCT", scope="DE", message="pain.001")


def moment(count: int) -> Moment:
    """A new one for each count."""
    return Moment(nonce=hashlib.sha256(f"{count}/{datetime.now(UTC)}".encode()).digest()[:16], time=datetime.now(UTC))


def order_of(version: str) -> orders.Order:
    return orders.upload("CCT") if version == "H004" else orders.business_upload(orders.BusinessUpload(service=SERVICE))


@BOTH
async def test_our_readers_understand_all_that_the_bank_tells(tmp_path: Path, version: str) -> None:
    known = VERSIONS[version]  # type: ignore[index]
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank:
        branch = Branch(bank)
        first, second = (branch.onboard(Client(version=version, user=user)) for user in ("USER2", "USER3"))
        begun, _ = branch.upload(first, pain001("T-1", DEBTOR, Pay("T-1", "4.20")), flag=EDS)
        branch.upload(second, pain001("T-2", DEBTOR, Pay("T-2")), signatures=None, flag=EDS)
        for name, users in (("HTD", ["USER3"]), ("HKD", ["USER1", "USER2", "USER3", "USER4"])):
            told = order_data.read_customer(branch.download(second, name), known, name)
            assert ([user.user_id for user in told.users], told.accounts, told.host_id) == (users, 1, "TESTHOST")
            assert {right.level for user in told.users for right in user.permissions} >= {"B"}
        assert order_data.read_hpd(branch.download(second, "HPD"), known).protocols == ("H004", "H005")
        branch.desk.offer("acme", "camt.052.001.08", b"<a/>")
        offered = order_data.read_haa(branch.download(second, "HAA"), known)
        assert any(right.order_types == ("C52",) or (right.service and right.service.name == "STM") for right in offered)
        for name in ("HVU", "HVZ"):
            (parked, _) = order_data.read_parked_list(branch.download(second, name, f"<{name}OrderParams/>"), known, name)
            assert (parked.order_id, parked.required, parked.done, parked.ready) == (find(begun, "OrderID"), 2, 1, True)
            assert (parked.digest is not None) == (name == "HVZ")
        what = "<OrderType>CCT</OrderType>"
        if version == "H005":
            what = "<Service><ServiceName>SCT</ServiceName><Scope>DE</Scope><MsgName>pain.001</MsgName></Service>"
        inside = f"<PartnerID>PARTNER1</PartnerID>{what}<OrderID>{parked.order_id}</OrderID>"
        state = order_data.read_hvd(branch.download(second, "HVD", f"<HVDOrderParams>{inside}</HVDOrderParams>"), known)
        assert state.digest == parked.digest
        flags = '<OrderFlags completeOrderData="false" fetchLimit="5" fetchOffset="0"/>'
        details = order_data.read_hvt(branch.download(second, "HVT", f"<HVTOrderParams>{inside}{flags}</HVTOrderParams>"), known)
        assert (details.count, details.amounts) == (1, (("4.20", "EUR"),))


FAULTS: list[tuple[str, dict[str, Any]]] = [
    (mood, {"when": when, **more})
    for when in ("init", "transfer:2", "last")
    for mood, more in (
        ("ebics_lose_request", {}),
        ("ebics_lose_answer", {}),
        ("ebics_truncate", {}),
        ("ebics_bad_signature", {}),
        ("ebics_wrong_transaction_id", {}),
        ("ebics_http_status", {}),
        ("ebics_forget", {}),
        ("ebics_return_code", {"code": "061099"}),
        ("ebics_return_code", {"code": "061099", "executed": True}),
        ("ebics_return_code", {"code": "091116", "executed": True}),
    )
]


@dataclass
class Sender:
    """Our upload, driven as a channel would drive it, but without a network."""

    branch: Branch
    client: Client
    version: Any

    def __post_init__(self) -> None:
        bank = self.client.bank
        self.keys = BankKeys(authentication=bank["X002"], encryption=bank["E002"], digest_kind=self.client.digest_kind)

    def message(self, step: upload.UploadStep, start: Any, pieces: list[bytes], count: int) -> bytes:
        number, key = step.send.segment, self.client.key("X")
        if number == 0:
            order, bank = order_of(self.version.name), self.keys
            return start_request(self.version, SUBSCRIBER, order, moment=moment(count), bank=bank, key=key, upload=start)
        transaction = step.state.transaction_id or ""
        segment, last = pieces[number - 1], step.send.last
        return transfer_request(self.version, "TESTHOST", transaction, number=number, last=last, key=key, segment=segment)

    def send(self, data: bytes) -> upload.UploadState:
        """The upload's last state."""
        digest = order_digest((data,))
        pieces = list(segments(encrypted((data,), TRANSACTION_KEY), 400))
        signing = Signing(key=self.client.key("A"), version="A006")
        about = {"digest": digest, "transaction_key": TRANSACTION_KEY, "segments": len(pieces)}
        start = secured(self.version, SUBSCRIBER, signing, self.keys, **about)  # type: ignore[arg-type]
        state = upload.new_upload(digest=digest.hex(), order_type="CCT", segments=len(pieces))
        for count in range(60):
            step = upload.next_step(state)
            if step is None:
                break
            reply = self.branch.desk.handle(self.message(step, start, pieces, count))
            try:
                answer = read_answer(reply.body or b"", self.version, self.keys.authentication) if reply.status == 200 else None
            except BadAnswer:
                answer = None
            state = upload.lost(step.state) if answer is None else upload.answered(step.state, answer)
        return state


@BOTH
@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("finished", ["forgotten", "remembered"])
async def test_what_our_upload_believes_is_what_the_bank_did_whatever_goes_wrong(
    tmp_path: Path, version: str, count: int, finished: str
) -> None:
    """`count`: how often each fault strikes, once or at every try."""
    table = {"finished_uploads": finished, "transactions_max": 1000}
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics=table) as bank:
        client = Branch(bank).onboard(Client(version=version))
        sender = Sender(Branch(bank), client, VERSIONS[version])  # type: ignore[index]
        believed = {}
        since = datetime.now(UTC) - timedelta(seconds=1)
        for number, (mood, value) in enumerate(FAULTS):
            bank.moods.clear()
            bank.moods.set(mood, count, value)
            believed[f"U-{number}"] = sender.send(pain001(f"U-{number}", DEBTOR, Pay(f"U-{number}")))
        bank.moods.clear()
        await bank.idle()
        books = await bank.books()
        protocol = read_hac(Branch(bank).download(client, "HAC"))
    assert books["paid_twice"] == []
    for (message_id, state), fault in zip(believed.items(), FAULTS, strict=True):
        executed = books["messages"].get(message_id, {"executed": 0})["executed"]
        case = f"{fault}: {state.outcome} {state.code} {state.words}"
        if state.outcome is upload.Outcome.IN_DOUBT:
            assert state.order_id is not None, case
            types = frozenset({"CCT", "BTU"})
            told = verdict(protocol, order_id=state.order_id, partner_id="PARTNER1", order_types=types, since=since)
            assert told.fate in {Fate.ARRIVED if executed else Fate.DID_NOT_ARRIVE, Fate.UNKNOWN}, case
        else:
            expected = {upload.Outcome.ACCEPTED: 1, upload.Outcome.NOT_HELD: 0}
            assert executed == expected[state.outcome], case
    assert {state.outcome for state in believed.values()} == set(upload.Outcome) - {upload.Outcome.OPEN}
