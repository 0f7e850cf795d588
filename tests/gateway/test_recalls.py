"""A payment that the bank has is asked back: sent once, answered, shown; and it moves only by the bank's news of itself."""

import io
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from channels.channel import InDoubt, NotSent, Refused
from formats.bank import discover
from formats.dialects.recalling import LINES
from formats.dialogue import DialogueBank
from formats.schemas import validate_outbound
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.config_rules import of_connection
from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.lifecycle import PaymentState
from gateway.recall_lane import Recaller
from gateway.recall_ways import no_way, recall_problems
from gateway.service import Gateway
from gateway.store.recalls import Recall
from gateway.telemetry import Metrics
from gateway.worker import SendLane

ERP = Caller("erp", ("*",), frozenset({"submit", "read", "cancel"}))
TAKES = {"recalls": {"message": "camt.055.001.09"}}
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.029.001.09"


class Case:
    """A payment with the bank, and the lane that sends."""

    def __init__(self, desk: Any, payment_id: str) -> None:
        self.desk, self.payment_id = desk, payment_id
        self.lane = SendLane(desk.courier, desk.preparer, Recaller(desk.store, desk.connection, desk.clock))
        configuration = Configuration(directory=desk.connection.base, connections={"bank": desk.connection.settings})
        self.gateway = Gateway(configuration, desk.store, clock=desk.clock, metrics=Metrics())

    async def recall(self, **more: Any) -> Recall:
        asked = {"payment_id": self.payment_id, "reason": "DUPL", "note": "paid on Monday already", **more}
        _, recall = await self.gateway.recall(ERP, **asked)
        return recall

    async def state(self) -> str:
        return (await self.desk.store.recalls_of(self.payment_id))[0].state.value

    async def events(self) -> list[str]:
        rows = await self.desk.store.payment_events(self.payment_id)
        return [row.reason.code.removeprefix("bankgate.") for row in rows if "recall" in row.reason.code]

    async def answered(self, status: str, *, case: str = "", reason: str = "", name: str = "a.xml") -> None:
        why = f"<CxlStsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></CxlStsRsnInf>" if reason else ""
        resolved = f"<RslvdCase><Id>{case}</Id></RslvdCase>" if case else ""
        single = f"{resolved}<OrgnlInstrId>{self.payment_id}</OrgnlInstrId><OrgnlEndToEndId>INV-1</OrgnlEndToEndId>"
        details = f"<CxlDtls><TxInfAndSts>{single}<TxCxlSts>{status}</TxCxlSts>{why}</TxInfAndSts></CxlDtls>"
        text = f'<!-- {name} --><Document xmlns="{NAMESPACE}"><RsltnOfInvstgtn>{details}</RsltnOfInvstgtn></Document>'
        await self.desk.receive(text, name)


@pytest.fixture
async def case(make_desk: Any) -> Case:
    desk = await make_desk(**TAKES)
    (payment_id,) = await desk.submit(1)
    await desk.pump()
    return Case(desk, payment_id)


async def test_the_message_names_the_payment_by_every_id_passes_its_schema_and_is_sent_once(case: Case) -> None:
    recall = await case.recall()
    assert await case.recall() == recall, "a second one is answered with the first"
    original = await case.desk.delivery()
    await case.lane.pump()
    await case.lane.pump()
    assert [name for name, _ in case.desk.channel.bank].count(original.file_name) == 1
    (_, data) = case.desk.channel.bank[1]
    assert len(case.desk.channel.bank) == 2
    validate_outbound(io.BytesIO(data), "camt.055.001.09")
    tree = etree.fromstring(data)

    def text(tag: str) -> list[str | None]:
        return [element.text for element in tree.iter(f"{{*}}{tag}")]

    payment = await case.desk.payment(case.payment_id)
    assert text("OrgnlMsgId") == [original.message_id]
    assert text("OrgnlPmtInfId") == [f"{original.message_id}-1"]
    assert text("OrgnlInstrId") == [case.payment_id]
    assert text("OrgnlEndToEndId") == ["INV-1"]
    assert text("OrgnlInstdAmt") == ["10.00"]
    assert (text("CxlId"), text("GrpCxl"), text("PmtInfCxl")) == ([recall.recall_id], ["false"], ["false"])
    assert text("AddtlInf") == ["paid on Monday already"]
    assert tree.find(".//{*}CxlRsnInf/{*}Rsn/{*}Cd").text == "DUPL"  # type: ignore[union-attr]
    assert tree.find(".//{*}Case/{*}Id").text == recall.recall_id  # type: ignore[union-attr]
    assert payment.state is PaymentState.SENT
    assert (await case.state(), await case.events()) == ("sent", ["recall-requested", "recall-sent"])
    assert await case.desk.discrepancies() == []


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [("ACCR", "accepted", ""), ("CNCL", "accepted", ""), ("RJCR", "refused", "CUST"), ("PDCR", "pending", "")],
)
async def test_the_banks_answer_becomes_the_recalls_state_and_not_the_payments(
    case: Case, status: str, state: str, reason: str
) -> None:
    recall = await case.recall()
    await case.lane.pump()
    await case.answered(status, case=recall.recall_id, reason=reason)
    await case.answered(status, case=recall.recall_id, reason=reason, name="again.xml")
    (kept,) = await case.desk.store.recalls_of(case.payment_id)
    assert (kept.state.value, kept.answer_status, kept.answer_reason.code) == (state, status, reason)
    assert (await case.desk.payment(case.payment_id)).state is PaymentState.SENT
    assert (await case.events())[-1] == f"recall-{state}"
    assert await case.desk.discrepancies() == []


async def test_an_answer_in_doubt_proves_that_the_request_arrived_and_is_never_sent_again_blindly(case: Case) -> None:
    case.desk.channel.outcomes.append(InDoubt("the line broke"))
    await case.recall()
    await case.lane.pump()
    case.desk.clock.advance(hours=1)
    await case.lane.pump()
    assert len(case.desk.channel.sends) == 2, "the payment's message and the recall's, each once"
    assert (await case.state(), await case.events()) == ("in_doubt", ["recall-requested", "recall-in-doubt"])
    await case.answered("PDCR")
    assert await case.state() == "pending"
    assert [one.state.value for one in await case.desk.deliveries()] == ["sent", "sent"]


async def test_what_left_us_not_at_all_is_tried_again_and_what_the_door_refused_has_failed(case: Case) -> None:
    case.desk.channel.outcomes += [NotSent("no route"), Refused("550", "unknown message")]
    await case.recall()
    await case.lane.pump()
    assert await case.state() == "requested"
    case.desk.clock.advance(hours=1)
    await case.lane.pump()
    assert (await case.state(), await case.events()) == ("failed", ["recall-requested", "recall-failed"])
    found, _ = await case.desk.store.list_discrepancies(limit=9)
    assert ["it asked to cancel a payment, which stands" in one.summary_en for one in found] == [True]
    assert (await case.desk.payment(case.payment_id)).state is PaymentState.SENT
    assert (await case.recall()).state.value == "requested", "it may be asked for again"


async def test_contradicting_answers_and_answers_to_nothing_are_put_before_a_person(case: Case) -> None:
    await case.answered("ACCR", name="unasked.xml")
    assert await case.desk.discrepancies() == ["cancellation_answered"]
    recall = await case.recall()
    await case.answered("ACCR", name="before-it-left.xml")
    assert (await case.state(), await case.desk.discrepancies()) == ("requested", ["cancellation_answered"] * 2)
    await case.lane.pump()
    await case.answered("RJCR", case=recall.recall_id, name="one.xml")
    await case.answered("ACCR", case=recall.recall_id, name="two.xml")
    await case.answered("XXXX", case=recall.recall_id, name="three.xml")
    assert await case.state() == "refused"
    assert (await case.desk.discrepancies())[2:] == ["contradiction", "cancellation_answered"]
    assert (await case.desk.payment(case.payment_id)).state is PaymentState.SENT


async def test_a_status_report_that_rejects_the_request_refuses_the_recall(case: Case, files: Any) -> None:
    await case.recall()
    await case.lane.pump()
    carried_by = (await case.desk.deliveries())[-1]
    why = "<StsRsnInf><Rsn><Cd>AM09</Cd></Rsn></StsRsnInf>"
    await case.desk.receive(files.pain002(carried_by.message_id, group="RJCT", reasons=why))
    (kept,) = await case.desk.store.recalls_of(case.payment_id)
    assert (kept.state.value, kept.answer_status, kept.answer_reason.code) == ("refused", "RJCT", "AM09")
    assert (await case.desk.payment(case.payment_id)).state is PaymentState.SENT
    assert await case.desk.discrepancies() == []


async def test_what_cannot_be_recalled_is_said_with_its_state_and_the_way_out(case: Case, make_desk: Any) -> None:
    (waiting,) = await case.desk.submit(1, prefix="LATER")
    for asked, error in (
        ({"payment_id": waiting}, TooLate),
        ({"reason": "NONE"}, BadRequest),
        ({"note": "x" * 106}, BadRequest),
        ({"payment_id": "f" * 32}, NotFound),
    ):
        with pytest.raises(error):
            await case.recall(**asked)
    for caller, error in (
        (Caller("erp", ("*",), frozenset({"submit", "read"})), Forbidden),
        (Caller("erp", ("other",), ERP.actions), NotFound),  # nor could it read it
        (Caller("other", ("*",), ERP.actions), NotFound),
    ):
        with pytest.raises(error):
            await case.gateway.recall(caller, payment_id=case.payment_id, reason="DUPL")
    takes_none = Case(await make_desk(), case.payment_id)
    with pytest.raises(TooLate, match="sends no recalls"):
        await takes_none.recall()
    assert await case.desk.store.recalls_of(case.payment_id) == []


async def test_recalls_travel_only_where_the_bank_has_an_order_for_them(case: Case) -> None:
    settings = case.desk.connection.settings

    def keys(**changes: Any) -> set[str]:
        changed = settings.model_copy(update=changes)
        return {key for key, _, hint in recall_problems(changed) if hint}

    upload, answers = {"service": {"message": "camt.055"}}, {"service": {"message": "camt.029"}}
    ebics = {"kind": "ebics", "version": "H005", "recalls": upload}
    assert keys() == set()
    assert keys(recalls=settings.recalls.model_copy(update={"message": "camt.056.001.01"})) == {"recalls.message"}
    assert keys(channel={"kind": "frontend"}) == {"recalls.message"}
    assert keys(channel={"kind": "ebics"}) == {"channel.recalls"}
    other = {"service": {"message": "camt.053"}}
    assert keys(channel={**ebics, "downloads": [other]}) == {"channel.downloads"}, "their answers must be fetched too"
    assert keys(channel=ebics) == set(), "another connection of this subscriber fetches"
    assert keys(channel={**ebics, "downloads": [other, answers]}) == set()
    assert keys(channel={"kind": "ebics", "version": "H004", "recalls": {"order_type": "C55"}}) == set()
    no_message = settings.recalls.model_copy(update={"message": None})
    assert keys(channel=ebics, recalls=no_message) == {"recalls.message"}
    assert {key for _, key, _, _ in of_connection(settings, "bank.toml", case.desk.connection.base) if "recalls" in key} == set()


async def test_a_bank_whose_interface_has_no_recall_is_asked_by_a_person_and_nothing_is_stored(case: Case) -> None:
    settings = case.desk.connection.settings.model_copy(update={"channel": {"kind": "frontend"}})
    configuration = Configuration(directory=case.desk.connection.base, connections={"bank": settings})
    case.gateway = Gateway(configuration, case.desk.store, clock=case.desk.clock, metrics=Metrics())
    with pytest.raises(TooLate, match="takes no recalls over its interface"):
        await case.recall()
    assert await case.desk.store.recalls_of(case.payment_id) == []
    chinese = [name for name, plugin in discover().items() if isinstance(plugin, DialogueBank)]
    assert set(chinese) == set(LINES)
    for bank in chinese:
        words = no_way(settings.model_copy(update={"bank": bank}), "bank")
        assert words is not None
        assert LINES[bank] in words
        assert "开户网点" in words
        page = (Path(__file__).parents[2] / "docs" / "banks" / f"{bank}.md").read_text(encoding="utf-8")
        assert f"service line {LINES[bank]}" in page, "its page says so too"
