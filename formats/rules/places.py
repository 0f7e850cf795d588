"""Where the two ends of a payment are, as far as it says so itself.

Every function takes whatever a field holds and answers None where that says nothing.
"""

from formats.checks import bic_fault, iban_fault, is_country
from formats.countries import SEPA_COUNTRIES
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PaymentType, PostalAddress

SWISS_AREA = frozenset({"CH", "LI"})
"""Switzerland and Liechtenstein, one domestic area (Swiss Payment Standards, payment type D)."""

_ORDINARY = (None, "NURG")  # service levels that ask for nothing but the ordinary way

Payment = tuple[PaymentTerms, CreditTransfer]
"""The part "payment" that rules see."""

BIC_OF_IBAN = {
    **dict.fromkeys(("GG", "IM", "JE"), "GB"),
    **dict.fromkeys(("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"), "FR"),
    "AX": "FI",
}
"""Territories whose banks have BICs of their own country code and IBANs of another (SWIFT IBAN registry, notes on the country
codes of GB, FR and FI)."""


def account_country(account: object) -> str | None:
    """The country of an account, from a right IBAN."""
    if not isinstance(account, Account) or not isinstance(account.iban, str) or iban_fault(account.iban) is not None:
        return None
    return account.iban[:2]


def agent_country(agent: object) -> str | None:
    """The country of a bank, from a right BIC or from its address, as an IBAN would say it."""
    if not isinstance(agent, Agent):
        return None
    if isinstance(agent.bic, str):
        country = agent.bic[4:6] if bic_fault(agent.bic) is None else None
    else:
        country = address_country(agent.postal_address)
    return BIC_OF_IBAN.get(country, country) if country is not None else None


def address_country(address: object) -> str | None:
    """The country of an address, where it names one that exists."""
    if not isinstance(address, PostalAddress) or not isinstance(address.country, str):
        return None
    return address.country if is_country(address.country) else None


def creditor_country(transfer: CreditTransfer) -> str | None:
    """Where the money goes: the country of the account, else of its bank, else of the payee."""
    creditor = transfer.creditor
    return (
        account_country(transfer.creditor_account)
        or agent_country(transfer.creditor_agent)
        or (address_country(creditor.postal_address) if isinstance(creditor, Party) else None)
    )


def debtor_country(terms: PaymentTerms) -> str | None:
    """Where the money comes from: the country of the account, else of its bank."""
    return account_country(terms.debtor_account) or agent_country(terms.debtor_agent)


def is_cross_border(payment: Payment) -> bool:
    """Whether the payment leaves its country, and not by a SEPA scheme. Not where the payment does not say where it goes.

    Euros between countries of SEPA go by SEPA where nothing else is asked for (Regulation (EU) 260/2012, articles 1 and 5).
    """
    terms, transfer = payment
    level = service_level(terms)
    if level == "SEPA":
        return False
    here, there = debtor_country(terms), creditor_country(transfer)
    if here is None or there is None or here == there or (here in SWISS_AREA and there in SWISS_AREA):
        return False
    euro = transfer.currency == "EUR" and here in SEPA_COUNTRIES and there in SEPA_COUNTRIES
    return not euro or level not in _ORDINARY


def service_level(terms: PaymentTerms) -> str | None:
    """The code of the service level, where there is one."""
    kind = terms.payment_type
    return kind.service_level if isinstance(kind, PaymentType) and isinstance(kind.service_level, str) else None
