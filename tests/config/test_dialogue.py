"""A connection to a bank that answers at once: what is wrong with its settings is named by its key."""

from pathlib import Path

import pytest

from channels.frontend_profile import FrontendProfile
from formats.bank import bank_named
from formats.dialogue import DialogueBank
from gateway.config_load import load
from gateway.dialogue.settings import longest_send
from tests.config.test_load import Directory

CCB = """
id = "house"
bank = "ccb"
initiating_party = "甲公司"
[[accounts]]
other_id = "44000000000000000001"
holder = "甲公司"
currency = "CNY"
[guarantee]
kind = "queryable"
[retry]
lease_seconds = 900
[bank_settings]
customer_id = "000000000000001#001"
user_id = "WLPT01"
[channel]
kind = "frontend"
shape = "http_form"
url = "http://127.0.0.1:8080"
secrets = { password = "env:CCB" }
timeouts = { total = 143 }
"""


def directory_of(tmp_path: Path, text: str) -> Directory:
    found = Directory(tmp_path)
    found.connection("house", text)
    return found


def test_a_lease_that_outlasts_what_one_send_may_do_is_taken(tmp_path: Path) -> None:
    # 143 for questions, then a sign-in and the payment, twice: 5 * 143 = 715, under 0.8 * 900
    assert load(directory_of(tmp_path, CCB).path).connections["house"].bank == "ccb"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total = 143", "total = 145"),
        ("lease_seconds = 900", "lease_seconds = 890"),
        ("timeouts = { total = 143 }", "timeouts = { total = 300 }"),
        ("timeouts = { total = 143 }", "timeouts = { total = 143 }\npayment_pause = 2"),
        (
            "timeouts = { total = 143 }",
            'timeouts = { total = 60 }\n[channel.sign_service]\nurl = "http://127.0.0.1:449"\ntimeouts = { total = 60 }',
        ),
    ],
)
def test_a_lease_that_one_send_may_outlast_is_named_with_the_figure(tmp_path: Path, old: str, new: str) -> None:
    assert old in CCB
    problems = {problem.key: problem for problem in directory_of(tmp_path, CCB.replace(old, new)).problems()}
    assert set(problems) == {"retry.lease_seconds"}
    assert "is too short" in problems["retry.lease_seconds"].problem
    assert "seconds here: a lease above" in problems["retry.lease_seconds"].hint


@pytest.mark.parametrize(
    ("bank", "more", "seconds"),
    [
        ("cib", {}, 60 + 60),  # questions; the payment
        ("cmb", {}, 60 + (2 + 60)),  # with the pause after a question
        ("cmb", {"question_pause": 0, "payment_pause": 5}, 60 + (5 + 60)),
        ("boc", {}, 60 + 4 * 60),  # sign-in and payment, twice
        ("icbc", {"sign_service": {"url": "http://127.0.0.1:449"}}, 60 + (60 + 2 * 60)),  # signed, and the reply verified
    ],
)
def test_one_send_takes_at_most_what_its_exchanges_may(bank: str, more: dict[str, object], seconds: float) -> None:
    values = {"kind": "frontend", "url": "http://127.0.0.1:1", "timeouts": {"total": 60}, **more}
    plugin = bank_named(bank)
    assert isinstance(plugin, DialogueBank)
    assert longest_send(FrontendProfile.model_validate(values), plugin) == seconds
