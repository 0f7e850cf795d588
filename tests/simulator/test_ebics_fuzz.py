"""Whatever comes, the bank gives one named answer: broken envelopes, transactions side by side, steps out of phase."""

import base64
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from keys.ebics_auth import verify_message
from simulator.bank import Bank
from simulator.customer import make_customers
from simulator.ebics.desk import Desk
from simulator.ebics.names import CODES
from simulator.fastbank import FastLedger
from simulator.moods import Moods
from simulator.records import Records
from simulator.settings import BankSettings, FastBankSettings
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, FLAG, PARAMS, Branch
from tests.simulator.ebics_support.writer import Client, cut, digest_of
from tests.simulator.ebics_support.xml import codes, decisive, find
from tests.simulator.helpers import Pay, pain001

SEGMENT = 300


def answered(desk: Desk, message: bytes) -> str:
    """The code of the one answer, which is well-formed, and signed where its kind is."""
    reply = desk.handle(message)
    assert reply.body is not None
    assert reply.status == 200
    root = etree.fromstring(reply.body)
    if etree.QName(root).localname == "ebicsResponse":
        verify_message(root, desk.keys.authentication.public)
    elif etree.QName(root).localname == "ebicsHEVResponse":
        return find(reply.body, "ReturnCode")
    found = codes(reply.body)
    assert all(code in CODES for code in found)
    return decisive(reply.body)


def spoiled(message: bytes, choice: random.Random) -> bytes:
    """A message with some bytes changed, a piece cut out, or a piece twice."""
    data = bytearray(message)
    for _ in range(choice.randint(1, 4)):
        at = choice.randrange(len(data))
        length = choice.randint(1, 60)
        match choice.randrange(4):
            case 0:
                data[at] = choice.randrange(256)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case _:
                data[at : at + 1] = choice.choice([b"<", b">", b"&#0;", b"</", b"\xc3\xa4", b"9" * 30, b'"', b"<x/>"])
        if not data:
            break
    return bytes(data)


async def test_spoiled_envelopes_of_every_kind_get_one_named_answer(branch: Branch) -> None:
    choice = random.Random(20261125)
    for version in ("H004", "H005"):
        user = "USER1" if version == "H004" else "USER2"
        client = branch.onboard(Client(version=version, user=user))
        data = pain001(f"F-{version}", DEBTOR, Pay("F"))
        order_type, params = ("CCT", PARAMS["H004"]) if version == "H004" else ("BTU", PARAMS["H005"].replace("{flag}", FLAG))
        text = client.init_text(order_type, params, attribute="OZHNN", segments=1, body=client.transfer_head(digest_of(data)))
        messages = [
            client.unsecured("INI"),
            client.unsecured("H3K"),
            client.hpb(),
            client.download("HTD"),
            client.signed(text),
            client.segment("0" * 32, 1, last=True, data=cut(data)[0]),
            client.receipt("0" * 32),
            b'<ebicsHEVRequest xmlns="http://www.ebics.org/H000"><HostID>TESTHOST</HostID></ebicsHEVRequest>',
        ]
        for message in messages:
            for _ in range(40):
                assert answered(branch.desk, spoiled(message, choice)) != "061099"
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 0


async def test_spoiled_inner_data_under_good_signatures_gets_one_named_answer(branch: Branch) -> None:
    choice = random.Random(5)
    client = branch.onboard(Client())
    data = pain001("I-1", DEBTOR, Pay("I"))
    signatures = client.signature_data(digest_of(data))
    for _ in range(40):
        broken = spoiled(signatures.encode(), choice).decode("utf-8", "replace")
        begun = branch.begin(client, data, signatures=broken)
        assert decisive(begun) != "061099"
        branch.desk.forget(find(begun, "TransactionID"), "enough")
    for order_type in ("INI", "HIA", "H3K"):
        stranger = Client(user="USER2")
        for _ in range(30):
            broken = spoiled(stranger.key_data(order_type).encode(), choice).decode("utf-8", "replace")
            assert answered(branch.desk, stranger.unsecured(order_type, broken)) != "061099"
            branch.desk.subscribers.command("PARTNER1", "USER2", "reset")
    encoded = Client().own("A").certificate or b""
    for _ in range(60):
        wrong = base64.b64encode(spoiled(encoded, choice)).decode()
        broken = client.key_data("INI").replace(base64.b64encode(encoded).decode(), wrong)
        assert answered(branch.desk, Client(user="USER3").unsecured("INI", broken)) != "061099"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(message=st.binary(max_size=400))
def test_bytes_without_any_sense_get_one_named_answer(tmp_path_factory: pytest.TempPathFactory, message: bytes) -> None:
    assert answered(_idle_desk(tmp_path_factory), message) == "091010"


_DESKS: list[Desk] = []


def _idle_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk of a bank that does nothing: messages without sense never get to the bank."""
    if not _DESKS:
        folder: Path = tmp_path_factory.mktemp("idle")
        table = BankSettings.model_validate({"directory": folder, "customers": [CUSTOMER], "ebics": {}})
        table.data_directory.mkdir()
        customers = make_customers(table)
        ledger = FastLedger(FastBankSettings(), folder / "ledger")
        bank = Bank(folder, customers, ledger, Moods(()), Records(folder / "bank.db"))
        assert table.ebics is not None
        _DESKS.append(Desk(bank, table.ebics, folder))
    return _DESKS[0]


@pytest.mark.parametrize("version", ["H004", "H005"])
async def test_two_transactions_side_by_side_do_not_touch_each_other(branch: Branch, version: str) -> None:
    one, two = (branch.onboard(Client(version=version, user=user)) for user in ("USER1", "USER2"))
    work = []
    for client, message in ((one, "S-1"), (one, "S-2"), (two, "S-3")):
        data = pain001(message, DEBTOR, Pay(message))
        signers = [client, two] if client is one else [two, one]
        pieces = cut(data, SEGMENT)
        begun = branch.begin(client, data, segments=len(pieces), signatures=client.signature_data(digest_of(data), signers))
        assert decisive(begun) == "000000"
        work.append((client, find(begun, "TransactionID"), pieces, find(begun, "OrderID")))
    assert len({transaction for _, transaction, _, _ in work}) == len({order_id for _, _, _, order_id in work}) == 3
    thief = branch.ask(two.segment(work[0][1], 1, last=False, data=work[0][2][0]))
    assert decisive(thief) == "061001", "another user's signature in a transaction"
    for number in range(1, max(len(pieces) for _, _, pieces, _ in work) + 1):
        for client, transaction, pieces, order_id in work:
            if number <= len(pieces):
                answer = branch.ask(client.segment(transaction, number, last=number == len(pieces), data=pieces[number - 1]))
                assert codes(answer) == ("000000", "000000")
                assert (find(answer, "TransactionID"), find(answer, "OrderID")) == (transaction, order_id)
    await branch.bank.idle()
    books = await branch.bank.books()
    assert (sorted(books["messages"]), books["paid_twice"]) == (["S-1", "S-2", "S-3"], [])


@pytest.mark.parametrize("seed", range(6))
async def test_steps_in_any_order_execute_an_order_once_at_most(branch: Branch, seed: int) -> None:
    choice = random.Random(seed)
    client = branch.onboard(Client(version="H004" if seed % 2 else "H005"))
    data = pain001("O-1", DEBTOR, Pay("O-1"))
    pieces = cut(data, SEGMENT)
    transaction = find(branch.begin(client, data, segments=len(pieces)), "TransactionID")
    for _ in range(40):
        number = choice.randint(1, len(pieces) + 1)
        piece = pieces[min(number, len(pieces)) - 1]
        message = choice.choice(
            [
                client.segment(transaction, number, last=number == len(pieces), data=piece),
                client.segment(transaction, number, last=choice.random() < 0.5, data=piece),
                client.receipt(transaction, choice.randint(0, 1)),
                client.segment(transaction, number, last=False),
                client.download("HAC"),
            ]
        )
        assert answered(branch.desk, message) != "061099"
        await branch.bank.idle()
        assert branch.executed(await branch.bank.books()) <= 1
    (order,) = branch.orders
    executed = branch.executed(await branch.bank.books())
    assert (order["state"] == "final") == (executed == 1)
