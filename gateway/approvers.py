"""Whether there are people to give the approvals that rules ask for: said when a process starts, and when rules are checked.

A payment that waits for a group without members waits for ever; nothing is paid wrongly by that, so it is said loudly and nothing
refuses to start.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import structlog

from gateway.config import Configuration
from gateway.config_load import ConfigurationProblems
from gateway.people.permissions import Permission, permissions_of
from gateway.people.records import Account
from gateway.policies import load_policies
from gateway.policy.document import Policies
from gateway.policy.document_rules import groups_of
from gateway.store.people import PeopleStore

log = structlog.get_logger("approvers")

_KEY_UNSET: Final = "[people] key is not set (docs/people.md)"


def groups_asked(configuration: Configuration, policies: Policies, now: datetime) -> dict[str, int]:
    """Every group that the rules in force ask, with the most people that one payment needs of it."""
    asked = groups_of(policies.in_force(now.date()))
    payee = configuration.payee
    if payee.service is not None and "approval" in {payee.no_match, payee.close_match, payee.not_available}:
        asked[payee.approvers] = max(asked.get(payee.approvers, 0), 1)
    return asked


def without_people(configuration: Configuration, asked: Mapping[str, int]) -> Iterator[str]:
    """What is wrong whoever has an account: approvals are asked for, or allowed to a caller, and nobody can sign in."""
    if configuration.people.key is not None:
        return
    if asked:
        yield f"rules ask for approvals, and nobody can sign in to give them: {_KEY_UNSET}"
    for caller in configuration.callers:
        actions = {action for one in caller.permissions for action in one.actions} or set(caller.actions)
        if "approve" in actions:
            yield f"caller {caller.name} may carry approvals (approve), and nobody can sign in to give them: {_KEY_UNSET}"


def too_few(configuration: Configuration, asked: Mapping[str, int], accounts: Iterable[Account]) -> Iterator[str]:
    """Groups that have fewer members who may approve than one payment needs. Accounts that are disabled or sealed do not count;
    of groups that an identity provider gives, members have an account here only once they signed in."""
    counted = [one for one in accounts if not one.disabled and not one.sealed]
    able = [one for one in counted if Permission.APPROVE in permissions_of(one.roles)]
    elsewhere = set() if configuration.people.oidc is None else set(configuration.people.oidc.groups.values())
    for group, needed in sorted(asked.items()):
        members = sum(group in one.groups for one in able)
        if members < needed and group not in elsewhere:
            there = "nobody who may approve is in it" if not members else f"{members} who may approve are in it"
            yield f"group {group}: one payment may need {needed} of it, and {there}; such payments wait for ever"


async def warn_at_start(configuration: Configuration, store: PeopleStore, now: datetime) -> None:
    """Says all of it in the log. Raises `StoreUnavailable`."""
    try:
        policies = load_policies(configuration.directory, configuration)
    except ConfigurationProblems:
        return  # whoever judges by them says so
    asked = groups_asked(configuration, policies, now)
    for problem in without_people(configuration, asked):
        log.warning("approvers.missing", problem=problem)
    if configuration.people.key is not None and asked:
        for problem in too_few(configuration, asked, await store.accounts()):
            log.warning("approvers.missing", problem=problem)
