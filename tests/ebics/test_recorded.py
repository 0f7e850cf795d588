"""What foreign clients sent and a foreign bank answered, read by our codec: every valid message verifies, and of each that is not
valid the fault is named. Recorded on loopback; skipped, visibly, where the recordings are not at hand."""

import base64
import io
import re
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from channels.ebics.answers import read_answer, read_hev, read_key_answer
from channels.ebics.errors import BadAnswer
from channels.ebics.names import VERSIONS
from keys.ebics_keys import EbicsKey
from keys.ebics_signature import order_digest
from keys.keymaterial import SoftwareKey, checked
from keys.seal import BadSeal
from tests.ebics.support import requests

FOLDERS = [
    "node-ebics-client-H004",
    "php-H004",
    "php-H004-A005",
    "php-H005",
    "fintech-H004",
    "fintech-H004-A005",
    "fintech-H005",
    "ebicsclient-H005",
    "painfree-H005",
]
FLAG = "SignatureFlag: an empty element, and it has content"  # the one request that is not valid by the schemas
DIGEST = "DataDigest: not the 32 bytes of a SHA-256"  # valid by the schemas, which do not bound it; banks answer 091113
FAULTS = {("ebicsclient-H005", "BTU"): FLAG, ("php-H005", "BTU"): DIGEST}


def number(path: Path) -> int:
    return int(path.name.split("-")[0])


def sent(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.req.xml"), key=number)


@pytest.fixture(scope="module")
def bank(recorded: Path) -> dict[str, SoftwareKey]:
    """The recorded bank's private test keys."""
    with zipfile.ZipFile(io.BytesIO((recorded / "full" / "TEST-bank-keys.zip").read_bytes())) as archive:
        names = {name[-8:-4]: name for name in archive.namelist() if name.endswith(".pem")}
        return {key: checked(key, load_pem_private_key(archive.read(name), None)) for key, name in names.items()}


def bank_public(bank: dict[str, SoftwareKey]) -> EbicsKey:
    public = bank["X002"].public_key
    return EbicsKey(version="X002", public=public)  # type: ignore[arg-type]


def keys_of(folder: Path) -> dict[str, EbicsKey]:
    """The user's keys, from INI and HIA."""
    found: dict[str, EbicsKey] = {}
    for path in sent(folder):
        if re.search(r"-(INI|HIA)\.", path.name):
            found |= requests.public_keys(requests.read(path.read_bytes()))
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_every_valid_foreign_request_is_read_and_verified_and_the_fault_of_the_other_is_named(recorded, name) -> None:
    folder = recorded / "full" / name
    keys = keys_of(folder)
    assert {"X002", "E002"} < set(keys)
    read = 0
    for path in sent(folder):
        message = path.read_bytes()
        order = path.name.split("-")[1].split(".")[0]
        if (name, order) in FAULTS:
            with pytest.raises(requests.Fault, match=re.escape(FAULTS[name, order])):
                requests.read(message)
            continue
        request = requests.read(message)
        if request.kind in {"ebicsRequest", "ebicsNoPubKeyDigestsRequest"}:
            requests.check_authentication(request, keys["X002"])
            damaged = message.replace(b"<HostID>TESTHOST", b"<HostID>TESTHOSX")
            with pytest.raises(BadSeal):
                requests.check_authentication(requests.read(damaged), keys["X002"])
        read += 1
    assert read >= 7


def uploads(folder: Path, bank: dict[str, SoftwareKey]) -> list[requests.Upload]:
    """The uploads of a client, with their segments."""
    found: list[requests.Upload] = []
    for path in sent(folder):
        root = etree.fromstring(path.read_bytes())
        if root.find(".//{*}SignatureData") is not None:
            for flag in root.iter("{*}SignatureFlag"):
                flag.text = None
            request = requests.Request(root, "", "", None, None, None)
            found.append(requests.opened(request, bank["E002"]))
        segment = root.findtext(".//{*}OrderData")
        if segment and root.findtext(".//{*}TransactionPhase") == "Transfer":
            found[-1].segments.append(segment.encode())
    return found


# Two clients' faults that a strict bank must see: php sends a signature where the digest belongs, painfree hashes raw bytes.
RAW_HASH = {"painfree-H005"}
LONG_DIGEST = {"php-H005"}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_foreign_upload_decrypts_and_its_signature_is_judged(recorded, bank, name) -> None:
    folder = recorded / "full" / name
    keys = keys_of(folder)
    signing = next(key for version, key in keys.items() if version in {"A005", "A006"})
    found = uploads(folder, bank)
    assert found
    for upload in found:
        data = upload.data()
        assert b"Document" in data
        assert upload.signature_version == signing.version
        if name in LONG_DIGEST:
            assert len(upload.data_digest or b"") == 256
            upload.data_digest = None
        if name in RAW_HASH and order_digest((data,)) != upload.data_digest:
            with pytest.raises(requests.Fault, match="DataDigest"):
                requests.check_order(upload, signing)
            continue
        requests.check_order(upload, signing)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_recorded_answer_is_read_by_our_client(recorded, bank, name) -> None:
    folder = recorded / "full" / name
    version, public, kinds = VERSIONS["H004" if "H004" in name else "H005"], bank_public(bank), set()
    for path in sorted(folder.glob("*.resp.xml"), key=number):
        message = path.read_bytes()
        root = etree.QName(etree.fromstring(message)).localname
        kinds.add(root)
        if root == "ebicsHEVResponse":
            assert read_hev(message).code == "000000"
        elif root == "ebicsKeyManagementResponse":
            assert read_key_answer(message, version).fine
        else:
            answer = read_answer(message, version, public)
            assert answer.fine or answer.says("090005")
            with pytest.raises(BadAnswer):
                read_answer(message.replace(b"000000", b"000001", 1), version, public)
    assert {"ebicsKeyManagementResponse", "ebicsResponse"} <= kinds


def test_what_clients_sent_to_a_bank_that_refused_everything_is_read(recorded) -> None:
    found = sorted((recorded / "capture").rglob("*.req.xml"))
    assert len(found) >= 10
    for path in found:
        assert requests.read(path.read_bytes()).kind.endswith("Request")


def test_the_wrong_namespace_of_a_client_is_named(recorded) -> None:
    for path in (recorded / "full" / "aqebics").glob("*.req.xml"):
        with pytest.raises(requests.Fault, match=r"namespace: http://www\.ebics\.org/H004"):
            requests.read(path.read_bytes())


def test_an_older_version_is_refused_by_its_name(recorded) -> None:
    with pytest.raises(requests.Fault, match="H003"):
        requests.read(next((recorded / "full" / "aqebics-H003").glob("*HPB*.req.xml")).read_bytes())


def test_the_digests_that_foreign_clients_name_our_kind_of_hash(recorded, bank) -> None:
    """BankPubKeyDigests of H004 are public-key hashes as we compute them."""
    expected = bank_public(bank).public_key_hash
    for name in FOLDERS:
        if "H004" not in name:
            continue
        for path in sent(recorded / "full" / name):
            told = etree.fromstring(path.read_bytes()).findtext(".//{*}BankPubKeyDigests/{*}Authentication")
            assert told is None or base64.b64decode(told) == expected
