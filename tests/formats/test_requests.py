"""camt.055 and camt.060 out: by hand-written values, by their schemas, and by a program we did not write."""

import io
import shutil
import subprocess
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from formats.camt055 import write_camt055
from formats.camt060 import write_camt060
from formats.errors import Unparsable, Unrenderable
from formats.model import Account, Agent, OrganisationIdentification, Party, PostalAddress
from formats.model_requests import (
    AccountReportingRequest,
    CancellationReason,
    CancellationRequest,
    MessageCancellation,
    PaymentInformationCancellation,
    ReportingRequest,
    TransactionCancellation,
)
from formats.reader import parse, sniff
from formats.request_versions import CAMT055, CAMT060
from formats.schemas import SchemaViolation, schema_text, validate_inbound, validate_outbound
from formats.schemas_outbound import WHOLE_BYTES_MAX

WHEN = datetime(2026, 11, 25, 13, 30, tzinfo=timezone(timedelta(hours=1)))
MULLER = Party(name="Müller & Co")
BANK = Agent(bic="COBADEFFXXX")
PAYMENT = TransactionCancellation(original_end_to_end_id="E-2")
FULL_PAYMENT = TransactionCancellation(
    cancellation_id="T-1",
    original_instruction_id="I-1",
    original_end_to_end_id="E-1",
    original_uetr="eb6305c9-1f7f-49de-aed0-16487c27b42d",
    original_amount=Decimal("1250"),
    original_currency="JPY",
    original_requested_execution_date=date(2026, 11, 26),
    reason=CancellationReason(code="CUST"),
)
BLOCKS = (
    PaymentInformationCancellation(
        original_payment_information_id="MSG-2-1",
        cancellation_id="B-1",
        original_count=2,
        original_control_sum=Decimal(30),
        whole=True,
        reason=CancellationReason(proprietary="WRONG DAY"),
    ),
    PaymentInformationCancellation(original_payment_information_id="MSG-2-2", transactions=(FULL_PAYMENT, PAYMENT)),
)
CANCELLATION = CancellationRequest(
    message_id="CXL-1",
    message_name="camt.055.001.09",
    creation_date_time=WHEN,
    assigner=Party(name="Müller & Co", organisation=OrganisationIdentification(lei="529900T8BM49AURSDO55")),
    assignee=BANK,
    case_id="CASE-1",
    cancellations=(
        MessageCancellation(
            original_message_id="MSG-1",
            original_message_name="pain.001.001.09",
            original_creation_date_time="2026-11-24T08:00:00Z",
            cancellation_id="G-1",
            original_count=3,
            original_control_sum=Decimal("1751.5"),
            whole=True,
            reason=CancellationReason(code="DUPL", additional_information=("Sent twice",)),
        ),
        MessageCancellation(original_message_id="MSG-2", original_message_name="pain.001.001.03", payment_informations=BLOCKS),
    ),
)
WANTED = ReportingRequest(
    request_id="R-1",
    requested_message_name="camt.053.001.08",
    account=Account(iban="DE89370400440532013000", currency="EUR"),
    account_owner=MULLER,
    account_servicer=BANK,
    period_from=date(2026, 11, 1),
    period_until=date(2026, 11, 24),
    time_from=time(8),
    time_until=time(18),
    scope="CHNG",
)
REPORTING = AccountReportingRequest(
    message_id="RPT-1",
    message_name="camt.060.001.05",
    creation_date_time=WHEN,
    sender=MULLER,
    requests=(
        WANTED,
        ReportingRequest(
            requested_message_name="camt.052.001.08",
            account=Account(other_id="12345678"),
            account_owner=MULLER,
            period_from=date(2026, 11, 25),
        ),
        ReportingRequest(
            requested_message_name="camt.053.001.08", account_owner=MULLER, sequence_from="212", sequence_until="214"
        ),
        ReportingRequest(
            requested_message_name="camt.053.001.08", account_owner=MULLER, sequence_from="220", sequence_until="220"
        ),
    ),
)


def written(request: CancellationRequest | AccountReportingRequest) -> bytes:
    out = io.BytesIO()
    if isinstance(request, CancellationRequest):
        write_camt055(request, out)
    else:
        write_camt060(request, out)
    return out.getvalue()


def rules(request: CancellationRequest | AccountReportingRequest) -> dict[str, str]:
    """Field → rule of everything that keeps a request from being written."""
    with pytest.raises(Unrenderable) as refused:
        written(request)
    assert all(one.message_zh and one.source for one in refused.value.violations)
    return {one.field: one.rule for one in refused.value.violations}


def in_version(request: AccountReportingRequest, name: str) -> AccountReportingRequest:
    """The request without what the version does not have."""
    requests = request.requests if CAMT060[name].sequences else request.requests[:2]
    return replace(request, message_name=name, requests=requests)


EVERY = [replace(CANCELLATION, message_name=name) for name in CAMT055] + [in_version(REPORTING, name) for name in CAMT060]


@pytest.mark.parametrize("request_", [CANCELLATION, REPORTING], ids=["camt.055", "camt.060"])
def test_a_request_is_written_as_the_hand_written_message(
    request_: CancellationRequest | AccountReportingRequest, golden: Path
) -> None:
    assert written(request_).decode() == (golden / "requests" / f"full.{request_.message_name}.xml").read_text(encoding="utf-8")
    assert written(request_) == written(request_)


@pytest.mark.parametrize("request_", EVERY, ids=lambda request: request.message_name)
def test_every_version_keeps_to_its_schema(request_: CancellationRequest | AccountReportingRequest, tmp_path: Path) -> None:
    document = written(request_)
    validate_outbound(io.BytesIO(document), request_.message_name)
    assert validate_inbound(io.BytesIO(document), request_.message_name) == (True, ())
    program = shutil.which("xmllint")
    if program is None:
        pytest.skip("xmllint is not installed")
    schema, file = tmp_path / "message.xsd", tmp_path / "message.xml"
    schema.write_bytes(schema_text(request_.message_name) or b"")
    file.write_bytes(document)
    command = [program, "--nonet", "--noout", "--schema", str(schema), str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_single_payments_are_counted_and_summed_where_they_are_all_there_is() -> None:
    single = PaymentInformationCancellation(original_payment_information_id="B", transactions=(FULL_PAYMENT, FULL_PAYMENT))
    part = MessageCancellation(original_message_id="M", original_message_name="pain.001.001.09", payment_informations=(single,))
    document = written(replace(CANCELLATION, cancellations=(part,)))
    assert b"<CtrlData><NbOfTxs>2</NbOfTxs><CtrlSum>2500.00</CtrlSum></CtrlData>" in document
    without_amount = replace(single, transactions=(FULL_PAYMENT, PAYMENT))
    document = written(replace(CANCELLATION, cancellations=(replace(part, payment_informations=(without_amount,)),)))
    assert b"<CtrlData><NbOfTxs>2</NbOfTxs></CtrlData>" in document


def test_a_version_that_must_have_times_of_day_says_whole_days() -> None:
    days = replace(WANTED, time_from=None, time_until=None)
    for name, times in (("camt.060.001.03", True), ("camt.060.001.04", False)):
        document = written(replace(REPORTING, message_name=name, requests=(days,)))
        assert (b"<FrToTm><FrTm>00:00:00</FrTm><ToTm>23:59:59</ToTm></FrToTm>" in document) is times


def asking(**changes: object) -> CancellationRequest:
    """A cancellation of one message, changed."""
    whole = MessageCancellation(original_message_id="M", original_message_name="pain.001.001.09", whole=True)
    return replace(CANCELLATION, cancellations=(replace(whole, **changes),))  # type: ignore[arg-type]


def paying(payment: TransactionCancellation) -> CancellationRequest:
    """A cancellation of one payment."""
    block = PaymentInformationCancellation(original_payment_information_id="B", transactions=(payment,))
    return asking(whole=False, payment_informations=(block,))


@pytest.mark.parametrize(
    ("request_", "field", "rule"),
    [
        (asking(payment_informations=BLOCKS), "cancellations[0].whole", "cancellation.whole-and-parts"),
        (asking(whole=False), "cancellations[0].payment_informations", "cancellation.nothing-named"),
        (
            asking(whole=False, payment_informations=(replace(BLOCKS[1], transactions=()),)),
            "cancellations[0].payment_informations[0].transactions",
            "cancellation.nothing-named",
        ),
        (asking(reason=CancellationReason()), "cancellations[0].reason", "cancellation.reason"),
        (asking(reason=CancellationReason(code="DUPL", proprietary="X")), "cancellations[0].reason", "cancellation.reason"),
        (asking(original_message_id="x" * 36), "cancellations[0].original_message_id", "text.too-long"),
        (replace(CANCELLATION, cancellations=()), "cancellations", "cancellation.empty"),
        (replace(CANCELLATION, assignee=Agent(bic="COBADEFFX")), "assignee.bic", "bic.form"),
        (
            paying(TransactionCancellation()),
            "cancellations[0].payment_informations[0].transactions[0]",
            "cancellation.unidentified",
        ),
        (
            paying(replace(PAYMENT, original_amount=Decimal(1))),
            "cancellations[0].payment_informations[0].transactions[0].original_amount",
            "cancellation.amount-and-currency",
        ),
        (
            paying(replace(PAYMENT, original_amount=Decimal("NaN"), original_currency="EUR")),
            "cancellations[0].payment_informations[0].transactions[0].original_amount",
            "amount.not-positive",
        ),
    ],
)
def test_a_cancellation_that_leaves_open_what_to_cancel_is_refused(request_: CancellationRequest, field: str, rule: str) -> None:
    assert rules(request_).get(field) == rule


@pytest.mark.parametrize(
    ("wanted", "field", "rule"),
    [
        (replace(WANTED, account=Account(iban="DE89370400440532013001")), "requests[0].account.iban", "iban.check-digits"),
        (replace(WANTED, period_from=None), "requests[0].period_from", "reporting.period"),
        (replace(WANTED, period_until=date(2026, 10, 31)), "requests[0].period_until", "reporting.period"),
        (replace(WANTED, time_from=None), "requests[0].time_from", "reporting.period"),
    ],
)
def test_a_wish_for_statements_that_cannot_be_meant_is_refused(wanted: ReportingRequest, field: str, rule: str) -> None:
    assert rules(replace(REPORTING, requests=(wanted,))).get(field) == rule


def test_statement_numbers_are_refused_in_the_version_that_has_none() -> None:
    assert rules(replace(REPORTING, message_name="camt.060.001.03"))["requests[2].sequence_from"] == "reporting.sequence-version"
    assert rules(replace(REPORTING, requests=()))["requests"] == "reporting.empty"


def test_what_no_check_foresaw_is_refused_by_name_too() -> None:
    broken = replace(CANCELLATION.cancellations[0], original_control_sum="a lot")
    assert rules(replace(CANCELLATION, cancellations=(broken,))) == {"": "message.unrenderable"}
    assert rules(replace(REPORTING, requests=(replace(WANTED, time_from="eight"),))) == {"": "message.unrenderable"}


@pytest.mark.parametrize("name", ["camt.055.001.07", "camt.060.001.02", "pain.001.001.09", ""])
def test_a_version_that_is_not_written_is_named(name: str) -> None:
    assert rules(replace(CANCELLATION, message_name=name)) == {"message_name": "message.unsupported"}
    assert rules(replace(REPORTING, message_name=name)) == {"message_name": "message.unsupported"}


def test_what_breaks_the_schema_does_not_pass_the_gate() -> None:
    document = written(paying(replace(PAYMENT, original_uetr="no-uetr")))
    with pytest.raises(SchemaViolation, match="OrgnlUETR"):
        validate_outbound(io.BytesIO(document), "camt.055.001.09")
    for broken in (document[:-12], document + b" " * WHOLE_BYTES_MAX):
        with pytest.raises(SchemaViolation):
            validate_outbound(io.BytesIO(broken), "camt.055.001.09")
    with pytest.raises(SchemaViolation, match="no schema"):
        validate_outbound(io.BytesIO(document), "camt.053.001.08")


@pytest.mark.parametrize("request_", EVERY, ids=lambda request: request.message_name)
def test_a_request_that_comes_back_is_named_and_not_taken_for_news(
    request_: CancellationRequest | AccountReportingRequest,
) -> None:
    with pytest.raises(Unparsable, match=rf"{request_.message_name} message, a request of a customer to its bank"):
        sniff(io.BytesIO(written(request_)))
    with pytest.raises(Unparsable, match="a request of a customer"):
        list(parse(io.BytesIO(written(request_))))


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(texts, texts, st.sampled_from(sorted(CAMT055)), st.decimals(allow_nan=True, allow_infinity=True))
def test_whatever_stands_in_a_request_it_is_refused_by_name_or_well_formed(
    identifier: str, name: str, version: str, amount: Decimal
) -> None:
    payment = replace(PAYMENT, original_end_to_end_id=identifier, original_amount=amount, original_currency="EUR")
    who = Party(name=name, postal_address=PostalAddress(town_name=name))
    asked = replace(paying(payment), message_name=version, assigner=who)
    try:
        document = written(asked)
    except Unrenderable:
        return
    (found,) = etree.fromstring(document).iter("{*}OrgnlEndToEndId")
    assert found.text == identifier
