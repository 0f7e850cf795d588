"""What `check` and `parse` tell a person, beside what they print for machines."""

import json
from pathlib import Path
from typing import Any

import pytest

ON = ("--on", "2026-11-25")


def test_a_request_is_judged_in_the_language_asked_for(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    request["payments"][0]["creditor"]["name"] = "“Example” Ltd"
    request["payments"][1]["creditor_account"]["iban"] = "FR1420041010050500013M02607"
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    told = json.loads(bankgate("check", file, "--bank", "sepa", *ON, "--json").out)
    error, warning = bankgate("check", file, "--bank", "sepa", *ON, "--language", "zh").err.splitlines()
    assert told["violations"][0]["description_zh"] in error
    assert told["warnings"][0]["description_zh"] in warning
    assert "可改为: 'Example' Ltd" in warning


@pytest.mark.parametrize(
    ("payment", "says"),
    [
        ({"refrence": "1"}, "payments[0]: refrence: there is no such field"),
        ({"creditor": {"nmae": "x"}}, "payments[0]: creditor.nmae: there is no such field (did you mean name?)"),
        ({"amount": 10.5}, 'payments[0]: amount: must be a text in quotes, such as "…"'),
        ({"creditor": "x"}, "payments[0]: creditor: must be an object { … }"),
        ({"remittance_information": {"unstructured": "x"}}, "remittance_information.unstructured: must be a list [ … ]"),
        ({"remittanceInformation": {"structured": [{"x": 1}]}}, "remittanceInformation.structured[0].x: there is no such field"),
    ],
)
def test_what_does_not_fit_a_request_is_told_by_place_in_the_contract_s_names(
    bankgate: Any, tmp_path: Path, payment: dict[str, Any], says: str
) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"payments": [payment]}), encoding="utf-8")
    done = bankgate("check", file, *ON)
    assert done.code == 1
    assert says in done.err
    assert len(done.err.splitlines()) == 1


STATEMENT = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.06"><BkToCstmrStmt>
<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-25T05:00:00</CreDtTm></GrpHdr>
<Stmt><Id>S</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct><Ntry><Amt Ccy="EUR">100.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><RvslInd>true</RvslInd><Sts>BOOK</Sts><BkTxCd/>
<Chrgs><Rcrd><Amt Ccy="EUR">1.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Br>SHAR</Br></Rcrd></Chrgs>
<NtryDtls><TxDtls><Refs><EndToEndId>INV-1</EndToEndId></Refs><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<AmtDtls><CntrValAmt><Amt Ccy="USD">110.00</Amt><CcyXchg><SrcCcy>EUR</SrcCcy>
<XchgRate>1.1</XchgRate></CcyXchg></CntrValAmt></AmtDtls>
<RltdPties><Dbtr><Nm>Payer AG</Nm></Dbtr></RltdPties><RmtInf><Ustrd>one</Ustrd><Ustrd>two</Ustrd></RmtInf>
<RtrInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed</AddtlInf></RtrInf></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"""


def test_a_person_is_shown_every_transaction_with_its_charges_other_amounts_and_return(bankgate: Any, tmp_path: Path) -> None:
    file = tmp_path / "statement.xml"
    file.write_text(STATEMENT, encoding="utf-8")
    assert bankgate("parse", file).out.splitlines()[-6:-1] == [
        "statement S of account DE89370400440532013000: entries 1",
        "  – CRDT 100.00 EUR BOOK – reversal",
        "    charge: DBIT 1.50 EUR SHAR",
        "    transaction 1: CRDT 100.00 EUR, INV-1, Payer AG, one / two, returned: AC04 closed",
        "      counter value amount: 110.00 USD at 1.1",
    ]


def test_a_message_is_shown_as_one_line_of_time_with_attempts_evidence_and_decisions() -> None:
    from gateway.cli.operations import _timeline

    told = _timeline(
        {
            "history": [
                {
                    "occurred_at": "2026-11-25T09:00:00Z",
                    "event": "started",
                    "state": "DELIVERY_STATE_SENDING",
                    "source": "gateway",
                },
                {
                    "occurred_at": "2026-11-25T09:20:00Z",
                    "event": "found",
                    "state": "DELIVERY_STATE_SENT",
                    "source": "person: ops",
                    "reason": {"text_en": "A person decided, with a reason.", "bank_text": "ops: Ms Meier has it"},
                },
            ],
            "attempt_log": [
                {
                    "number": 1,
                    "started_at": "2026-11-25T09:00:00Z",
                    "ended_at": "2026-11-25T09:05:00Z",
                    "outcome": "lost_track",
                    "detail": "cut",
                }
            ],
            "evidence": [
                {"found_at": "2026-11-25T09:10:00Z", "source": "sftp.listing /in", "verdict": "unknown", "detail": "absent"}
            ],
        }
    )
    assert [at[11:16] for at, _ in told] == ["09:00", "09:05", "09:10", "09:20"]
    assert "started, sending, by gateway" in told[0][1]
    assert told[1][1] == "attempt 1: lost_track cut"
    assert told[2][1] == "evidence, sftp.listing /in: unknown absent"
    assert "by person: ops" in told[3][1]
    assert "Ms Meier has it" in told[3][1]
