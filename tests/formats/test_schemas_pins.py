"""What the catalogue rebuilds, it rebuilds whole: no choice is lost, and every message has its own root."""

import pytest
from lxml import etree

from formats.schemas import MESSAGES, schema_text
from formats.schemas_pins import REBUILT

XS = "{http://www.w3.org/2001/XMLSchema}"


def test_the_catalogue_holds_what_the_gateway_sends_and_reads() -> None:
    assert {f"pain.001.001.{number:02}" for number in range(3, 14)} <= MESSAGES
    assert {"pain.002.001.03", *(f"pain.002.001.{number}" for number in range(10, 15))} <= MESSAGES
    assert {f"camt.05{kind}.001.{number:02}" for kind in (2, 3, 4) for number in range(4, 13)} <= MESSAGES
    assert {f"camt.029.001.{number:02}" for number in range(4, 14)} <= MESSAGES
    assert {f"camt.055.001.{number:02}" for number in range(5, 13)} <= MESSAGES
    assert {f"camt.060.001.{number:02}" for number in range(3, 8)} <= MESSAGES
    assert {"pacs.004.001.09", "pacs.004.001.13", "head.001.001.02"} <= MESSAGES
    assert not {"camt.053.001.02", "camt.054.001.02", "camt.029.001.03", "pacs.004.001.02", "pain.002.001.04"} & MESSAGES


NESTED_CHOICE_LOST = {f"camt.05{kind}.001.{number:02}" for kind in (2, 3, 4) for number in (4, 5)}


@pytest.mark.parametrize("message_name", sorted(REBUILT))
def test_no_schema_is_rebuilt_from_the_generation_that_loses_its_choices(message_name: str) -> None:
    """Types that the official files of 2006 to 2012 make a choice of, without saying so in their names."""
    disguised = {"CashAccountType2", "PersonIdentification3", "GenericIdentification4", "CashBalanceAvailabilityDate1"}
    types = {str(kind.get("name")) for kind in etree.fromstring(schema_text(message_name) or b"").iter(f"{XS}complexType")}
    assert bool(types & disguised) is (message_name in NESTED_CHOICE_LOST)


def test_a_business_header_is_judged_by_its_own_root() -> None:
    schema = etree.XMLSchema(etree.fromstring(schema_text("head.001.001.02") or b""))
    party = "<FIId><FinInstnId><BICFI>BANKDEFFXXX</BICFI></FinInstnId></FIId>"
    header = (
        '<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><Fr>{0}</Fr><To>{0}</To><BizMsgIdr>B1</BizMsgIdr>'
        "<MsgDefIdr>camt.053.001.08</MsgDefIdr><CreDt>2026-11-25T12:00:00Z</CreDt></AppHdr>"
    )
    assert schema.validate(etree.fromstring(header.format(party)))
    assert not schema.validate(etree.fromstring(header.format("<OrgId/>" + party))), "a choice takes one of its branches"
