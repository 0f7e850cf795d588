"""The use cases over the real store and a real bank plugin: what callers may do, and what they are told."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from formats.errors import Violation
from formats.model import Account, Party, PostalAddress, RemittanceInformation
from formats.rules.together import EndToEndIds
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, TooLate, TooMany
from gateway.lifecycle import PaymentState
from gateway.payment import PaymentOrder
from gateway.service import Gateway
from gateway.store.records import DeliveryFilter, NewDiscrepancy, PaymentFilter
from gateway.store.sqlite import SqliteStore
from gateway.store.store import CursorTooOld
from gateway.telemetry import Metrics
from gateway.validation import TOLD_MAX

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ALL = frozenset({"submit", "read", "cancel", "statements", "operate", "replay"})
ERP = Caller("erp", ("*",), ALL)
OTHER = Caller("other", ("*",), ALL)


def connection(name: str, *ibans: str, **more: object) -> ConnectionSettings:
    accounts = [{"iban": iban, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"} for iban in ibans]
    values = {"id": name, "bank": "sepa", "initiating_party": "ACME BV", "accounts": accounts, "channel": {"kind": "folder"}}
    return ConnectionSettings.model_validate({**values, **more})


def order(reference: str = "INV-1", **changes: object) -> PaymentOrder:
    base = PaymentOrder(
        payment_reference=reference,
        connection_id="one",
        amount=Decimal("12.50"),
        currency="EUR",
        content_sha256=b"",
        creditor=Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        creditor_account=Account(iban="DE89370400440532013000"),
        remittance_information=RemittanceInformation(unstructured=("Invoice 1",)),
    )
    made = replace(base, **changes)  # type: ignore[arg-type]
    return replace(made, content_sha256=hashlib.sha256(repr(made).encode()).digest())


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    clock = [NOW]
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: clock[0])
    await store.open()
    connections = {
        "one": connection("one", "NL41MOCK0000000001"),
        "two": connection("two", "NL41MOCK0000000001", "NL14MOCK0000000002"),
        "old": connection("old", "NL41MOCK0000000001", message="pain.001.001.03"),
    }
    configuration = Configuration(directory=tmp_path, connections=connections)
    made = Gateway(configuration, store, clock=lambda: clock[0], metrics=Metrics())
    made.move = lambda **by: clock.__setitem__(0, clock[0] + timedelta(**by))  # type: ignore[attr-defined]
    made.store = store  # type: ignore[attr-defined]
    yield made
    await store.close()


Broken = Callable[..., list[tuple[int, str, str]]]


def broken(error: pytest.ExceptionInfo[Invalid]) -> list[tuple[int, str, str]]:
    return [(v.index, v.violation.field, v.violation.rule) for v in error.value.violations]


async def test_what_is_told_of_one_payment_is_bounded_and_the_rest_is_counted(gateway: Gateway) -> None:
    """A thousand payments share one answer; warnings and violations have a bound each, and nothing is dropped in silence."""
    lines = RemittanceInformation(unstructured=("№",) * 80)
    with pytest.raises(Invalid) as refused:
        await gateway.submit(ERP, [order(creditor=Party(name="李"), remittance_information=lines)])
    found = [one.violation for one in refused.value.violations]
    violations, _, told = await gateway.check(ERP, [order(remittance_information=lines)], None)
    assert len(found) <= TOLD_MAX + 1
    assert len(violations) <= TOLD_MAX + 1
    assert len(told) == TOLD_MAX + 1
    assert (told[-1].violation.rule, told[-1].violation.severity) == ("violations.more", "warning")
    assert told[-1].violation.message_en.startswith(f"{80 - TOLD_MAX} more")


# -- submitting --------------------------------------------------------------------------------------------------------


async def test_defaults_come_from_the_connection_and_the_banks_day(gateway: Gateway) -> None:
    (submitted,) = await gateway.submit(ERP, [order()])
    assert (submitted.state, submitted.already_known) == (PaymentState.APPROVED, False)
    payment = await gateway.payment(ERP, payment_id=submitted.payment_id)
    assert payment.terms.debtor.name == "ACME BV"
    assert payment.terms.debtor_account.iban == "NL41MOCK0000000001"
    assert payment.terms.debtor_agent.bic == "MOCKNL2AXXX"
    assert payment.terms.requested_execution_date == date(2026, 11, 25)
    assert payment.transfer.end_to_end_id == "INV-1"
    assert payment.transfer.instruction_id == payment.payment_id
    assert payment.transfer.uetr is not None


async def test_the_same_again_is_answered_the_same_even_when_the_rules_would_refuse_it_by_now(gateway: Gateway) -> None:
    wanted = order(requested_execution_date=date(2026, 11, 25))
    (first,) = await gateway.submit(ERP, [wanted])
    gateway.move(days=3)  # type: ignore[attr-defined]
    (again,) = await gateway.submit(ERP, [wanted])
    assert (again.payment_id, again.already_known) == (first.payment_id, True)
    with pytest.raises(Invalid) as fresh:
        await gateway.submit(ERP, [replace(order("INV-2"), requested_execution_date=date(2026, 11, 25))])
    assert ("requested_execution_date", "date.past") in {(f, r) for _, f, r in broken(fresh)}


async def test_a_reference_with_other_content_is_a_conflict_naming_the_fields_and_nothing_is_stored(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order()])
    changed = order(
        amount=Decimal("99.00"),
        creditor=Party(name="Somebody Else", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
    )
    with pytest.raises(Conflict) as error:
        await gateway.submit(ERP, [order("INV-NEW"), changed])
    (conflict,) = error.value.conflicts
    assert (conflict.index, set(conflict.fields)) == (1, {"amount", "creditor.name"})
    with pytest.raises(NotFound):
        await gateway.payment(ERP, payment_reference="INV-NEW")


async def test_a_default_spelt_out_is_the_same_content_in_other_words(gateway: Gateway) -> None:
    (first,) = await gateway.submit(ERP, [order()])
    (again,) = await gateway.submit(ERP, [order(debtor=Party(name="ACME BV"), end_to_end_id="INV-1")])
    assert (again.payment_id, again.already_known) == (first.payment_id, True)


async def test_one_reference_twice_in_one_call_is_stored_once_or_refused(gateway: Gateway) -> None:
    first, second = await gateway.submit(ERP, [order(), order()])
    assert (first.payment_id, second.already_known) == (second.payment_id, True)
    with pytest.raises(Conflict):
        await gateway.submit(ERP, [order("INV-9"), order("INV-9", amount=Decimal("1.00"))])


async def test_a_date_left_out_later_is_today_only_where_today_was_meant_before(gateway: Gateway) -> None:
    first, _ = await gateway.submit(ERP, [order("TODAY"), order("XMAS", requested_execution_date=date(2026, 12, 24))])
    gateway.move(days=1)  # type: ignore[attr-defined]
    (again,) = await gateway.submit(ERP, [order("TODAY", amount=Decimal("12.5"))])
    assert (again.payment_id, again.already_known) == (first.payment_id, True)
    with pytest.raises(Conflict) as error:
        await gateway.submit(ERP, [order("XMAS")])
    assert [c.fields for c in error.value.conflicts] == [("requested_execution_date",)]


async def test_a_reference_twice_in_one_call_with_other_content_names_what_differs_in_a_dry_run_too(gateway: Gateway) -> None:
    twice = [order("INV-9"), order("INV-9", amount=Decimal("1.00"), uetr="6fb81ab0-75ef-45b0-8f7f-659405cf665b")]
    with pytest.raises(Conflict) as error:
        await gateway.submit(ERP, twice)
    violations, conflicts, _ = await gateway.check(ERP, twice, None)
    assert violations == ()
    for found in (error.value.conflicts, conflicts):
        assert [(c.index, c.payment_id, c.fields) for c in found] == [(1, "", ("amount", "uetr"))]


async def test_the_same_payment_in_other_words_is_one_payment_in_one_call_as_in_two(gateway: Gateway) -> None:
    in_other_words = order(requested_execution_date=date(2026, 11, 25), amount=Decimal("12.5"))
    first, second = await gateway.submit(ERP, [order(), in_other_words])
    assert (first.payment_id, second.already_known) == (second.payment_id, True)
    assert await gateway.check(ERP, [order("NEW"), replace(in_other_words, payment_reference="NEW")], None) == ((), (), ())


async def test_a_dry_run_does_not_take_what_it_cannot_read_for_what_is_stored(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order(amount=Decimal("1.00"))])
    unreadable = Violation(field="amount", rule="amount.format", source="s", message_en="no number", message_zh="不是数字")
    violations, _, _ = await gateway.check(ERP, [replace(order(), amount=None, problems=(unreadable,))], None)
    assert [v.violation.rule for v in violations] == ["amount.format"]


async def test_a_page_token_of_another_list_is_the_callers_mistake(gateway: Gateway) -> None:
    lists = [
        gateway.list_payments(ERP, PaymentFilter(), 10, "garbage"),
        gateway.list_deliveries(ERP, DeliveryFilter(), 10, "payments.1"),
        gateway.list_discrepancies(ERP, None, False, 10, "-1"),
        gateway.list_inbound(ERP, None, None, 10, "99999999999999999999"),
        gateway.list_statements(ERP, connection_id=None, iban=None, message_prefix=None, limit=10, token="1"),
    ]
    for page in lists:
        with pytest.raises(BadRequest) as error:
            await page
        assert error.value.field == "page.token"


async def test_two_callers_may_use_the_same_reference(gateway: Gateway) -> None:
    (mine,) = await gateway.submit(ERP, [order()])
    (theirs,) = await gateway.submit(OTHER, [order()])
    assert mine.payment_id != theirs.payment_id
    with pytest.raises(NotFound):
        await gateway.payment(OTHER, payment_id=mine.payment_id)


async def test_every_problem_of_every_payment_is_named_at_once_and_nothing_is_stored(gateway: Gateway) -> None:
    orders = [
        order("GOOD"),
        order("BAD-1", amount=None, creditor=None),
        order("BAD-2", connection_id="nowhere", creditor_account=Account(iban="DE00370400440532013000")),
        order("BAD 3", currency="EUX"),
        order("BAD-4", amount=Decimal("1.005")),
    ]
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, orders)
    found = broken(error)
    assert {(1, "amount", "field.required"), (1, "creditor", "field.required")} <= set(found)
    assert {(2, "connection_id", "connection.unknown"), (2, "creditor_account.iban", "iban.check-digits")} <= set(found)
    assert {index for index, _, _ in found} == {1, 2, 3, 4}
    assert (3, "payment_reference", "payment-reference.form") in found
    assert not any(index == 1 and field.startswith("creditor.") for index, field, _ in found)
    with pytest.raises(NotFound):
        await gateway.payment(ERP, payment_reference="GOOD")


async def test_two_thousand_problems_come_back_by_index_and_field(gateway: Gateway) -> None:
    bad = [order(f"B-{n}", amount=Decimal("0.001"), creditor_account=Account(iban="XX")) for n in range(1000)]
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, bad)
    assert len(error.value.violations) >= 2000
    assert {v.index for v in error.value.violations} == set(range(1000))


async def test_what_could_not_be_read_is_not_reported_a_second_time_as_missing(gateway: Gateway) -> None:
    unreadable = Violation(field="amount", rule="amount.format", source="s", message_en="no number", message_zh="不是数字")
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, [replace(order(), amount=None, problems=(unreadable,))])
    assert broken(error) == [(0, "amount", "amount.format")]


async def test_calls_are_bounded(gateway: Gateway) -> None:
    with pytest.raises(TooMany):
        await gateway.submit(ERP, [order(f"N-{n}") for n in range(1001)])
    with pytest.raises(BadRequest):
        await gateway.submit(ERP, [])


async def test_of_several_accounts_one_has_to_be_named_and_only_configured_ones_pay(gateway: Gateway) -> None:
    with pytest.raises(Invalid) as none_named:
        await gateway.submit(ERP, [order(connection_id="two")])
    assert broken(none_named) == [(0, "debtor_account", "debtor-account.required")]
    with pytest.raises(Invalid) as foreign:
        await gateway.submit(ERP, [order(debtor_account=Account(iban="DE89370400440532013000"))])
    assert broken(foreign) == [(0, "debtor_account", "debtor-account.unknown")]
    await gateway.submit(ERP, [order(connection_id="two", debtor_account=Account(iban="NL14MOCK0000000002"))])


async def test_a_warning_is_told_and_refuses_nothing(gateway: Gateway) -> None:
    address = PostalAddress(town_name="Amsterdam", country="NL", address_line=("Damrak 1", "1012 Amsterdam"))
    doubtful = order("DOUBT", creditor=Party(name="Supplier", postal_address=address))
    found = ("creditor.postal_address.address_line[1]", "address.repeated-town", "warning")
    violations, conflicts, warnings = await gateway.check(ERP, [order("NEW"), doubtful], None)
    assert (violations, conflicts) == ((), ())
    assert [(w.index, w.violation.field, w.violation.rule, w.violation.severity) for w in warnings] == [(1, *found)]
    plain, submitted = await gateway.submit(ERP, [order("NEW"), doubtful])
    assert plain.warnings == ()
    assert [(w.index, w.violation.rule) for w in submitted.warnings] == [(1, "address.repeated-town")]
    assert (await gateway.payment(ERP, payment_reference="DOUBT")).state is PaymentState.APPROVED


async def test_a_warning_does_not_hide_what_refuses(gateway: Gateway) -> None:
    address = PostalAddress(town_name="Amsterdam", country="NL", address_line=("Amsterdam",))
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, [order(currency="EUX", creditor=Party(name="Supplier", postal_address=address))])
    assert "address.repeated-town" not in {rule for _, _, rule in broken(error)}
    assert "currency.unknown" in {rule for _, _, rule in broken(error)}


async def test_one_end_to_end_id_for_two_payments_is_told_and_for_one_said_twice_is_not(gateway: Gateway) -> None:
    one, other = order("A", end_to_end_id="SAME"), order("B", end_to_end_id="SAME")
    elsewhere = order("C", end_to_end_id="SAME", connection_id="two", debtor_account=Account(iban="NL14MOCK0000000002"))
    _, _, warnings = await gateway.check(ERP, [one, one, other, elsewhere], None)
    assert [(w.index, w.violation.field, w.violation.rule) for w in warnings] == [(2, "end_to_end_id", "end-to-end-id.repeated")]
    assert [submitted.already_known for submitted in await gateway.submit(ERP, [one, other])] == [False, False]


async def test_a_bank_that_refuses_a_repeated_end_to_end_id_has_it_refused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = gateway._checks["one"]
    monkeypatch.setattr(check, "end_to_end_ids", lambda: EndToEndIds("error"))
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, [order("A", end_to_end_id="SAME"), order("B", end_to_end_id="SAME")])
    assert broken(error) == [(1, "end_to_end_id", "end-to-end-id.repeated")]


async def test_a_message_version_the_bank_no_longer_takes_is_refused_before_the_bank_does(gateway: Gateway) -> None:
    with pytest.raises(Invalid) as error:
        await gateway.submit(ERP, [order(connection_id="old")])
    assert (0, "connection_id", "message.not-valid-on-date") in broken(error)
    violations, _, _ = await gateway.check(ERP, [order(connection_id="old")], date(2026, 11, 10))
    assert violations == ()


async def test_a_dry_run_stores_nothing_and_tells_conflicts_too(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order()])
    violations, conflicts, _ = await gateway.check(
        ERP, [order(), order(amount=Decimal("7.00")), order("NEW", currency="EUX")], None
    )
    assert {v.index for v in violations} == {2}
    assert [(c.index, c.fields) for c in conflicts] == [(1, ("amount",))]
    with pytest.raises(NotFound):
        await gateway.payment(ERP, payment_reference="NEW")


# -- permissions -------------------------------------------------------------------------------------------------------


async def test_a_caller_does_only_what_it_may_and_only_where_it_may(gateway: Gateway) -> None:
    reader = Caller("reader", ("*",), frozenset({"read"}))
    elsewhere = Caller("erp", ("two",), ALL)
    with pytest.raises(Forbidden):
        await gateway.submit(reader, [order()])
    with pytest.raises(Forbidden):
        await gateway.submit(elsewhere, [order()])
    with pytest.raises(Forbidden):
        await gateway.cancel(reader, payment_reference="x", reason="")
    with pytest.raises(Forbidden):
        await gateway.connections(reader)
    with pytest.raises(Forbidden):
        await gateway.list_deliveries(reader, DeliveryFilter(), 10, None)
    with pytest.raises(Forbidden):
        await gateway.fetch_now(elsewhere, "one")
    assert [settings.id for settings, _ in await gateway.connections(elsewhere)] == ["two"]


# -- after submitting --------------------------------------------------------------------------------------------------


async def test_cancelling_in_time_is_final_and_repeatable(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order()])
    first = await gateway.cancel(ERP, payment_reference="INV-1", reason="ordered twice")
    assert (first.state, first.reason.code, first.reason.bank_text) == (
        PaymentState.CANCELLED,
        "bankgate.cancelled",
        "ordered twice",
    )
    assert await gateway.cancel(ERP, payment_reference="INV-1", reason="again") == first


async def test_cancelling_too_late_names_the_state(gateway: Gateway) -> None:
    from gateway.store.records import NewDelivery, PlannedBlock

    await gateway.submit(ERP, [order()])
    store: SqliteStore = gateway.store  # type: ignore[attr-defined]
    (group,) = await store.waiting_groups("one")
    block = PlannedBlock(payment_information_id="M-1", terms_id=group.terms_id, count=1)
    await store.form_delivery(
        NewDelivery(
            delivery_id="d",
            connection_id="one",
            message_id="M",
            message_name="pain.001.001.09",
            file_name="M.xml",
            creation_date_time=NOW,
            blocks=(block,),
            due_at=NOW,
        )
    )
    with pytest.raises(TooLate) as error:
        await gateway.cancel(ERP, payment_reference="INV-1", reason="too late")
    assert error.value.state == "batched"


async def test_watching_gives_only_ones_own_events_from_the_cursor_on(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order("A"), order("B")])
    await gateway.submit(OTHER, [order("C")])
    await gateway.cancel(ERP, payment_reference="A", reason="r")
    seen = [e for some in [x async for x in gateway.watch(ERP, "", (), True)] for e in some]
    assert [(e.payment_reference, e.state) for e in seen] == [
        ("A", PaymentState.APPROVED),
        ("B", PaymentState.APPROVED),
        ("A", PaymentState.CANCELLED),
    ]
    rest = [e for some in [x async for x in gateway.watch(ERP, seen[1].cursor, (), True)] for e in some]
    assert rest == seen[2:]
    with pytest.raises(BadRequest):
        async for _ in gateway.watch(ERP, "not-a-cursor", (), True):
            pass


async def test_a_resume_token_from_before_what_was_archived_is_told_with_a_way_out(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def archived(*_: object, **__: object) -> None:
        raise CursorTooOld("the cursor is older than the events that are kept here")

    monkeypatch.setattr(gateway.store, "events_after", archived)  # type: ignore[attr-defined]
    with pytest.raises(BadRequest, match="older than the events that are kept"):
        async for _ in gateway.watch(ERP, "1", (), True):
            pass


async def test_listing_shows_ones_own_payments_page_by_page(gateway: Gateway) -> None:
    await gateway.submit(ERP, [order(f"N-{n}") for n in range(5)])
    await gateway.submit(OTHER, [order("X")])
    first, token = await gateway.list_payments(ERP, PaymentFilter(), 3, None)
    second, end = await gateway.list_payments(ERP, PaymentFilter(), 3, token)
    assert [p.payment_reference for p in (*first, *second)] == ["N-4", "N-3", "N-2", "N-1", "N-0"]
    assert end is None
    with pytest.raises(BadRequest):
        await gateway.list_payments(ERP, PaymentFilter(), 1001, None)


async def test_a_discrepancy_is_closed_once_with_a_reason(gateway: Gateway) -> None:
    store: SqliteStore = gateway.store  # type: ignore[attr-defined]
    await store.add_discrepancies(
        [NewDiscrepancy(key="k", connection_id="one", kind="unmatched", summary_en="e", summary_zh="z", evidence="{}")]
    )
    (found,), _ = await gateway.list_discrepancies(ERP, None, False, 10, None)
    with pytest.raises(BadRequest):
        await gateway.resolve_discrepancy(ERP, found.discrepancy_id, "short")
    closed = await gateway.resolve_discrepancy(ERP, found.discrepancy_id, "compared with the bank's portal")
    assert (closed.resolved_by, closed.resolution) == ("erp", "compared with the bank's portal")
    with pytest.raises(TooLate):
        await gateway.resolve_discrepancy(ERP, found.discrepancy_id, "compared with the bank's portal")
    assert await gateway.list_discrepancies(ERP, None, False, 10, None) == ([], None)


async def test_what_does_not_exist_is_not_found(gateway: Gateway) -> None:
    for call in (
        gateway.payment(ERP, payment_id="0" * 32),
        gateway.cancel(ERP, payment_reference="nothing", reason=""),
        gateway.delivery(ERP, "nothing"),
        gateway.resolve_delivery(ERP, "nothing", True, "a reason long enough"),
        gateway.resolve_discrepancy(ERP, 4711, "a reason long enough"),
        gateway.statement(ERP, 4711),
        gateway.reread(ERP, 4711),
        gateway.connection(ERP, "nowhere"),
    ):
        with pytest.raises(NotFound):
            await call
