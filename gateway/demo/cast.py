"""The payments of the demo, each with the end it must come to. What provokes an end is mock-bank's rule, not ours."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.demo.scenery import HTTPS_ACCOUNT, POOR_ACCOUNT, SFTP_ACCOUNT

CLOSED_ACCOUNT = "NL84MOCK0000000003"  # mock-bank's INITECH: payments to it are rejected, AC04
UNKNOWN_BANK = "NL57MOCK0000000004"  # mock-bank's EURODIS: its bank cannot be found, RC01
LATE_RETURN = "DEMO-S-RETURNED"  # this one comes back three business days after it was booked
RETURN_REASON = "MD07"  # "end customer deceased"

ORDINARY_PER_CONNECTION = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The end a payment must come to."""

    state: str
    code: str  # of the reason, as the bank gives it or as ours
    story: str  # the row of the outcome table it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A payment as the ERP submits it (the JSON form of PaymentRequest), and its end."""

    request: dict[str, Any]
    expected: Expectation = field(compare=False)

    @property
    def reference(self) -> str:
        return str(self.request["payment_reference"])

    @property
    def amount(self) -> Decimal:
        return Decimal(self.request["amount"])

    @property
    def debtor_iban(self) -> str:
        return str(self.request["debtor_account"]["iban"])


SETTLED = Expectation(state="settled", code="bankgate.settled", story="ordinary payments")


def cast() -> list[Part]:
    """Everything that is accepted at the door."""
    return [
        *_ordinary("acme-sftp", "S", SFTP_ACCOUNT),
        *_ordinary("orion-https", "H", HTTPS_ACCOUNT),
        _part("acme-sftp", "DEMO-S-CLOSED", SFTP_ACCOUNT, "310.00", CLOSED_ACCOUNT, _rejected("AC04", "closed account")),
        _part("orion-https", "DEMO-H-CLOSED", HTTPS_ACCOUNT, "42.10", CLOSED_ACCOUNT, _rejected("AC04", "closed account")),
        _part("acme-sftp", "DEMO-S-BADBANK", SFTP_ACCOUNT, "77.00", UNKNOWN_BANK, _rejected("RC01", "bad bank id")),
        _part("orion-https", "DEMO-H-BADBANK", HTTPS_ACCOUNT, "18.40", UNKNOWN_BANK, _rejected("RC01", "bad bank id")),
        _part(
            "acme-sftp",
            "DEMO-S-POOR",
            POOR_ACCOUNT,
            "900.00",
            creditor_iban(7),
            _rejected("AM04", "insufficient funds"),
        ),
        _part(
            "acme-sftp",
            LATE_RETURN,
            SFTP_ACCOUNT,
            "1234.56",
            creditor_iban(9),
            Expectation(state="returned", code=RETURN_REASON, story="returned 3 days later"),
        ),
    ]


def repeated(parts: list[Part]) -> dict[str, Any]:
    """A reference the ERP sends a second time, by mistake or after a time-out."""
    return parts[0].request


def conflicting(parts: list[Part]) -> dict[str, Any]:
    """The same reference for another amount."""
    return {**parts[0].request, "amount": "999999.00"}


def unpayable() -> dict[str, Any]:
    """An address of lines only: refused since 2026-11-15; and an IBAN that fails its check digits."""
    request = dict(_part("acme-sftp", "DEMO-BAD-ADDRESS", SFTP_ACCOUNT, "15.00", "DE00370400440532013000", SETTLED).request)
    request["creditor"] = {"name": "Old Address GmbH", "postal_address": {"address_line": ["Hauptstr. 1", "10115 Berlin"]}}
    return request


def _ordinary(connection_id: str, letter: str, account: str) -> Iterator[Part]:
    for number in range(1, ORDINARY_PER_CONNECTION + 1):
        amount = f"{10 + number % 37}.{number % 100:02d}"
        yield _part(connection_id, f"DEMO-{letter}-{number:04d}", account, amount, creditor_iban(number), SETTLED)


def _part(  # noqa: PLR0917 - a row of the table above
    connection_id: str, reference: str, account: str, amount: str, creditor_iban: str, expected: Expectation
) -> Part:
    return Part(
        request={
            "payment_reference": reference,
            "connection_id": connection_id,
            "debtor_account": {"iban": account},
            "amount": amount,
            "currency": "EUR",
            "payment_type": {"service_level": "SEPA"},
            "charge_bearer": "SLEV",
            "creditor": {
                "name": f"Supplier {reference[-4:].strip('-').title()} BV",
                "postal_address": {"town_name": "Amsterdam", "country": "NL"},
            },
            "creditor_account": {"iban": creditor_iban},
            "remittance_information": {"unstructured": [f"Invoice {reference}"]},
        },
        expected=expected,
    )


def _rejected(code: str, story: str) -> Expectation:
    return Expectation(state="rejected", code=code, story=story)


def creditor_iban(number: int) -> str:
    """A well-formed German IBAN at a bank that mock-bank does not know: such payments settle."""
    account = f"37040044{number:010d}"
    check = 98 - int(account + "131400") % 97  # "DE" is 13 14 (ISO 13616)
    return f"DE{check:02d}{account}"
