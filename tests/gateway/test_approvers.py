"""Approvals that nobody can give are said before a payment waits for ever."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.approvers import groups_asked, too_few, warn_at_start, without_people
from gateway.config import CallerSettings, Configuration, PeopleOidcSettings, PeopleSettings, PermissionSettings
from gateway.payee_settings import PayeeSettings
from gateway.people.person import Role
from gateway.people.records import Account
from gateway.policies import load_policies
from tests.support.make_config import configuration_of

AT = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)
POLICY = """
id = "rules"
version = 1
valid_from = 2026-01-01
default = "approval"
default_steps = [{ group = "cfo" }, { group = "finance", count = 2 }]
"""
PEOPLE = PeopleSettings(key="env:PEOPLE_KEY")


def account(name: str, *groups: str, role: Role = Role.APPROVER) -> Account:
    return Account(name=name, roles=frozenset({role}), groups=frozenset(groups), created_at=AT, updated_at=AT)


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "rules.toml").write_text(POLICY, encoding="utf-8")
    return configuration_of(tmp_path).model_copy(update={"people": PEOPLE})


CFO, ONE, TWO = account("ada", "cfo"), account("bo", "finance"), account("cai", "finance")


@pytest.mark.parametrize(
    ("accounts", "short"),
    [
        ((CFO, ONE, TWO), []),
        ((), ["cfo", "finance"]),
        ((CFO, ONE), ["finance"]),
        ((replace(CFO, disabled=True), ONE, TWO), ["cfo"]),
        ((replace(CFO, sealed=True), ONE, TWO), ["cfo"]),
        ((account("ada", "cfo", role=Role.VIEWER), ONE, TWO), ["cfo"]),
        ((account("ada", "cfo", "finance"), ONE), []),
    ],
    ids=["enough", "nobody", "one of two", "disabled", "sealed", "may not approve", "one in both"],
)
def test_a_group_without_enough_members_who_may_approve_is_named(
    configuration: Configuration, accounts: tuple[Account, ...], short: list[str]
) -> None:
    asked = groups_asked(configuration, load_policies(configuration.directory, configuration), AT)
    assert asked == {"cfo": 1, "finance": 2}
    assert [text.split(":")[0].removeprefix("group ") for text in too_few(configuration, asked, accounts)] == short


def test_a_group_that_an_identity_provider_gives_is_not_looked_for_here(configuration: Configuration) -> None:
    oidc = PeopleOidcSettings(
        issuer="https://id.example.com", audience="us", jwks="file:keys.json", roles={"a": Role.APPROVER}, groups={"x": "cfo"}
    )
    there = configuration.model_copy(update={"people": PEOPLE.model_copy(update={"oidc": oidc})})
    assert ["finance" in text for text in too_few(there, {"cfo": 1, "finance": 2}, ())] == [True]


def test_the_group_that_verification_of_payee_asks_counts_too(configuration: Configuration) -> None:
    service = {"name": "vop", "url": "https://vop.example.com"}
    payee = PayeeSettings.model_construct(service=service, close_match="approval", approvers="payees")
    asked = groups_asked(configuration.model_copy(update={"payee": payee}), load_policies(configuration.directory), AT)
    assert asked["payees"] == 1


def test_a_caller_that_may_approve_where_nobody_can_sign_in_is_named(tmp_path: Path) -> None:
    nobody = configuration_of(tmp_path)
    assert list(without_people(nobody, {})) == []
    callers = (
        CallerSettings(name="console", actions=("approve",)),
        CallerSettings(name="erp", permissions=(PermissionSettings(actions=("submit", "approve"), connections=("*",)),)),
        CallerSettings(name="batch"),
    )
    told = list(without_people(nobody.model_copy(update={"callers": callers}), {"cfo": 1}))
    assert [text.split()[:2] for text in told] == [["rules", "ask"], ["caller", "console"], ["caller", "erp"]]
    assert not list(without_people(nobody.model_copy(update={"callers": callers, "people": PEOPLE}), {"cfo": 1}))


async def test_a_start_says_it_in_the_log_and_goes_on(configuration: Configuration) -> None:
    class Store:
        async def accounts(self) -> list[Account]:
            return [CFO]

    with capture_logs() as logs:
        await warn_at_start(configuration, Store(), AT)  # type: ignore[arg-type]  # as much of a store as is needed
    assert [(line["event"], "group finance" in line["problem"]) for line in logs] == [("approvers.missing", True)]
