"""The bad days of the EBICS door: each hits the step it waits for, as often as it says, and does what it says."""

import pytest

from simulator.ebics.names import CODES
from simulator.moods import Mood
from tests.simulator.ebics_support.bank import DEBTOR, Branch
from tests.simulator.ebics_support.writer import Client, cut
from tests.simulator.ebics_support.xml import codes, decisive, find, local_texts
from tests.simulator.helpers import Pay, pain001

VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])
DATA = pain001("N-1", DEBTOR, Pay("N-1"))


async def nothing_executed(branch: Branch) -> None:
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 0


@pytest.mark.parametrize("code", ["061099", "091116", "091115", "999999"])
async def test_a_wrong_return_code_with_or_without_the_deed(branch: Branch, code: str) -> None:
    client = branch.onboard(Client())
    for executed, count in ((False, 0), (True, 1)):
        branch.bank.moods.set("ebics_return_code", value={"when": "last", "code": code, "executed": executed})
        _, done = branch.upload(client, pain001(f"M-{executed}", DEBTOR, Pay(f"M-{executed}")))
        assert decisive(done) == code
        client.proves(done)
        await branch.bank.idle()
        assert branch.executed(await branch.bank.books()) == count


async def test_both_codes_of_an_answer_can_be_set_apart(branch: Branch) -> None:
    client = branch.onboard(Client())
    branch.bank.moods.set("ebics_return_code", value={"code": "091301", "header": "061099", "order_type": "HTD"})
    assert branch.code(client.download("HPD")) == "000000"
    assert codes(branch.ask(client.download("HTD"))) == ("061099", "091301")


async def test_an_answer_that_is_lost_was_given_and_a_request_that_is_lost_was_not_heard(branch: Branch) -> None:
    client = branch.onboard(Client())
    begun = branch.begin(client, DATA)
    last = client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(DATA)[0])
    branch.bank.moods.set("ebics_lose_request", value={"when": "last"})
    assert branch.desk.handle(last).body is None
    await nothing_executed(branch)
    branch.bank.moods.set("ebics_lose_answer", value={"when": "last"})
    assert branch.desk.handle(last).body is None
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


async def test_the_other_bad_days_hit_the_step_they_wait_for(branch: Branch) -> None:
    client = branch.onboard(Client())
    moods = branch.bank.moods
    moods.set("ebics_forget", value={"when": "transfer:1"})
    begun = branch.begin(client, DATA)
    assert branch.code(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(DATA)[0])) == "091101"
    moods.set("ebics_wrong_transaction_id", value={"when": "init"})
    wrong = find(branch.begin(client, DATA), "TransactionID")
    assert branch.code(client.segment(wrong, 1, last=True, data=cut(DATA)[0])) == "091101"
    moods.set("ebics_truncate")
    whole = branch.ask(client.download("HPD"))
    assert not whole.endswith(b"</ebicsResponse>")
    moods.set("ebics_http_status", value={"status": 502})
    reply = branch.desk.handle(client.download("HPD"))
    assert (reply.status, reply.body) == (502, b"")
    moods.set("ebics_slow", value={"seconds": 3})
    assert branch.desk.handle(client.download("HPD")).wait_seconds == 3
    assert branch.desk.handle(client.download("HPD")).wait_seconds == 0
    assert moods.snapshot()["on"] == []
    await nothing_executed(branch)


@pytest.mark.parametrize(
    ("mood", "value"),
    [
        (Mood.EBICS_LOSE_ANSWER, {"when": "sometimes"}),
        (Mood.EBICS_LOSE_ANSWER, "last"),
        (Mood.EBICS_LOSE_ANSWER, {"seconds": 1}),
        (Mood.EBICS_RETURN_CODE, {}),
        (Mood.EBICS_RETURN_CODE, {"code": "1"}),
        (Mood.EBICS_SLOW, {"seconds": "long"}),
        (Mood.EBICS_HTTP_STATUS, {"status": 200}),
    ],
)
async def test_a_mood_that_makes_no_sense_is_named(branch: Branch, mood: Mood, value: object) -> None:
    with pytest.raises(ValueError, match=str(mood)):
        branch.bank.moods.set(mood, value=value)


async def test_every_code_the_bank_says_has_its_name(branch: Branch) -> None:
    client = branch.onboard(Client())
    for code, name in CODES.items():
        branch.bank.moods.set("ebics_return_code", value={"code": code})
        answer = branch.ask(client.download("HTD"))
        assert decisive(answer) == code
        assert local_texts(answer, "ReportText")[0].startswith(f"[{name}]")
