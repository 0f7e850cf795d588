"""pain.001 read back: what a file would pay."""

import pytest

from formats.errors import Unparsable
from formats.report import Document, PaymentRead, Remainder


def test_payments_with_the_terms_of_their_block(records, sample):
    assert records(sample("pain001.xml")) == [
        Document(
            message="pain.001.001.09",
            message_id="OUT-0001",
            creation_date_time="2026-11-19T12:00:00Z",
            supplementary=(("GrpHdr/NbOfTxs", "3"),),
        ),
        PaymentRead(
            payment_information_id="BLOCK-1",
            instruction_id="I-1",
            end_to_end_id="E-1",
            amount="120.50",
            currency="EUR",
            debtor_account="DE75512108001245126199",
            creditor_name="Müller",
            creditor_account="NL91ABNA0417164300",
            requested_execution_date="2026-11-20",
            debtor_name="Acme Tools",
        ),
        PaymentRead(
            payment_information_id="BLOCK-1",
            instruction_id=None,
            end_to_end_id="E-2",
            amount="9.00",
            currency="EUR",
            debtor_account="DE75512108001245126199",
            creditor_name="Overseas",
            creditor_account="00-11",
            requested_execution_date="2026-11-20",
            debtor_name="Acme Tools",
            supplementary=(("Amt/EqvtAmt/CcyOfTrf", "USD"),),
        ),
        PaymentRead(
            payment_information_id="BLOCK-2",
            instruction_id="I-3",
            end_to_end_id="E-3",
            amount="1",
            currency="CHF",
            debtor_account="4711",
            creditor_name=None,
            creditor_account=None,
            requested_execution_date="2026-11-21",
        ),
    ]


def test_a_transfer_outside_a_block_is_not_passed_over(records, sample):
    with pytest.raises(Unparsable, match="outside"):
        records(sample("pain001.xml").replace(b"</CstmrCdtTrfInitn>", b"<CdtTrfTxInf/></CstmrCdtTrfInitn>"))


def test_what_a_block_says_beside_its_terms_is_told_once(records, sample):
    data = sample("pain001.xml").replace(b"<ReqdExctnDt><Dt>", b"<PmtMtd>TRF</PmtMtd><ReqdExctnDt><Dt>")
    payments = [record for record in records(data) if isinstance(record, PaymentRead)]
    assert [payment.payment_information_supplementary for payment in payments] == [(("PmtMtd", "TRF"),), (), ()]


def test_a_block_without_payments_is_told_all_the_same(records):
    block = b"<PmtInf><PmtInfId>B</PmtInfId><PmtMtd>TRF</PmtMtd></PmtInf>"
    assert records(b"<Document><CstmrCdtTrfInitn>" + block + b"</CstmrCdtTrfInitn></Document>")[1:] == [
        Remainder(of="payment_information", of_id="B", supplementary=(("PmtMtd", "TRF"),))
    ]


def test_a_block_without_payments_is_told_by_its_id_wherever_it_stands(records):
    payment = b"<CdtTrfTxInf><PmtId><EndToEndId>E</EndToEndId></PmtId></CdtTrfTxInf>"
    blocks = b"".join(b"<PmtInf><PmtInfId>B%d</PmtInfId>%s</PmtInf>" % (n, payment if n == 2 else b"") for n in (1, 2, 3))
    found = records(b"<Document><CstmrCdtTrfInitn>" + blocks + b"</CstmrCdtTrfInitn></Document>")
    told = [getattr(record, "of_id", None) or getattr(record, "payment_information_id", None) for record in found[1:]]
    assert told == ["B1", "B2", "B3"]
