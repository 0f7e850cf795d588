"""A running EBICS bank and a person's way through it."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.x509 import load_der_x509_certificate
from lxml import etree

from keys.ebics_keys import key_of_certificate, key_of_numbers
from simulator.ebics.desk import Desk
from simulator.fixture import RunningBank, iban
from tests.simulator.ebics_support.writer import Client, cut, digest_of
from tests.simulator.ebics_support.xml import decisive, find

DEBTOR = iban("NL", "FAST0000000003")
USERS = [
    {"id": "USER1"},
    {"id": "USER2", "level": "A"},
    {"id": "USER3", "level": "B"},
    {"id": "USER4", "level": "T"},
]
CUSTOMER: dict[str, Any] = {"id": "acme", "accounts": [DEBTOR], "ebics": {"partner": "PARTNER1", "users": USERS}}
PARAMS = {
    "H005": "<BTUOrderParams><Service><ServiceName>SCT</ServiceName><Scope>DE</Scope><MsgName>pain.001</MsgName></Service>"
    "{flag}</BTUOrderParams>",
    "H004": "<StandardOrderParams/>",
}
FLAG = "<SignatureFlag/>"
EDS = '<SignatureFlag requestEDS="true"/>'


def btd(name: str = "EOP", message: str = "camt.053", container: str = "", scope: str = "DE") -> str:
    inside = f"<ServiceName>{name}</ServiceName><Scope>{scope}</Scope>{container}<MsgName>{message}</MsgName>"
    return f"<BTDOrderParams><Service>{inside}</Service></BTDOrderParams>"


@dataclass
class Branch:
    """A bank in this process."""

    bank: RunningBank

    @property
    def desk(self) -> Desk:
        assert self.bank.desk is not None
        return self.bank.desk

    def ask(self, message: bytes) -> bytes:
        """The answer to a message, as the door would give it."""
        reply = self.desk.handle(message)
        assert reply.body is not None, "the line was cut"
        return reply.body

    def code(self, message: bytes) -> str:
        return decisive(self.ask(message))

    def onboard(self, client: Client) -> Client:
        """INI, HIA, activation, HPB."""
        assert self.code(client.unsecured("INI")) == "000000"
        assert self.code(client.unsecured("HIA")) == "000000"
        self.desk.subscribers.command(client.partner, client.user, "activate")
        self.fetch_keys(client)
        return client

    def fetch_keys(self, client: Client) -> None:
        answer = self.ask(client.hpb())
        assert decisive(answer) == "000000", find(answer, "ReportText")
        root = etree.fromstring(client.opened(answer))
        for use, version in (("Authentication", "X002"), ("Encryption", "E002")):
            info = root.find(f"{{*}}{use}PubKeyInfo")
            assert info is not None
            encoded = info.findtext("{*}X509Data/{*}X509Certificate")
            called: Any = version
            if encoded is not None:
                client.bank[version] = key_of_certificate(called, base64.b64decode(encoded), "bank")
                assert load_der_x509_certificate(base64.b64decode(encoded)).not_valid_after_utc > datetime.now(UTC)
            else:
                modulus, exponent = (base64.b64decode(info.findtext(f".//{{*}}{part}") or "") for part in ("Modulus", "Exponent"))
                client.bank[version] = key_of_numbers(called, modulus, exponent, "bank")

    # uploads ---------------------------------------------------------------------------------------------------------------

    def begin(
        self, client: Client, data: bytes, *, flag: str = FLAG, segments: int = 1, attribute: str = "OZHNN", **head: Any
    ) -> bytes:
        """The answer to an upload's beginning."""
        order_type = "BTU" if client.version == "H005" else "CCT"
        params = PARAMS[client.version].replace("{flag}", flag)
        body = client.transfer_head(digest_of(data), **head)
        text = client.init_text(order_type, params, attribute=attribute, segments=segments, body=body)
        return self.ask(client.signed(text))

    def upload(self, client: Client, data: bytes, **more: Any) -> tuple[bytes, bytes]:
        """Both answers of an upload in one segment."""
        begun = self.begin(client, data, **more)
        assert decisive(begun) == "000000", find(begun, "ReportText")
        return begun, self.ask(client.segment(find(begun, "TransactionID"), 1, last=True, data=cut(data)[0]))

    # downloads -------------------------------------------------------------------------------------------------------------

    def download(
        self, client: Client, order_type: str, params: str = "<StandardOrderParams/>", *, receipt: int | None = 0
    ) -> bytes:
        """The order data of a download, all its segments; b"" where there is none."""
        answer = self.ask(client.download(order_type, params))
        if decisive(answer) == "090005":
            return b""
        assert decisive(answer) == "000000", find(answer, "ReportText")
        transaction, count = find(answer, "TransactionID"), int(find(answer, "NumSegments"))
        answers = [answer]
        for number in range(2, count + 1):
            answers.append(self.ask(client.segment(transaction, number, last=number == count)))
            assert decisive(answers[-1]) == "000000"
        for each in answers:
            client.proves(each)
        if receipt is not None:
            assert self.code(client.receipt(transaction, receipt)) == ("011001" if receipt else "011000")
        return client.opened(*answers)

    @property
    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.desk.books()["orders"]
        return [order for order in found if order["order"].startswith(("BTU", "CCT", "CTV"))]

    def executed(self, books: dict[str, Any]) -> int:
        return int(books["totals"]["executed"])
