"""Where a payment goes: whether it leaves its country decides which rules it is put to."""

from datetime import date
from decimal import Decimal

import pytest

from formats.bank import bank_named
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PaymentType, PostalAddress
from formats.rules.places import creditor_country, is_cross_border

GERMAN, FRENCH, SWISS = "DE89370400440532013000", "FR1420041010050500013M02606", "CH9300762011623852957"
GUERNSEY = "GB29NWBK60161331926819"  # accounts in Guernsey, Jersey and on the Isle of Man have British IBANs


def terms(account: Account, level: str | None = None, agent: str = "COBADEFFXXX") -> PaymentTerms:
    return PaymentTerms(
        debtor=Party(name="A"),
        debtor_account=account,
        debtor_agent=Agent(bic=agent),
        requested_execution_date=date(2026, 11, 25),
        payment_type=PaymentType(service_level=level) if level else None,
    )


def transfer(
    account: Account | None, currency: str = "EUR", agent: Agent | None = None, country: str | None = None
) -> CreditTransfer:
    address = PostalAddress(town_name="Town", country=country) if country else None
    return CreditTransfer(
        instruction_id="I",
        end_to_end_id="E",
        amount=Decimal(1),
        currency=currency,
        creditor=Party(name="B", postal_address=address),
        creditor_account=account,
        creditor_agent=agent,
    )


NUMBER = Account(other_id="123")


@pytest.mark.parametrize(
    ("payment", "abroad"),
    [
        ((terms(Account(iban=GERMAN), "SEPA"), transfer(Account(iban=FRENCH))), False),
        ((terms(Account(iban=GERMAN)), transfer(Account(iban=FRENCH))), False),  # euros within SEPA, nothing else asked for
        ((terms(Account(iban=GERMAN), "NURG"), transfer(Account(iban=FRENCH))), False),
        ((terms(Account(iban=GERMAN), "URGP"), transfer(Account(iban=FRENCH))), True),
        ((terms(Account(iban=GERMAN)), transfer(Account(iban=FRENCH), "USD")), True),
        ((terms(Account(iban=GERMAN), "URGP"), transfer(Account(iban=GERMAN))), False),
        ((terms(Account(iban=SWISS)), transfer(Account(iban="LI21088100002324013AA"), "CHF")), False),  # one domestic area
        ((terms(Account(iban=GERMAN)), transfer(NUMBER, "USD", Agent(bic="CHASUS33"))), True),
        ((terms(Account(iban=GERMAN)), transfer(NUMBER, "EUR", Agent(bic="CHASUS33"))), True),
        ((terms(NUMBER), transfer(Account(iban=SWISS), "CHF")), True),  # the debtor's bank says where it comes from
        ((terms(NUMBER), transfer(NUMBER, "EUR", Agent(bic="COBADEFF"))), False),
        ((terms(Account(iban=GERMAN)), transfer(NUMBER, "EUR")), False),  # nothing says where it goes
        ((terms(Account(iban=GERMAN)), transfer(NUMBER, "EUR", country="US")), True),
        ((terms(Account(iban="DE00370400440532013000"), agent="x"), transfer(Account(iban=FRENCH), "USD")), False),
    ],
)
def test_a_payment_is_cross_border_where_it_says_so_and_no_scheme_carries_it(
    payment: tuple[PaymentTerms, CreditTransfer], abroad: bool
) -> None:
    assert is_cross_border(payment) is abroad


def test_where_the_money_goes_is_said_by_the_account_before_the_bank_and_by_the_bank_before_the_payee() -> None:
    everything = transfer(Account(iban=FRENCH), agent=Agent(bic="CHASUS33"), country="CN")
    assert creditor_country(everything) == "FR"
    assert creditor_country(transfer(NUMBER, agent=Agent(bic="CHASUS33"), country="CN")) == "US"
    assert creditor_country(transfer(NUMBER, country="CN")) == "CN"
    assert creditor_country(transfer(NUMBER)) is None


@pytest.mark.parametrize(("iban", "bic"), [(GUERNSEY, "RBOSGGSX"), (FRENCH, "BFCOGPGX"), (FRENCH, "BNPAFRPP")])
def test_a_territory_with_the_ibans_of_another_country_is_not_taken_for_a_mistake(iban: str, bic: str) -> None:
    found = bank_named("iso20022").check(
        terms(Account(iban=GERMAN)), transfer(Account(iban=iban), agent=Agent(bic=bic)), date(2026, 11, 25)
    )
    assert found == ()
