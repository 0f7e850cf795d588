"""Lists of invented names, and payments to screen against them."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.policy.screening.entries import ListAction, ListEntry, ScreeningList
from gateway.policy.screening.screen import Screen, ScreenRules
from gateway.policy.subject import Subject

TODAY = date(2026, 11, 26)
MakeScreen = Callable[..., Screen]
MakeSubject = Callable[..., Subject]


def made_list(*entries: ListEntry, name: str = "watch", action: str = "block", sha256: str = "0" * 64) -> ScreeningList:
    return ScreeningList(
        id=name,
        kind="own",
        source=f"{name}.csv",
        date=date(2026, 11, 20),
        sha256=sha256,
        action=ListAction(action),
        entries=entries,
    )


@pytest.fixture
def screen() -> MakeScreen:
    def make(*lists: ScreeningList, **rules: Any) -> Screen:
        return Screen(lists, ScreenRules(**rules))

    return make


@pytest.fixture
def subject() -> MakeSubject:
    def make(name: str | None = "Rosa Bianchi", account: str | None = "CH9300762011623852957", **transfer: Any) -> Subject:
        own = Account(iban="DE89370400440532013000")
        return Subject(
            payment_id="p1",
            caller="erp",
            connection_id="house",
            submitted_at=datetime(2026, 11, 26, 9, tzinfo=UTC),
            submitted_by=None,
            terms=PaymentTerms(
                debtor=Party(name="Muster GmbH"),
                debtor_account=own,
                debtor_agent=Agent(bic="COBADEFFXXX"),
                requested_execution_date=TODAY,
            ),
            transfer=CreditTransfer(
                instruction_id="1",
                end_to_end_id="1",
                amount=Decimal("10.00"),
                currency="EUR",
                creditor=Party(name=name),
                creditor_account=Account(iban=account) if account else None,
                **transfer,
            ),
        )

    return make
