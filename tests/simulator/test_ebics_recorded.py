"""Recorded requests of foreign clients: nine lives, replayed byte for byte at a bank that has the keys of the recordings.

Skipped, visibly, where the recordings are not at hand.

Transaction ids of a replay are other than those of the recording, so that every message of a later step must be refused; the
beginnings must be taken, and each that is not valid be refused by its code.
"""

import base64
import io
import os
import shutil
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from keys.ebics_keys import EbicsKey
from keys.keymaterial import checked
from simulator.ebics.desk import Desk
from simulator.ebics.uploads import Upload
from simulator.fixture import RunningBank, run_bank
from tests.simulator.ebics_support.xml import codes, decisive

OLD = {"replay_window_seconds": 0, "transactions_max": 1000}
FOLDERS = {
    "node-ebics-client-H004": {},
    "php-H004": {},
    "php-H004-A005": {},
    "php-H005": {"BTU": "091113"},  # its DataDigest has 256 bytes
    "fintech-H004": {},
    "fintech-H004-A005": {},
    "fintech-H005": {},
    "ebicsclient-H005": {"BTU": "091010"},  # text in SignatureFlag
    "painfree-H005": {},
}
LENIENT = {"tolerate": {"long_data_digest": True, "flag_content": True, "raw_signatures": True, "any_format": True}}


@pytest.fixture(scope="module")
def recorded() -> Path:
    named = os.environ.get("BANKGATE_CORPUS")
    place = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "samples"
    folder = place.parent / "wire" / "ebics" / "full"
    if not folder.is_dir():
        pytest.skip(f"no recorded EBICS traffic: expected beside the folder that BANKGATE_CORPUS names (looked in {folder})")
    return folder


def requests_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.req.xml"), key=lambda path: int(path.name.split("-")[0]))


@pytest.fixture
async def bank(tmp_path: Path, ebics_bank_keys: Path, request: pytest.FixtureRequest) -> AsyncIterator[RunningBank]:
    """A bank whose users are those of all recordings; `with_keys` gives it the keys."""
    customers = [
        {"id": f"c{n}", "ebics": {"partner": f"PARTNER{n}", "users": [{"id": f"USER{n}", "activation": "auto"}]}}
        for n in range(1, 7)
    ]
    shutil.copytree(ebics_bank_keys, tmp_path / "data")
    table = {**OLD, **getattr(request, "param", {})}
    async with run_bank(tmp_path, customers=customers, ledger={"kind": "fast"}, ebics=table) as running:
        yield running


def with_keys(bank: RunningBank, recorded: Path) -> Desk:
    """The desk, with the private test keys of the bank in the recordings instead of its own."""
    desk = bank.desk
    assert desk is not None
    with zipfile.ZipFile(io.BytesIO((recorded / "TEST-bank-keys.zip").read_bytes())) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pem")]
        found = {name[-8:-4]: checked(name, load_pem_private_key(archive.read(name), None)) for name in names}
    desk.keys.authentication_key, desk.keys.encryption_key = found["X002"], found["E002"]
    return desk


def name_the_keys(desk: Desk, folder: Path) -> None:
    """The recorded bank's certificates are not at hand: what its clients name the keys by is taken as their hashes."""
    named: dict[str, set[str | None]] = {"X002": set(), "E002": set()}
    for path in requests_of(folder):
        root = etree.fromstring(path.read_bytes())
        for element in (*root.iter("{*}Authentication"), *root.iter("{*}Encryption"), *root.iter("{*}EncryptionPubKeyDigest")):
            named[element.get("Version") or ""].add(element.text)

    def takes(key: EbicsKey, digest: bytes, *_: object, **__: object) -> bool:
        return base64.b64encode(digest).decode() in named[key.version]

    desk.keys.named = takes  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("folder", FOLDERS)
async def test_what_foreign_clients_sent_is_taken_and_what_is_not_valid_is_refused(
    bank: RunningBank, recorded: Path, folder: str
) -> None:
    desk = with_keys(bank, recorded)
    name_the_keys(desk, recorded / folder)
    begun = 0
    for path in requests_of(recorded / folder):
        message = path.read_bytes()
        reply = desk.handle(message)
        assert reply.body is not None
        order_type = path.name.split("-", 1)[1].removesuffix(".req.xml").partition("-Init")[0]
        if b"ebicsHEVRequest" in message:
            assert b"03.00" in reply.body
        elif b"<TransactionID>" in message or b":TransactionID>" in message:
            assert decisive(reply.body) == "091101", path.name
        elif order_type in FOLDERS[folder]:
            assert codes(reply.body) == (FOLDERS[folder][order_type], "000000"), path.name
        else:
            assert decisive(reply.body) in {"000000", "090005"}, f"{path.name}: {reply.body[:600].decode()}"
            begun += 1
    assert begun >= 5


@pytest.mark.parametrize("bank", [LENIENT], indirect=True)
@pytest.mark.parametrize("folder", FOLDERS)
async def test_recorded_uploads_are_verified_to_their_last_segment_by_a_bank_that_tolerates(
    bank: RunningBank, recorded: Path, folder: str
) -> None:
    desk = with_keys(bank, recorded)
    name_the_keys(desk, recorded / folder)
    for path in requests_of(recorded / folder):
        message = path.read_bytes()
        uploads = [each for each in desk._open.values() if isinstance(each, Upload)]
        if uploads and b"<OrderData>" in message:
            upload = uploads[-1]
            upload.id = (etree.fromstring(message).findtext(".//{*}TransactionID") or "").upper()
            desk._open[upload.id] = upload  # the recording's number for our transaction
            reply = desk.handle(message)
            assert reply.body is not None
            assert codes(reply.body) == ("000000", "000000"), reply.body[:700].decode()
            # php says DZHNN, authorised on paper, although it signs
            assert upload.order.state == ("waiting" if folder.startswith("php-H004") else "accepted")
            return
        desk.handle(message)
    raise AssertionError("the recording has no upload")


async def test_the_broken_h004_of_a_c_client_is_no_version_of_the_bank(bank: RunningBank, recorded: Path) -> None:
    desk = with_keys(bank, recorded)
    for path in [*requests_of(recorded / "aqebics"), *requests_of(recorded / "aqebics-H003")]:
        reply = desk.handle(path.read_bytes())
        assert reply.body is not None
        assert decisive(reply.body) == "091010", path.name
