"""What banks send about themselves and about us: read by hand-written samples in both versions, refused where it is malformed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics import order_data
from channels.ebics.errors import BadAnswer
from channels.ebics.names import H004, H005, VERSIONS
from channels.ebics.orders import Service
from keys.ebics_keys import EbicsKey
from tests.ebics.support.parties import bank_keys, certified, own_keys

DS = 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def numbers(known: EbicsKey, *, zero: bool = False) -> str:
    found = known.public.public_numbers()
    modulus = (b"\0" if zero else b"") + found.n.to_bytes((found.n.bit_length() + 7) // 8, "big")
    return (
        f"<PubKeyValue><ds:RSAKeyValue><ds:Modulus>{b64(modulus)}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue>"
        "</PubKeyValue>"
    )


def certificate(known: EbicsKey) -> str:
    return f"<ds:X509Data><ds:X509Certificate>{b64(known.certificate or b'')}</ds:X509Certificate></ds:X509Data>"


def hpb(version: str, authentication: str, encryption: str, *, names=("X002", "E002")) -> bytes:
    return (
        f'<HPBResponseOrderData xmlns="urn:org:ebics:{version}" {DS}><AuthenticationPubKeyInfo>{authentication}'
        f"<AuthenticationVersion>{names[0]}</AuthenticationVersion></AuthenticationPubKeyInfo><EncryptionPubKeyInfo>{encryption}"
        f"<EncryptionVersion>{names[1]}</EncryptionVersion></EncryptionPubKeyInfo><HostID>TESTHOST</HostID></HPBResponseOrderData>"
    ).encode()


def test_bank_keys_are_read_from_numbers_and_a_leading_zero_does_not_matter() -> None:
    bank = bank_keys()
    found = order_data.read_hpb(hpb("H004", numbers(bank.authentication), numbers(bank.encryption, zero=True)), H004)
    assert (found.authentication, found.encryption, found.host_id) == (bank.authentication, bank.encryption, "TESTHOST")


def test_bank_keys_are_read_from_certificates_with_both_hashes() -> None:
    x, e = certified("X002", "BX"), certified("E002", "BE")
    found = order_data.read_hpb(hpb("H005", certificate(x), certificate(e)), H005)
    assert (found.authentication, found.encryption) == (x, e)
    both = order_data.read_hpb(hpb("H004", certificate(x) + numbers(x), certificate(e) + numbers(e)), H004)
    assert both == found


def test_a_bank_that_answers_bare_numbers_in_h005_is_read() -> None:
    bank = bank_keys()
    found = order_data.read_hpb(hpb("H005", numbers(bank.authentication), numbers(bank.encryption)), H005)
    assert found.authentication.certificate is None


def test_a_bank_key_that_says_two_keys_none_or_an_unsafe_one_is_refused() -> None:
    x, e = certified("X002", "BX"), certified("E002", "BE")
    weak = (
        "<PubKeyValue><ds:RSAKeyValue><ds:Modulus>"
        + b64((2**1023 + 9).to_bytes(128, "big"))
        + "</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></PubKeyValue>"
    )
    for data in (
        hpb("H004", certificate(x) + numbers(e), numbers(e)),
        hpb("H004", "", numbers(e)),
        hpb("H004", numbers(x) * 2, numbers(e)),
        hpb("H004", weak, numbers(e)),
        hpb("H004", numbers(x), numbers(e), names=("X001", "E002")),
        hpb("H004", numbers(x), numbers(e), names=("E002", "X002")),
        hpb("H005", certificate(x), certificate(e)).replace(b"H005", b"H003"),
        b"<HPBResponseOrderData/>",
        b"",
    ):
        with pytest.raises(BadAnswer):
            order_data.read_hpb(data, H004)


HTD_H004 = b"""<HTDResponseOrderData xmlns="urn:org:ebics:H004"><PartnerInfo><AddressInfo/>
<BankInfo><HostID>TESTHOST</HostID></BankInfo>
<AccountInfo ID="a1" Currency="EUR"><AccountNumber international="true">DE00</AccountNumber></AccountInfo>
<OrderInfo><OrderType>CCT</OrderType><TransferType>Upload</TransferType><Description>SEPA</Description>
<NumSigRequired>2</NumSigRequired></OrderInfo></PartnerInfo><UserInfo><UserID Status="1">USER1</UserID><Name>Somebody</Name>
<Permission AuthorisationLevel="A"><OrderTypes>CCT CDD STA</OrderTypes></Permission></UserInfo></HTDResponseOrderData>"""
SERVICE = (
    "<Service><ServiceName>EOP</ServiceName><Scope>DE</Scope><Container containerType='ZIP'/>"
    "<MsgName version='08'>camt.053</MsgName></Service>"
)
EOP = Service(name="EOP", scope="DE", container="ZIP", message="camt.053", version="08")
HKD_H005 = f"""<HKDResponseOrderData xmlns="urn:org:ebics:H005"><PartnerInfo><AddressInfo/>
<BankInfo><HostID>TESTHOST</HostID></BankInfo>
<OrderInfo><AdminOrderType>BTD</AdminOrderType>{SERVICE}<Description>Statements</Description></OrderInfo></PartnerInfo>
<UserInfo><UserID Status="1">USER1</UserID><Permission><AdminOrderType>BTD</AdminOrderType>{SERVICE}</Permission></UserInfo>
<UserInfo><UserID Status="5">USER2</UserID><Permission AuthorisationLevel="E"><AdminOrderType>HTD</AdminOrderType></Permission>
</UserInfo></HKDResponseOrderData>""".encode()


def test_rights_and_signatures_of_a_customer_are_read_in_both_versions() -> None:
    found = order_data.read_customer(HTD_H004, H004, "HTD")
    assert (found.host_id, found.accounts) == ("TESTHOST", 1)
    assert found.orders == (order_data.OrderRight(order_types=("CCT",), service=None, description="SEPA", signatures=2),)
    (user,) = found.users
    assert (user.user_id, user.status, user.name) == ("USER1", "1", "Somebody")
    assert user.permissions == (order_data.OrderRight(order_types=("CCT", "CDD", "STA"), service=None, level="A"),)
    customers = order_data.read_customer(HKD_H005, H005, "HKD")
    assert customers.orders[0].service == EOP
    assert [(user.user_id, user.status) for user in customers.users] == [("USER1", "1"), ("USER2", "5")]
    assert customers.users[0].permissions[0].service == EOP


def test_what_can_be_fetched_is_read_in_both_versions() -> None:
    h004 = b'<HAAResponseOrderData xmlns="urn:org:ebics:H004"><OrderTypes>STA C53 HAC</OrderTypes></HAAResponseOrderData>'
    assert [right.order_types for right in order_data.read_haa(h004, H004)] == [("STA",), ("C53",), ("HAC",)]
    h005 = f'<HAAResponseOrderData xmlns="urn:org:ebics:H005">{SERVICE}</HAAResponseOrderData>'.encode()
    assert [right.service for right in order_data.read_haa(h005, H005)] == [EOP]
    assert EOP.words() == "EOP/DE/-/ZIP/camt.053/-/08/-"


def test_the_banks_parameters_say_whether_it_recovers_a_broken_transaction() -> None:
    start = (
        '<HPDResponseOrderData xmlns="urn:org:ebics:H005"><AccessParams>'
        '<URL valid_from="2026-01-01T00:00:00Z">https://a.example/ebics'
        "</URL><URL>https://b.example/ebics</URL><Institute>A Bank</Institute></AccessParams>"
        "<ProtocolParams><Version><Protocol>H004 H005</Protocol><Authentication>X002</Authentication>"
        "<Encryption>E002</Encryption><Signature>A005 A006</Signature></Version>"
    )
    for element, recovery in (
        ("", False),
        ("<Recovery/>", True),
        ('<Recovery supported="false"/>', False),
        ('<Recovery supported="1"/>', True),
    ):
        found = order_data.read_hpd(f"{start}{element}</ProtocolParams></HPDResponseOrderData>".encode(), H005)
        assert found.recovery is recovery, element
    assert (found.urls, found.institute) == (("https://a.example/ebics", "https://b.example/ebics"), "A Bank")
    assert (found.protocols, found.signatures) == (("H004", "H005"), ("A005", "A006"))


SIGNERS = (
    "<SignerInfo><PartnerID>P1</PartnerID><UserID>U1</UserID><Timestamp>2026-11-25T12:00:00Z</Timestamp>"
    "<Permission AuthorisationLevel='A'/></SignerInfo>"
)
ORIGINATOR = (
    "<OriginatorInfo><PartnerID>P1</PartnerID><UserID>U1</UserID><Timestamp>2026-11-25T12:00:00Z</Timestamp></OriginatorInfo>"
)


def parked(
    version: str, name: str, *, digest: bytes = bytes(32), signing="readyToBeSigned='true' NumSigRequired='2' NumSigDone='1'"
) -> bytes:
    kind = SERVICE if version == "H005" else "<OrderType>CCT</OrderType>"
    told = f"<DataDigest SignatureVersion='A006'>{b64(digest)}</DataDigest>" if name == "HVZ" else ""
    return (
        f'<{name}ResponseOrderData xmlns="urn:org:ebics:{version}"><OrderDetails>{kind}<OrderID>A001</OrderID>{told}'
        f"<OrderDataSize>100</OrderDataSize><SigningInfo {signing}/>{SIGNERS}{ORIGINATOR}</OrderDetails>"
        f"</{name}ResponseOrderData>"
    ).encode()


@pytest.mark.parametrize("version", ["H004", "H005"])
def test_orders_that_wait_for_signatures_are_listed(version) -> None:
    (found,) = order_data.read_parked_list(parked(version, "HVU"), VERSIONS[version], "HVU")
    assert (found.order_id, found.ready, found.required, found.done, found.size) == ("A001", True, 2, 1, 100)
    assert (found.partner_id, found.user_id) == ("P1", "U1")
    assert found.signers == (order_data.Signer(partner_id="P1", user_id="U1", level="A"),)
    assert (found.order_type, found.service) == (("CCT", None) if version == "H004" else (None, EOP))
    assert found.digest is None
    (with_digest,) = order_data.read_parked_list(parked(version, "HVZ", digest=b"d" * 32), VERSIONS[version], "HVZ")
    assert (with_digest.digest, with_digest.digest_version) == (b"d" * 32, "A006")


def test_the_digest_to_sign_is_a_sha256_or_it_is_refused() -> None:
    start = '<HVDResponseOrderData xmlns="urn:org:ebics:H005"><DataDigest SignatureVersion="A006">'
    rest = (
        f"</DataDigest><DisplayFile>{b64('Überweisung'.encode())}</DisplayFile><OrderDataAvailable>true</OrderDataAvailable>"
        f"<OrderDataSize>10</OrderDataSize><OrderDetailsAvailable>true</OrderDetailsAvailable>{SIGNERS}</HVDResponseOrderData>"
    )
    found = order_data.read_hvd(f"{start}{b64(b'd' * 32)}{rest}".encode(), H005)
    assert (found.digest, found.digest_version, found.display.decode()) == (b"d" * 32, "A006", "Überweisung")
    assert len(found.signers) == 1
    with pytest.raises(BadAnswer, match="256 bytes"):
        order_data.read_hvd(f"{start}{b64(b'd' * 256)}{rest}".encode(), H005)
    with pytest.raises(BadAnswer):
        order_data.read_parked_list(parked("H005", "HVZ", digest=b"short"), H005, "HVZ")
    with pytest.raises(BadAnswer):
        order_data.read_parked_list(parked("H005", "HVU", signing="NumSigRequired='2'"), H005, "HVU")


def test_the_amounts_of_a_parked_order_are_read_as_written() -> None:
    data = (
        b'<HVTResponseOrderData xmlns="urn:org:ebics:H004"><NumOrderInfos>2</NumOrderInfos><OrderInfo>'
        b'<Amount Currency="EUR">1.10</Amount>'
        b"</OrderInfo><OrderInfo><Amount>2</Amount></OrderInfo></HVTResponseOrderData>"
    )
    found = order_data.read_hvt(data, H004)
    assert (found.count, found.amounts) == (2, (("1.10", "EUR"), ("2", None)))


SAMPLES = {
    "HPB": (hpb("H005", certificate(own_keys().authentication), certificate(own_keys().encryption)), order_data.read_hpb, ()),
    "HKD": (HKD_H005, order_data.read_customer, ("HKD",)),
    "HVU": (parked("H005", "HVU"), order_data.read_parked_list, ("HVU",)),
    "HVZ": (parked("H005", "HVZ"), order_data.read_parked_list, ("HVZ",)),
}


@given(
    st.sampled_from(sorted(SAMPLES)), st.floats(0, 1), st.integers(0, 40), st.sampled_from(["", "<", "x", "<a/>", "-1", "&amp;"])
)
def test_damaged_order_data_is_read_or_the_one_named_error(name, where, count, part) -> None:
    data, read, more = SAMPLES[name]
    at = int(where * len(data))
    try:
        read(data[:at] + part.encode() + data[at + count :], H005, *more)
    except BadAnswer:
        return
