"""The bank's side of EBICS against programs we did not write: xmlsec1 verifies its signatures, openssl opens its order data."""

import base64
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from keys.keymaterial import clear_pem
from simulator.fixture import run_bank
from tests.simulator.ebics_support.bank import CUSTOMER, Branch
from tests.simulator.ebics_support.writer import Client
from tests.simulator.ebics_support.xml import decisive, local_texts

DS = "http://www.w3.org/2000/09/xmldsig#"
VERSIONS = pytest.mark.parametrize("version", ["H004", "H005"])


def for_xmlsec1(answer: bytes) -> bytes:
    """The answer with its AuthSignature named ds:Signature, the name that xmlsec1 looks for: nothing that is signed changes."""
    root = etree.fromstring(answer)
    holder = root.find("{*}AuthSignature")
    assert holder is not None
    signature = etree.Element(f"{{{DS}}}Signature", nsmap=root.nsmap)
    signature.extend(list(holder))
    root.replace(holder, signature)
    return etree.tostring(root)


def run(*arguments: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(arguments, input=data, capture_output=True, check=False)


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="needs the program xmlsec1")
@VERSIONS
async def test_xmlsec1_verifies_the_banks_signature_and_no_changed_answer(tmp_path: Path, version: str) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank:
        branch = Branch(bank)
        client = branch.onboard(Client(version=version))
        answers = [branch.ask(client.download("HTD")), branch.ask(client.download("HAC")), branch.ask(b"<no/>")]
        key = tmp_path / "bank.pem"
        key.write_bytes(client.bank["X002"].public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for answer in answers:
        for text, good in (
            (answer, True),
            (answer.replace(b"<ReturnCode", b"<ReturnCode ", 1).replace(b"EBICS_", b"EBICZ_"), False),
        ):
            (tmp_path / "answer.xml").write_bytes(for_xmlsec1(text))
            done = run("xmlsec1", "--verify", "--pubkey-pem", str(key), str(tmp_path / "answer.xml"))
            assert (done.returncode == 0) == good, done.stderr.decode()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
@VERSIONS
async def test_openssl_opens_what_the_bank_encrypts(tmp_path: Path, version: str) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"segment_chars": 400}) as bank:
        branch = Branch(bank)
        client = branch.onboard(Client(version=version))
        first = branch.ask(client.download("HTD"))
        transaction, count = local_texts(first, "TransactionID")[0], int(local_texts(first, "NumSegments")[0])
        rest = [branch.ask(client.segment(transaction, number, last=number == count)) for number in range(2, count + 1)]
    assert [decisive(answer) for answer in rest] == ["000000"] * (count - 1)
    (tmp_path / "key.pem").write_bytes(clear_pem(client.key("E")))
    (tmp_path / "wrapped").write_bytes(base64.b64decode(local_texts(first, "TransactionKey")[0]))
    unwrap = ("openssl", "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key.pem"), "-in", str(tmp_path / "wrapped"))
    key = run(*unwrap, "-pkeyopt", "rsa_padding_mode:pkcs1").stdout
    ciphertext = base64.b64decode("".join(text for answer in (first, *rest) for text in local_texts(answer, "OrderData")))
    done = run("openssl", "enc", "-d", "-aes-128-cbc", "-nopad", "-K", key.hex(), "-iv", "0" * 32, data=ciphertext)
    assert done.returncode == 0, done.stderr.decode()
    padded = done.stdout
    assert padded[-padded[-1] : -1] == bytes(padded[-1] - 1), "ANSI X9.23: zeros, and the length last"
    document = zlib.decompress(padded[: -padded[-1]])
    assert etree.QName(etree.fromstring(document)).localname == "HTDResponseOrderData"
