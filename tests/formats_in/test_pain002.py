"""pain.002: what each level says comes out as its own record, in reading order, with every reason."""

from formats.report import Document, PaymentInformationStatus, Reason, StatusReport, TransactionStatus


def test_three_levels_are_told_in_reading_order(records, sample):
    assert records(sample("pain002_levels.xml")) == [
        Document(message="pain.002.001.10", message_id="STS-0001", creation_date_time="2026-11-20T09:30:00+01:00"),
        StatusReport(
            original_message_id="OUT-0001",
            original_message_name="pain.001.001.09",
            group_status="PART",
            group_reasons=(Reason(code="NARR", text="Two of three payments were accepted"),),
        ),
        PaymentInformationStatus(original_payment_information_id="BLOCK-1", status="PART"),
        TransactionStatus(
            original_payment_information_id="BLOCK-1",
            original_instruction_id="I-1",
            original_end_to_end_id="E-1",
            status="ACSP",
            original_uetr="2f6e0c6e-7b1e-4c1a-9c59-3b0b1a2c3d4e",
            account_servicer_reference="BANK-77",
            amount="120.50",
            currency="EUR",
        ),
        TransactionStatus(
            original_payment_information_id="BLOCK-1",
            original_instruction_id="I-2",
            original_end_to_end_id="E-2",
            status="RJCT",
            reasons=(Reason(code="AC04", text="Account closed"), Reason(code="X-19")),
            supplementary=(("StsRsnInf/Orgtr/Nm", "Example Bank"),),
        ),
        PaymentInformationStatus(original_payment_information_id="BLOCK-2", status="RJCT", reasons=(Reason(code="AM10"),)),
    ]


def test_first_generation_with_transactions_beside_the_group(records, sample):
    assert records(sample("pain002_first_generation.xml"))[1:] == [
        StatusReport(original_message_id="OUT-OLD", original_message_name="pain.001.001.02", group_status="PART"),
        TransactionStatus(
            original_payment_information_id="BLOCK-OLD",
            original_instruction_id="I-OLD",
            original_end_to_end_id="E-OLD",
            status="RJCT",
            reasons=(Reason(code="AC01", text="Falsche Kontonummer"),),
        ),
    ]


def test_a_status_no_table_knows_is_kept_verbatim(records, sample):
    told = records(sample("pain002_levels.xml").replace(b"<TxSts>ACSP", b"<TxSts>ZZZZ"))
    assert [record.status for record in told if isinstance(record, TransactionStatus)] == ["ZZZZ", "RJCT"]


def test_an_empty_element_is_absent(records, sample):
    told = records(sample("pain002_levels.xml").replace(b"<OrgnlInstrId>I-1</OrgnlInstrId>", b"<OrgnlInstrId> </OrgnlInstrId>"))
    assert next(record for record in told if isinstance(record, TransactionStatus)).original_instruction_id is None
