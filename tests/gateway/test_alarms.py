"""What waits too long in a queue: told once, and resolved by itself; what may not move is not late."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from channels.channel import Fate, FateReport, InDoubt, NotSent
from gateway.alarms import Alarms, Queue, queue_ages
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.policy.verdict import Verdict
from gateway.review_standing import facts_of
from gateway.store.groups import GroupAct
from gateway.store.records import PaymentChange, PaymentFilter, Reason
from gateway.store.reviews import Judged, Step
from gateway.telemetry import Metrics

ALARMS = {
    "in_review_seconds": 600,
    "awaiting_approval_seconds": 600,
    "release_group_seconds": 600,
    "approved_seconds": 600,
    "ready_seconds": 600,
    "in_doubt_seconds": 600,
    "unanswered_seconds": 600,
    "unread_seconds": 600,
}
MINUTES = 11


def alarms_of(desk, metrics: Metrics | None = None) -> Alarms:
    connection = desk.connection
    return Alarms(desk.store, connection.settings, connection.window, desk.clock, metrics or Metrics())


async def approved(desk, files) -> None:
    await desk.submit()


async def ready(desk, files) -> None:
    await desk.submit()
    desk.channel.outcomes = [NotSent("connection refused")]
    await desk.pump()


async def in_doubt(desk, files) -> None:
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()


async def unanswered(desk, files) -> None:
    await desk.submit()
    await desk.pump()


async def unread(desk, files) -> None:
    desk.channel.offers.append(("answer.xml", files.pain002("NOT-OURS", group="ACCP").encode()))
    await desk.intake.fetch()


async def form_and_send(desk, files) -> None:
    await desk.pump()


async def find_it(desk, files) -> None:
    desk.channel.fates = [FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")]
    await desk.pump()


async def answer(desk, files) -> None:
    await desk.receive(files.pain002((await desk.delivery()).message_id, group="ACCP"))


async def read(desk, files) -> None:
    await desk.intake.read_waiting()


async def in_review(desk, files) -> None:
    assert (await desk.store.submit([replace(desk.row("INV-1"), state=PaymentState.RECEIVED)])).stored


async def judge(desk, files) -> None:
    await desk.store.change_payments([await _moved(desk, PaymentEvent.APPROVE)])
    await desk.pump()


async def awaiting_approval(desk, files) -> None:
    await in_review(desk, files)
    await desk.store.change_payments([await _moved(desk, PaymentEvent.REQUIRE_APPROVAL)])


async def _moved(desk, event: PaymentEvent) -> PaymentChange:
    ((one,), _) = await desk.store.list_payments(PaymentFilter(), limit=1)
    return PaymentChange(
        payment_id=one.payment_id,
        version=one.version,
        event=event,
        state=advance(PAYMENT_TABLE, one.state, event),
        reason=Reason(),
        source="test",
    )


async def grouped(desk, files) -> None:
    assert (await desk.store.submit([replace(desk.row("INV-1"), release_group="G")])).stored


async def let_go(desk, files) -> None:
    ((group,), _) = await desk.store.release_groups(limit=1)
    there = await desk.store.release_group(group.group_id)
    await desk.store.close_group(group.group_id, there.submitted, GroupAct(by="caller: erp"))
    await desk.pump()


WAYS = {
    Queue.IN_REVIEW: (in_review, judge),
    Queue.AWAITING_APPROVAL: (awaiting_approval, judge),
    Queue.RELEASE_GROUP: (grouped, let_go),
    Queue.APPROVED: (approved, form_and_send),
    Queue.READY: (ready, form_and_send),
    Queue.IN_DOUBT: (in_doubt, find_it),
    Queue.UNANSWERED: (unanswered, answer),
    Queue.UNREAD: (unread, read),
}


@pytest.mark.parametrize("queue", Queue)
async def test_a_queue_that_waits_too_long_is_told_once_and_resolves_by_itself(make_desk, files, queue: Queue) -> None:
    fill, empty = WAYS[queue]
    desk = await make_desk(alarms=ALARMS)
    metrics = Metrics()
    alarms = alarms_of(desk, metrics)

    def late() -> float | None:
        return metrics.registry.get_sample_value("bankgate_queue_late", {"connection": "bank", "queue": queue.value})

    await fill(desk, files)
    await alarms.check()
    assert ("queue_age" in await desk.discrepancies(), late()) == (False, 0)
    for _ in range(3):
        desk.clock.advance(minutes=MINUTES)
        await alarms.check()
        await alarms_of(desk).check()  # another process, which remembers nothing
    found = [one for one in (await desk.store.list_discrepancies(limit=100))[0] if one.kind == "queue_age"]
    assert [f'"queue": "{queue.value}"' in one.evidence for one in found] == [True]
    assert late() == 1
    age = metrics.registry.get_sample_value("bankgate_queue_age_seconds", {"connection": "bank", "queue": queue.value})
    assert age == 3 * MINUTES * 60
    await empty(desk, files)
    await alarms.check()
    assert late() == 0
    all_of_them = (await desk.store.list_discrepancies(include_resolved=True, limit=100))[0]
    (told,) = [one for one in all_of_them if one.kind == "queue_age" and f'"{queue.value}"' in one.evidence]
    assert told.resolved_by == "bankgate (by itself)"


async def test_a_group_that_waits_past_a_requested_date_is_told_at_once(make_desk, files) -> None:
    desk = await make_desk(alarms={"release_group_seconds": 30 * 86_400})
    await grouped(desk, files)
    (age,) = await queue_ages(desk.store, desk.connection.settings, None, desk.clock())
    assert (age.queue, age.late) == (Queue.RELEASE_GROUP, False)
    later = desk.row("INV-1").terms.requested_execution_date + timedelta(days=1)
    (age,) = await queue_ages(desk.store, desk.connection.settings, None, datetime.combine(later, time(1), UTC))
    assert (age.late, age.overdue) == (True, True)


async def test_a_payment_that_waits_for_people_past_its_execution_date_is_told_at_once(make_desk, files) -> None:
    desk = await make_desk(time_zone="Europe/Berlin", alarms={"awaiting_approval_seconds": 30 * 86_400})
    await in_review(desk, files)
    (waiting,) = await desk.store.unjudged(1)
    step = Step(event=PaymentEvent.REQUIRE_APPROVAL, state=PaymentState.AWAITING_APPROVAL, reason=Reason())
    judged = Judged(
        payment_id=waiting.payment.payment_id,
        version=1,
        review=None,
        facts=facts_of(waiting.payment),
        digest=b"",
        verdict=Verdict(findings=()),
        steps=(step,),
    )
    await desk.store.write_judged(0, "rules", [judged])
    for at, told in ((datetime(2026, 11, 26, 22, tzinfo=UTC), []), (datetime(2026, 11, 26, 23, tzinfo=UTC), ["queue_age"])):
        desk.clock.moment = at
        await alarms_of(desk).check()
        assert await desk.discrepancies() == told


async def test_an_alarm_set_to_0_never_tells(make_desk, files) -> None:
    desk = await make_desk(alarms={"approved_seconds": 0})
    await desk.submit()
    desk.clock.advance(days=20)
    await alarms_of(desk).check()
    assert await desk.discrepancies() == []


async def test_payments_that_wait_for_their_window_are_not_late_until_it_has_been_open_for_so_long(make_desk) -> None:
    window = {"calendar": "TARGET", "opens": "07:00", "cut_off": "16:30"}
    desk = await make_desk(alarms=ALARMS, send_window=window, time_zone="Europe/Berlin")
    desk.clock.moment = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)  # a Friday, the cut-off
    await desk.submit()
    alarms = alarms_of(desk)
    for _ in range(60):
        desk.clock.advance(hours=1)
        await alarms.check()
    assert await desk.discrepancies() == []
    desk.clock.moment = datetime(2026, 11, 30, 6, 10, 1, tzinfo=UTC)
    await alarms.check()
    assert await desk.discrepancies() == ["queue_age"]


async def test_a_message_that_waits_for_its_window_is_not_late_either(make_desk) -> None:
    window = {"calendar": "TARGET", "opens": "07:00", "cut_off": "16:30"}
    desk = await make_desk(alarms=ALARMS, send_window=window, time_zone="Europe/Berlin")
    await desk.submit()
    desk.clock.moment = datetime(2026, 11, 27, 15, 29, 59, tzinfo=UTC)
    await desk.form()
    desk.clock.advance(seconds=1)
    await desk.courier.advance_due()
    desk.clock.advance(hours=30)
    await alarms_of(desk).check()
    assert await desk.discrepancies() == []


async def test_what_a_person_resolved_while_it_lasts_is_not_told_again_for_the_same_wait(make_desk) -> None:
    desk = await make_desk(alarms=ALARMS)
    await desk.submit()
    desk.clock.advance(minutes=MINUTES)
    alarms = alarms_of(desk)
    await alarms.check()
    (one,) = (await desk.store.list_discrepancies(limit=10))[0]
    await desk.store.resolve_discrepancy(one.discrepancy_id, "ops", "the bank is closed for works until noon")
    desk.clock.advance(minutes=MINUTES)
    await alarms.check()
    await alarms_of(desk).check()
    assert await desk.discrepancies() == []


async def test_a_message_answered_in_part_is_answered_and_one_sent_long_ago_is_history(make_desk, files) -> None:
    desk = await make_desk(alarms=ALARMS)
    first, _second = await desk.submit(2)
    await desk.pump()
    delivery = await desk.delivery()
    assert (await desk.store.oldest_unanswered("bank", desk.clock() - timedelta(days=1))).delivery_id == delivery.delivery_id
    assert await desk.store.oldest_unanswered("bank", desk.clock() + timedelta(days=1)) is None
    body = files.block(f"{delivery.message_id}-1", files.transaction(first, "INV-1", "ACSP"))
    await desk.receive(files.pain002(delivery.message_id, body=body))
    assert await desk.store.oldest_unanswered("bank", desk.clock() - timedelta(days=1)) is None


async def test_the_ages_are_those_of_the_oldest(make_desk) -> None:
    desk = await make_desk(alarms=ALARMS, batching={"transfers_max": 1})
    await desk.submit(prefix="OLD")
    desk.channel.outcomes = [InDoubt("cut")] * 2
    await desk.pump()
    first = await desk.delivery()
    desk.clock.advance(minutes=5)
    await desk.submit(prefix="NEW")
    await desk.pump()
    (age,) = await queue_ages(desk.store, desk.connection.settings, None, desk.clock())
    assert (age.queue, age.delivery_id, age.late) == (Queue.IN_DOUBT, first.delivery_id, False)


async def test_the_worker_looks_at_the_queues_of_every_connection(make_desk, tmp_path) -> None:
    from gateway.config import Configuration
    from gateway.worker import Worker

    desk = await make_desk(alarms=ALARMS, retry={"in_flight_max": 7})
    await desk.submit()
    await desk.form()
    desk.clock.advance(minutes=MINUTES)
    metrics = Metrics()
    configuration = Configuration(directory=tmp_path, connections={"bank": desk.connection.settings})
    worker = Worker(configuration, desk.store, now=desk.clock, measures=metrics)
    await worker.check_queues()
    await worker.close()
    assert await desk.discrepancies() == ["queue_age"]
    seen = [
        metrics.registry.get_sample_value(f"bankgate_deliveries_in_flight{end}", {"connection": "bank"}) for end in ("", "_max")
    ]
    assert seen == [1, 7]


async def test_an_operator_sees_for_how_long_the_feed_is_held_up(make_desk, tmp_path, monkeypatch) -> None:
    from gateway.config import Configuration
    from gateway.worker import Worker

    async def held_up(_) -> timedelta:
        return timedelta(seconds=90)

    desk = await make_desk()
    monkeypatch.setattr(type(desk.store), "horizon_age", held_up)
    metrics = Metrics()
    worker = Worker(Configuration(directory=tmp_path), desk.store, now=desk.clock, measures=metrics)
    await worker.set_gauges()
    await worker.close()
    assert metrics.registry.get_sample_value("bankgate_feed_held_up_seconds") == 90


async def test_a_payment_whose_wake_was_lost_does_not_wait_for_ever(make_desk, tmp_path) -> None:
    from gateway.config import Configuration
    from gateway.worker import Worker

    desk = await make_desk()
    await desk.submit()
    lane = desk.connection.id
    claimed = await desk.store.claim_lane("gone", desk.clock(), timedelta(minutes=1), [lane])
    assert claimed is not None
    await desk.store.release_lane(lane, "gone", claimed[1], None)
    assert await desk.store.claim_lane("next", desk.clock(), timedelta(minutes=1), [lane]) is None, "nobody is to come"
    configuration = Configuration(directory=tmp_path, connections={"bank": desk.connection.settings})
    worker = Worker(configuration, desk.store, now=desk.clock, measures=Metrics())
    await worker.check_queues()
    await worker.close()
    assert await desk.store.claim_lane("next", desk.clock(), timedelta(minutes=1), [lane]) is not None
