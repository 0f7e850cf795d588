"""JOSE against implementations that we did not write: jwcrypto, in both directions; `openssl` for the bare signatures."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import jose_jwe_profile, jose_jws_profile
from keys.jose_jwe_profile import JweProfile
from keys.jose_jws import join_detached, split_detached
from keys.jose_jws_profile import JwsProfile
from keys.jose_parts import decode, encode
from keys.seal import BadSeal
from tests.keys.workshop import PASSPHRASE, Workshop, opened, sealed, today

pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")

CONTENT = '{"amount":"10.00","name":"Café"}\r\n'.encode()
OWNERS = {"RS256": "us", "PS256": "us", "PS512": "us", "ES256": "us-ec", "ES384": "bank-ec"}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("jose"))
    made.party("us", "rsa-3072")
    made.party("us-ec", "ec-p256")
    made.party("bank-ec", "ec-p384")
    return made


def jws_table(own: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "jws",
        "signing_key": f"file:{own}.key",
        "signing_key_passphrase": "file:passphrase",
        "signing_certificate": f"file:{own}.crt",
        "bank_signing_certificates": (f"file:{own}.crt",),
    } | changes


def jws_seal(workshop: Workshop, own: str, **changes: Any) -> Any:
    return jose_jws_profile.build(JwsProfile(**jws_table(own, **changes)), workshop.directory, today)


def jwe_seal(workshop: Workshop, own: str, signed: Any = "nothing") -> Any:
    profile = JweProfile(
        kind="jwe",
        signed=signed,
        bank_encryption_certificates=(f"file:{own}.crt",),
        decryption_keys=(workshop.decryption_key(own),),
    )
    return jose_jwe_profile.build(profile, workshop.directory, today)


# ---- openssl ----------------------------------------------------------------------------------------------------------

PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
@pytest.mark.parametrize("algorithm", OWNERS)
@pytest.mark.parametrize("form", ["compact", "detached", "not encoded"])
def test_openssl_verifies_what_we_sign(workshop: Workshop, tmp_path: Path, algorithm: str, form: str) -> None:
    own = OWNERS[algorithm]
    how = {"form": "compact" if form == "compact" else "detached", "encoded_payload": form != "not encoded"}
    message = sealed(jws_seal(workshop, own, algorithm=algorithm, **how), CONTENT)
    token = message.split(b"\n")[0] if form != "compact" else message
    header, _, value = token.split(b".")
    signature = decode(value, "the signature")
    if algorithm.startswith("ES"):
        half = len(signature) // 2
        signature = encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    (tmp_path / "signature").write_bytes(signature)
    public = workshop.certificates[own].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    command = ["openssl", "dgst", f"-sha{algorithm[2:]}", *(PSS if algorithm.startswith("PS") else ())]
    command += ["-verify", str(tmp_path / "public.pem"), "-signature", str(tmp_path / "signature")]

    def verifies(signed: bytes) -> bool:
        return subprocess.run(command, input=signed, capture_output=True, check=False).returncode == 0

    payload = CONTENT if form == "not encoded" else encode(CONTENT)
    assert verifies(header + b"." + payload)
    assert not verifies(header + b"." + payload + b"x")


# ---- jwcrypto ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def jwcrypto() -> Any:
    return pytest.importorskip("jwcrypto", reason="needs the package jwcrypto")


def jwk_of(workshop: Workshop, own: str) -> Any:
    from jwcrypto import jwk

    return jwk.JWK.from_pem((workshop.directory / f"{own}.key").read_bytes(), PASSPHRASE.encode())


@pytest.mark.usefixtures("jwcrypto")
@pytest.mark.parametrize("algorithm", OWNERS)
@pytest.mark.parametrize("form", ["compact", "detached", "not encoded"])
def test_jwcrypto_verifies_what_we_sign(workshop: Workshop, algorithm: str, form: str) -> None:
    from jwcrypto import jws

    own = OWNERS[algorithm]
    how = {"form": "compact" if form == "compact" else "detached", "encoded_payload": form != "not encoded"}
    message = sealed(jws_seal(workshop, own, algorithm=algorithm, key_id="k", **how), CONTENT)
    token = jws.JWS()
    token.allowed_algs = [algorithm]
    if form == "compact":
        token.deserialize(message.decode(), jwk_of(workshop, own))
        assert token.payload == CONTENT
        return
    signature, body = split_detached(message)
    token.deserialize(signature)
    token.verify(jwk_of(workshop, own), detached_payload=body)
    with pytest.raises(jws.InvalidJWSSignature):
        token.verify(jwk_of(workshop, own), detached_payload=body + b"x")


@pytest.mark.usefixtures("jwcrypto")
@pytest.mark.parametrize("algorithm", OWNERS)
@pytest.mark.parametrize("form", ["compact", "detached", "not encoded"])
def test_we_open_what_jwcrypto_signs(workshop: Workshop, algorithm: str, form: str) -> None:
    from jwcrypto import jws

    own = OWNERS[algorithm]
    header: dict[str, Any] = {"alg": algorithm, "kid": "theirs", "typ": "JOSE"}
    if form == "not encoded":
        header |= {"b64": False, "crit": ["b64"]}
    token = jws.JWS(CONTENT)
    token.allowed_algs = [algorithm]
    token.add_signature(jwk_of(workshop, own), None, json.dumps(header), None)
    if form != "compact":
        token.detach_payload()
    text = token.serialize(compact=True)
    seal = jws_seal(workshop, own, form="compact" if form == "compact" else "detached")
    message = text.encode() if form == "compact" else join_detached(text, CONTENT)
    assert opened(seal, message) == CONTENT
    other = jws_seal(workshop, "us-ec" if own != "us-ec" else "us", form="compact" if form == "compact" else "detached")
    with pytest.raises(BadSeal):
        opened(other, message)


@pytest.mark.usefixtures("jwcrypto")
@pytest.mark.parametrize("own", ["us", "us-ec", "bank-ec"])
def test_jwcrypto_decrypts_what_we_encrypt(workshop: Workshop, own: str) -> None:
    from jwcrypto import jwe

    message = sealed(jwe_seal(workshop, own), CONTENT)
    token = jwe.JWE(algs=["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(message.decode(), jwk_of(workshop, own))
    assert token.payload == CONTENT


@pytest.mark.usefixtures("jwcrypto")
@pytest.mark.parametrize(
    ("own", "algorithm"), [("us", "RSA-OAEP-256"), ("us-ec", "ECDH-ES+A256KW"), ("bank-ec", "ECDH-ES+A256KW")]
)
@pytest.mark.parametrize("parties", [{}, {"apu": "QWxpY2U", "apv": "Qm9i"}], ids=["plain", "with parties"])
def test_we_open_what_jwcrypto_encrypts(workshop: Workshop, own: str, algorithm: str, parties: dict[str, str]) -> None:
    from jwcrypto import jwe

    header = json.dumps({"alg": algorithm, "enc": "A256GCM"} | parties)
    token = jwe.JWE(CONTENT, header, algs=[algorithm, "A256GCM"])
    token.add_recipient(jwk_of(workshop, own))
    assert opened(jwe_seal(workshop, own), token.serialize(compact=True).encode()) == CONTENT


@pytest.mark.usefixtures("jwcrypto")
def test_nested_messages_go_both_ways(workshop: Workshop) -> None:
    from jwcrypto import jwe, jws

    seal = jwe_seal(workshop, "us", jws_table("us", algorithm="PS256"))
    outer = jwe.JWE(algs=["RSA-OAEP-256", "A256GCM"])
    outer.deserialize(sealed(seal, CONTENT).decode(), jwk_of(workshop, "us"))
    inner = jws.JWS()
    inner.allowed_algs = ["PS256"]
    inner.deserialize(outer.payload.decode(), jwk_of(workshop, "us"))
    assert inner.payload == CONTENT
    theirs = jwe.JWE(outer.payload, json.dumps({"alg": "RSA-OAEP-256", "enc": "A256GCM"}), algs=["RSA-OAEP-256", "A256GCM"])
    theirs.add_recipient(jwk_of(workshop, "us"))
    assert opened(seal, theirs.serialize(compact=True).encode()) == CONTENT


@pytest.mark.usefixtures("jwcrypto")
def test_weak_messages_of_jwcrypto_are_refused(workshop: Workshop) -> None:
    from jwcrypto import jwe, jwk, jws

    secret = jwk.JWK(kty="oct", k=encode((workshop.directory / "us.crt").read_bytes()).decode())
    confused = jws.JWS(CONTENT)
    confused.add_signature(secret, None, json.dumps({"alg": "HS256"}), None)
    with pytest.raises(BadSeal, match=r"algorithm\.refused"):
        opened(jws_seal(workshop, "us"), confused.serialize(compact=True).encode())
    for algorithm, encryption in (("RSA1_5", "A256GCM"), ("RSA-OAEP", "A256GCM"), ("RSA-OAEP-256", "A256CBC-HS512")):
        token = jwe.JWE(CONTENT, json.dumps({"alg": algorithm, "enc": encryption}), algs=[algorithm, encryption])
        token.add_recipient(jwk_of(workshop, "us"))
        with pytest.raises(BadSeal, match=r"algorithm\.refused"):
            opened(jwe_seal(workshop, "us"), token.serialize(compact=True).encode())
