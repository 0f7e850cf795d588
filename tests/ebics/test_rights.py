"""What the bank does not grant is named before it is refused: by setting and order, and nothing else is called missing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.ebics import orders
from channels.ebics.order_data import OrderRight, UserRights
from channels.ebics.orders import BusinessUpload, Order, Service
from channels.ebics.rights import missing_rights
from simulator.fixture import run_bank
from tests.ebics.support.desk import SERVICE
from tests.ebics.support.door import Connection
from tests.simulator.ebics_support.bank import DEBTOR, Branch

USERS: list[dict[str, Any]] = [
    {"id": "ALL"},
    {"id": "FEW", "orders": ["CCT", "C53", "BTU", "HTD", "HPB"]},
    {"id": "NOTHTD", "orders": ["CCT", "C53", "BTU", "BTD"]},
    {"id": "CARRIER", "level": "T"},
    {"id": "COURIER", "level": "T"},
]
CUSTOMER: dict[str, Any] = {"id": "acme", "accounts": [DEBTOR], "ebics": {"partner": "PARTNER1", "users": USERS}}
STATEMENTS = {"name": "EOP", "scope": "DE", "container": "ZIP", "message": "camt.053"}


@pytest.fixture
async def branch(tmp_path: Path) -> AsyncIterator[Branch]:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={}) as bank:
        yield Branch(bank)


async def told(branch: Branch, tmp_path: Path, version: str, user: str, settings: dict[str, Any]) -> tuple[str, ...]:
    """What `connections check` shows of this user with these settings, once onboarding is done."""
    connection = Connection(tmp_path / user, branch, version, user, settings=settings)
    try:
        channel = await connection.ready()
        return await channel.check()
    finally:
        await connection.close()


H004 = {"upload": {"order_type": "CCT"}, "downloads": [{"order_type": "C53"}, {"order_type": "Z54"}]}
H005 = {"upload": {"service": SERVICE}, "downloads": [{"service": STATEMENTS}]}


@pytest.mark.parametrize(("version", "settings"), [("H004", H004), ("H005", H005)])
async def test_a_user_who_may_do_all_that_is_set_is_told_of_a_missing_right(
    branch: Branch, tmp_path: Path, version: str, settings: dict[str, Any]
) -> None:
    assert await told(branch, tmp_path, version, "ALL", settings) == ()


async def test_an_order_type_that_the_bank_does_not_grant_is_found_out_only_when_it_is_refused(
    branch: Branch, tmp_path: Path
) -> None:
    found = await told(branch, tmp_path, "H004", "FEW", H004)
    assert len(found) == 2
    assert found[0].startswith("downloads[1]: the bank does not list Z54 among the rights of FEW (HTD): ask the bank to grant it")
    assert found[1].startswith("upload: the bank does not list HAC among the rights of FEW")


async def test_a_btf_that_differs_in_one_part_from_the_banks_is_found_out_only_when_it_is_refused(
    branch: Branch, tmp_path: Path
) -> None:
    elsewhere = {"service": {**SERVICE, "scope": "AT"}}
    (found,) = await told(branch, tmp_path, "H005", "ALL", {"upload": elsewhere})
    assert found.startswith(
        "upload: the bank does not list BTU SCT/AT/-/-/pain.001/-/-/- among the rights of ALL (HTD); it lists "
    )
    assert "SCT/DE/-/-/pain.001/-/-/-" in found, "the ones like it are shown"
    assert "SCI/" not in found


async def test_a_bank_that_does_not_tell_the_rights_makes_a_problem_of_it(branch: Branch, tmp_path: Path) -> None:
    assert await told(branch, tmp_path, "H004", "NOTHTD", H004) == ()


async def test_a_signature_that_only_transports_is_taken_for_one_that_authorises(branch: Branch, tmp_path: Path) -> None:
    (found,) = await told(branch, tmp_path, "H004", "CARRIER", H004)
    assert "CARRIER may send CCT with a signature of class T only" in found
    signed_elsewhere = {**H004, "upload": {"order_type": "CCT", "authorised": False}}
    assert await told(branch, tmp_path, "H004", "COURIER", signed_elsewhere) == ()


def user(*permissions: OrderRight) -> UserRights:
    return UserRights(user_id="U", status=None, name=None, permissions=permissions)


def btu(service: Service | None, level: str | None = None) -> OrderRight:
    return OrderRight(order_types=("BTU",), service=service, level=level)


def wanted(**parts: Any) -> tuple[tuple[str, Order], ...]:
    service = Service(name="SCT", scope="DE", message="pain.001", **parts)
    return (("upload", orders.business_upload(BusinessUpload(service=service))),)


SCT = Service(name="SCT", scope="DE", message="pain.001")


@pytest.mark.parametrize(
    ("listed", "granted"),
    [
        (btu(None), True),  # for every service
        (btu(SCT), True),  # any version
        (btu(Service(name="SCT", scope="DE", message="pain.001", version="09")), True),
        (btu(Service(name="SCT", scope="DE", message="pain.001", version="03")), False),
        (btu(Service(name="SCT", message="pain.001")), False),  # the global one is another
        (btu(Service(name="SCT", scope="DE", message="pain.001", option="URG")), False),
        (OrderRight(order_types=("BTD",), service=SCT), False),
    ],
)
def test_a_permission_grants_more_or_less_than_it_says(listed: OrderRight, granted: bool) -> None:
    assert (missing_rights(wanted(version="09"), user(listed)) == ()) is granted


def test_a_bank_that_lists_no_rights_at_all_lists_none_as_missing() -> None:
    assert missing_rights(wanted(), user()) == ()
    assert missing_rights(wanted(), user(OrderRight(order_types=(), service=None))) == ()


def test_hac_is_missed_at_a_bank_that_lists_no_administrative_orders() -> None:
    assert missing_rights(wanted(), user(btu(SCT))) == ()
    listed = OrderRight(order_types=("HTD",), service=None)
    assert len(missing_rights(wanted(), user(btu(SCT), listed))) == 1
    assert missing_rights(wanted(), user(btu(SCT), listed, OrderRight(order_types=("HAC",), service=None))) == ()


def test_one_permission_that_authorises_is_enough_beside_one_that_transports() -> None:
    assert missing_rights(wanted(), user(btu(SCT, "T"), btu(SCT, "E"))) == ()
    assert len(missing_rights(wanted(), user(btu(SCT, "T")))) == 1
