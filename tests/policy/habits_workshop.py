"""Payments and their past, in a few words, for the tests of the rules about habits."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, RemittanceInformation
from gateway.habits_settings import HabitsSettings
from gateway.lifecycle import PaymentState
from gateway.policy.habits.history import History
from gateway.policy.habits.judge import Habits
from gateway.policy.habits.words import name_key, past_of
from gateway.policy.subject import Past, Subject
from gateway.policy.verdict import Finding

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
PAYER = "DE89370400440532013000"
ACME = "DE75512108001245126199"
OTHER = "DE12500105170648489890"
FRENCH = "FR1420041010050500013M02606"


def payment(
    payment_id: str = "now",
    *,
    at: datetime = NOON,
    amount: str = "100.00",
    currency: str = "EUR",
    account: str = ACME,
    name: str = "Acme GmbH",
    said: str = "",
    caller: str = "erp",
    due: date | None = None,
) -> Subject:
    """A payment to Acme, unless told otherwise."""
    return Subject(
        payment_id=payment_id,
        caller=caller,
        connection_id="house-bank",
        submitted_at=at,
        submitted_by=None,
        terms=PaymentTerms(
            debtor=Party(name="House"),
            debtor_account=Account(iban=PAYER),
            debtor_agent=Agent(bic="COBADEFFXXX"),
            requested_execution_date=due or at.date(),
        ),
        transfer=CreditTransfer(
            instruction_id=f"I-{payment_id}",
            end_to_end_id=f"E2E-{payment_id}",
            amount=Decimal(amount),
            currency=currency,
            creditor=Party(name=name),
            creditor_account=Account(iban=account) if account else None,
            remittance_information=RemittanceInformation(unstructured=(said,)) if said else None,
        ),
    )


def past(subject: Subject, state: PaymentState = PaymentState.SETTLED) -> Past:
    """It, once judged."""
    return past_of(subject, state)


def months(
    count: int,
    *,
    amount: str = "100.00",
    every: int = 30,
    until: datetime = NOON,
    account: str = ACME,
    said: str = "",
    caller: str = "erp",
) -> list[Past]:
    """So many payments before `until`, the newest `every` days before it."""
    return [
        past(
            payment(
                f"before-{caller}-{number}",
                at=until - timedelta(days=every * number),
                amount=amount,
                account=account,
                said=said,
                caller=caller,
            )
        )
        for number in range(count, 0, -1)
    ]


def history_of(rows: Iterable[Past]) -> History:
    """The rows under every key they have."""
    accounts: dict[str, list[Past]] = {}
    names: dict[str, list[Past]] = {}
    debtors: dict[tuple[str, str], list[Past]] = {}
    for row in rows:
        accounts.setdefault(row.creditor_account, []).append(row)
        names.setdefault(name_key(row.creditor_name), []).append(row)
        debtors.setdefault((row.caller, row.debtor_account), []).append(row)
    return History(
        accounts={key: tuple(found) for key, found in accounts.items()},
        names={key: tuple(found) for key, found in names.items()},
        debtors={key: tuple(found) for key, found in debtors.items()},
    )


def judged(subject: Subject, rows: Iterable[Past] = (), settings: HabitsSettings | None = None) -> dict[str, Finding]:
    """What is found, by rule."""
    findings = Habits(settings or HabitsSettings()).judge(subject, history_of(rows), subject.submitted_at)
    return {one.rule: one for one in findings}


def busy(days: int, *, until: datetime = NOON, currency: str = "EUR", amount: int = 100) -> list[Past]:
    """An account that pays four creditors on every working day at ten and at two, amounts from half to twice `amount`."""
    rows = []
    for back in range(1, days * 7 // 5 + 3):
        day = until - timedelta(days=back)
        if day.weekday() > 4:
            continue
        for number in range(4):
            at = day.replace(hour=10 if number % 2 else 14, minute=number)
            pay = f"{amount * (50 + (back * 37 + number * 53) % 150) / 100:.2f}"
            subject = payment(
                f"busy-{back}-{number}",
                at=at,
                amount=pay,
                currency=currency,
                account=f"DE0037040044{number:010d}",
                name=f"Supplier {number} AG",
                said=f"RE {back * 10 + number + 70_000}",
            )
            rows.append(past(subject))
    return rows[: days * 4]
