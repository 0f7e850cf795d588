"""A pain.002 about payees: it comes before anything is executed, and is a verdict on no payment."""

import pytest

from formats.codes import explain
from gateway.lifecycle import PaymentState
from gateway.payee.check import BANK, BANK_GROUP_STATUSES, BANK_STATUSES, finding_of
from gateway.payee_settings import PayeeSettings
from tests.policy.habits_workshop import payment

CODES = sorted({*BANK_STATUSES, *BANK_GROUP_STATUSES})


@pytest.mark.parametrize("level", ["group", "block", "transaction"])
@pytest.mark.parametrize("code", CODES)
async def test_what_a_bank_says_of_payees_rejects_no_payment_and_is_told_in_its_words(make_desk, files, code, level) -> None:
    desk = await make_desk()
    ids = await desk.submit(2)
    await desk.pump()
    message = (await desk.delivery()).message_id
    block = f"{message}-1"
    each = [files.transaction(payment_id, f"INV-{number}", code) for number, payment_id in enumerate(ids, 1)]
    report = {
        "group": lambda: files.pain002(message, group=code),
        "block": lambda: files.pain002(message, group="RVCM", body=files.block(block, status=code)),
        "transaction": lambda: files.pain002(message, group="RVCM", body=files.block(block, *each)),
    }[level]()
    await desk.receive(report)
    assert await desk.states() == {PaymentState.SENT: 2}
    assert await desk.discrepancies() == []
    for payment_id in ids:
        payment = await desk.payment(payment_id)
        assert payment.bank_status == code
        last = (await desk.store.payment_events(payment_id))[-1]
        assert (last.state, last.reason.code) == (PaymentState.SENT, code)
        assert "payee" in explain(last.reason.code)[0]


@pytest.mark.parametrize(("code", "result"), BANK_STATUSES.items())
async def test_what_a_bank_says_of_one_payee_is_kept_once_beside_our_own_answers(make_desk, files, code, result) -> None:
    """And stands in a finding: the bank was told a name and an account that nobody can change any more."""
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    message = (await desk.delivery()).message_id
    report = files.pain002(message, body=files.block(f"{message}-1", files.transaction(payment_id, "INV-1", code)))
    for _ in range(2):
        await desk.receive(report)
    (check,) = (await desk.store.payee_checks([payment_id]))[payment_id]
    assert (check.provider, check.answer.result) == (BANK, result)
    told = finding_of(check, payment(), PayeeSettings())
    assert told.rule == f"payee.{result.value.replace('_', '-')}"


async def test_the_verdict_that_follows_counts_as_ever(make_desk, files) -> None:
    """First the check, "does not match"; a person let it go at the bank; then it is executed. Or it is refused there."""
    desk = await make_desk()
    ids = await desk.submit(2)
    await desk.pump()
    message = (await desk.delivery()).message_id
    block = f"{message}-1"
    checks = [files.transaction(payment_id, f"INV-{number}", "RVNM") for number, payment_id in enumerate(ids, 1)]
    await desk.receive(files.pain002(message, group="RVCM", body=files.block(block, *checks)))
    done = files.transaction(ids[0], "INV-1", "ACSC")
    refused = files.transaction(ids[1], "INV-2", "RJCT", "AC01")
    await desk.receive(files.pain002(message, group="PART", body=files.block(block, done, refused)))
    assert [(await desk.payment(one)).state for one in ids] == [PaymentState.SETTLED, PaymentState.REJECTED]
    await desk.receive(files.pain002(message, group="RVCM", body=files.block(block, *checks)))
    assert [(await desk.payment(one)).state for one in ids] == [PaymentState.SETTLED, PaymentState.REJECTED]
