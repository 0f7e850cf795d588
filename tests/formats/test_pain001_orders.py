"""Payments read back out of a pain.001: what was said is what is judged."""

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from formats.errors import Place, Unparsable
from formats.pain001_orders import OrderRead, read_orders


def read(document: bytes) -> list[OrderRead]:
    return list(read_orders(io.BytesIO(document)))


@pytest.mark.parametrize("name", ["sepa", "full"])
def test_every_version_gives_back_every_field_that_was_written(payments: SimpleNamespace, name: str) -> None:
    terms, transfer = getattr(payments, f"{name}_terms")(), getattr(payments, f"{name}_transfer")()
    for version in payments.versions:
        said = payments.fit(terms, transfer, version)
        (order,) = read(payments.rendered(payments.message((said[0], (said[1],)), version=version)))
        assert (order.terms, order.transfer, order.problems) == (*said, ()), version


def test_each_payment_has_the_terms_of_its_own_block(payments: SimpleNamespace) -> None:
    transfers = tuple(replace(payments.sepa_transfer(), end_to_end_id=f"E-{number}") for number in range(3))
    blocks = ((payments.sepa_terms(), transfers[:2]), (payments.full_terms(), transfers[2:]))
    orders = read(payments.rendered(payments.message(*blocks)))
    assert [order.transfer.end_to_end_id for order in orders] == ["E-0", "E-1", "E-2"]
    assert [order.terms for order in orders] == [payments.sepa_terms(), payments.sepa_terms(), payments.full_terms()]


def test_what_a_transaction_says_of_itself_goes_before_what_its_block_says(payments: SimpleNamespace) -> None:
    own = b"</PmtId><PmtTpInf><SvcLvl><Cd>URGP</Cd></SvcLvl></PmtTpInf><Amt>"
    document = payments.rendered(payments.message((payments.full_terms(), (payments.full_transfer(),))))
    document = document.replace(b"</PmtId><Amt>", own, 1).replace(b"</Amt>", b"</Amt><ChrgBr>CRED</ChrgBr>", 1)
    (order,) = read(document)
    assert order.terms.payment_type is not None
    assert (order.terms.payment_type.service_level, order.terms.payment_type.category_purpose) == ("URGP", None)
    assert order.terms.charge_bearer == "CRED"


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b'"EUR">', b'"EUR">1,000', ("amount", "amount.format")),
        (b'"EUR">', b'"EUR">NaN', ("amount", "amount.format")),
        (b"<ReqdExctnDt><Dt>2026-", b"<ReqdExctnDt><Dt>2026-13-", ("requested_execution_date", "date.format")),
        (b"ReqdExctnDt", b"Unknown", ("requested_execution_date", "date.format")),
    ],
)
def test_what_cannot_be_read_is_a_problem_of_that_payment(
    payments: SimpleNamespace, before: bytes, after: bytes, problem: tuple[str, str]
) -> None:
    document = payments.rendered(payments.message((payments.sepa_terms(), (payments.sepa_transfer(),))))
    (order,) = read(document.replace(before, after))
    assert [(one.field, one.rule) for one in order.problems] == [problem]


def test_a_file_that_is_cut_is_unparsable(payments: SimpleNamespace) -> None:
    document = payments.rendered(payments.message((payments.sepa_terms(), (payments.sepa_transfer(),))))
    with pytest.raises(Unparsable):
        read(document[:-40])


def test_a_field_of_the_request_is_found_in_the_file(payments: SimpleNamespace) -> None:
    transfers = tuple(replace(payments.sepa_transfer(), end_to_end_id=f"E-{number}") for number in range(2))
    document = payments.rendered(payments.message((payments.full_terms(), transfers), (payments.sepa_terms(), transfers)))
    places = {}
    for order in read_orders(io.BytesIO(document)):
        for field in ("creditor_account.iban", "amount", "currency", "debtor_account.iban", "creditor.postal_address", "uetr"):
            places[order.line, field] = order.place_of(field)
    lines = sorted({line for line, _ in places})
    block = "/Document/CstmrCdtTrfInitn/PmtInf[2]"
    assert places[lines[3], "creditor_account.iban"] == Place(
        path=f"{block}/CdtTrfTxInf[2]/CdtrAcct/Id/IBAN", line=lines[3], payment_information_id="BLOCK-2", end_to_end_id="E-1"
    )
    assert places[lines[3], "debtor_account.iban"].path == f"{block}/DbtrAcct/Id/IBAN"
    assert places[lines[3], "debtor_account.iban"].line == lines[2] - 1
    assert places[lines[2], "amount"].path == places[lines[2], "currency"].path == f"{block}/CdtTrfTxInf[1]/Amt/InstdAmt"
    assert places[lines[0], "creditor.postal_address"].path.endswith("/PmtInf[1]/CdtTrfTxInf[1]/Cdtr/PstlAdr")


@pytest.mark.parametrize(
    ("field", "end"),
    [
        ("remittance_information.structured[0].creditor_reference", "CdtTrfTxInf[1]/RmtInf/Strd[1]/CdtrRefInf/Ref"),
        ("remittance_information.structured[1].document_number", "CdtTrfTxInf[1]/RmtInf/Strd[2]/RfrdDocInf/Nb"),
        ("remittance_information.structured[7]", "CdtTrfTxInf[1]/RmtInf"),
        ("remittance_information", "CdtTrfTxInf[1]/RmtInf"),
        ("creditor.postal_address.address_line[1]", "CdtTrfTxInf[1]/Cdtr/PstlAdr/AdrLine[2]"),
        ("creditor.postal_address.address_line[5]", "CdtTrfTxInf[1]/Cdtr/PstlAdr"),
        ("creditor.no_such_field", "CdtTrfTxInf[1]"),
        ("payment_type.service_level", "PmtInf[1]/PmtTpInf/SvcLvl/Cd"),
        ("charge_bearer", "PmtInf[1]"),
        ("", "CdtTrfTxInf[1]"),
    ],
)
def test_what_is_missing_in_the_file_is_told_at_what_stands_around_it(payments: SimpleNamespace, field: str, end: str) -> None:
    document = payments.rendered(payments.message((payments.full_terms(), (payments.full_transfer(),))))
    document = re.sub(rb"<ChrgBr>.*?</ChrgBr>", b"", document)
    reference = b"<Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd>"
    document = re.sub(rb"<RmtInf>", b"<RmtInf>" + reference, document)
    places = [order.place_of(field).path for order in read_orders(io.BytesIO(document))]
    assert places[0].endswith(end)
