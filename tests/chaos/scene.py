"""The configuration of both sides for a chaos run: the demo's, with a connection of each guarantee and two replicas.

| connection | door | guarantee | why that is true of this bank |
|---|---|---|---|
| acme-sftp | SFTP | queryable, absence proves nothing | the bank takes files out of the inbox |
| north-sftp | SFTP | blind | likewise, and nobody asks |
| orion-https | HTTPS | idempotent | the door refuses a name it has ever seen |
| vega-https | HTTPS | queryable, absence is final | the door says of any name whether it was ever used |
| luna-ebics | EBICS | queryable, absence is final | the customer protocol says which orders failed for good |
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from gateway.demo import scenery
from gateway.demo.scenery import HTTPS_ACCOUNT, SFTP_ACCOUNT, Scenery
from simulator.identity import make_certificate
from tests.chaos.plan import LANE_LEASE_SECONDS

NORTH_ACCOUNT = "NL73MOCK0000000007"
VEGA_ACCOUNT = "NL46MOCK0000000008"
LUNA_ACCOUNT = "NL19MOCK0000000009"
LUNA = "luna-ebics"
BALANCE_MINOR = 500_000_000
SEND_LEASE_SECONDS = 6.0
MESSAGE_SECONDS = 1.5  # of EBICS, three of which fit into the part of a lease that one send may use
CONNECT_SECONDS = 1.0
QUIET_SECONDS = 9.0  # longer than a send may take

PACE = f"""
[batching]
wait_seconds = 0.05
transfers_max = 25

[schedule]
fetch_seconds = 0.4
ask_seconds = 0.5

[retry]
first_seconds = 0.2
longest_seconds = 1.0
lease_seconds = {SEND_LEASE_SECONDS}
"""

LEDGER = """kind = "mock-bank"
clock = "{{today}}T09:00"
cutoff = "20:00"
collect_seconds = 0.2
allow_duplicates = {allow_duplicates}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A connection with its only account. `customer`: whom the bank takes it for."""

    connection_id: str
    customer: str
    iban: str
    door: str


ACCOUNTS = (
    Account(connection_id="acme-sftp", customer="acme", iban=SFTP_ACCOUNT, door="sftp"),
    Account(connection_id="north-sftp", customer="north", iban=NORTH_ACCOUNT, door="sftp"),
    Account(connection_id="orion-https", customer="orion", iban=HTTPS_ACCOUNT, door="https"),
    Account(connection_id="vega-https", customer="vega", iban=VEGA_ACCOUNT, door="https"),
    Account(connection_id=LUNA, customer="luna", iban=LUNA_ACCOUNT, door="ebics"),
)

EBICS_KEYS = ("signature", "authentication", "encryption")
LUNA_AT_THE_BANK = f"""
[[customers]]
id = "luna"
accounts = ["{LUNA_ACCOUNT}"]

[customers.ebics]
partner = "PARTNER5"

[[customers.ebics.users]]
id = "USER5"
activation = "auto"

[ebics]
listen = "127.0.0.1:0"
segment_chars = 4000
"""
_OWN_KEYS = "\n".join(
    f'{name} = {{ key = "file:keys/ebics-{name}.key.pem", passphrase = "env:DEMO_HTTPS_KEY" }}' for name in EBICS_KEYS
)
LUNA_AT_THE_GATEWAY = f"""bank = "sepa"
initiating_party = "Luna SA"

[[accounts]]
iban = "{LUNA_ACCOUNT}"
currency = "EUR"
holder = "Luna SA"
agent_bic = "MOCKNL2AXXX"

[channel]
kind = "ebics"
url = "{{url}}"
allow_plaintext_loopback = true
version = "H004"
host_id = "TESTHOST"
partner_id = "PARTNER5"
user_id = "USER5"
segment_chars = 1200
timeouts = {{{{ connect = {CONNECT_SECONDS}, total = {MESSAGE_SECONDS} }}}}
upload = {{{{ order_type = "CCT" }}}}
downloads = [{{{{ order_type = "CRZ" }}}}, {{{{ order_type = "C54" }}}}, {{{{ order_type = "C53" }}}}]
{_OWN_KEYS.replace("{", "{{").replace("}", "}}")}

[guarantee]
kind = "queryable"
absence_is_final = true
quiet_seconds = {QUIET_SECONDS}
{PACE}"""


def set_up(directory: Path, *, allow_duplicates: bool) -> Scenery:
    """Keys and the bank's configuration. `allow_duplicates`: a bank that executes a message it has seen before, so that nothing
    but the gateway stands between a repeat and a second payment."""
    ledger = LEDGER.format(allow_duplicates=str(allow_duplicates).lower())
    made = scenery.set_up(directory, ledger)
    keys = made.gateway / "keys"
    fingerprint = make_certificate("vega", keys / "vega.pem", keys / "vega.key.pem", server=False)
    vega_key = serialization.load_pem_private_key((keys / "vega.key.pem").read_bytes(), None)
    (keys / "vega.key.pem").write_bytes(_encrypted(vega_key, made.passphrases.worker["DEMO_HTTPS_KEY"]))
    for name in EBICS_KEYS:
        own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path = keys / f"ebics-{name}.key.pem"
        path.touch(mode=0o600)
        path.write_bytes(_encrypted(own, made.passphrases.worker["DEMO_HTTPS_KEY"]))
    with (made.bank / "keys" / "client-ca.pem").open("ab") as trusted:
        trusted.write((keys / "vega.pem").read_bytes())
    settings = made.bank / "simulator.toml"
    text = settings.read_text("utf-8")
    head, acme, orion = text.split("[[customers]]")
    north = swapped(acme, {'id = "acme"': 'id = "north"', 'user = "acme"': 'user = "north"', SFTP_ACCOUNT: NORTH_ACCOUNT})
    north = "\n".join(line for line in north.splitlines() if "accounts" not in line)
    north = swapped(north, {'id = "north"': f'id = "north"\naccounts = ["{NORTH_ACCOUNT}"]'})
    pinned = orion.split('certificate_sha256 = ["')[1].split('"')[0]
    vega = swapped(orion, {'id = "orion"': 'id = "vega"', HTTPS_ACCOUNT: VEGA_ACCOUNT, pinned: fingerprint})
    settings.write_text("\n[[customers]]".join([head, acme, orion, north, vega]) + LUNA_AT_THE_BANK, encoding="utf-8")
    return made


def configure_replica(made: Scenery, name: str, ready: dict[str, Any], address: str, store: str) -> Path:
    """Writes a configuration of its own for one replica; its directory. `ready`: the doors as this replica reaches them."""
    directory = made.directory / name
    shutil.copytree(made.gateway, directory / "gateway")
    own = replace(made, directory=directory)
    scenery.configure_gateway(own, ready, address, PACE)
    gateway = own.gateway
    settings = gateway / "bankgate.toml"
    text = swapped(settings.read_text("utf-8"), {'store = "sqlite:///bankgate.db"': f'store = "{store}"'})
    settings.write_text(f"{text}\n[worker]\nlane_lease_seconds = {LANE_LEASE_SECONDS}\n", encoding="utf-8")
    connections = gateway / "connections"
    acme, orion = ((connections / f"{one}.toml").read_text("utf-8") for one in ("acme-sftp", "orion-https"))
    head, first, others = acme.split("[[accounts]]")
    north = swapped(
        f"{head}[[accounts]]{first}[channel]{others.partition('[channel]')[2]}",
        {
            SFTP_ACCOUNT: NORTH_ACCOUNT,
            'username = "acme"': 'username = "north"',
            'kind = "queryable"\nabsence_is_final = false\nquiet_seconds = 3600': 'kind = "blind"',
        },
    )
    vega = swapped(
        orion,
        {
            HTTPS_ACCOUNT: VEGA_ACCOUNT,
            "keys/https.pem": "keys/vega.pem",
            "keys/https.key.pem": "keys/vega.key.pem",
        },
    )
    before, guarantee, after = vega.partition('kind = "idempotent"\n')
    after = after.partition("\n")[2]  # the evidence
    vega = f'{before}kind = "queryable"\nabsence_is_final = true\nquiet_seconds = {QUIET_SECONDS}\n{after}'
    assert guarantee
    (connections / "north-sftp.toml").write_text(north, encoding="utf-8")
    (connections / "vega-https.toml").write_text(vega, encoding="utf-8")
    (connections / f"{LUNA}.toml").write_text(LUNA_AT_THE_GATEWAY.format(url=ready["ebics"]["url"]), encoding="utf-8")
    return gateway


def swapped(text: str, changes: dict[str, str]) -> str:
    """The text with each of these replaced; each must be there."""
    for old, new in changes.items():
        assert old in text, f"the demo's configuration no longer says {old!r}"
        text = text.replace(old, new)
    return text


def _encrypted(key: PrivateKeyTypes, passphrase: str) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
