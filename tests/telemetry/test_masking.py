"""No account number, name or secret in clear, whoever wrote the log and wherever it stands."""

import copy
import io
import json
import logging
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PostalAddress, RemittanceInformation
from gateway.config import TelemetrySettings
from gateway.masking import HIDDEN, AccountNumber, Secret, mask_text, mask_value
from gateway.prepare import new_message_id
from gateway.telemetry import configure_logging

IBAN = "DE89370400440532013000"


def iban_of(country: str, account: str) -> str:
    digits = "".join(str(int(character, 36)) for character in account + country + "00")
    return f"{country}{98 - int(digits) % 97:02}{account}"


ibans = st.builds(
    iban_of,
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=11, max_size=30),
)
around = st.text(max_size=10)


def grouped(text: str, separator: str = " ") -> str:
    return separator.join(text[start : start + 4] for start in range(0, len(text), 4))


def compact(text: str) -> str:
    return text.replace(" ", "").replace("-", "").upper()


@given(iban=ibans, before=around, after=around, form=st.sampled_from(["plain", "grouped", "hyphens", "lower"]))
@settings(max_examples=400)
def test_no_iban_survives_in_any_form_or_company(iban: str, before: str, after: str, form: str) -> None:
    written = {"plain": iban, "grouped": grouped(iban), "hyphens": grouped(iban, "-"), "lower": iban.lower()}[form]
    assert iban not in compact(mask_text(before + written + after))


@given(number=st.text("0123456789", min_size=9, max_size=40), before=around, after=around)
@example(number="1" * 31, before="", after="a")  # not an id in hex for its one letter
@example(number="2" * 22, before="BG", after="")  # nor one of a message for its first two
@settings(max_examples=200)
def test_no_long_number_survives(number: str, before: str, after: str) -> None:
    assert number not in mask_text(before + number + after)


@given(number=st.text("0123456789", min_size=12, max_size=24))
def test_no_grouped_number_survives(number: str) -> None:
    assert number not in compact(mask_text(grouped(number)))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T13:39:30.123456Z",
        "2026-11-25 13:39:30",
        "5ced8092-5816-4098-94d1-92a3576189e2",
        "019ab30f909f7701a6f4ab480a5b1a65",
        "pain.001.001.09",
        "127.0.0.1:50051",
        "connections/house.toml: channel.host: is required",
    ],
)
def test_what_an_operator_needs_stays_readable(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize("second", range(60))
def test_the_ids_of_messages_and_deliveries_stay_readable_wherever_they_stand(second: int) -> None:
    """They look like IBANs of Bulgaria, and an operator who sees them masked cannot find the message."""
    message_id = new_message_id(datetime(2026, 11, 25, 14, 53, second, tzinfo=UTC))
    delivery_id = f"d{message_id[2:].lower()}"
    for text in (message_id, delivery_id, f"{message_id}-12", f"{message_id}.xml.p7m is there", f"the bank has {delivery_id}."):
        assert mask_text(text) == text
    assert mask_value(message_id, "delivery") == message_id


@given(bank=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4), rest=st.text("0123456789", min_size=14, max_size=14))
def test_an_iban_of_bulgaria_is_none_of_them(bank: str, rest: str) -> None:
    iban = iban_of("BG", bank + rest)
    assert iban not in mask_text(f"to {iban}")


def test_an_iban_with_a_typing_mistake_is_still_somebodys_account() -> None:
    assert "DE88370400440532013000" not in mask_text("no such account: DE88370400440532013000.")


def test_wrapped_values_are_masked_by_their_type_however_they_are_printed() -> None:
    account, secret = AccountNumber(IBAN), Secret("hunter2")
    for text in (
        str(account),
        repr(account),
        f"{account}",
        f"{account!r:>40}",
        str([account]),
        str({"a": account}),
    ):
        assert IBAN not in text
        assert "3000" in text
    for text in (str(secret), repr(secret), f"{secret}", str((secret,)), json.dumps({"s": secret}, default=str)):
        assert "hunter2" not in text
    assert account.reveal() == IBAN
    assert account == AccountNumber(IBAN) != AccountNumber("other")
    assert Secret("a") != AccountNumber("a")
    assert len({Secret("a"), Secret("a")}) == 1


def test_wrapped_values_are_not_written_down() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret("hunter2"))


def test_short_account_numbers_show_nothing() -> None:
    assert str(AccountNumber("12345")) == HIDDEN


def test_the_models_own_types_are_masked_to_their_last_field() -> None:
    address = PostalAddress(street_name="Secret Lane", town_name="Hidingen")
    transfer = CreditTransfer(
        instruction_id="i-1",
        end_to_end_id="e-1",
        amount=Decimal("1.00"),
        currency="EUR",
        creditor=Party(name="Jane Doe", postal_address=address),
        creditor_account=Account(iban=IBAN),
        remittance_information=RemittanceInformation(unstructured=("for the operation",)),
    )
    terms = PaymentTerms(
        debtor=Party(name="John Doe"),
        debtor_account=Account(other_id="1234567"),
        debtor_agent=Agent(bic="COBADEFFXXX"),
        requested_execution_date=date(2026, 11, 26),
    )
    shown = str(mask_value({"transfer": transfer, "rows": [terms], "party": transfer.creditor}))
    for clear in ("Jane", "John", "Secret Lane", "Hidingen", IBAN, "1234567", "operation"):
        assert clear not in shown
    assert "i-1" in shown
    assert "COBADEFFXXX" in shown


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(TelemetrySettings(log_level="info"), stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_events_are_one_json_object_a_line_masked_by_type_name_and_look(stream: io.StringIO) -> None:
    structlog.get_logger("house").info(
        "delivery.sent",
        account=IBAN,
        to=AccountNumber(IBAN),
        bank_text=f"booked on {IBAN}",
        passphrase="hunter2",
        nested={"token": "abc", "list": [IBAN]},
        payment_count=3,
        payment_id="01912345678901234567890123456789",
        content=b"<IBAN>",
    )
    (line,) = lines(stream)
    assert IBAN not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert line["event"] == "delivery.sent"
    assert line["level"] == "info"
    assert line["logger"] == "house"
    assert line["payment_count"] == 3
    assert line["payment_id"] == "01912345678901234567890123456789"
    assert line["nested"] == {"token": HIDDEN, "list": [HIDDEN + "3000"]}
    assert line["content"] == "<6 bytes>"


def test_what_libraries_log_and_raise_is_masked_too(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("cannot pay %s", IBAN)
    try:
        raise ValueError(f"bad account {IBAN}")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert IBAN not in stream.getvalue()
    first, second = lines(stream)
    assert first["event"] == f"cannot pay {HIDDEN}3000"
    assert "ValueError" in str(second["exception"])


def test_chatty_libraries_are_heard_only_when_asked_for(stream: io.StringIO) -> None:
    logging.getLogger("asyncssh.connection").info("packet")
    assert stream.getvalue() == ""
