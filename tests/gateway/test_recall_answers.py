"""What each word of camt.029 makes of a recall: every code of the set, at every level, in any order, twice, late, to nothing."""

from dataclasses import replace
from itertools import permutations
from typing import Any, Final

import pytest

from formats.code_tables_cancellation import CANCELLATION_REFUSALS, CANCELLATION_STATUSES
from formats.codes import explain_cancellation
from formats.report import CancellationStatus
from gateway.lifecycle import PaymentState
from gateway.reasons import ours, texts
from gateway.recall import answer_of, wants_a_person
from gateway.store.recalls import DECIDED, OVER, RecallState
from tests.gateway.test_recalls import NAMESPACE, TAKES, Case

_R = RecallState
MEANS: Final = {
    **dict.fromkeys(("ACCR", "CNCL", "CWFW"), _R.ACCEPTED),
    "RJCR": _R.REFUSED,
    **dict.fromkeys(("PDCR", "FTNA"), _R.PENDING),
    **dict.fromkeys(("PACR", "PECR", "UWFW", "MODI", "MWFW", "ACDA", "ACNR", "RJNR", "ACVA", "RJVA", "CVAA"), _R.UNCLEAR),
    **dict.fromkeys(("BIAS", "CHRG", "CONF", "ICOV", "MCOV", "IDNE", "IVCR", "IDUP", "INFO", "NINF"), _R.UNCLEAR),
    **dict.fromkeys(("IPAY", "IPYI", "PURP", "SMTC", "SMTI"), _R.UNCLEAR),
}
SAID: Final = CancellationStatus(
    level="transaction",
    original_message_id=None,
    original_message_name=None,
    original_payment_information_id=None,
    original_instruction_id=None,
    original_end_to_end_id=None,
    status=None,
)


def test_every_word_of_the_code_set_has_a_meaning_here_and_words_in_both_languages() -> None:
    assert set(MEANS) == set(CANCELLATION_STATUSES)
    for code, means in MEANS.items():
        assert answer_of(replace(SAID, status=code)) is means, code
        assert answer_of(replace(SAID, investigation_status=code)) is means, code
        english, chinese = explain_cancellation(code)
        assert english.endswith(".")
        assert "\u4e00" <= chinese[0] <= "\u9fff"
    for state in set(MEANS.values()):
        assert all(texts(ours(f"recall-{state.value}")))
    for code in ("", "XXXX", "UWFM", "accr", "RJCT"):
        assert answer_of(replace(SAID, status=code)) is None, "no word of the set, and no guess"
    for code in CANCELLATION_REFUSALS:
        assert all(explain_cancellation(code))


def test_the_single_payment_s_word_counts_before_that_of_the_whole() -> None:
    for whole in MEANS:
        assert answer_of(replace(SAID, status="RJCR", investigation_status=whole)) is _R.REFUSED


@pytest.mark.parametrize("level", ["message", "payment_information", "transaction", "investigation"])
def test_only_what_announces_the_words_below_it_needs_no_person(level: str) -> None:
    for code, means in MEANS.items():
        wanted = means is _R.UNCLEAR and not (code in {"PACR", "PECR"} and level in {"message", "payment_information"})
        assert wants_a_person(replace(SAID, status=code, level=level), means) is wanted


@pytest.fixture
async def sent(make_desk: Any) -> Case:
    """A payment whose recall the bank has."""
    desk = await make_desk(**TAKES)
    (payment_id,) = await desk.submit(1)
    await desk.pump()
    case = Case(desk, payment_id)
    await case.recall()
    await case.lane.pump()
    return case


async def kept(case: Case) -> tuple[str, str | None]:
    (recall,) = await case.desk.store.recalls_of(case.payment_id)
    return recall.state.value, recall.answer_status


async def test_every_word_becomes_the_recall_s_state_is_shown_and_moves_no_payment(sent: Case) -> None:
    """One after another over one recall, those that decide nothing; each is shown, and told once."""
    undecided = [code for code, means in MEANS.items() if means not in DECIDED]
    for number, code in enumerate(undecided):
        await sent.answered(code, name=f"{number}.xml")
        if number < 3:
            await sent.answered(code, name=f"{number}-again.xml")
        assert await kept(sent) == (MEANS[code].value, code)
    assert (await sent.desk.payment(sent.payment_id)).state is PaymentState.SENT
    told = await sent.desk.discrepancies()
    assert set(told) == {"cancellation_answered"}
    assert len(told) >= sum(MEANS[code] is _R.UNCLEAR for code in undecided)
    await sent.answered("ACCR", name="last.xml")
    assert await kept(sent) == ("accepted", "ACCR"), "what was unclear is decided in the end"


@pytest.mark.parametrize("order", list(permutations(("PDCR", "IPAY", "RJCR", "ACCR")))[::4], ids="-".join)
async def test_the_first_decision_stands_whatever_comes_in_which_order(sent: Case, order: tuple[str, ...]) -> None:
    for number, code in enumerate(order):
        await sent.answered(code, name=f"{number}.xml")
    first = next(code for code in order if MEANS[code] in DECIDED)
    assert await kept(sent) == (MEANS[first].value, first)
    told = await sent.desk.discrepancies()
    assert told.count("contradiction") == 1, "a late yes after a no, and a late no after a yes, are put before a person"
    before = order.index("IPAY") < order.index(first)
    assert told.count("cancellation_answered") == before, "what says nothing new after the decision troubles nobody"
    assert (await sent.desk.payment(sent.payment_id)).state is PaymentState.SENT


async def test_part_of_a_group_is_decided_by_the_word_about_this_payment(sent: Case) -> None:
    message = (await sent.desk.deliveries())[0].message_id
    (recall,) = await sent.desk.store.recalls_of(sent.payment_id)

    async def group(*singles: tuple[str, str], name: str) -> None:
        inside = "".join(
            f"<TxInfAndSts><OrgnlInstrId>{one}</OrgnlInstrId><TxCxlSts>{status}</TxCxlSts></TxInfAndSts>"
            for one, status in singles
        )
        head = f"<OrgnlGrpInfAndSts><OrgnlGrpCxlId>{recall.recall_id}</OrgnlGrpCxlId><OrgnlMsgId>{message}</OrgnlMsgId>"
        head += "<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpCxlSts>PACR</GrpCxlSts></OrgnlGrpInfAndSts>"
        text = (
            f'<!-- {name} --><Document xmlns="{NAMESPACE}"><RsltnOfInvstgtn><Sts><Conf>PECR</Conf></Sts><CxlDtls>{head}{inside}'
        )
        await sent.desk.receive(f"{text}</CxlDtls></RsltnOfInvstgtn></Document>", name)

    await group(name="only-in-part.xml")
    assert await kept(sent) == ("unclear", "PACR")
    assert await sent.desk.discrepancies() == [], "the payments of the group are told below"
    await group(("f" * 32, "RJCR"), (sent.payment_id, "ACCR"), name="each.xml")
    assert await kept(sent) == ("accepted", "ACCR")
    assert await sent.desk.discrepancies() == ["cancellation_answered"], "the other one is no payment that we recalled"


async def test_an_answer_about_a_case_that_we_never_opened_is_put_before_a_person_once(make_desk: Any) -> None:
    desk = await make_desk(**TAKES)
    (payment_id,) = await desk.submit(1)
    await desk.pump()
    case = Case(desk, payment_id)
    for code in ("ACCR", "RJCR", "IPAY"):
        await case.answered(code, case="R-of-somebody-else", name=f"{code}.xml")
        await case.answered(code, case="R-of-somebody-else", name=f"{code}.xml")
    assert await desk.discrepancies() == ["cancellation_answered"] * 3
    assert await desk.store.recalls_of(payment_id) == []
    found, _ = await desk.store.list_discrepancies(limit=9)
    assert any(CANCELLATION_STATUSES["IPAY"][1] in one.summary_zh for one in found), "in words of both languages"


def test_a_recall_that_is_unclear_is_not_over() -> None:
    assert _R.UNCLEAR not in OVER | DECIDED, "no second request goes out before a person has read the answer"
