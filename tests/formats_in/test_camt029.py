"""camt.029: what became of a request for cancellation, at each level, with what the levels above identify."""

from formats.report import CancellationStatus, Document, Reason, as_json

MESSAGE = {"original_message_id": "OUT-0001", "original_message_name": "pain.001.001.09"}
ANSWER = {"resolution_id": "RES-1", "case_id": "CASE-1", "investigation_status": "PDCR"}
NOBODY = {"original_instruction_id": None, "original_end_to_end_id": None}


TOLD = [
    Document(
        message="camt.029.001.09",
        message_id="RES-1",
        creation_date_time="2026-11-21T08:00:00Z",
        supplementary=(
            ("Assgnmt/Assgnr/Agt/FinInstnId/BICFI", "MOCKDEFFXXX"),
            ("Assgnmt/Assgne/Pty/Nm", "Acme Tools"),
            ("RslvdCase/Id", "CASE-1"),
            ("RslvdCase/Cretr/Pty/Nm", "Acme Tools"),
            ("Sts/Conf", "PDCR"),
        ),
    ),
    CancellationStatus(
        level="message",
        **MESSAGE,
        original_payment_information_id=None,
        **NOBODY,
        status="PACR",
        **ANSWER,
        cancellation_id="CXL-1",
        supplementary=(("OrgnlNbOfTxs", "3"),),
    ),
    CancellationStatus(
        level="payment_information",
        **MESSAGE,
        original_payment_information_id="BLOCK-1",
        **NOBODY,
        status="PACR",
        reasons=(Reason(code="SOME", text="one of two"),),
        **ANSWER,
        cancellation_id="CXL-1-B",
    ),
    CancellationStatus(
        level="transaction",
        **MESSAGE,
        original_payment_information_id="BLOCK-1",
        original_instruction_id="I-1",
        original_end_to_end_id="E-1",
        status="ACCR",
        **ANSWER,
        cancellation_id="S-1",
        original_uetr="2f6e0c6e-7b1e-4c1a-9c59-3b0b1a2c3d4e",
        amount="120.50",
        currency="EUR",
    ),
    CancellationStatus(
        level="transaction",
        **MESSAGE,
        original_payment_information_id="BLOCK-1",
        original_instruction_id=None,
        original_end_to_end_id="E-2",
        status="RJCR",
        reasons=(Reason(code="ARDT"), Reason(code="NOAS", text="no answer from them")),
        **{**ANSWER, "case_id": "CASE-2"},
        supplementary=(("CxlStsRsnInf/Orgtr/Nm", "Mock Bank"),),
    ),
    CancellationStatus(
        level="payment_information",
        **MESSAGE,
        original_payment_information_id="BLOCK-2",
        **NOBODY,
        status="PDCR",
        **ANSWER,
    ),
    CancellationStatus(
        level="transaction",
        original_message_id="OUT-0002",
        original_message_name="pain.001.001.09",
        original_payment_information_id=None,
        **NOBODY,
        status="ACCR",
        **ANSWER,
        original_transaction_id="T-9",
        original_uetr="3f6e0c6e-7b1e-4c1a-9c59-3b0b1a2c3d4e",
        amount="7",
        currency="EUR",
    ),
]


def test_each_level_is_told_with_what_the_levels_above_identify(records, sample):
    assert records(sample("camt029.xml")) == TOLD


def test_an_answer_without_details_is_a_record_of_the_investigation(records, sample):
    data = sample("camt029.xml")
    bare = data[: data.index(b"<CxlDtls>")] + b"</RsltnOfInvstgtn></Document>"
    (_, answer) = records(bare)
    assert (answer.level, answer.status, answer.investigation_status, answer.case_id) == ("investigation", None, "PDCR", "CASE-1")
    assert as_json(answer, "f")["kind"] == "cancellation_status"


def test_a_status_is_not_inherited_from_above(records, sample):
    told = records(sample("camt029.xml").replace(b"<TxCxlSts>ACCR</TxCxlSts>", b"", 1))
    assert told[3].status is None
