"""PaymentService over a real connection: what callers can rely on."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status.rpc_status import GRPC_DETAILS_METADATA_KEY

from bankgate.v1 import payments_pb2 as pb
from bankgate.v1 import payments_pb2_grpc, types_pb2
from gateway.rpc.payments import BATCHES_AT_ONCE
from gateway.rpc.server import RpcServer
from gateway.store.store import StoreUnavailable

from .fakes import FakeGateway

Stub = payments_pb2_grpc.PaymentServiceStub


def details_of(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    raw = next(value for key, value in error.trailing_metadata() if key == GRPC_DETAILS_METADATA_KEY)
    status = status_pb2.Status.FromString(raw)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
    return info, bad_request


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the fake's counters have no events
            await asyncio.sleep(0.01)


async def test_submitting_again_is_answered_with_what_is_there(payments: Stub, batch_of: Any) -> None:
    first = await payments.SubmitPayments(batch_of("r-1", "r-2"))
    again = await payments.SubmitPayments(batch_of("r-1", "r-3"))
    assert [p.already_known for p in first.payments] == [False, False]
    assert [(p.payment_reference, p.already_known) for p in again.payments] == [("r-1", True), ("r-3", False)]
    assert again.payments[0].payment_id == first.payments[0].payment_id
    assert again.payments[0].state == types_pb2.PAYMENT_STATE_APPROVED


async def test_every_violation_is_named_with_its_place_rule_and_words_in_both_languages(
    payments: Stub, gateway: FakeGateway, batch_of: Any, request_of: Any
) -> None:
    call = pb.SubmitPaymentsRequest(
        payments=[request_of("a"), request_of("b", currency="XXX"), request_of("c", amount="1,5", currency="")]
    )
    error = await refused(payments.SubmitPayments(call))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = details_of(error)
    assert [(v.field, v.reason) for v in bad_request.field_violations] == [
        ("payments[1].currency", "currency.unknown"),
        ("payments[2].amount", "amount.format"),
        ("payments[2].currency", "currency.unknown"),
    ]
    first = bad_request.field_violations[0]
    assert "ISO 4217" in first.description
    assert first.description.endswith("Fix: EUR")
    assert (first.localized_message.locale, first.localized_message.message) == ("zh-CN", "货币代码不对。")
    assert (info.reason, info.domain, dict(info.metadata)) == ("PAYMENTS_INVALID", "bankgate", {"total": "3", "shown": "3"})
    assert gateway.payments == {}


async def test_other_content_under_a_known_reference_names_the_fields_that_differ(payments: Stub, batch_of: Any) -> None:
    await payments.SubmitPayments(batch_of("r-1"))
    error = await refused(payments.SubmitPayments(batch_of("r-1", amount="99.00")))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    _, bad_request = details_of(error)
    assert [v.field for v in bad_request.field_violations] == ["payments[0].amount", "payments[0].creditor.name"]


def two_thousand_problems(request_of: Any) -> list[types_pb2.PaymentRequest]:
    return [request_of(f"r-{n}", amount="1.5.0", currency="nope") for n in range(1000)]


async def test_two_thousand_problems_reach_a_default_client_cut_to_what_it_can_take(
    payments: Stub, gateway: FakeGateway, request_of: Any
) -> None:
    error = await refused(payments.SubmitPayments(pb.SubmitPaymentsRequest(payments=two_thousand_problems(request_of))))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = details_of(error)
    assert info.metadata["total"] == "2000"
    assert info.metadata["shown"] == str(len(bad_request.field_violations))
    assert 10 < len(bad_request.field_violations) < 100
    assert gateway.payments == {}


async def test_a_client_that_raised_its_cap_gets_all_two_thousand_problems(server: RpcServer, request_of: Any) -> None:
    cap = 4 * 1024 * 1024
    options = [("grpc.max_metadata_size", cap), ("grpc.absolute_max_metadata_size", cap)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:
        stub: Stub = payments_pb2_grpc.PaymentServiceStub(channel)
        call = stub.SubmitPayments(
            pb.SubmitPaymentsRequest(payments=two_thousand_problems(request_of)),
            metadata=(("bankgate-error-bytes-max", str(cap)),),
        )
        info, bad_request = details_of(await refused(call))
    assert dict(info.metadata) == {"total": "2000", "shown": "2000"}
    assert bad_request.field_violations[-1].field == "payments[999].currency"


async def test_a_check_lists_all_two_thousand_problems_in_its_answer(
    payments: Stub, gateway: FakeGateway, request_of: Any
) -> None:
    answer = await payments.CheckPayments(pb.CheckPaymentsRequest(payments=two_thousand_problems(request_of)))
    assert len(answer.violations) == 2000
    last = answer.violations[-1]
    assert (last.index, last.field, last.rule, last.fix) == (999, "payments[999].currency", "currency.unknown", "EUR")
    assert last.payment_reference == "r-999"
    assert gateway.payments == {}


async def test_more_than_a_thousand_payments_in_one_call_are_refused_by_their_number(payments: Stub, batch_of: Any) -> None:
    error = await refused(payments.SubmitPayments(batch_of(*(f"r-{n}" for n in range(1001)))))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1001" in str(error.details())


async def test_a_call_larger_than_the_limit_is_refused_before_it_is_read(payments: Stub, batch_of: Any) -> None:
    error = await refused(payments.SubmitPayments(batch_of("r", end_to_end_id="x" * (17 << 20))))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_without_payments_says_so(payments: Stub) -> None:
    error = await refused(payments.SubmitPayments(pb.SubmitPaymentsRequest()))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(error)[1].field_violations[0].field == "payments"


async def test_a_store_that_cannot_write_is_worth_trying_again(payments: Stub, gateway: FakeGateway, batch_of: Any) -> None:
    gateway.error = StoreUnavailable("disk full at some path")
    error = await refused(payments.SubmitPayments(batch_of("r")))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "some path" not in str(error.details())


async def test_what_nobody_foresaw_is_an_incident_without_its_words(payments: Stub, gateway: FakeGateway, batch_of: Any) -> None:
    gateway.error = ZeroDivisionError("DE89370400440532013000")
    error = await refused(payments.SubmitPayments(batch_of("r")))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "DE89" not in str(error.details())
    assert "incident" in str(error.details())


async def test_warnings_stand_beside_what_was_stored_and_apart_from_what_refuses(
    payments: Stub, gateway: Any, batch_of: Any
) -> None:
    gateway.warnings_each = 1
    answer = await payments.SubmitPayments(batch_of("a", "b"))
    assert [(p.payment_reference, [(w.index, w.rule, w.severity) for w in p.warnings]) for p in answer.payments] == [
        ("a", [(0, "doubtful", "warning")]),
        ("b", [(1, "doubtful", "warning")]),
    ]
    checked = await payments.CheckPayments(pb.CheckPaymentsRequest(payments=batch_of("c").payments))
    assert not checked.violations
    assert [(w.field, w.description_zh, w.payment_reference) for w in checked.warnings] == [
        ("payments[0].creditor", "存疑。", "c")
    ]
    refused_ones = await payments.CheckPayments(pb.CheckPaymentsRequest(payments=batch_of("d", currency="nope").payments))
    assert [(v.rule, v.severity) for v in refused_ones.violations] == [("currency.unknown", "error")]


async def test_warnings_never_make_the_answer_to_what_was_stored_too_large(payments: Stub, gateway: Any, batch_of: Any) -> None:
    gateway.warnings_each = 3
    answer = await payments.SubmitPayments(batch_of(*(f"r-{n}" for n in range(1000))))
    told = [len(payment.warnings) for payment in answer.payments]
    assert (sum(told), told[0], told[333], told[334]) == (1000, 3, 1, 0)


# -- the stream ------------------------------------------------------------------------------------------------------------


async def test_the_stream_acknowledges_batches_in_order_and_goes_on_after_a_bad_one(payments: Stub, batch_of: Any) -> None:
    async def batches() -> Any:
        yield batch_of("a", "b")
        yield batch_of("c", currency="nope")
        yield batch_of("a", amount="7.00")
        yield batch_of(*(f"r-{n}" for n in range(1001)))
        yield batch_of("d", "a")

    answers = [answer async for answer in payments.SubmitPaymentStream(batches())]
    assert [answer.batch for answer in answers] == [0, 1, 2, 3, 4]
    assert [len(answer.payments) for answer in answers] == [2, 0, 0, 0, 2]
    assert answers[1].violations[0].field == "payments[0].currency"
    assert list(answers[2].conflicts[0].fields) == ["payments[0].amount", "payments[0].creditor.name"]
    assert "at most 1000" in answers[3].error
    assert [p.already_known for p in answers[4].payments] == [False, True]


async def test_the_stream_works_on_several_batches_at_once_but_never_without_bound(
    payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()

    async def batches() -> Any:
        for number in range(20):
            yield batch_of(f"r-{number}")

    stream = payments.SubmitPaymentStream(batches())
    reading = asyncio.create_task(_all(stream))
    await until(lambda: gateway.batches_at_once >= BATCHES_AT_ONCE)
    await asyncio.sleep(0.1)  # time to start more than it may
    gateway.hold.set()
    answers = await reading
    assert [answer.batch for answer in answers] == list(range(20))
    assert BATCHES_AT_ONCE <= gateway.batches_at_once_most <= BATCHES_AT_ONCE + 2


async def _all(stream: Any) -> list[Any]:
    return [answer async for answer in stream]


async def test_a_store_failure_ends_the_stream_after_what_was_acknowledged(
    payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    async def batches() -> Any:
        yield batch_of("a")
        await until(lambda: bool(gateway.payments))
        gateway.error = StoreUnavailable()
        yield batch_of("b")

    stream = payments.SubmitPaymentStream(batches())
    assert (await stream.read()).batch == 0
    error = await refused(stream.read())
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_that_goes_away_takes_its_unfinished_batches_along(
    payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()
    stream = payments.SubmitPaymentStream(iter([batch_of("a"), batch_of("b")]))
    await until(lambda: gateway.batches_at_once == 2)
    stream.cancel()
    await until(lambda: not gateway.batches_at_once)
    assert gateway.payments == {}


# -- reading ---------------------------------------------------------------------------------------------------------------


async def test_a_payment_comes_back_as_asked_with_defaults_filled_in(payments: Stub, batch_of: Any) -> None:
    await payments.SubmitPayments(
        batch_of(
            "r-1",
            remittance_information=types_pb2.RemittanceInformation(unstructured=["invoice 1"]),
            payment_type=types_pb2.PaymentType(service_level="SEPA"),
        )
    )
    payment = (await payments.GetPayment(pb.GetPaymentRequest(payment_reference="r-1"))).payment
    assert payment.request.amount == "12.50"
    assert payment.request.end_to_end_id == "r-1"
    assert payment.request.debtor.name == "Holder"
    assert list(payment.request.remittance_information.unstructured) == ["invoice 1"]
    assert payment.request.payment_type.service_level == "SEPA"
    assert payment.reason.text_en
    assert payment.reason.text_zh
    assert payment.created_at.ToJsonString() == "2026-11-25T12:00:00Z"


async def test_a_payment_that_is_not_there_is_not_found(payments: Stub) -> None:
    error = await refused(payments.GetPayment(pb.GetPaymentRequest(payment_id="0" * 32)))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_lists_come_page_by_page_and_reject_a_page_too_large(payments: Stub, gateway: FakeGateway, batch_of: Any) -> None:
    await payments.SubmitPayments(batch_of("a", "b", "c"))
    first = await payments.ListPayments(pb.ListPaymentsRequest(page=types_pb2.Page(size=2)))
    second = await payments.ListPayments(pb.ListPaymentsRequest(page=types_pb2.Page(size=2, token=first.next_page_token)))
    assert [p.request.payment_reference for p in (*first.payments, *second.payments)] == ["a", "b", "c"]
    assert second.next_page_token == ""
    error = await refused(payments.ListPayments(pb.ListPaymentsRequest(page=types_pb2.Page(size=1001))))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_unknown_states_in_a_filter_are_refused_rather_than_ignored(payments: Stub) -> None:
    error = await refused(payments.ListPayments(pb.ListPaymentsRequest(states=[0])))
    assert details_of(error)[1].field_violations[0].field == "states[0]"


async def test_cancelling_in_time_works_and_too_late_names_the_state(payments: Stub, batch_of: Any) -> None:
    await payments.SubmitPayments(batch_of("a"))
    answer = await payments.CancelPayment(pb.CancelPaymentRequest(payment_reference="a", reason="twice"))
    assert answer.payment.state == types_pb2.PAYMENT_STATE_CANCELLED
    error = await refused(payments.CancelPayment(pb.CancelPaymentRequest(payment_reference="a")))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details_of(error)[0].metadata["state"] == "cancelled"


async def everything_of(payments: Stub, request: pb.WatchPaymentEventsRequest) -> list[pb.PaymentEvent]:
    return [event async for answer in payments.WatchPaymentEvents(request) for event in answer.events]


# -- watching --------------------------------------------------------------------------------------------------------------


async def test_a_watch_gives_what_happened_then_what_happens_next(payments: Stub, batch_of: Any) -> None:
    await payments.SubmitPayments(batch_of("a"))
    watch = payments.WatchPaymentEvents(pb.WatchPaymentEventsRequest())
    first = (await watch.read()).events[0]
    await payments.SubmitPayments(batch_of("b"))
    second = (await watch.read()).events[0]
    assert [first.payment_reference, second.payment_reference] == ["a", "b"]
    assert first.previous_state == types_pb2.PAYMENT_STATE_UNSPECIFIED
    watch.cancel()


async def test_a_watch_comes_back_where_it_left(payments: Stub, batch_of: Any) -> None:
    await payments.SubmitPayments(batch_of("a", "b", "c"))
    everything = await everything_of(payments, pb.WatchPaymentEventsRequest(stop_at_end=True))
    request = pb.WatchPaymentEventsRequest(resume_token=everything[0].resume_token, stop_at_end=True)
    rest = await everything_of(payments, request)
    assert rest == everything[1:]


async def test_five_thousand_events_come_in_order_without_gaps(payments: Stub, batch_of: Any) -> None:
    for start in range(0, 5000, 1000):
        await payments.SubmitPayments(batch_of(*(f"r-{n}" for n in range(start, start + 1000))))
    seen = await everything_of(payments, pb.WatchPaymentEventsRequest(stop_at_end=True))
    assert [event.payment_reference for event in seen] == [f"r-{n}" for n in range(5000)]


# -- stopping --------------------------------------------------------------------------------------------------------------


async def test_stopping_ends_watches_with_unavailable_after_everything_that_happened(
    server: RpcServer, payments: Stub, batch_of: Any
) -> None:
    await payments.SubmitPayments(batch_of("a"))
    watch = payments.WatchPaymentEvents(pb.WatchPaymentEventsRequest())
    assert (await watch.read()).events[0].payment_reference == "a"
    stopping = asyncio.create_task(server.drain())
    error = await refused(watch.read())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "resume_token" in str(error.details())
    await stopping


async def test_stopping_acknowledges_the_batches_that_were_begun(
    server: RpcServer, payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()

    async def batches() -> Any:
        yield batch_of("a")
        await asyncio.Event().wait()

    stream = payments.SubmitPaymentStream(batches())
    await until(lambda: gateway.batches_at_once == 1)
    stopping = asyncio.create_task(server.drain())
    await asyncio.sleep(0.05)
    gateway.hold.set()
    acknowledged = await stream.read()
    assert [p.payment_reference for p in acknowledged.payments] == ["a"]
    error = await refused(stream.read())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    await stopping


async def test_stopping_lets_a_call_under_way_finish(
    server: RpcServer, payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()
    call = asyncio.ensure_future(payments.SubmitPayments(batch_of("a")))
    await until(lambda: gateway.batches_at_once == 1)
    stopping = asyncio.create_task(server.drain())
    await asyncio.sleep(0.05)
    gateway.hold.set()
    assert (await call).payments[0].payment_reference == "a"
    await stopping


async def test_a_call_that_comes_while_stopping_is_told_to_come_again(
    server: RpcServer, payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()
    under_way = asyncio.ensure_future(payments.SubmitPayments(batch_of("a")))
    await until(lambda: gateway.batches_at_once == 1)
    stopping = asyncio.create_task(server.drain())
    await asyncio.sleep(0)
    error = await refused(payments.SubmitPayments(batch_of("b")))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in str(error.details())
    gateway.hold.set()
    await under_way
    await stopping
    assert set(gateway.payments) == {"a"}


async def test_a_call_that_outlasts_the_grace_is_cut_off_and_the_server_ends(
    server: RpcServer, payments: Stub, gateway: FakeGateway, batch_of: Any
) -> None:
    gateway.hold = asyncio.Event()
    call = asyncio.ensure_future(payments.SubmitPayments(batch_of("a")))
    await until(lambda: gateway.batches_at_once == 1)
    await server.drain(0.1)
    assert (await refused(call)).code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert gateway.payments == {}
