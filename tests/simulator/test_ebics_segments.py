"""Transactions of several segments: out of step, too many, too few, too large, too late, twice; and sent before."""

from typing import Any

import pytest

from keys.ebics_encryption import SEGMENT_CHARS_MAX
from tests.simulator.ebics_support.bank import DEBTOR, Branch
from tests.simulator.ebics_support.writer import Client, cut
from tests.simulator.ebics_support.xml import codes, decisive, find
from tests.simulator.helpers import Pay, pain001

VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])
DATA = pain001("N-1", DEBTOR, Pay("N-1"))


def branch_with(**table: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("branch", [table], indirect=True)


async def nothing_executed(branch: Branch) -> None:
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 0


@VERSIONS
async def test_segments_out_of_step_are_told_where_to_go_on(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    pieces = cut(DATA, 200)
    transaction = find(branch.begin(client, DATA, segments=len(pieces)), "TransactionID")
    assert branch.code(client.segment(transaction, 1, last=False, data=pieces[0])) == "000000"
    for wrong in (3, 1):
        answer = branch.ask(client.segment(transaction, wrong, last=False, data=pieces[wrong - 1]))
        assert codes(answer) == ("061101", "000000")
        assert find(answer, "SegmentNumber") == "1"
    for number in range(2, len(pieces) + 1):
        answer = branch.ask(client.segment(transaction, number, last=number == len(pieces), data=pieces[number - 1]))
        assert codes(answer) == ("000000", "000000")
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@branch_with(recoveries_max=1)
async def test_too_many_recoveries_end_the_transaction(branch: Branch) -> None:
    client = branch.onboard(Client())
    pieces = cut(DATA, 200)
    transaction = find(branch.begin(client, DATA, segments=len(pieces)), "TransactionID")
    said = [branch.code(client.segment(transaction, 2, last=False, data=pieces[1])) for _ in range(3)]
    assert said == ["061101", "091102", "091101"]
    assert [order["state"] for order in branch.orders] == ["aborted"]


@branch_with(recoveries_max=0)
async def test_a_bank_without_recovery_says_so(branch: Branch) -> None:
    client = branch.onboard(Client())
    transaction = find(branch.begin(client, DATA, segments=2), "TransactionID")
    assert branch.code(client.segment(transaction, 2, last=True, data=cut(DATA)[0])) == "091105"
    assert 'Recovery supported="false"' in branch.download(client, "HPD").decode()


@VERSIONS
async def test_more_segments_than_announced_are_too_many(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    pieces = cut(DATA, 200)
    for number, last in ((2, True), (1, False)):
        transaction = find(branch.begin(client, DATA, segments=1), "TransactionID")
        assert branch.code(client.segment(transaction, number, last=last, data=pieces[0])) == "091104"
    await nothing_executed(branch)


@VERSIONS
async def test_fewer_segments_than_announced_are_noted_and_the_order_goes_on(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    transaction = find(branch.begin(client, DATA, segments=5), "TransactionID")
    assert codes(branch.ask(client.segment(transaction, 1, last=True, data=cut(DATA)[0]))) == ("011101", "000000")
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@branch_with(segments_max=3)
async def test_sizes_have_bounds(branch: Branch) -> None:
    client = branch.onboard(Client())
    assert decisive(branch.begin(client, DATA, segments=4)) == "091118"
    assert decisive(branch.begin(client, DATA, segments=0)) == "091112"
    transaction = find(branch.begin(client, DATA, segments=1), "TransactionID")
    assert branch.code(client.segment(transaction, 1, last=True, data=b"A" * (SEGMENT_CHARS_MAX + 4))) == "091009"
    assert branch.code(client.segment(transaction, 1, last=True, data=cut(DATA)[0])) == "091101"


@VERSIONS
async def test_a_step_of_the_other_kind_of_transaction_is_invalid(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    upload = find(branch.begin(client, DATA), "TransactionID")
    assert branch.code(client.receipt(upload)) == "061002"
    assert branch.code(client.segment(upload, 1, last=True)) == "061002"
    download = find(branch.ask(client.download("HTD")), "TransactionID")
    assert branch.code(client.segment(download, 2, last=True, data=b"AAAA")) == "061002"
    assert branch.code(client.segment(download, 99, last=True)) == "091104"
    assert branch.code(client.segment("0" * 32, 1, last=True, data=b"AAAA")) == "091101"
    assert branch.code(client.segment(upload.lower(), 1, last=True, data=cut(DATA)[0])) == "000000", "hexadecimal in lower case"


@branch_with(transaction_seconds=0.0)
async def test_a_transaction_left_open_too_long_is_gone(branch: Branch) -> None:
    client = branch.onboard(Client())
    transaction = find(branch.begin(client, DATA), "TransactionID")
    assert branch.code(client.segment(transaction, 1, last=True, data=cut(DATA)[0])) == "091101"
    assert [order["state"] for order in branch.orders] == ["aborted"]
    await nothing_executed(branch)


@VERSIONS
@pytest.mark.parametrize(
    ("branch", "code"),
    [({"finished_uploads": "forgotten"}, "091101"), ({"finished_uploads": "remembered"}, "061101")],
    indirect=["branch"],
)
async def test_the_last_segment_sent_again_executes_nothing_again(branch: Branch, code: str, version: str) -> None:
    client = branch.onboard(Client(version=version))
    begun, _ = branch.upload(client, DATA)
    answer = branch.ask(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(DATA)[0]))
    assert codes(answer) == (code, "000000")
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@VERSIONS
@branch_with(double_upload_control=True)
async def test_double_upload_control_knows_the_order_data_again(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    branch.upload(client, DATA)
    again = branch.begin(client, DATA)
    if version == "H004":
        again = branch.ask(client.segment(find(again, "TransactionID"), 1, last=True, data=cut(DATA)[0]))
    assert codes(again) == ("091122", "000000")
    await branch.bank.idle()
    books = await branch.bank.books()
    assert (branch.executed(books), books["paid_twice"]) == (1, [])


@VERSIONS
@branch_with(finished_uploads="remembered")
async def test_nothing_is_taken_behind_a_last_segment_that_came_early(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    transaction = find(branch.begin(client, DATA, segments=3), "TransactionID")
    assert branch.code(client.segment(transaction, 1, last=True, data=cut(DATA)[0])) == "011101"
    for number in (2, 3):
        answer = branch.ask(client.segment(transaction, number, last=number == 3, data=cut(DATA)[0]))
        assert (codes(answer), find(answer, "SegmentNumber")) == (("061101", "000000"), "1")
    await branch.bank.idle()
    books = await branch.bank.books()
    assert (branch.executed(books), len(branch.orders)) == (1, 1)
