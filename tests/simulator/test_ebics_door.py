"""The EBICS door, used as it is meant to be, by requests made by hand: from the first key to the statement, in H004 and H005."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lxml import etree

from simulator.fixture import run_bank
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, EDS, Branch, btd
from tests.simulator.ebics_support.writer import Client, cut, digest_of
from tests.simulator.ebics_support.xml import codes, decisive, find, local_texts
from tests.simulator.helpers import Pay, pain001

VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])
ZIP = '<Container containerType="ZIP"/>'
LEDGER = {"kind": "fast"}


def payment(message: str, *payments: Pay) -> bytes:
    return pain001(message, DEBTOR, *(payments or (Pay(f"E-{message}"),)))


def download_type(version: str, kind: str) -> tuple[str, str]:
    """Order type and parameters of a zipped download."""
    if version == "H004":
        return {"camt.053": "C53", "pain.002": "CRZ"}[kind], "<StandardOrderParams/>"
    return "BTD", btd({"camt.053": "EOP", "pain.002": "PSR"}[kind], kind, ZIP)


@VERSIONS
@pytest.mark.parametrize("process", ["A005", "A006"])
async def test_a_payment_is_executed_once_and_its_answers_can_be_fetched_once(branch: Branch, version: str, process: str) -> None:
    client = branch.onboard(Client(version=version, process=process))
    begun, done = branch.upload(client, payment("P-1"))
    assert codes(begun) == codes(done) == ("000000", "000000")
    assert find(begun, "OrderID") == find(done, "OrderID") == "A003"  # after INI and HIA
    await branch.bank.idle()
    books = await branch.bank.books()
    assert (branch.executed(books), books["paid_twice"]) == (1, [])
    for kind in ("pain.002", "camt.053"):
        order_type, params = download_type(version, kind)
        files = zipfile.ZipFile(io.BytesIO(branch.download(client, order_type, params)))
        assert [kind in name for name in files.namelist()] == [True]
        assert branch.download(client, order_type, params) == b""
    (order,) = branch.orders
    assert (order["state"], order["ledger"], order["signers"]) == ("final", "executed", [{"user": "USER1", "level": "E"}])


@VERSIONS
async def test_before_its_last_segment_an_order_is_nothing_and_after_it_it_is_the_banks(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    data = payment("P-2", *(Pay(f"E-{n}") for n in range(40)))
    pieces = cut(data, 400)
    begun = branch.begin(client, data, segments=len(pieces))
    transaction = find(begun, "TransactionID")
    for number, piece in enumerate(pieces, 1):
        await branch.bank.idle()
        assert branch.executed(await branch.bank.books()) == 0
        answer = branch.ask(client.segment(transaction, number, last=number == len(pieces), data=piece))
        assert codes(answer) == ("000000", "000000")
        assert find(answer, "SegmentNumber") == str(number)
        client.proves(answer)
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 40
    assert len(pieces) > 3


@VERSIONS
async def test_a_negative_receipt_means_that_the_data_is_offered_again(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    branch.upload(client, payment("P-3"))
    await branch.bank.idle()
    order_type, params = download_type(version, "pain.002")
    first = branch.download(client, order_type, params, receipt=1)
    assert first
    assert branch.download(client, order_type, params, receipt=None)  # no receipt at all: the same
    assert zipfile.ZipFile(io.BytesIO(branch.download(client, order_type, params))).namelist()
    assert branch.download(client, order_type, params) == b""


async def test_days_in_a_download_bring_back_what_was_fetched(branch: Branch) -> None:
    client = branch.onboard(Client())
    branch.upload(client, payment("P-4"))
    await branch.bank.idle()
    today = btd("PSR", "pain.002")
    assert branch.download(client, "BTD", today)
    assert branch.download(client, "BTD", today) == b""
    days = "<DateRange><Start>{}</Start><End>{}</End></DateRange></BTDOrderParams>"
    assert branch.download(client, "BTD", today.replace("</BTDOrderParams>", days.format("2020-01-01", "2099-01-01")))
    assert branch.download(client, "BTD", today.replace("</BTDOrderParams>", days.format("2020-01-01", "2020-02-01"))) == b""


async def test_large_order_data_goes_out_in_segments_that_a_receipt_must_wait_for(branch: Branch) -> None:
    client = branch.onboard(Client(version="H004"))
    content = bytes(range(256)) * 100 + b"".join(str(n * 7919).encode() for n in range(4000))
    branch.desk.offer("acme", "mt942", content)
    begun = branch.ask(client.download("VMK"))
    transaction, count = find(begun, "TransactionID"), int(find(begun, "NumSegments"))
    assert count > 2
    assert branch.code(client.receipt(transaction)) == "061002"
    answers = [branch.ask(client.segment(transaction, number, last=number == count)) for number in range(2, count + 1)]
    assert find(answers[-1], "SegmentNumber") == str(count)
    assert client.opened(begun, *answers) == content
    assert branch.code(client.receipt(transaction)) == "011000"
    assert branch.code(client.receipt(transaction)) == "091101"


async def test_sta_is_the_statement_in_lines(branch: Branch) -> None:
    client = branch.onboard(Client(version="H004"))
    branch.upload(client, payment("P-5", Pay("E-5", "12.34")))
    await branch.bank.idle()
    lines = branch.download(client, "STA").decode().split("\r\n")
    assert lines[0] == ":20:STARTUMSE"
    assert lines[1] == f":25:{DEBTOR}"
    assert [line[:5] for line in lines if line.startswith((":60F:", ":62F:"))] == [":60F:", ":62F:"]
    (entry,) = [line for line in lines if line.startswith(":61:")]
    assert "D12,34NTRFE-5//" in entry


async def test_the_answers_of_h005_and_what_the_bank_tells_of_itself_are_valid_by_the_schemas(branch: Branch, h005: Any) -> None:
    client = Client()
    answers = [branch.ask(client.unsecured("INI")), branch.ask(client.unsecured("HIA"))]
    branch.desk.subscribers.command("PARTNER1", "USER1", "activate")
    branch.fetch_keys(client)
    answers.append(branch.ask(client.hpb()))
    signer = branch.onboard(Client(user="USER2"))
    answers += branch.upload(client, payment("P-6"))
    answers += branch.upload(signer, payment("P-7"), flag=EDS)
    order_id = branch.orders[-1]["order_id"]
    service = "<Service><ServiceName>SCT</ServiceName><Scope>DE</Scope><MsgName>pain.001</MsgName></Service>"
    inside = f"<PartnerID>PARTNER1</PartnerID>{service}<OrderID>{order_id}</OrderID>"
    flags = '<OrderFlags completeOrderData="false" fetchLimit="5" fetchOffset="0"/>'
    await branch.bank.idle()
    for order_type, params in (
        *((name, "<StandardOrderParams/>") for name in ("HTD", "HKD", "HAA", "HPD")),
        ("HVU", "<HVUOrderParams/>"),
        ("HVZ", "<HVZOrderParams/>"),
        ("HVD", f"<HVDOrderParams>{inside}</HVDOrderParams>"),
        ("HVT", f"<HVTOrderParams>{inside}{flags}</HVTOrderParams>"),
    ):
        answer = branch.ask(client.download(order_type, params))
        data = branch.download(client, order_type, params)
        answers.append(answer)
        h005.assertValid(etree.fromstring(data))
        assert etree.QName(etree.fromstring(data)).localname == f"{order_type}ResponseOrderData"
    answers.append(branch.ask(client.download("BTD", btd("STM", "camt.052"))))  # no data
    answers.append(branch.ask(b"<nothing/>"))
    for answer in answers:
        h005.assertValid(etree.fromstring(answer))


async def test_hev_names_the_versions_and_knows_only_its_own_host(branch: Branch) -> None:
    hev = '<ebicsHEVRequest xmlns="http://www.ebics.org/H000"><HostID>{}</HostID></ebicsHEVRequest>'
    answer = branch.ask(hev.format("TESTHOST").encode())
    assert local_texts(answer, "VersionNumber") == ["02.50", "03.00"]
    assert find(branch.ask(hev.format("OTHER").encode()), "ReturnCode") == "091011"
    assert find(branch.ask(hev.format("<a/>").replace("HostID", "Host").encode()), "ReturnCode") == "091010"


@VERSIONS
async def test_a_user_is_ready_only_after_the_bank_says_so(branch: Branch, version: str) -> None:
    client = Client(version=version)
    assert branch.code(client.hpb()) == "091002"
    assert branch.code(client.unsecured("HIA")) == "000000"  # either order
    assert branch.code(client.unsecured("HIA")) == "091002"
    assert branch.code(client.hpb()) == "091002"
    assert branch.code(client.unsecured("INI")) == "000000"
    assert branch.code(client.unsecured("INI")) == "091002"
    assert branch.code(client.hpb()) == "091002"
    branch.desk.subscribers.command("PARTNER1", "USER1", "activate")
    branch.fetch_keys(client)
    assert set(client.bank) == {"X002", "E002"}


async def test_certificates_of_an_authority_need_no_letter(branch: Branch) -> None:
    client = Client()
    assert branch.code(client.unsecured("H3K")) == "000000"
    branch.fetch_keys(client)
    assert branch.download(client, "HTD")


@VERSIONS
async def test_keys_are_changed_by_pub_hca_and_hcs_and_only_the_new_ones_count(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    for order_type, uses in (("PUB", "A"), ("HCA", "XE"), ("HCS", "AXE")):
        new = Client(version=version, bank=client.bank, names={**client.names, **{use: f"{order_type}-{use}" for use in uses}})
        data = new.key_data(order_type).encode()
        body = client.transfer_head(digest_of(data))
        text = client.init_text(order_type, "<StandardOrderParams/>", attribute="OZHNN", segments=1, body=body)
        begun = branch.ask(client.signed(text))
        assert decisive(begun) == "000000", find(begun, "ReportText")
        assert branch.code(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(data)[0])) == "000000"
        if "X" in uses:
            assert branch.code(client.download("HTD")) == "061001"
        else:
            begun = branch.begin(client, payment("old"))
            if version == "H004":  # without a digest the signature is looked at when the data is there
                begun = branch.ask(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(payment("old"))[0]))
            assert decisive(begun) == "091301"
        client = new
        assert branch.download(client, "HTD")
    branch.upload(client, payment(f"K-{version}"))
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@VERSIONS
async def test_a_user_who_locks_himself_out_is_out(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    text = client.init_text(
        "SPR", "<StandardOrderParams/>", attribute="UZHNN", segments=0, body=client.transfer_head(digest_of(b" "))
    )
    assert branch.code(client.signed(text)) == "000000"
    assert branch.code(client.download("HTD")) == "091002"
    branch.desk.subscribers.command("PARTNER1", "USER1", "activate")
    assert branch.download(client, "HTD")


@VERSIONS
async def test_the_customer_protocol_tells_the_truth_about_each_order(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    good, _ = branch.upload(client, payment("P-8"))
    _, bad = branch.upload(client, b"no xml at all")
    assert codes(bad) == ("000000", "090004")
    open_one = branch.begin(client, payment("P-9"))
    branch.desk.forget(find(open_one, "TransactionID"), "forgotten")
    await branch.bank.idle()
    steps = etree.fromstring(branch.download(client, "HAC")).iter("{*}OrgnlPmtInfAndSts")
    told: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for step in steps:
        named = {o.findtext("{*}SchmeNm/{*}Prtry"): o.findtext("{*}Id") or "" for o in step.iter("{*}Othr")}
        told.setdefault(named["OrderID"], []).append(step.findtext("{*}OrgnlPmtInfId") or "")
        reasons.setdefault(named["OrderID"], []).append(step.findtext("{*}StsRsnInf/{*}Rsn/{*}Cd") or "")
        assert named["AdminOrderType" if version == "H005" else "OrderType"] in {"INI", "HIA", "BTU", "CCT"}
    assert told[find(good, "OrderID")] == ["FILE_UPLOAD", "ES_VERIFICATION", "ORDER_HAC_FINAL_POS"]
    assert told[find(bad, "OrderID")] == ["FILE_UPLOAD", "ES_VERIFICATION", "ORDER_HAC_FINAL_NEG"]
    assert told[find(open_one, "OrderID")] == ["FILE_UPLOAD", "ORDER_HAC_FINAL_NEG"]
    assert reasons[find(good, "OrderID")] == ["TS01", "DS01", ""]
    assert reasons[find(bad, "OrderID")] == ["TS01", "TD03", ""]
    assert reasons[find(open_one, "OrderID")] == ["TA01", ""]
    assert branch.download(client, "HAC") == b""
    assert find(good, "OrderID") in branch.download(client, "PTK").decode("latin-1")
    assert branch.executed(await branch.bank.books()) == 1


async def test_over_http_the_door_takes_posts_and_its_commands_stand_at_the_control_door(branch: Branch) -> None:
    door = branch.bank.ebics
    assert door is not None
    control = branch.bank.control.url
    client = Client()
    headers = {"Content-Type": "text/xml; charset=UTF-8"}
    async with aiohttp.ClientSession() as http:

        async def post(message: bytes) -> bytes:
            async with http.post(door.url, data=message, headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "text/xml")
                return await answer.read()

        for order_type in ("INI", "HIA"):
            assert decisive(await post(client.unsecured(order_type))) == "000000"
        command = {"partner": "PARTNER1", "user": "USER1", "command": "activate"}
        async with http.post(f"{control}/ebics/users", json=command) as answer:
            assert (await answer.json())["state"] == "ready"
        async with http.post(f"{control}/ebics/users", json=command) as answer:
            assert answer.status == 400
        branch.fetch_keys(client)
        offered = {"customer": "acme", "kind": "camt.054.001.08", "base64": base64.b64encode(b"<a/>").decode()}
        async with http.post(f"{control}/ebics/offer", json=offered) as answer:
            assert (await answer.json())["name"].startswith("camt.054.001.08-")
        assert branch.download(client, "BTD", btd("REP", "camt.054")) == b"<a/>"
        async with http.post(f"{control}/ebics/bank-keys") as answer:
            assert answer.status == 200
        assert branch.code(client.download("HTD")) == "091008"
        branch.fetch_keys(client)
        assert branch.download(client, "HTD")
        async with http.get(f"{control}/ebics") as answer:
            books = await answer.json()
        assert books["users"][0] == {"partner": "PARTNER1", "user": "USER1", "state": "ready", "level": "E"}
        assert set(books["bank_keys"]) == {"X002", "E002"}
        async with http.get(door.url) as answer:
            assert answer.status == 405


async def test_users_keys_and_orders_outlive_the_bank_and_open_transactions_do_not(tmp_path: Path) -> None:
    client = Client()
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger=LEDGER) as bank:
        branch = Branch(bank)
        branch.onboard(client)
        branch.upload(client, payment("R-1"))
        open_one = branch.begin(client, payment("R-2"))
        await bank.idle()
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger=LEDGER) as bank:
        branch = Branch(bank)
        assert branch.code(client.segment(find(open_one, "TransactionID"), 1, last=True, data=cut(payment("R-2"))[0])) == "091101"
        assert [(order["state"], order["ledger"]) for order in branch.orders] == [("final", "executed"), ("aborted", None)]
        assert branch.download(client, "HTD")
        assert branch.executed(await bank.books()) == 1


async def test_an_order_accepted_by_a_bank_that_died_is_handed_over_at_its_next_start(tmp_path: Path) -> None:
    client = Client()
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger=LEDGER) as bank:
        branch = Branch(bank)
        branch.onboard(client)
        desk = branch.desk
        desk.uploads._hand_over = lambda order: None  # type: ignore[method-assign]  # dies after accepting, before handing over
        branch.upload(client, payment("R-3"))
        await bank.idle()
        assert branch.executed(await bank.books()) == 0
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger=LEDGER) as bank:
        await bank.idle()
        assert Branch(bank).executed(await bank.books()) == 1
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger=LEDGER) as bank:
        await bank.idle()
        assert Branch(bank).executed(await bank.books()) == 1
