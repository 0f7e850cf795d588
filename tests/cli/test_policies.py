"""`bankgate policies`: files are checked, and payments explained, without a service and without a store."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Bankgate

POLICY = """
id = "rules"
version = 4
valid_from = 2026-01-01
default = "pass"
[[limits]]
id = "day"
period = "day"
amount = "1300.00"
currency = "EUR"
outcome = "approval"
steps = [{ group = "cfo" }]
[[velocity]]
id = "new"
period = "day"
nth = 1
per = ["creditor_account"]
when = { beneficiary = ["new"] }
outcome = "hold"
"""
AT = ("--at", "2026-11-25T10:00+01:00")


@pytest.fixture
def ruled(directory: Path) -> Path:
    (directory / "policies").mkdir()
    (directory / "policies" / "rules.toml").write_text(POLICY, encoding="utf-8")
    return directory


@pytest.fixture
def request_file(examples: Path, tmp_path: Path) -> Path:
    content = (examples / "request.json").read_text(encoding="utf-8").replace("house-bank", "house")
    path = tmp_path / "request.json"
    path.write_text(content, encoding="utf-8")
    return path


def test_check_says_what_is_in_force_and_whom_it_asks(bankgate: Bankgate, ruled: Path) -> None:
    done = bankgate("policies", "check", ruled)
    assert done.code == 0
    assert "rules" in done.out
    assert "group cfo: one payment may need 1 of it" in done.out
    assert "nobody can sign in to give them: [people] key is not set" in done.err
    told = json.loads(bankgate("policies", "check", ruled, "--json").out)
    assert (told["ok"], told["policies"][0]["version"], told["groups"]) == (True, 4, {"cfo": 1})


def test_check_says_every_mistake_and_ends_with_one(bankgate: Bankgate, ruled: Path) -> None:
    path = ruled / "policies" / "rules.toml"
    path.write_text(POLICY.replace("nth = 1", "nth = 0").replace('"1300.00"', "1300.5"), encoding="utf-8")
    done = bankgate("policies", "check", ruled)
    assert done.code == 1
    assert "policies/rules.toml: velocity[0].nth: must be at least 1" in done.err
    assert "policies/rules.toml: limits[0].amount: must be an amount in quotes" in done.err


def test_a_directory_without_policies_says_that_everything_passes(bankgate: Bankgate, directory: Path) -> None:
    assert "there are no policies: everything passes" in bankgate("policies", "check", directory).out


def test_explain_judges_a_file_in_order(bankgate: Bankgate, ruled: Path, request_file: Path) -> None:
    done = bankgate("policies", "explain", request_file, "--config", ruled, "--known", *AT)
    assert done.code == 0
    limit = "EUR 1,349.90 today with this payment, the limit is EUR 1,300"
    assert done.out.splitlines() == [
        "2026-1001  passed: no rule stands against it",
        f"2026-1002  awaiting approval: {limit}; needs approval: 1 of cfo; rule day, version 4",
    ]
    new = bankgate("policies", "explain", request_file, "--config", ruled, "--language", "zh", *AT)
    assert new.out.splitlines()[0] == "2026-1001  已暂挂：今日第 1 笔付给同一新收款人的付款；规则 new，第 4 版"
    told = json.loads(bankgate("policies", "explain", request_file, "--config", ruled, "--json", *AT).out)
    assert [one["outcome"] for one in told] == ["hold", "hold"]
    assert told[1]["findings"][0]["steps"] == [{"group": "cfo", "count": 1}]


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (("--caller", "nobody"), "--caller: say which of erp", 2),
        (("--at", "yesterday"), "--at yesterday: is no moment with its offset", 2),
        (("--at", "2026-11-25T10:00"), "is no moment with its offset", 2),
    ],
)
def test_explain_says_what_it_was_not_told(
    bankgate: Bankgate, ruled: Path, request_file: Path, arguments: tuple[str, ...], told: str, code: int
) -> None:
    done = bankgate("policies", "explain", request_file, "--config", ruled, *arguments)
    assert (done.code, told in done.err) == (code, True)


def test_explain_takes_no_payment_that_the_service_would_not_take(
    bankgate: Bankgate, ruled: Path, request_file: Path, examples: Path
) -> None:
    done = bankgate("policies", "explain", examples / "request.json", "--config", ruled)
    assert done.code == 1
    assert "payments[0].connection_id: there is no connection of that name" in done.err
    request_file.write_text(request_file.read_text(encoding="utf-8").replace("1250.00", "1250.001"), encoding="utf-8")
    done = bankgate("policies", "explain", request_file, "--config", ruled, *AT)
    assert done.code == 1
    assert "payments[0].amount: " in done.err


def test_check_looks_into_the_store_for_the_members_of_groups_and_makes_no_database(bankgate: Bankgate, ruled: Path) -> None:
    done = bankgate("policies", "check", ruled, "--store")
    assert done.code == 1
    assert "group cfo: one payment may need 1 of it, and nobody who may approve is in it" in done.err
    assert not (ruled / "bankgate.db").exists()


def test_a_caller_that_may_approve_where_nobody_can_is_a_warning_of_config_check(bankgate: Bankgate, ruled: Path) -> None:
    text = (ruled / "bankgate.toml").read_text(encoding="utf-8")
    (ruled / "bankgate.toml").write_text(text.replace('"submit"', '"submit", "approve"'), encoding="utf-8")
    done = bankgate("config", "check", ruled)
    assert (done.code, "caller erp may carry approvals (approve), and nobody can sign in" in done.err) == (0, True)
    told = json.loads(bankgate("config", "check", ruled, "--json").out)
    assert (told["ok"], len(told["warnings"])) == (True, 2)
