"""pacs.004: each returned payment, with what the group says for all of them."""

from formats.report import Document, PaymentReturn, Reason


def test_returns_with_their_own_values_before_the_groups(records, sample):
    assert records(sample("pacs004.xml")) == [
        Document(
            message="pacs.004.001.09",
            message_id="RTR-1",
            creation_date_time="2026-11-22T07:00:00Z",
            supplementary=(
                ("GrpHdr/IntrBkSttlmDt", "2026-11-22"),
                ("OrgnlGrpInf/OrgnlMsgId", "OUT-0001"),
                ("OrgnlGrpInf/OrgnlMsgNmId", "pain.001.001.09"),
                ("OrgnlGrpInf/RtrRsnInf/Rsn/Cd", "MS03"),
            ),
        ),
        PaymentReturn(
            original_message_id="OUT-0001",
            original_instruction_id="I-1",
            original_end_to_end_id="E-1",
            original_uetr="2f6e0c6e-7b1e-4c1a-9c59-3b0b1a2c3d4e",
            amount="120.50",
            currency="EUR",
            settlement_date="2026-11-23",
            reasons=(Reason(code="AC04", text="Closed"),),
            return_id="R-1",
        ),
        PaymentReturn(
            original_message_id="OUT-0002",
            original_instruction_id=None,
            original_end_to_end_id="E-9",
            original_uetr=None,
            amount="7",
            currency="GBP",
            settlement_date="2026-11-22",
            reasons=(Reason(code="MS03"),),
            return_id="R-2",
            instructed_amount="7",
            instructed_currency="GBP",
        ),
    ]


def test_a_group_returned_whole_is_not_passed_over(records, sample):
    data = sample("pacs004.xml")
    group = data[: data.index(b"<TxInf>")] + data[data.index(b"</PmtRtr>") :]
    group = group.replace(b"<IntrBkSttlmDt>", b"<GrpRtr>true</GrpRtr><IntrBkSttlmDt>", 1)
    (_, returned) = records(group)
    assert returned.original_message_id == "OUT-0001"
    assert returned.reasons == (Reason(code="MS03"),)
