"""A strict bank refuses what it should, each fault by its return code, and nothing of what it refused is executed."""

import base64
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from keys.seal import BadSeal
from tests.simulator.ebics_support.bank import DEBTOR, FLAG, PARAMS, Branch, btd
from tests.simulator.ebics_support.writer import Client, b64, cut, digest_of
from tests.simulator.ebics_support.xml import codes, decisive, find
from tests.simulator.helpers import Pay, pain001

VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])
DATA = pain001("N-1", DEBTOR, Pay("N-1"))


def branch_with(**table: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("branch", [table], indirect=True)


async def nothing_executed(branch: Branch) -> None:
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 0


# the envelope -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<Nonce>", "<Nonce>zz"),
        ("<PartnerID>PARTNER1</PartnerID>", ""),
        ("<UserID>USER1</UserID>", "<UserID>USER1</UserID><UserID>USER2</UserID>"),
        ("<PartnerID>", "<Product>x</Product><PartnerID>"),
        ("<SecurityMedium>0000", "<SecurityMedium>zero"),
        ('Version="H005"', 'Version="H004"'),
        ('<header authenticate="true">', "<header>"),
        ("<TransactionPhase>Initialisation", "<TransactionPhase>Beginning"),
        ("<Timestamp>", "<Timestamp>yesterday"),
        ("<NumSegments>1", "<NumSegments>one"),
        ("<AdminOrderType>BTU", "<AdminOrderType>B"),
        ("<SignatureFlag/>", "<SignatureFlag>true</SignatureFlag>"),
        ('<SignatureData authenticate="true">', "<SignatureData>"),
        ("<ServiceName>SCT</ServiceName><Scope>DE</Scope>", "<Scope>DE</Scope><ServiceName>SCT</ServiceName>"),
    ],
)
async def test_what_the_schema_does_not_allow_is_no_xml_for_the_bank(branch: Branch, old: str, new: str) -> None:
    client = branch.onboard(Client())
    params = PARAMS["H005"].replace("{flag}", FLAG)
    text = client.init_text("BTU", params, segments=1, body=client.transfer_head(digest_of(DATA)))
    assert old in text
    assert branch.code(client.signed(text)) == "000000"
    again = client.init_text("BTU", params, segments=1, body=client.transfer_head(digest_of(DATA)))
    answer = branch.ask(_signed_anyway(client, again.replace(old, new)))
    assert codes(answer) == ("091010", "000000")
    await nothing_executed(branch)


def _signed_anyway(client: Client, text: str) -> bytes:
    """Signed as far as the signer lets it: what is misplaced in its eyes gets an empty AuthSignature, which is as well-formed."""
    with contextlib.suppress(BadSeal):
        return client.signed(text)
    return text.replace("</header>", "</header><AuthSignature/>").encode()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"no xml",
        b"<a>",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><ebicsRequest xmlns="urn:org:ebics:H005">&e;</ebicsRequest>',
        b'<ebicsRequest xmlns="http://www.ebics.org/H004" Version="H004"/>',
        b'<ebicsRequest xmlns="urn:org:ebics:H005" Version="H005" Revision="1"/>',
        b"\xff\xfe\x00",
        b"<x>" * 100_000,
    ],
)
async def test_what_is_no_request_gets_one_signed_answer_that_says_so(branch: Branch, message: bytes) -> None:
    client = branch.onboard(Client())
    answer = branch.ask(message)
    assert codes(answer) == ("091010", "000000")
    client.proves(answer)


async def test_a_request_that_no_bank_takes_is_invalid(branch: Branch) -> None:
    client = branch.onboard(Client())
    text = client.init_text("HTD", "<StandardOrderParams/>").replace("ebicsRequest", "ebicsUnsignedRequest")
    assert branch.code(client.signed(text)) == "061002"


@VERSIONS
async def test_another_host_and_an_unknown_user_are_refused(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    for change, code in (({"host": "OTHER"}, "091011"), ({"user": "NOBODY"}, "091002"), ({"partner": "NOBODY"}, "091002")):
        stranger = Client(version=version, bank=client.bank, names={"X": "USER1-X"})
        for name, value in change.items():
            setattr(stranger, name, value)
        assert branch.code(stranger.download("HTD")) == code
        assert branch.code(stranger.unsecured("INI")) == code


@branch_with(explicit_user_errors=True)
async def test_a_bank_that_says_who_it_knows_says_so_by_other_codes(branch: Branch) -> None:
    assert branch.code(Client(user="NOBODY").unsecured("INI")) == "091003"
    assert branch.code(Client().hpb()) == "091004"


# the AuthSignature ------------------------------------------------------------------------------------------------------------


@VERSIONS
async def test_a_message_changed_after_signing_is_not_authentic(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    message = client.download("HTD")
    assert branch.code(message.replace(b"<SecurityMedium>0000", b"<SecurityMedium>0001")) == "061001"
    assert branch.code(message.replace(b'xmlns:ds="http', b'xmlns:e="urn:x" xmlns:ds="http')) == "061001", "not in the context"
    assert branch.code(message.replace(b"<body/>", b'<body authenticate="true"/>')) == "061001"
    stolen = Client(version=version, bank=client.bank, names={"X": "another"})
    assert branch.code(stolen.download("HTD")) == "061001"
    assert branch.code(message) == "000000"


@VERSIONS
async def test_every_step_of_a_transaction_must_be_authentic(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    transaction = find(branch.begin(client, DATA), "TransactionID")
    thief = Client(version=version, bank=client.bank, names={"X": "another"})
    assert branch.code(thief.segment(transaction, 1, last=True, data=cut(DATA)[0])) == "061001"
    assert branch.code(client.segment(transaction, 1, last=True, data=cut(DATA)[0])) == "000000"


# replay, keys -----------------------------------------------------------------------------------------------------------------


@VERSIONS
async def test_the_same_message_twice_is_a_replay(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    message = client.download("HTD")
    assert [branch.code(message), branch.code(message)] == ["000000", "091103"]
    for hours in (-2, 2):
        stamp = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.123Z")
        assert branch.code(client.signed(client.init_text("HTD", "<StandardOrderParams/>", stamp=stamp))) == "091103"


@branch_with(replay_window_seconds=0)
async def test_a_bank_without_replay_window_takes_old_messages(branch: Branch) -> None:
    client = branch.onboard(Client())
    message = client.signed(client.init_text("HTD", "<StandardOrderParams/>", stamp="2020-01-01T00:00:00Z"))
    assert [branch.code(message), branch.code(message)] == ["000000", "000000"]


@VERSIONS
async def test_who_names_other_keys_than_the_banks_is_told_to_fetch_them(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    good = dict(client.bank)
    for name in ("X002", "E002"):
        client.bank = {**good, name: client.own("X")}
        assert branch.code(client.download("HTD")) == "091008"
    client.bank = good
    params = PARAMS[version].replace("{flag}", FLAG)
    head = client.transfer_head(digest_of(DATA)).replace(
        b64(good["E002"].digest(client.digest_kind)), b64(client.own("E").public_key_hash)
    )
    order_type = "BTU" if version == "H005" else "CCT"
    assert branch.code(client.signed(client.init_text(order_type, params, attribute="OZHNN", segments=1, body=head))) == "091008"


async def test_h005_takes_either_kind_of_hash_unless_told_not_to(branch: Branch) -> None:
    client = branch.onboard(Client())
    text = client.init_text("HTD", "<StandardOrderParams/>")
    for key in client.bank.values():
        text = text.replace(b64(key.digest("certificate")), b64(key.public_key_hash))
    assert branch.code(client.signed(text)) == "000000"


@branch_with(tolerate={"any_digest_kind": False})
async def test_a_bank_strict_about_hashes_takes_the_certificates_alone(branch: Branch) -> None:
    client = branch.onboard(Client())
    assert branch.code(client.download("HTD")) == "000000"
    text = client.init_text("HTD", "<StandardOrderParams/>")
    for key in client.bank.values():
        text = text.replace(b64(key.digest("certificate")), b64(key.public_key_hash))
    assert branch.code(client.signed(text)) == "091008"


# orders -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_type", "attribute", "params", "code"),
    [
        ("CCT", "UZHNN", "<StandardOrderParams/>", "091121"),
        ("CCT", "DZNNN", "<StandardOrderParams/>", "091121"),
        ("C53", "OZHNN", "<StandardOrderParams/>", "091121"),
        ("HTD", "OZHNN", "<StandardOrderParams/>", "091121"),
        ("XYZ", "DZHNN", "<StandardOrderParams/>", "091005"),
        ("FDL", "DZHNN", "<StandardOrderParams/>", "091112"),
        ("FDL", "DZHNN", "<FDLOrderParams><FileFormat>camt.053</FileFormat></FDLOrderParams>", "090005"),
        ("C53", "DZHNN", "<FDLOrderParams><FileFormat>x</FileFormat></FDLOrderParams>", "091112"),
        (
            "C53",
            "DZHNN",
            "<StandardOrderParams><DateRange><Start>2026-02-01</Start><End>2026-01-01</End></DateRange></StandardOrderParams>",
            "091112",
        ),
        ("C53", "DZHNN", "<StandardOrderParams/>", "090005"),
    ],
)
async def test_orders_of_h004_that_are_none(branch: Branch, order_type: str, attribute: str, params: str, code: str) -> None:
    client = branch.onboard(Client(version="H004"))
    assert branch.code(client.signed(client.init_text(order_type, params, attribute=attribute))) == code


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (btd(), "090005"),
        (btd(container='<Container containerType="ZIP"/>'), "090005"),
        (btd(container='<Container containerType="XML"/>'), "091005"),
        (btd("EOP", "camt.052"), "091005"),
        (btd(scope="FR"), "091005"),
        ("<StandardOrderParams/>", "091112"),
        ("<BTDOrderParams/>", "091010"),
    ],
)
async def test_every_field_of_a_btf_counts(branch: Branch, params: str, code: str) -> None:
    client = branch.onboard(Client())
    assert branch.code(client.download("BTD", params)) == code


async def test_order_types_of_h004_are_unsupported_in_h005(branch: Branch) -> None:
    client = branch.onboard(Client())
    assert branch.code(client.download("C53")) == "091006"


async def test_a_user_gives_the_orders_it_may_give(branch: Branch) -> None:
    client = branch.onboard(Client())
    user = branch.desk.subscribers.known("PARTNER1", "USER1")
    user.settings = user.settings.model_copy(update={"orders": ("BTU",)})
    assert branch.code(client.download("HTD")) == "090003"
    assert decisive(branch.begin(client, DATA)) == "000000"


@branch_with(transactions_max=2)
async def test_a_user_has_so_many_transactions_open_and_no_more(branch: Branch) -> None:
    client = branch.onboard(Client())
    begun = [branch.begin(client, DATA) for _ in range(3)]
    assert [decisive(answer) for answer in begun] == ["000000", "000000", "091119"]
    branch.ask(client.segment(find(begun[0], "TransactionID"), 1, last=True, data=cut(DATA)[0]))
    assert decisive(branch.begin(client, DATA)) == "000000"


# the electronic signature -----------------------------------------------------------------------------------------------------


@VERSIONS
async def test_an_electronic_signature_over_other_data_moves_nothing(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    begun = branch.begin(client, DATA)
    other = pain001("N-2", DEBTOR, Pay("N-2"))
    done = branch.ask(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(other)[0]))
    assert codes(done) == ("000000", "091301")
    assert [order["state"] for order in branch.orders] == ["refused"]
    await nothing_executed(branch)


@VERSIONS
async def test_an_electronic_signature_by_another_key_moves_nothing(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    forger = Client(version=version, bank=client.bank, names={"A": "forged"})
    text = forger.signature_data(digest_of(DATA))
    begun = branch.begin(client, DATA, signatures=text)
    if version == "H005":
        assert decisive(begun) == "091301", "the digest is told at once, and with it the signature can be checked"
    else:
        assert branch.code(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(DATA)[0])) == "091301"
    await nothing_executed(branch)


@VERSIONS
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda text: text.replace("PARTNER1", "PARTNER2"), "091120"),
        (lambda text: text.replace("USER1", "NOBODY"), "091304"),
        (lambda text: text.replace("USER1", "USER2"), "091305"),
        (lambda text: text.replace("</UserSignatureData>", "") + text.partition(">")[2], "091306"),
        (lambda text: text.replace("UserSignatureData", "SomethingElse"), "091111"),
        (lambda text: text.replace("ebics.org/S00", "ebics.org/S99"), "091111"),
        (lambda text: text.replace("<SignatureVersion>A006</SignatureVersion>", ""), "091111"),
        (lambda text: text.replace("<SignatureValue>", "<SignatureValue>!"), "091111"),
        (lambda text: text[:-5], "091111"),
    ],
)
async def test_a_signature_file_that_is_wrong_is_refused_at_once(
    branch: Branch, version: str, spoil: Callable[[str], str], code: str
) -> None:
    client = branch.onboard(Client(version=version))
    assert decisive(branch.begin(client, DATA, signatures=spoil(client.signature_data(digest_of(DATA))))) == code
    assert branch.orders == []


@VERSIONS
async def test_the_process_must_be_that_of_the_signers_key(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version, process="A006"))
    other = Client(version=version, bank=client.bank, process="A005")
    begun = branch.begin(client, DATA, signatures=other.signature_data(digest_of(DATA)))
    if version == "H004":
        begun = branch.ask(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(DATA)[0]))
    assert decisive(begun) == "091301"


async def test_a_data_digest_that_is_no_digest_is_refused(branch: Branch) -> None:
    client = branch.onboard(Client())
    assert decisive(branch.begin(client, DATA, declared=bytes(256))) == "091113"
    assert decisive(branch.begin(client, DATA, declared=bytes(32))) == "091301"  # the signature is over something else


@branch_with(tolerate={"long_data_digest": True})
async def test_a_bank_may_take_a_data_digest_that_is_none(branch: Branch) -> None:
    client = branch.onboard(Client())
    branch.upload(client, DATA, declared=bytes(256))
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@VERSIONS
async def test_line_breaks_are_not_signed(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    data = DATA.replace(b"<PmtInf>", b"\r\n<PmtInf>\x0a")
    branch.upload(client, data)
    await branch.bank.idle()
    assert branch.executed(await branch.bank.books()) == 1


@VERSIONS
async def test_order_data_that_is_no_xml_is_refused(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    for data in (b"no xml", b"<a>", b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'):
        assert codes(branch.upload(client, data)[1]) == ("000000", "090004")
    await nothing_executed(branch)


@branch_with(order_bytes_max=1000)
async def test_order_data_that_inflates_beyond_the_bound_is_refused(branch: Branch) -> None:
    client = branch.onboard(Client())
    assert decisive(branch.upload(client, b"<a>" + b" " * 100_000 + b"</a>")[1]) == "091117"


@VERSIONS
async def test_order_data_for_another_key_cannot_be_read(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    begun = branch.begin(client, DATA)
    garbage = base64.b64encode(bytes(range(160)))
    assert branch.code(client.segment(find(begun, "TransactionID"), 1, last=True, data=garbage)) == "090004"
    begun = branch.begin(client, DATA)
    assert branch.code(client.segment(find(begun, "TransactionID"), 1, last=True, data=b"!!!!")) == "090004"


# keys -------------------------------------------------------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize(
    ("order_type", "spoil", "code"),
    [
        ("INI", lambda text: text.replace("A006", "A004"), "091201"),
        ("HIA", lambda text: text.replace("X002", "X001"), "091202"),
        ("HIA", lambda text: text.replace("E002", "E001"), "091203"),
        ("INI", lambda text: text.replace("USER1", "USER2"), "090004"),
        ("INI", lambda text: text.replace("SignaturePubKeyOrderData", "Something"), "090004"),
        ("HIA", lambda text: text.replace("Encryption", "Encrypted"), "090004"),
        ("INI", lambda text: text[:-3], "090004"),
    ],
)
async def test_key_orders_that_are_wrong_leave_the_user_as_it_was(
    branch: Branch, version: str, order_type: str, spoil: Callable[[str], str], code: str
) -> None:
    client = Client(version=version)
    answer = branch.ask(client.unsecured(order_type, spoil(client.key_data(order_type))))
    assert decisive(answer) == code
    assert etree.QName(etree.fromstring(answer)).localname == "ebicsKeyManagementResponse"
    assert branch.code(client.unsecured(order_type)) == "000000"


async def test_h005_takes_certificates_alone_and_h004_wants_its_attribute(branch: Branch) -> None:
    bare = Client(version="H004")
    text = bare.key_data("INI").replace("S001", "S002")
    assert branch.code(Client().unsecured("INI", text)) == "091217"
    assert branch.code(bare.unsecured("INI", attribute="OZHNN")) == "091121"
    wrong = Client().key_data("INI").replace(b64(_encoded("A")), b64(_encoded("E")))
    assert branch.code(Client().unsecured("INI", wrong)) == "091210"


def _encoded(use: str) -> bytes:
    found = Client().own(use).certificate
    assert found is not None
    return found


@VERSIONS
async def test_one_key_for_two_uses_is_refused(branch: Branch, version: str) -> None:
    client = Client(version=version, names={"E": "same", "X": "same"})
    assert branch.code(client.unsecured("HIA")) == "091218"
