"""Orders that several have to sign: parked, told, signed, cancelled, executed once and not before."""

import base64
from typing import Any

import pytest
from lxml import etree

from tests.simulator.ebics_support.bank import DEBTOR, EDS, FLAG, Branch
from tests.simulator.ebics_support.writer import Client, cut, digest_of
from tests.simulator.ebics_support.xml import codes, decisive, find
from tests.simulator.helpers import Pay, pain001

VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])
PROCESSES = pytest.mark.parametrize("process", ["A005", "A006"])
DATA = pain001("V-1", DEBTOR, Pay("V-1a", "1.10"), Pay("V-1b", "2.20"))
SERVICE = "<Service><ServiceName>SCT</ServiceName><Scope>DE</Scope><MsgName>pain.001</MsgName></Service>"


def named(client: Client, order_type: str, order_id: str, more: str = "") -> str:
    """The parameters that name a parked order."""
    what = SERVICE if client.version == "H005" else "<OrderType>CCT</OrderType>"
    inside = f"<PartnerID>PARTNER1</PartnerID>{what}<OrderID>{order_id}</OrderID>{more}"
    return f"<{order_type}OrderParams>{inside}</{order_type}OrderParams>"


def people(branch: Branch, version: str, process: str = "A006") -> tuple[Client, Client, Client]:
    """With signatures of classes A, B and T."""
    found = tuple(branch.onboard(Client(version=version, user=user, process=process)) for user in ("USER2", "USER3", "USER4"))
    return found[0], found[1], found[2]


def parked(branch: Branch, client: Client) -> str:
    """The OrderID of an order that waits for a second signature."""
    begun, done = branch.upload(client, DATA, flag=EDS)
    assert codes(done) == ("000000", "000000")
    assert branch.orders[-1]["state"] == "parked"
    return find(begun, "OrderID")


def sign(branch: Branch, client: Client, order_id: str, digest: bytes, order_type: str = "HVE", **more: Any) -> bytes:
    """The answer to a signature alone."""
    body = client.transfer_head(digest, **more)
    text = client.init_text(order_type, named(client, order_type, order_id), attribute="UZHNN", segments=0, body=body)
    return branch.ask(client.signed(text))


async def executed(branch: Branch) -> int:
    await branch.bank.idle()
    return branch.executed(await branch.bank.books())


@VERSIONS
@PROCESSES
async def test_a_second_signature_over_the_digest_the_bank_tells_executes_the_order_once(
    branch: Branch, version: str, process: str
) -> None:
    first, second, _ = people(branch, version, process)
    order_id = parked(branch, first)
    assert await executed(branch) == 0
    told = branch.download(second, "HVD", named(second, "HVD", order_id))
    digest = base64.b64decode(find(told, "DataDigest"))
    assert digest == digest_of(DATA)
    assert b"2 payments, 3.30 in all" in base64.b64decode(find(told, "DisplayFile"))
    assert codes(sign(branch, second, order_id, digest)) == ("000000", "000000")
    assert await executed(branch) == 2
    assert branch.orders[-1]["signers"] == [{"user": "USER2", "level": "A"}, {"user": "USER3", "level": "B"}]
    assert decisive(sign(branch, second, order_id, digest)) == "091115"
    assert await executed(branch) == 2
    steps = branch.download(first, "HAC").decode()
    for action in ("VEU_FORWARDING", "ES_UPLOAD", "VEU_VERIFICATION_END", "ORDER_HAC_FINAL_POS"):
        assert f">{action}<" in steps


@VERSIONS
async def test_what_waits_is_listed_with_who_has_signed(branch: Branch, version: str) -> None:
    first, second, _ = people(branch, version)
    assert branch.download(second, "HVU", "<HVUOrderParams/>") == b""
    order_id = parked(branch, first)
    for order_type in ("HVU", "HVZ"):
        for client, ready in ((first, "false"), (second, "true")):
            root = etree.fromstring(branch.download(client, order_type, f"<{order_type}OrderParams/>"))
            (detail,) = root.findall("{*}OrderDetails")
            assert detail.findtext("{*}OrderID") == order_id
            signing = detail.find("{*}SigningInfo")
            assert signing is not None
            assert dict(signing.attrib) == {"readyToBeSigned": ready, "NumSigRequired": "2", "NumSigDone": "1"}
            assert detail.findtext("{*}SignerInfo/{*}UserID") == "USER2"
            assert (detail.find("{*}DataDigest") is not None) == (order_type == "HVZ")


@VERSIONS
async def test_details_are_told_by_payment_and_as_the_file_itself(branch: Branch, version: str) -> None:
    first, second, _ = people(branch, version)
    order_id = parked(branch, first)
    flags = '<OrderFlags completeOrderData="{}" fetchLimit="1" fetchOffset="1"/>'
    told = branch.download(second, "HVT", named(second, "HVT", order_id, flags.format("false")))
    assert (find(told, "NumOrderInfos"), find(told, "Amount"), find(told, "AccountNumber")) == ("2", "2.20", DEBTOR)
    assert branch.download(second, "HVT", named(second, "HVT", order_id, flags.format("true"))) == DATA


@VERSIONS
async def test_signatures_that_do_not_count_leave_the_order_parked(branch: Branch, version: str) -> None:
    first, second, transport = people(branch, version)
    order_id, digest = parked(branch, first), digest_of(DATA)
    assert decisive(sign(branch, first, order_id, digest)) == "091306"
    assert decisive(sign(branch, transport, order_id, digest)) == "091007"
    assert decisive(sign(branch, second, order_id, digest_of(b"another"))) == "091301"
    assert decisive(sign(branch, second, order_id, digest_of(digest))) == "091301", "the digest is signed, not hashed again"
    assert decisive(sign(branch, second, "Z999", digest)) == "091114"
    assert branch.orders[-1]["state"] == "parked"
    assert await executed(branch) == 0


@VERSIONS
@pytest.mark.parametrize("by_data", [False, True])
async def test_a_cancelled_order_is_never_executed(branch: Branch, version: str, by_data: bool) -> None:
    first, second, _ = people(branch, version)
    order_id, digest = parked(branch, first), digest_of(DATA)
    if by_data:
        namespace = "urn:org:ebics:" + version
        encoded = base64.b64encode(digest).decode()
        data = (
            f'<HVSRequestOrderData xmlns="{namespace}"><CancelledDataDigest SignatureVersion="A006">{encoded}'
            "</CancelledDataDigest></HVSRequestOrderData>"
        ).encode()
        body = first.transfer_head(digest_of(data))
        text = first.init_text("HVS", named(first, "HVS", order_id), attribute="OZHNN", segments=1, body=body)
        begun = branch.ask(first.signed(text))
        assert decisive(begun) == "000000", find(begun, "ReportText")
        assert branch.code(first.segment(find(begun, "TransactionID"), 1, last=True, data=cut(data)[0])) == "000000"
    else:
        assert decisive(sign(branch, first, order_id, digest, "HVS")) == "000000"
    assert decisive(sign(branch, second, order_id, digest)) == "091115"
    assert await executed(branch) == 0
    assert "VEU_CANCEL_ORDER" in branch.download(first, "HAC").decode()


@VERSIONS
async def test_two_signatures_in_one_file_are_enough_at_once(branch: Branch, version: str) -> None:
    first, second, _ = people(branch, version)
    branch.upload(first, DATA, signatures=first.signature_data(digest_of(DATA), [first, second]))
    assert await executed(branch) == 2


async def test_without_a_request_for_more_signatures_too_few_are_refused(branch: Branch) -> None:
    first, _, transport = people(branch, "H005")
    for client in (first, transport):
        _, done = branch.upload(client, DATA, flag=FLAG)
        assert codes(done) == ("000000", "090003")
    assert await executed(branch) == 0


async def test_an_order_of_class_t_is_parked_without_any_signature_that_counts(branch: Branch) -> None:
    first, second, transport = people(branch, "H005")
    order_id, digest = parked(branch, transport), digest_of(DATA)
    assert decisive(sign(branch, second, order_id, digest)) == "000000"
    assert await executed(branch) == 0
    assert decisive(sign(branch, first, order_id, digest)) == "000000"
    assert await executed(branch) == 2


async def test_an_order_on_paper_waits_for_its_release(branch: Branch) -> None:
    client = branch.onboard(Client(version="H004"))
    branch.upload(client, DATA, attribute="DZHNN")
    (order,) = branch.orders
    assert order["state"] == "waiting"
    assert await executed(branch) == 0
    branch.desk.release(order["number"])
    assert await executed(branch) == 2


@pytest.mark.parametrize("branch", [{"flagless": "wait"}], indirect=True)
async def test_a_strict_bank_lets_orders_without_signature_flag_wait_for_paper(branch: Branch) -> None:
    client = branch.onboard(Client())
    branch.upload(client, DATA, flag="")
    assert [order["state"] for order in branch.orders] == ["waiting"]
    assert await executed(branch) == 0
