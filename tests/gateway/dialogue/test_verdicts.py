"""A refusal of a request that went out before may mean "you sent this already": no payment fails by it."""

import io
from dataclasses import replace
from typing import Any

import pytest

from formats.banks import abc, boc, ccb, cmb
from formats.dialects.dialect import Dialect
from formats.dialects.tables import REJECTED, SETTLED
from formats.dialogue import Asked, Asking
from formats.exchange import Exchange, read_exchange, write_exchange
from formats.report import TransactionStatus
from gateway.dialogue.verdicts import records_that_count
from tests.formats.dialects.talk import asked

SERIAL = "2026010500000001"


def with_rejected(bank: Dialect[Any], *codes: str) -> Dialect[Any]:
    return replace(bank, settings=bank.settings.model_copy(update={"rejected_codes": codes}))


ABC = f"<ap><CCTransCode>CFRT02</CCTransCode><ReqSeqNo>{SERIAL}</ReqSeqNo><RespCode>7777</RespCode></ap>"
BOC = (
    "<bocb2e><trans><trn-b2e0009-rs><status><rspcod>B001</rspcod></status><b2e0009-rs><status><rspcod>B999</rspcod></status>"
    f"<insid>{SERIAL}</insid><obssid></obssid></b2e0009-rs></trn-b2e0009-rs></trans></bocb2e>"
)
CCB = (
    f"<TX><REQUEST_SN>{SERIAL}</REQUEST_SN><TX_CODE>6W8020</TX_CODE><RETURN_CODE>000000</RETURN_CODE>"
    f"<TX_INFO><DEAL_TYPE>A</DEAL_TYPE><CST_PAY_NO>{SERIAL}</CST_PAY_NO></TX_INFO></TX>"
)
CMB = (
    "<CMBSDKPGK><INFO><FUNNAM>DCPAYMNT</FUNNAM><RETCOD>0</RETCOD></INFO><NTQPAYRQZ>"
    f"<YURREF>{SERIAL}</YURREF><REQSTS>FIN</REQSTS><RTNFLG>F</RTNFLG></NTQPAYRQZ></CMBSDKPGK>"
)
REFUSALS = [
    pytest.param(with_rejected(abc.BANK, "7777"), ABC, id="abc"),
    pytest.param(with_rejected(boc.BANK, "B999"), BOC, id="boc"),
    pytest.param(with_rejected(ccb.BANK, "DEAL_TYPE.A"), CCB, id="ccb"),
    pytest.param(cmb.BANK, CMB, id="cmb"),
]


def statuses(bank: Dialect[Any], reply: str, question: Asked) -> list[str | None]:
    kept = write_exchange(Exchange(reply=reply.encode(), asked=question))
    return [one.status for one in records_that_count(bank, io.BytesIO(kept)) if isinstance(one, TransactionStatus)]


@pytest.mark.parametrize(("bank", "reply"), REFUSALS)
def test_a_refused_repeat_leaves_the_payment_open(bank: Dialect[Any], reply: str) -> None:
    first = asked(Asking.PAYMENT, SERIAL)
    assert statuses(bank, reply, first) == [REJECTED]
    assert statuses(bank, reply, replace(first, repeat=True)) == []


def test_success_of_a_repeat_is_success() -> None:
    paid = CMB.replace("<RTNFLG>F", "<RTNFLG>S")
    assert statuses(cmb.BANK, paid, replace(asked(Asking.PAYMENT, SERIAL), repeat=True)) == [SETTLED]


def test_that_a_request_was_a_repeat_is_kept_with_its_reply() -> None:
    question = replace(asked(Asking.PAYMENT, SERIAL), repeat=True)
    kept = read_exchange(io.BytesIO(write_exchange(Exchange(reply=b"<x/>", asked=question))))
    assert kept.asked is not None
    assert kept.asked.repeat
