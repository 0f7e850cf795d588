"""Evidence that is gathered by itself, one test per source, kept with source and time; and wrong or late decisions of persons.

Under EBICS the customer protocol (HAC) is one source more; it comes with that channel.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Channel, InDoubt, NotSent
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.errors import BadRequest, TooLate
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.service import Gateway
from gateway.telemetry import Metrics
from tests.channels.support.http_bank import HttpBank
from tests.channels.support.parcels import channel_of
from tests.channels.support.sftp_bank import SECRETS, SftpBank

OPS = Caller("ops", ("*",), frozenset({"operate", "read", "submit"}))
SAID = "Ms Meier, payments desk, by telephone: they have it"


@dataclass
class Side:
    """A bank's side that can be asked: how to put a file there, and what the evidence is called."""

    channel: Channel
    put: Callable[[str, bytes], object]
    source: str


@pytest.fixture(params=["sftp", "https", "folder"])
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    place = tmp_path / "bank"
    place.mkdir()
    if request.param == "sftp":
        sftp = SftpBank(place)
        await sftp.start()
        channel = channel_of(sftp.table(), secrets=SECRETS)
        yield Side(channel, lambda name, data: (sftp.root / "inbox" / name).write_bytes(data), "sftp.listing inbox")
        await channel.close()
        await sftp.stop()
    elif request.param == "https":
        async with HttpBank() as web:
            url = f"http://127.0.0.1:{web.port}"
            table: dict[str, Any] = {"kind": "https", "base_url": url, "allow_plaintext_loopback": True, "upload_path": "/in"}
            channel = channel_of(table)
            yield Side(channel, web.files.__setitem__, "http.head")
            await channel.close()
    else:
        (place / "inbox").mkdir()
        channel = channel_of({"kind": "folder", "upload": "inbox"}, base=place)
        yield Side(channel, lambda name, data: (place / "inbox" / name).write_bytes(data), "folder.listing upload")
        await channel.close()


async def doubted(desk: Any) -> Any:
    """A message whose receipt was lost; the sealed bytes are at hand."""
    await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost"]
    await desk.pump()
    delivery = await desk.delivery()
    assert delivery.state is DeliveryState.IN_DOUBT
    desk.clock.advance(minutes=5)
    return delivery


async def test_a_file_that_is_there_under_the_fixed_name_is_found_and_kept_as_evidence(make_desk, side: Side) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    side.put(*desk.channel.bank[0])
    desk.courier.channel = side.channel
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    (kept,) = await desk.store.evidence(delivery.delivery_id)
    assert (kept.source, kept.verdict, kept.found_at) == (side.source, "arrived", desk.clock())
    assert await desk.states() == {PaymentState.SENT: 1}


async def test_another_file_under_the_fixed_name_proves_nothing_and_is_shown_to_the_person(make_desk, side: Side) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    side.put(delivery.file_name, b"another")
    desk.courier.channel = side.channel
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    (kept,) = await desk.store.evidence(delivery.delivery_id)
    assert (kept.source, kept.verdict) == (side.source, "unknown")
    assert "7 bytes" in kept.detail


async def test_a_file_that_is_gone_from_where_it_was_put_is_unknown_and_never_sent_again(make_desk, side: Side) -> None:
    desk = await make_desk(guarantee={"kind": "queryable", "absence_is_final": False, "quiet_seconds": 1000})
    delivery = await doubted(desk)
    desk.courier.channel = side.channel
    for _ in range(6):
        desk.clock.advance(hours=3)
        await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    (kept,) = await desk.store.evidence(delivery.delivery_id)  # the same answer is kept once
    assert kept.verdict == "unknown"
    assert (await desk.delivery()).attempt == 1


@pytest.mark.parametrize(
    ("news", "source"),
    [
        ("pain002", "pain.002.001.10 B-1"),
        ("camt054", "camt.054.001.08 N-1"),
    ],
)
async def test_the_banks_own_news_is_evidence_with_its_source_and_time(make_desk, files, news: str, source: str) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    payment_id = (await desk.store.list_payments(_all(), limit=1))[0][0].payment_id
    file = files.pain002(delivery.message_id, group="ACTC")
    if news == "camt054":
        file = files.camt054(files.entry("10.00", f"<MsgId>{delivery.message_id}</MsgId><InstrId>{payment_id}</InstrId>"))
    await desk.receive(file)
    assert (await desk.delivery()).state is DeliveryState.SENT
    (kept,) = await desk.store.evidence(delivery.delivery_id)
    assert (kept.source, kept.verdict, kept.found_at) == (source, "arrived", desk.clock())


def _all() -> Any:
    from gateway.store.records import PaymentFilter

    return PaymentFilter(connection_id="bank")


# -- persons ---------------------------------------------------------------------------------------------------------------


def office(desk: Any, tmp_path: Path) -> Gateway:
    configuration = Configuration(directory=tmp_path, connections={"bank": desk.connection.settings})
    return Gateway(configuration, desk.store, clock=desk.clock, metrics=Metrics())


@pytest.mark.parametrize("reason", ["", "   ", "ok", "  short   "])
async def test_a_decision_without_a_reason_decides_nothing(make_desk, tmp_path: Path, reason: str) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    with pytest.raises(BadRequest):
        await office(desk, tmp_path).resolve_delivery(OPS, delivery.delivery_id, True, reason)
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT


async def test_a_decision_is_an_event_of_the_payments_and_evidence_with_who_and_why(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    decided = await office(desk, tmp_path).resolve_delivery(OPS, delivery.delivery_id, True, SAID)
    assert (decided.state, decided.reason.code) == (DeliveryState.SENT, "bankgate.decided")
    assert SAID in decided.reason.bank_text
    (kept,) = await desk.store.evidence(delivery.delivery_id)
    assert (kept.source, kept.verdict, kept.detail, kept.found_at) == ("person: ops", "arrived", SAID, desk.clock())
    (payment,) = (await desk.store.list_payments(_all(), limit=1))[0]
    events = await desk.store.payment_events(payment.payment_id)
    assert [(event.state, event.source) for event in events][-1] == (PaymentState.SENT, "person: ops")


async def test_the_history_of_a_message_tells_attempts_doubt_and_decision_in_order(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    gateway = office(desk, tmp_path)
    await gateway.resolve_delivery(OPS, delivery.delivery_id, False, SAID)
    await desk.pump()
    _, attempts, evidence, events = await gateway.delivery(OPS, delivery.delivery_id)
    assert [(event.event, event.source) for event in events] == [
        ("formed", "gateway"),
        ("document_attached", "gateway"),
        ("started", "gateway"),
        ("lost_track", "gateway"),
        ("found_missing", "person: ops"),
        ("started", "gateway"),
        ("confirmed", "gateway"),
    ]
    assert SAID in events[4].reason.bank_text
    assert [attempt.outcome for attempt in attempts] == ["found_missing", "confirmed"]
    assert [one.source for one in evidence] == ["person: ops", "scripted.rename"]


async def test_a_decision_that_comes_too_late_decides_nothing(make_desk, files, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    await desk.receive(files.pain002(delivery.message_id, group="ACCP"))
    with pytest.raises(TooLate):
        await office(desk, tmp_path).resolve_delivery(OPS, delivery.delivery_id, False, SAID)
    assert len(desk.channel.sends) == 1


async def test_a_wrong_did_not_arrive_that_news_contradicts_in_time_is_told_and_sends_nothing(
    make_desk, files, tmp_path: Path
) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    await office(desk, tmp_path).resolve_delivery(OPS, delivery.delivery_id, False, SAID)
    await desk.receive(files.pain002(delivery.message_id, group="ACCP"))  # before the lane turns
    assert (await desk.delivery()).state is DeliveryState.SENT
    await desk.pump()
    assert len(desk.channel.sends) == 1
    assert await desk.discrepancies() == ["decision_contradicted"]


async def test_a_wrong_did_not_arrive_that_is_acted_upon_ends_with_a_person_told_of_the_copy(
    make_desk, files, tmp_path: Path
) -> None:
    desk = await make_desk()
    delivery = await doubted(desk)
    await office(desk, tmp_path).resolve_delivery(OPS, delivery.delivery_id, False, SAID)
    await desk.pump()
    assert len(desk.channel.bank) == 2
    duplicate = "<StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>"
    await desk.receive(files.pain002(delivery.message_id, group="RJCT", reasons=duplicate))
    assert await desk.discrepancies() == ["duplicate_reported"]
    assert await desk.states() == {PaymentState.SENT: 1}


async def test_a_wrong_arrived_that_the_channel_contradicts_is_told(make_desk, tmp_path: Path) -> None:
    """The sender was stopped, its lane taken over, a person decided; then it wakes up, and knows that nothing left."""
    desk, other = await make_desk(), await make_desk()
    await desk.submit()
    desk.channel.outcomes = [NotSent("connection refused")]

    async def decided():  # type: ignore[no-untyped-def]
        await other.courier.recover()
        await office(other, tmp_path).resolve_delivery(OPS, (await other.delivery()).delivery_id, True, SAID)
        yield

    desk.channel.before_outcome = decided
    await desk.pump()
    delivery = await desk.delivery()
    assert delivery.state is DeliveryState.SENT, "a decision is not undone in silence"
    assert await desk.discrepancies() == ["decision_contradicted"]
    kept = await desk.store.evidence(delivery.delivery_id)
    assert [(one.source, one.verdict) for one in kept] == [("person: ops", "arrived"), ("channel", "did_not_arrive")]


async def test_a_wrong_arrived_that_nobody_contradicts_ends_as_an_alarm_of_what_is_unanswered(make_desk, tmp_path: Path) -> None:
    from gateway.alarms import Alarms

    desk = await make_desk()
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    await office(desk, tmp_path).resolve_delivery(OPS, (await desk.delivery()).delivery_id, True, SAID)
    desk.clock.advance(days=3, seconds=1)
    await Alarms(desk.store, desk.connection.settings, None, desk.clock, Metrics()).check()
    assert await desk.discrepancies() == ["queue_age"]
