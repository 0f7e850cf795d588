"""The engine inside the package painfree (H005) against the simulator: a client that none of us wrote and that verifies what the
bank signs. It leaves HTTP to the caller.

It hashes order data as it is, line breaks included: with them in a payment, a strict bank must refuse its signature.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lxml import etree

from simulator.fixture import RunningBank, run_bank
from tests.simulator.ebics_support.bank import DEBTOR
from tests.simulator.helpers import Pay, pain001

engine = pytest.importorskip("painfree.ebics3", reason="needs the package painfree")

CUSTOMER = {
    "id": "acme",
    "accounts": [DEBTOR],
    "ebics": {"partner": "PARTNER5", "users": [{"id": "USER5", "activation": "auto"}]},
}
PAYMENT = pain001("PF-1", DEBTOR, Pay("PF-1", "3.33")).replace(b"\n", b"")
BROKEN_LINES = PAYMENT.replace(b"<PmtInf>", b"\r\n<PmtInf>")


@dataclass
class Foreigner:
    """painfree as a user of the bank."""

    bank: RunningBank
    http: aiohttp.ClientSession
    process: str
    context: Any = field(
        default_factory=lambda: engine.RequestContext(host_id="TESTHOST", partner_id="PARTNER5", user_id="USER5")
    )
    keys: dict[str, Any] = field(default_factory=dict)
    authentication: Any = None
    encryption: Any = None

    async def post(self, request: Any) -> bytes:
        assert self.bank.ebics is not None
        headers = {"Content-Type": "text/xml; charset=UTF-8"}
        async with self.http.post(self.bank.ebics.url, data=engine.serialize_request(request), headers=headers) as answer:
            assert answer.status == 200
            return await answer.read()

    async def onboard(self) -> None:
        subject = engine.subject_name("USER5")
        self.keys = {name: engine.EbicsKey.generate(name, subject=subject) for name in (self.process, "X002", "E002")}
        requests = (
            engine.build_ini_request(self.context, self.keys[self.process]),
            engine.build_hia_request(self.context, self.keys["X002"], self.keys["E002"]),
        )
        for request in requests:
            engine.parse_response(await self.post(request)).status.raise_for_status("the bank refused a key")
        told = engine.parse_response(await self.post(engine.build_hpb_request(self.context, self.keys["X002"])))
        data = engine.open_order_data(told.order_data, told.transaction_key_encrypted, self.keys["E002"])
        found = engine.parse_hpb_order_data(data)
        self.authentication, self.encryption = found.authentication, found.encryption

    @property
    def theirs(self) -> dict[str, Any]:
        return {"bank_authentication_key": self.authentication, "bank_encryption_key": self.encryption}

    async def run(self, transaction: Any, request: Any) -> Any:
        while request is not None:
            transaction.feed(await self.post(request))
            request = transaction.next_request()
        return transaction

    def download(self) -> Any:
        return engine.DownloadTransaction(
            self.context, self.keys["X002"], encryption_key=self.keys["E002"], bank_authentication_key=self.authentication
        )

    async def fetch(self, name: str, message: str) -> Any:
        transaction = self.download()
        service = engine.Service(name=name, scope="DE", msg_name=message)
        return await self.run(transaction, transaction.initialisation_request(service, **self.theirs))

    async def pay(self, document: bytes, **more: Any) -> Any:
        secured = engine.secure_order_data(
            document,
            signature_key=self.keys[self.process],
            bank_encryption_key=self.encryption,
            partner_id="PARTNER5",
            user_id="USER5",
        )
        transaction = engine.UploadTransaction.prepare(
            document, secured, self.context, authentication_key=self.keys["X002"], **more
        )
        transaction.bank_authentication_key = self.authentication
        service = engine.Service(name="SCT", scope="DE", msg_name="pain.001")
        return await self.run(transaction, transaction.initialisation_request(service, **self.theirs))


@pytest.mark.parametrize("process", ["A005", "A006"])
async def test_painfree_lives_its_whole_life_and_its_payment_is_executed_once(
    tmp_path: Path, h005: etree.XMLSchema, process: str
) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank, aiohttp.ClientSession() as http:
        foreigner = Foreigner(bank, http, process)
        await foreigner.onboard()
        htd = foreigner.download()
        await foreigner.run(htd, htd.admin_initialisation_request("HTD", **foreigner.theirs))
        h005.assertValid(etree.fromstring(htd.order_data))
        assert engine.parse_htd_order_data(htd.order_data).uploads
        assert (await foreigner.fetch("STM", "camt.052")).segments == []
        paid = await foreigner.pay(PAYMENT, segment_size=400)
        assert paid.num_segments > 1
        await bank.idle()
        statement = await foreigner.fetch("EOP", "camt.053")
        assert b"<InstrId>I-PF-1</InstrId>" in statement.order_data
        assert (await foreigner.fetch("EOP", "camt.053")).segments == [], "the statement was acknowledged, and came again"
        books = await bank.books()
        assert (books["totals"]["executed"], books["paid_twice"]) == (1, [])
        assert bank.desk is not None
        told = bank.desk.books()
        (order,) = [order for order in told["orders"] if order["order"].startswith("BTU")]
        assert (order["order_id"], order["ledger"]) == (paid.order_id, "executed")
        assert told["open_transactions"] == 0


async def test_painfrees_signature_over_line_breaks_is_refused_by_a_strict_bank_and_executes_nothing(tmp_path: Path) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank, aiohttp.ClientSession() as http:
        foreigner = Foreigner(bank, http, "A006")
        await foreigner.onboard()
        with pytest.raises(engine.Ebics3Error, match="091301"):
            await foreigner.pay(BROKEN_LINES)
        await bank.idle()
        assert (await bank.books())["totals"]["executed"] == 0


async def test_a_bank_that_tolerates_signatures_over_the_raw_data_takes_it(tmp_path: Path) -> None:
    lenient = {"tolerate": {"raw_signatures": True}}
    running = run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics=lenient)
    async with running as bank, aiohttp.ClientSession() as http:
        foreigner = Foreigner(bank, http, "A006")
        await foreigner.onboard()
        await foreigner.pay(BROKEN_LINES)
        await bank.idle()
        assert (await bank.books())["totals"]["executed"] == 1


@pytest.mark.parametrize("when", ["init", "last"])
async def test_painfree_refuses_an_answer_that_the_bank_did_not_sign(tmp_path: Path, when: str) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank, aiohttp.ClientSession() as http:
        foreigner = Foreigner(bank, http, "A006")
        await foreigner.onboard()
        bank.moods.set("ebics_bad_signature", value={"when": when})
        with pytest.raises(engine.Ebics3Error, match="signature does not check out"):
            await foreigner.pay(PAYMENT)
        await bank.idle()
        assert (await bank.books())["totals"]["executed"] == (1 if when == "last" else 0)


async def test_painfree_goes_on_behind_the_segment_whose_answer_was_lost(tmp_path: Path) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank, aiohttp.ClientSession() as http:
        foreigner = Foreigner(bank, http, "A006")
        await foreigner.onboard()
        bank.moods.set("ebics_lose_answer", value={"when": "transfer:2"})
        posts = 0
        post = foreigner.post

        async def stubborn(request: Any) -> bytes:
            nonlocal posts
            posts += 1
            try:
                return await post(request)
            except aiohttp.ClientError:
                return await post(request)  # the same bytes again: the bank answers 061101, and where to go on

        foreigner.post = stubborn  # type: ignore[method-assign]
        paid = await foreigner.pay(PAYMENT, segment_size=300)
        await bank.idle()
        assert posts == paid.num_segments + 1
        assert (await bank.books())["totals"]["executed"] == 1
