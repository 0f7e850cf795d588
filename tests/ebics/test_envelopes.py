"""Every message we send: valid by the H005 schemas, of the H004 shape, readable by a strict bank, and byte for byte as written
down."""

import base64
import hashlib
from datetime import date

import pytest
from lxml import etree

from channels.ebics import envelope, key_data, orders
from channels.ebics.envelope import Moment
from channels.ebics.names import H004, H005, VERSIONS, Subscriber
from channels.ebics.securing import Signing, secured
from keys.ebics_auth import parse_message
from keys.ebics_encryption import encrypted, segments
from keys.ebics_signature import order_digest
from keys.seal import BadSeal, KeyUnavailable
from tests.ebics.support import requests
from tests.ebics.support.parties import MOMENT, NOW, ORDER_DATA, SUBSCRIBER, TRANSACTION, bank_keys, key, own_keys

KEY = bytes(16)
DATES = orders.DateRange(start=date(2026, 11, 1), end=date(2026, 11, 25))
SCT = orders.Service(name="SCT", scope="DE", option="URG", message="pain.001", version="09")
EOP = orders.Service(name="EOP", scope="DE", container="ZIP", message="camt.053", variant="001", version="08", format="XML")
PARKED = {
    "H004": orders.Parked(partner_id="PARTNER1", order_id="A001", order_type="CCT"),
    "H005": orders.Parked(partner_id="PARTNER1", order_id="A001", service=SCT),
}
FILE = orders.File(format="pain.001.001.03.sct", parameters=(("TEST", "TRUE"),))

BOTH = [
    *(orders.download(name) for name in ("HTD", "HKD", "HAA", "HPD", "HAC", "PTK")),
    orders.download("HAC", DATES),
    *(orders.upload(name) for name in ("PUB", "HCA", "HCS")),
    orders.lock_subscriber(),
    orders.parked_list("HVU"),
    orders.parked_list("HVZ"),
]
ORDERS = {
    "H004": [
        *BOTH,
        *(orders.download(name, DATES) for name in ("STA", "VMK", "C52", "C53", "C54", "Z53")),
        *(orders.upload(name) for name in ("CCT", "CIP", "CDD", "CDB")),
        orders.upload("CCT", signed=False),
        orders.file_upload(FILE),
        orders.file_download(orders.File(format="camt.053.001.02.stm", dates=DATES)),
        orders.parked_list("HVU", orders.ParkedList(order_types=("CCT", "CDD"))),
    ],
    "H005": [
        *BOTH,
        orders.business_upload(orders.BusinessUpload(service=SCT, file_name="pain.xml", park=True)),
        orders.business_upload(orders.BusinessUpload(service=SCT)),
        orders.business_upload(orders.BusinessUpload(service=SCT, authorised=False)),
        orders.business_download(orders.BusinessDownload(service=EOP, dates=DATES)),
        orders.business_download(orders.BusinessDownload(service=EOP)),
        orders.parked_list("HVZ", orders.ParkedList(services=(SCT, EOP))),
    ],
}
for _name, _parked in PARKED.items():
    ORDERS[_name] += [
        orders.parked_state("HVD", _parked),
        orders.parked_state("HVT", _parked),
        orders.sign_parked(_parked),
        orders.cancel_parked(_parked),
    ]
CASES = [(version, order) for version, listed in ORDERS.items() for order in listed]


def start_of(version: str, order: orders.Order, *, data: bytes = ORDER_DATA, process="A006") -> bytes:
    """The first message of an order of the tests' subscriber."""
    known, upload = VERSIONS[version], None
    if order.direction != "download":
        count = 1 if order.direction == "upload" else 0
        signing = Signing(key=key("A"), version=process)
        digest = order_digest((data,))
        upload = secured(known, SUBSCRIBER, signing, bank_keys(), digest=digest, transaction_key=KEY, segments=count)
    return envelope.start_request(known, SUBSCRIBER, order, moment=MOMENT, bank=bank_keys(), key=key("X"), upload=upload)


def others(version: str) -> list[bytes]:
    """Everything that is not the first message of an order."""
    known = VERSIONS[version]
    data = key_data.ini_data(known, SUBSCRIBER, own_keys().signature)
    within = {"key": key("X")}
    return [
        envelope.unsecured_request(known, SUBSCRIBER, "INI", data),
        envelope.unsecured_request(known, SUBSCRIBER, "HIA", key_data.hia_data(known, SUBSCRIBER, own_keys())),
        envelope.unsecured_request(known, SUBSCRIBER, "H3K", key_data.h3k_data(known, SUBSCRIBER, own_keys())),
        envelope.hpb_request(known, SUBSCRIBER, MOMENT, key("X")),
        envelope.transfer_request(known, "TESTHOST", TRANSACTION, number=1, last=False, segment=b"QUJD", **within),
        envelope.transfer_request(known, "TESTHOST", TRANSACTION, number=2, last=True, **within),
        envelope.receipt_request(known, "TESTHOST", TRANSACTION, stored=True, **within),
        envelope.receipt_request(known, "TESTHOST", TRANSACTION, stored=False, **within),
    ]


@pytest.mark.parametrize("order", ORDERS["H005"], ids=lambda order: order.type)
def test_every_h005_order_we_send_is_valid_by_its_schema(h005, order) -> None:
    h005.assertValid(parse_message(start_of("H005", order)))


def test_every_other_h005_message_is_valid_by_its_schema(h005) -> None:
    for message in others("H005"):
        h005.assertValid(parse_message(message))


def test_the_h005_order_data_we_write_is_valid_by_its_schema(h005) -> None:
    keys = own_keys()
    written = [
        key_data.ini_data(H005, SUBSCRIBER, keys.signature),
        key_data.hia_data(H005, SUBSCRIBER, keys),
        key_data.hca_data(H005, SUBSCRIBER, keys),
        key_data.hcs_data(H005, SUBSCRIBER, keys),
        key_data.h3k_data(H005, SUBSCRIBER, keys),
        key_data.hvs_data(H005, bytes(32), "A006"),
        key_data.signature_data(H005, [key_data.Signature(version="A005", value=b"x", partner_id="P", user_id="U")] * 2),
    ]
    for data in written:
        h005.assertValid(parse_message(data))


@pytest.mark.parametrize(("version", "order"), CASES, ids=lambda case: getattr(case, "type", case))
def test_a_strict_bank_reads_and_verifies_every_order(version, order) -> None:
    request = requests.read(start_of(version, order))
    requests.check_authentication(request, own_keys().authentication)
    assert (request.version, request.order_type, request.phase) == (version, order.type, "Initialisation")
    assert request.attribute == (order.attribute if version == "H004" else None)
    assert ("NumSegments" in request.static) == (order.direction != "download")


@pytest.mark.parametrize("version", ["H004", "H005"])
def test_a_strict_bank_reads_every_other_message(version) -> None:
    for message in others(version):
        request = requests.read(message)
        if request.kind != "ebicsUnsecuredRequest":
            requests.check_authentication(request, own_keys().authentication)


@pytest.mark.parametrize("version", ["H004", "H005"])
@pytest.mark.parametrize("process", ["A005", "A006"])
def test_an_upload_arrives_with_its_signature_whatever_line_ends_it_has(version, process) -> None:
    data = b"<a>\r\n<b/>\n</a>"
    order = orders.upload("CCT") if version == "H004" else orders.business_upload(orders.BusinessUpload(service=SCT))
    upload = requests.opened(requests.read(start_of(version, order, data=data, process=process)), key("BE"))
    upload.segments = list(segments(encrypted((data,), KEY), 12))
    assert upload.data() == data
    requests.check_order(upload, own_keys().signature)
    assert (upload.data_digest is not None) == (version == "H005")
    with pytest.raises(BadSeal):
        requests.check_order(upload, own_keys().authentication)


@pytest.mark.parametrize("version", ["H004", "H005"])
@pytest.mark.parametrize("certificates", [True, False])
def test_the_bank_finds_our_three_keys_in_what_ini_and_hia_bring(version, certificates) -> None:
    known, keys = VERSIONS[version], own_keys(certificates)
    if version == "H005" and not certificates:
        with pytest.raises(KeyUnavailable, match="certificate"):
            key_data.ini_data(known, SUBSCRIBER, keys.signature)
        return
    ini = envelope.unsecured_request(known, SUBSCRIBER, "INI", key_data.ini_data(known, SUBSCRIBER, keys.signature))
    hia = envelope.unsecured_request(known, SUBSCRIBER, "HIA", key_data.hia_data(known, SUBSCRIBER, keys))
    assert requests.public_keys(requests.read(ini)) == {"A006": keys.signature}
    assert requests.public_keys(requests.read(hia)) == {"X002": keys.authentication, "E002": keys.encryption}


def test_an_order_of_the_other_version_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="no order of H005"):
        start_of("H005", orders.file_upload(FILE))
    with pytest.raises(ValueError, match="no order of H004"):
        start_of("H004", orders.business_upload(orders.BusinessUpload(service=SCT)))
    with pytest.raises(ValueError, match="service"):
        start_of("H005", orders.sign_parked(PARKED["H004"]))
    with pytest.raises(ValueError, match="order type"):
        start_of("H004", orders.sign_parked(PARKED["H005"]))


@pytest.mark.parametrize(
    "change",
    [
        {"host_id": ""},
        {"host_id": "x" * 36},
        {"host_id": "two words"},
        {"partner_id": "PARTNER-1"},
        {"user_id": "x" * 36},
        {"system_id": ""},
        {"product": "x" * 65},
        {"language": "EN"},
    ],
)
def test_an_identifier_that_the_schemas_do_not_allow_is_named(change) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Subscriber(**{"host_id": "H", "partner_id": "P", "user_id": "U"} | change)


def test_a_nonce_of_another_length_and_a_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="nonce"):
        Moment(nonce=b"short", time=NOW)
    for wrong in ("cct", "CCTX", ""):
        with pytest.raises(ValueError, match="order type"):
            orders.download(wrong)
    with pytest.raises(ValueError, match="order number"):
        orders.sign_parked(orders.Parked(partner_id="P", order_id="1234", order_type="CCT"))
    with pytest.raises(ValueError, match="upload"):
        envelope.start_request(H004, SUBSCRIBER, orders.upload("CCT"), moment=MOMENT, bank=bank_keys(), key=key("X"))


# ---- golden -------------------------------------------------------------------------------------------------------------

HEV = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b'<ebicsHEVRequest xmlns="http://www.ebics.org/H000"><HostID>TESTHOST</HostID></ebicsHEVRequest>'
)
DIGEST_BX = base64.b64encode(hashlib.sha256(f"10001 {key('BX').public_key.public_numbers().n:x}".encode()).digest()).decode()
DIGEST_BE = base64.b64encode(hashlib.sha256(f"10001 {key('BE').public_key.public_numbers().n:x}".encode()).digest()).decode()
SHA = "http://www.w3.org/2001/04/xmlenc#sha256"
STA_HEADER = (
    '<header xmlns="urn:org:ebics:H004" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" authenticate="true"><static>'
    "<HostID>TESTHOST</HostID><Nonce>000102030405060708090A0B0C0D0E0F</Nonce><Timestamp>2026-11-25T12:00:00Z</Timestamp>"
    '<PartnerID>PARTNER1</PartnerID><UserID>USER1</UserID><Product Language="en">bankgate</Product><OrderDetails>'
    "<OrderType>STA</OrderType><OrderAttribute>DZHNN</OrderAttribute><StandardOrderParams><DateRange><Start>2026-11-01</Start>"
    "<End>2026-11-25</End></DateRange></StandardOrderParams></OrderDetails><BankPubKeyDigests>"
    f'<Authentication Algorithm="{SHA}" Version="X002">{DIGEST_BX}</Authentication>'
    f'<Encryption Algorithm="{SHA}" Version="E002">{DIGEST_BE}</Encryption></BankPubKeyDigests>'
    "<SecurityMedium>0000</SecurityMedium></static><mutable><TransactionPhase>Initialisation</TransactionPhase></mutable></header>"
)


def test_hev_is_byte_for_byte_the_message_of_the_schema() -> None:
    assert envelope.hev_request("TESTHOST") == HEV


def test_the_header_of_a_download_is_the_one_written_by_hand_and_its_digest_is_signed() -> None:
    root = etree.fromstring(start_of("H004", orders.download("STA", DATES)))
    digest = root.findtext(".//{*}DigestValue")
    assert digest == base64.b64encode(hashlib.sha256(STA_HEADER.encode()).digest()).decode()


RECEIPT = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b'<ebicsRequest xmlns="urn:org:ebics:H005" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Version="H005" Revision="1">'
    b'<header authenticate="true"><static><HostID>TESTHOST</HostID><TransactionID>0123456789ABCDEF0123456789ABCDEF'
    b"</TransactionID></static><mutable><TransactionPhase>Receipt</TransactionPhase></mutable></header><AuthSignature>"
)
RECEIPT_END = (
    b'</AuthSignature><body><TransferReceipt authenticate="true"><ReceiptCode>0</ReceiptCode></TransferReceipt></body>'
    b"</ebicsRequest>"
)


def test_a_receipt_is_byte_for_byte_the_one_written_by_hand_around_its_signature() -> None:
    message = envelope.receipt_request(H005, "TESTHOST", TRANSACTION, stored=True, key=key("X"))
    assert message.startswith(RECEIPT)
    assert message.endswith(RECEIPT_END)


def test_the_order_data_of_ini_is_byte_for_byte_the_one_written_by_hand() -> None:
    modulus = base64.b64encode(key("A").public_key.public_numbers().n.to_bytes(256, "big")).decode()
    expected = (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        '<SignaturePubKeyOrderData xmlns="http://www.ebics.org/S001" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f"<SignaturePubKeyInfo><PubKeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
        "</ds:RSAKeyValue></PubKeyValue><SignatureVersion>A006</SignatureVersion></SignaturePubKeyInfo>"
        "<PartnerID>PARTNER1</PartnerID><UserID>USER1</UserID></SignaturePubKeyOrderData>"
    )
    assert key_data.ini_data(H004, SUBSCRIBER, own_keys(certificates=False).signature).decode() == expected


def test_a_signature_flag_is_an_empty_element() -> None:
    root = etree.fromstring(start_of("H005", ORDERS["H005"][len(BOTH)]))
    flag = root.find(".//{*}SignatureFlag")
    assert flag is not None
    assert (flag.text, flag.get("requestEDS")) == (None, "true")
    assert root.find(".//{*}BTUOrderParams").get("fileName") == "pain.xml"
    unauthorised = etree.fromstring(start_of("H005", ORDERS["H005"][len(BOTH) + 2]))
    assert unauthorised.find(".//{*}SignatureFlag") is None
