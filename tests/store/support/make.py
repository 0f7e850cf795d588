"""Payments, messages and news to store, and the steps most tests begin with."""

import hashlib
import itertools
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PostalAddress, RemittanceInformation
from gateway.config import AuditSettings
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, PaymentEvent, PaymentState, advance
from gateway.sealing import Sealer
from gateway.store.records import (
    Delivery,
    DeliveryChange,
    MessageNews,
    NewDelivery,
    NewDiscrepancy,
    NewPayment,
    PaymentEventRow,
    PlannedBlock,
    Reason,
)
from gateway.store.store import Store

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CALLER, CONNECTION = "erp", "bank-a"
_numbers = itertools.count(1)

_UNDO = {  # by the schema version that each step made
    8: (
        *("DROP TABLE caller_quotas", "DROP TABLE people_id_tokens"),
        *("DROP TABLE event_seals", "DROP TRIGGER audit_log_delete", "DROP TRIGGER audit_checkpoints_delete"),
        *("DROP TABLE audit_anchors", "DROP INDEX delivery_events_sequence", "ALTER TABLE delivery_events DROP COLUMN sequence"),
        *(f"DROP TRIGGER {table}_{event}" for table in ("events", "delivery_events") for event in ("update", "delete")),
        *("DROP TABLE screening_clearances", "DROP TABLE screening_revocations", "DROP TABLE screening_lists"),
        *("DROP TABLE screening_book", "DROP INDEX payments_in_messages", "DROP TABLE review_totals"),
        *("DROP TRIGGER payments_counted", "DROP INDEX reviews_not_counted", "ALTER TABLE reviews DROP COLUMN counted"),
        *("DROP INDEX payments_approved", "DROP INDEX payments_of_group", "ALTER TABLE payments DROP COLUMN release_key"),
        *("ALTER TABLE payments DROP COLUMN release_waits", "DROP TABLE release_groups"),
        "CREATE INDEX payments_approved ON payments (connection_id, terms_id) WHERE state = 'approved'",
        *("DROP INDEX plans_best", "DROP INDEX plan_words_plan", "CREATE INDEX plan_words_plan ON plan_words (plan_key)"),
    ),
    7: (
        *("DROP TABLE audit_log", "DROP TABLE audit_checkpoints", "DROP TABLE reviews", "DROP TABLE approvals"),
        *("DROP TABLE review_book", "DROP INDEX payments_waiting", "ALTER TABLE payments DROP COLUMN submitted_by"),
        *("DROP TABLE people_factors", "DROP TABLE people_sessions", "DROP TABLE people_challenges", "DROP TABLE people_tries"),
        *("DROP TABLE people_openings", "DROP TABLE people_proposals", "DROP TABLE people", "DROP TABLE payee_checks"),
        "DROP TABLE recalls",
        "DROP TABLE plan_occurrences",
        "DROP TABLE plan_words",
        "DROP TABLE plan_versions",
        "DROP TABLE plans",
    ),
    6: ("DROP TABLE serial_numbers", "DROP INDEX deliveries_package", "ALTER TABLE deliveries DROP COLUMN package"),
    5: ("DROP TABLE delivery_events", "DROP INDEX deliveries_sent", "DROP TABLE channel_notes"),
    4: ("ALTER TABLE inbound_files DROP COLUMN opened",),
    3: (
        "DROP INDEX refused_attempts_block",
        "DROP INDEX refused_attempts_uetr",
        "DROP TABLE refused_attempts",
        "ALTER TABLE payments DROP COLUMN instant",
        "ALTER TABLE payments DROP COLUMN may_fall_back",
        "ALTER TABLE deliveries DROP COLUMN stopped",
    ),
    2: (
        "DROP INDEX statements_chain",
        "ALTER TABLE statements DROP COLUMN chain",
        "ALTER TABLE statements DROP COLUMN facts",
    ),
}


def make_older(file: Path, version: int) -> None:
    """Makes of a current database, which nobody has open, one of an earlier schema version with the same rows."""
    with closing(sqlite3.connect(file)) as db:
        (now,) = db.execute("PRAGMA user_version").fetchone()
        for step in range(now, version, -1):
            for statement in _UNDO[step]:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()


@dataclass
class HandClock:
    """Time that moves when the test says so."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> datetime:
        self.moment += timedelta(**by)
        return self.moment


def terms(debtor: str = "Acme", on: date = date(2026, 11, 26)) -> PaymentTerms:
    return PaymentTerms(
        debtor=Party(name=debtor, postal_address=PostalAddress(town_name="Delft", country="NL")),
        debtor_account=Account(iban="NL41MOCK0000000001", currency="EUR"),
        debtor_agent=Agent(bic="MOCKNL2A"),
        requested_execution_date=on,
        charge_bearer="SLEV",
    )


def payment(reference: str | None = None, **given: Any) -> NewPayment:
    """A payment unlike any other, but for what is given: fields of `NewPayment`, and some of its transfer."""
    number = next(_numbers)
    payment_id = given.pop("payment_id", f"{number:032x}")
    reference = reference or f"ref-{number}"
    transfer = CreditTransfer(
        instruction_id=payment_id,
        end_to_end_id=given.pop("end_to_end_id", f"e2e-{number}"),
        amount=given.pop("amount", Decimal("12.50")),
        currency="EUR",
        creditor=Party(name="Müller & Söhne"),
        creditor_account=Account(iban="DE89370400440532013000"),
        uetr=given.pop("uetr", None),
        remittance_information=RemittanceInformation(unstructured=("发票 4711",)),
        supplementary=(("bank-a.cost_centre", "42"),),
    )
    fields: dict[str, Any] = {
        "caller": CALLER,
        "connection_id": CONNECTION,
        "terms": terms(),
        "content_sha256": hashlib.sha256(reference.encode()).digest(),
        "state": PaymentState.APPROVED,
        "reason": Reason(code="bankgate.approved"),
        **given,
    }
    return NewPayment(payment_id=payment_id, payment_reference=reference, transfer=transfer, **fields)


def payments(count: int, **given: Any) -> list[NewPayment]:
    return [payment(**given) for _ in range(count)]


async def waiting(store: Store, count: int, **given: Any) -> list[NewPayment]:
    """That many payments, stored."""
    new = payments(count, **given)
    assert (await store.submit(new)).stored
    return new


def new_delivery(
    *blocks: PlannedBlock, name: str = "1", connection_id: str = CONNECTION, due_at: datetime = START
) -> NewDelivery:
    return NewDelivery(
        delivery_id=f"delivery-{name}",
        connection_id=connection_id,
        message_id=f"MSG-{name}",
        message_name="pain.001.001.09",
        file_name=f"MSG-{name}.xml",
        creation_date_time=START,
        blocks=blocks,
        due_at=due_at,
    )


async def formed(store: Store, count: int = 3, name: str = "1", *, connection_id: str = CONNECTION) -> Delivery:
    """A READY delivery with that many payments in one block called "B1"."""
    await waiting(store, count, connection_id=connection_id)
    group = (await store.waiting_groups(connection_id))[0]
    block = PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=count)
    delivery = await store.form_delivery(new_delivery(block, name=name, connection_id=connection_id))
    assert delivery is not None
    return delivery


async def sent(store: Store, count: int = 3, name: str = "1") -> Delivery:
    """A delivery that the bank has, with its payments in SENT."""
    delivery = await moved(store, await formed(store, count, name), DeliveryEvent.STARTED)
    return await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)


def change(delivery: Delivery, event: DeliveryEvent, **given: Any) -> DeliveryChange:
    """The compare-and-set that `event` asks for."""
    return DeliveryChange(
        delivery_id=delivery.delivery_id,
        fence=delivery.fence,
        state=delivery.state,
        event=event,
        next_state=advance(DELIVERY_TABLE, delivery.state, event),
        **given,
    )


async def moved(store: Store, delivery: Delivery, event: DeliveryEvent, **given: Any) -> Delivery:
    return await store.change_delivery(change(delivery, event, **given))


def news(delivery: Delivery, event: PaymentEvent, bank_status: str = "ACSP", **given: Any) -> MessageNews:
    fields: dict[str, Any] = {
        "payment_information_id": None,
        "reason": Reason(code=bank_status),
        "source": "pain.002.001.10 P2-1",
        **given,
    }
    return MessageNews(delivery_id=delivery.delivery_id, event=event, bank_status=bank_status, **fields)


def discrepancy(key: str, connection_id: str = CONNECTION, **given: Any) -> NewDiscrepancy:
    return NewDiscrepancy(
        key=key,
        connection_id=connection_id,
        kind="unmatched",
        summary_en="An entry that we cannot match.",
        summary_zh="无法匹配的分录。",
        evidence='{"end_to_end_id": "X"}',
        **given,
    )


async def seal_events(store: Store, rows: int = 10_000) -> int:
    """Seals all events; how many it were."""
    return await Sealer(store, AuditSettings(), lambda: START, rows=rows).seal_all()


async def feed(store: Store, cursor: str = "") -> list[PaymentEventRow]:
    """The whole feed from a cursor on."""
    found: list[PaymentEventRow] = []
    while page := await store.events_after(cursor, limit=100):
        found += page
        cursor = page[-1].cursor
    return found


async def states(store: Store, new: list[NewPayment]) -> list[str]:
    """Where those payments stand."""
    found = [await store.payment(item.payment_id) for item in new]
    return [item.state.value for item in found if item is not None]
