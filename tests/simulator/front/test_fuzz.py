"""Whatever comes in, a bank answers or hangs up; it never breaks, and it takes nothing that it could not read."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.front.bank import FrontBank, Incoming
from simulator.front.markup import BadXml, leaf, read, tag
from tests.simulator.front import test_cib as cib
from tests.simulator.front import test_cmb as cmb
from tests.simulator.front import test_icbc as icbc
from tests.simulator.front import test_spdb as spdb
from tests.simulator.front.support import front

BANKS = {
    "cib": front("cib", cib.ACCOUNT),
    "cmb": front("cmb", cmb.ACCOUNT),
    "cmb_cloud": front("cmb_cloud", cmb.ACCOUNT),
    "icbc": front("icbc", icbc.ACCOUNT),
    "spdb": front("spdb", spdb.ACCOUNT),
}


def good(name: str) -> Incoming:
    """A payment that the bank would take."""
    if name == "cib":
        return Incoming(body=cib.fox(cib.transfer()), content_type="application/x-fox")
    if name == "cmb":
        return Incoming(body=cmb.package("DCPAYMNT", cmb.HEAD + cmb.payment()))
    packet = spdb.Customer(BANKS["spdb"]).packet("8800", spdb.many(spdb.item(), total="123.45"))
    return Incoming(body=packet)


def spoilt(body: bytes, place: int, cut: int, more: bytes) -> bytes:
    place %= len(body)
    return body[:place] + more + body[place + cut :]


@pytest.mark.parametrize("name", sorted(BANKS))
@given(body=st.binary(max_size=200), fields=st.dictionaries(st.sampled_from(["REQDATA", "UID", "DATA", "reqData"]), st.text()))
@settings(max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
def test_rubbish_is_answered_or_hung_up_on(name: str, body: bytes, fields: dict[str, str]) -> None:
    bank = BANKS[name]
    for kind in ("application/x-fox", "text/xml"):
        bank.answer(Incoming(body=body, content_type=kind, fields=fields))
    assert not bank.books.orders()


@pytest.mark.parametrize("name", ["cib", "cmb", "spdb"])
@given(place=st.integers(0, 5000), cut=st.integers(0, 40), more=st.binary(max_size=6))
@settings(max_examples=100, suppress_health_check=[HealthCheck.differing_executors])
def test_a_spoilt_payment_is_taken_as_it_reads_or_not_at_all(name: str, place: int, cut: int, more: bytes) -> None:
    fresh: FrontBank = front(name, {"cib": cib.ACCOUNT, "cmb": cmb.ACCOUNT, "spdb": spdb.ACCOUNT}[name])
    whole = good(name)
    incoming = Incoming(body=spoilt(whole.body, place, cut, more), content_type=whole.content_type)
    fresh.answer(incoming)
    orders = fresh.books.orders()
    assert len(orders) <= 1
    for order in orders:
        assert order.amount > 0
        assert order.account
    fresh.books.close()


@given(st.text(max_size=60))
def test_the_reader_reads_or_says_bad_xml(text: str) -> None:
    for references in (True, False):
        with suppress(BadXml):
            assert read(f"<A>{text}</A>", references=references).tag == "A"


@given(st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\x7f￾￿"), max_size=20)))
def test_what_the_writer_writes_the_reader_reads(texts: list[str]) -> None:
    node = read(tag("A", *(leaf("B", text) for text in texts)))
    assert [child.text for child in node.all("B")] == texts
