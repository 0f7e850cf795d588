"""JWS and JWE: every form, and what must not open."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys import jose_jwe, jose_jwe_profile, jose_jws_profile, profiles
from keys.jose_jwe_profile import JweProfile
from keys.jose_jws import join_detached, split_detached
from keys.jose_jws_profile import JwsProfile
from keys.jose_parts import decode, encode, read_header, write_header
from keys.seal import BadSeal, KeyUnavailable, SealError
from tests.keys.workshop import NOW, Workshop, code_of, later, opened, sealed, today

pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")

CONTENT = '{"amount":"10.00","name":"Café"}\r\n'.encode()


def table(own: str, bank: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "jws",
        "signing_key": f"file:{own}.key",
        "signing_key_passphrase": "file:passphrase",
        "signing_certificate": f"file:{own}.crt",
        "bank_signing_certificates": [f"file:{bank}.crt"],
    } | changes


def jws(shop: Workshop, own: str, bank: str, *, clock: Callable[[], Any] = today, **changes: Any) -> Any:
    """The seal of `own` towards `bank`; the same one each time."""
    key = ("jws", own, bank, clock, repr(sorted(changes.items())))
    if key not in shop.seals:
        shop.seals[key] = jose_jws_profile.build(JwsProfile(**table(own, bank, **changes)), shop.directory, clock)
    return shop.seals[key]


def jwe(shop: Workshop, own: str, bank: str, *, signed: Any = None, clock: Callable[[], Any] = today, **changes: Any) -> Any:
    key = ("jwe", own, bank, clock, repr(signed), repr(sorted(changes.items())))
    if key not in shop.seals:
        words = {
            "kind": "jwe",
            "signed": table(own, bank, algorithm=ALGORITHMS[own]) if signed is None else signed,
            "bank_encryption_certificates": [f"file:{bank}.crt"],
            "decryption_keys": [shop.decryption_key(own)],
        } | changes
        shop.seals[key] = jose_jwe_profile.build(JweProfile(**words), shop.directory, clock)
    return shop.seals[key]


ALGORITHMS = {"us": "PS256", "bank": "RS256", "us-ec": "ES256", "bank-ec": "ES384"}
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("us", {}),
    ("us", {"algorithm": "RS256", "key_id": "k-1", "certificate": "thumbprint"}),
    ("us", {"algorithm": "RS512", "certificate": "chain"}),
    ("us", {"algorithm": "PS384", "form": "detached"}),
    ("us", {"algorithm": "PS512", "form": "detached", "encoded_payload": False}),
    ("us-ec", {"algorithm": "ES256", "form": "detached", "encoded_payload": False, "key_id": "x"}),
    ("bank-ec", {"algorithm": "ES384", "headers": {"typ": "JOSE", "cty": "json"}}),
    (
        "us-ec",
        {
            "algorithm": "ES256",
            "form": "detached",
            "headers": {"http://bank.example/iss": "us"},
            "critical_headers": ["http://bank.example/iss"],
            "understood_headers": ["http://bank.example/iss"],
        },
    ),
]


@pytest.mark.parametrize(("own", "changes"), FORMS)
@pytest.mark.parametrize("content", [CONTENT, b".", bytes(range(256))], ids=["json", "dot", "bytes"])
def test_what_is_signed_opens(workshop: Workshop, own: str, changes: dict[str, Any], content: bytes) -> None:
    seal = jws(workshop, own, own, **changes)
    assert opened(seal, sealed(seal, content)) == content


def test_an_empty_payload_can_be_detached_but_not_be_told_from_a_missing_one(workshop: Workshop) -> None:
    for encoded in (True, False):
        detached = jws(workshop, "us", "us", form="detached", encoded_payload=encoded)
        assert opened(detached, sealed(detached, b"")) == b""
    compact = jws(workshop, "us", "us")
    assert code_of(compact, sealed(compact, b"")) == "content.missing"


def test_a_detached_message_is_a_header_and_a_body(workshop: Workshop) -> None:
    seal = jws(workshop, "us", "us", form="detached", encoded_payload=False)
    signature, body = split_detached(sealed(seal, CONTENT))
    assert body == CONTENT
    assert signature.split(".")[1] == ""
    assert read_header(signature.split(".")[0].encode()) == {"alg": "PS256", "b64": False, "crit": ["b64"]}
    assert opened(seal, join_detached(signature, body)) == CONTENT


PARTIES = [("us", "bank"), ("us-ec", "bank"), ("us", "bank-ec"), ("us-ec", "bank-ec")]


@pytest.mark.parametrize(("own", "bank"), PARTIES)
def test_what_is_signed_and_encrypted_opens_at_the_other_side(workshop: Workshop, own: str, bank: str) -> None:
    message = sealed(jwe(workshop, own, bank, key_id="theirs", with_thumbprint=True), CONTENT)
    assert message.count(b".") == 4
    assert opened(jwe(workshop, bank, own), message) == CONTENT


def test_encrypted_only_where_the_profile_says_so(workshop: Workshop) -> None:
    message = sealed(jwe(workshop, "us", "bank", signed="nothing"), CONTENT)
    assert opened(jwe(workshop, "bank", "us", signed="nothing"), message) == CONTENT
    assert code_of(jwe(workshop, "bank", "us"), message) == "structure"


# ---- signatures that must not hold ------------------------------------------------------------------------------------


def refusal(shop: Workshop, message: bytes, **changes: Any) -> BadSeal:
    """How one who has pinned "us-ec" refuses it."""
    with pytest.raises(BadSeal) as refused:
        opened(jws(shop, "us", "us-ec", **changes), message)
    return refused.value


@pytest.fixture(scope="module")
def compact(workshop: Workshop) -> bytes:
    return sealed(jws(workshop, "us-ec", "us-ec", algorithm="ES256", certificate="thumbprint"), CONTENT)


def with_header(message: bytes, **header: Any) -> bytes:
    first, rest = message.split(b".", 1)
    return write_header({**read_header(first), **header}) + b"." + rest


def signed_as(shop: Workshop, header: dict[str, Any], payload: bytes = b"x") -> bytes:
    """A message by "us-ec" whose signature is right, whatever its header says."""
    from keys.algorithms import SignatureScheme
    from keys.wire import to_wire

    scheme, key = SignatureScheme("ecdsa", "sha256"), shop.keys["us-ec"]
    text = write_header(header) + b"." + encode(payload)
    return text + b"." + encode(to_wire(scheme, key.public_key, key.sign(scheme, text)))


def test_a_message_made_by_hand_opens(workshop: Workshop, compact: bytes) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(jws(workshop, "us", "us-ec"), signed_as(workshop, {"alg": "ES256", "typ": "JWS"})) == b"x"
    assert opened(jws(workshop, "us", "us-ec"), compact) == CONTENT


def test_no_altered_byte_goes_unnoticed(workshop: Workshop, compact: bytes) -> None:
    seal = jws(workshop, "us", "us-ec")
    for at in range(len(compact)):
        for mask in (0x01, 0x20):
            altered = compact[:at] + bytes((compact[at] ^ mask,)) + compact[at + 1 :]
            assert code_of(seal, altered), at


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.one_of(st.binary(max_size=80), st.text("eyJ.hbGci0", max_size=60).map(str.encode)))
def test_anything_at_all_is_refused_by_name(workshop: Workshop, message: bytes) -> None:
    assert code_of(jws(workshop, "us", "us-ec"), message) in {"structure", "algorithm.refused", "content.missing"}
    assert code_of(jws(workshop, "us", "us-ec", form="detached"), message) in {"structure", "algorithm.refused"}
    assert code_of(jwe(workshop, "us", "bank"), message) in {"structure", "algorithm.refused", "encryption.missing"}


def test_a_message_cut_anywhere_is_refused(workshop: Workshop, compact: bytes) -> None:
    assert all(code_of(jws(workshop, "us", "us-ec"), compact[:length]) for length in range(len(compact)))


def test_no_signature_is_no_signature(workshop: Workshop) -> None:
    for name in ("none", "None", "NONE"):
        message = write_header({"alg": name}) + b"." + encode(CONTENT) + b"."
        refused = refusal(workshop, message)
        assert refused.code == "algorithm.refused"
        assert "no signature" in refused.detail


def test_a_public_key_is_no_shared_secret(workshop: Workshop) -> None:
    """Algorithm confusion: HMAC with the bank's public key, in each form an attacker has it."""
    key = workshop.keys["us-ec"].public_key
    forms = [key.public_bytes(form, PublicFormat.SubjectPublicKeyInfo) for form in (Encoding.PEM, Encoding.DER)]
    forms.append(workshop.certificates["us-ec"].public_bytes(Encoding.PEM))
    for secret in forms:
        text = write_header({"alg": "HS256"}) + b"." + encode(CONTENT)
        message = text + b"." + encode(hmac.new(secret, text, hashlib.sha256).digest())
        refused = refusal(workshop, message)
        assert refused.code == "algorithm.refused"
        assert "shared secret (HS256)" in refused.detail


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES384", "ES512"])
def test_an_algorithm_of_another_key_is_refused(workshop: Workshop, compact: bytes, algorithm: str) -> None:
    """Accepted in general, but not with this key or not on its curve."""
    assert refusal(workshop, with_header(compact, alg=algorithm)).code == "algorithm.refused"


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256K", "HS512", "RSA1_5", "", None, 1, ["ES256"]])
def test_an_unknown_algorithm_is_refused(workshop: Workshop, algorithm: Any) -> None:
    assert refusal(workshop, signed_as(workshop, {"alg": algorithm})).code == "algorithm.refused"


def test_only_the_algorithms_of_the_profile_are_taken(workshop: Workshop, compact: bytes) -> None:
    assert refusal(workshop, compact, accepted_algorithms=["ES384"]).code == "algorithm.refused"


def test_the_keys_a_message_brings_along_are_not_looked_at(workshop: Workshop) -> None:
    """Signed by another, whose key and certificate stand in the header."""
    other = sealed(jws(workshop, "other-ec", "other-ec", algorithm="ES256", certificate="chain"), CONTENT)
    assert refusal(workshop, other).code == "signature.invalid"
    named = sealed(jws(workshop, "other-ec", "other-ec", algorithm="ES256", certificate="thumbprint"), CONTENT)
    assert refusal(workshop, named).code == "signer.unknown"
    urls = signed_as(workshop, {"alg": "ES256", "jku": "https://attacker.example/keys", "x5u": "https://attacker.example/x"})
    assert opened(jws(workshop, "us", "us-ec"), urls) == b"x"


@pytest.fixture(autouse=True, scope="module")
def _another(workshop: Workshop) -> None:
    workshop.party("other-ec", "ec-p256")


CRITICAL: dict[str, tuple[dict[str, Any], str]] = {
    "not understood": ({"exp": 1, "crit": ["exp"]}, "header.critical"),
    "absent": ({"crit": ["exp"]}, "structure"),
    "empty": ({"crit": []}, "structure"),
    "no list": ({"exp": 1, "crit": "exp"}, "structure"),
    "twice": ({"b64": True, "crit": ["b64", "b64"]}, "structure"),
    "a standard one": ({"kid": "1", "crit": ["kid"]}, "header.critical"),
    "b64 that is not critical": ({"b64": False}, "structure"),
    "b64 that is no boolean": ({"b64": "false", "crit": ["b64"]}, "structure"),
    "not encoded but attached": ({"b64": False, "crit": ["b64"]}, "structure"),
}


@pytest.mark.parametrize("name", CRITICAL)
def test_critical_headers(workshop: Workshop, name: str) -> None:
    header, code = CRITICAL[name]
    assert refusal(workshop, signed_as(workshop, {"alg": "ES256"} | header)).code == code


def test_a_name_that_stands_twice_is_refused(workshop: Workshop) -> None:
    header = encode(b'{"alg":"none","alg":"ES256"}')
    assert refusal(workshop, header + b"." + encode(b"x") + b"." + encode(b"y" * 64)).code == "structure"


def test_detached_payloads_are_verified(workshop: Workshop) -> None:
    for encoded in (True, False):
        how: dict[str, Any] = {"algorithm": "ES256", "form": "detached", "encoded_payload": encoded}
        message = sealed(jws(workshop, "us-ec", "us-ec", **how), CONTENT)
        assert refusal(workshop, message.replace(b"10.00", b"90.00"), form="detached").code == "signature.invalid"
        assert refusal(workshop, message[:-1], form="detached").code == "signature.invalid"
        signature, body = split_detached(message)
        first, _, last = signature.encode().split(b".")
        attached = first + b"." + encode(body) + b"." + last + b"\n" + body.replace(b"10.00", b"90.00")
        assert refusal(workshop, attached, form="detached").code == "structure"


def test_expired_certificates_and_contents_too_large(workshop: Workshop, compact: bytes) -> None:
    assert refusal(workshop, compact, clock=later(900)).code == "signer.expired"
    assert refusal(workshop, compact, content_bytes_max=len(CONTENT) - 1).code == "content.too-large"
    assert refusal(workshop, compact + b"x" * 100_000, content_bytes_max=100).code == "content.too-large"
    with pytest.raises(SealError, match="larger"):
        sealed(jws(workshop, "us", "us", content_bytes_max=3), CONTENT)
    with pytest.raises(KeyUnavailable, match="expired"):
        sealed(jws(workshop, "us", "us", clock=later(900)), CONTENT)
    with pytest.raises(KeyUnavailable, match="does not fit"):
        sealed(jws(workshop, "us-ec", "us-ec", algorithm="ES384"), CONTENT)


# ---- encryption -------------------------------------------------------------------------------------------------------


def test_no_altered_byte_of_an_encrypted_message_goes_unnoticed(workshop: Workshop) -> None:
    message = sealed(jwe(workshop, "us-ec", "bank-ec"), CONTENT)
    seal = jwe(workshop, "bank-ec", "us-ec")
    assert opened(seal, message) == CONTENT
    for at in range(0, len(message), 3):
        altered = message[:at] + bytes((message[at] ^ 0x01,)) + message[at + 1 :]
        assert code_of(seal, altered), at


def test_a_message_for_another_key_is_not_ours(workshop: Workshop) -> None:
    message = sealed(jwe(workshop, "us", "us", signed="nothing"), CONTENT)
    assert code_of(jwe(workshop, "bank", "us", signed="nothing"), message) == "decryption.failed"
    assert code_of(jwe(workshop, "bank-ec", "us", signed="nothing"), message) == "recipient.unknown"
    named = sealed(jwe(workshop, "us", "us", signed="nothing", with_thumbprint=True), CONTENT)
    assert code_of(jwe(workshop, "bank", "us", signed="nothing"), named) == "recipient.unknown"


def test_during_a_rotation_every_decryption_key_is_tried(workshop: Workshop) -> None:
    keys = [workshop.decryption_key("bank"), workshop.decryption_key("us-ec"), workshop.decryption_key("us")]
    message = sealed(jwe(workshop, "us", "us", signed="nothing"), CONTENT)
    assert opened(jwe(workshop, "us", "us", signed="nothing", decryption_keys=keys), message) == CONTENT


def test_signed_by_another_inside_is_refused(workshop: Workshop) -> None:
    message = sealed(jwe(workshop, "us-ec", "bank"), CONTENT)
    assert code_of(jwe(workshop, "bank", "us"), message) == "algorithm.refused"
    other = sealed(jwe(workshop, "us", "bank", signed=table("bank", "bank")), CONTENT)
    assert code_of(jwe(workshop, "bank", "us"), other) == "signature.invalid"


def test_signed_only_is_not_encrypted(workshop: Workshop, compact: bytes) -> None:
    assert code_of(jwe(workshop, "bank", "us-ec"), compact) == "encryption.missing"


def encrypted_as(shop: Workshop, header: dict[str, Any], content: bytes = CONTENT, key: bytes = b"k" * 32) -> bytes:
    """A message for "bank" by hand, with whatever header."""
    public = shop.certificates["bank"].public_key()
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = public.encrypt(key, oaep)  # type: ignore[union-attr]
    first = write_header(header)
    sealed_content = AESGCM(key).encrypt(b"v" * 12, content, first)
    return b".".join([first, *(encode(part) for part in (wrapped, b"v" * 12, sealed_content[:-16], sealed_content[-16:]))])


GOOD = {"alg": "RSA-OAEP-256", "enc": "A256GCM"}
WEAK: dict[str, tuple[dict[str, Any], str]] = {
    "PKCS #1 v1.5": ({"alg": "RSA1_5"}, "algorithm.refused"),
    "OAEP with SHA-1": ({"alg": "RSA-OAEP"}, "algorithm.refused"),
    "a shared key": ({"alg": "dir"}, "algorithm.refused"),
    "a password": ({"alg": "PBES2-HS256+A128KW", "p2s": "x", "p2c": 1}, "algorithm.refused"),
    "no algorithm": ({"alg": None}, "algorithm.refused"),
    "CBC": ({"enc": "A256CBC-HS512"}, "algorithm.refused"),
    "AES-128": ({"enc": "A128GCM"}, "algorithm.refused"),
    "compression": ({"zip": "DEF"}, "algorithm.refused"),
    "a critical header": ({"exp": 1, "crit": ["exp"]}, "header.critical"),
}


def test_a_message_encrypted_by_hand_opens(workshop: Workshop) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(jwe(workshop, "bank", "us", signed="nothing"), encrypted_as(workshop, GOOD)) == CONTENT


@pytest.mark.parametrize("name", WEAK)
def test_weak_encryption_is_refused_by_name(workshop: Workshop, name: str) -> None:
    header, code = WEAK[name]
    assert code_of(jwe(workshop, "bank", "us", signed="nothing"), encrypted_as(workshop, GOOD | header)) == code


def test_a_content_key_of_another_length_ends_like_altered_content(workshop: Workshop) -> None:
    message = encrypted_as(workshop, GOOD, key=b"k" * 16)
    assert code_of(jwe(workshop, "bank", "us", signed="nothing"), message) == "decryption.failed"


@pytest.mark.parametrize(
    "epk",
    [
        None,
        "x",
        {},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        {"kty": "EC", "crv": "secp256k1", "x": "A" * 43, "y": "A" * 43},
    ],
    ids=str,
)
def test_an_ephemeral_key_that_is_none_is_refused(workshop: Workshop, epk: Any) -> None:
    """A point beside the curve would give the private key away, bit by bit (invalid curve attack)."""
    header = write_header({"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "epk": epk})
    message = b".".join([header, *(encode(part) for part in (b"w" * 40, b"v" * 12, b"c", b"t" * 16))])
    assert code_of(jwe(workshop, "us-ec", "bank", signed="nothing"), message) == "structure"


def test_an_ephemeral_key_of_another_curve_ends_like_altered_content(workshop: Workshop) -> None:
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    epk = {"kty": "EC", "crv": "P-384"} | {
        name: encode(number.to_bytes(48, "big")).decode() for name, number in (("x", numbers.x), ("y", numbers.y))
    }
    header = write_header({"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "epk": epk})
    message = b".".join([header, *(encode(part) for part in (b"w" * 40, b"v" * 12, b"c", b"t" * 16))])
    assert code_of(jwe(workshop, "us-ec", "bank", signed="nothing"), message) == "decryption.failed"


def test_key_agreement_is_that_of_the_standard() -> None:
    """RFC 7518, appendix C: the key that Alice derives with Bob's, for direct agreement with A128GCM. The same derivation, with
    other lengths and another name, is what is used here."""
    from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

    def number(text: str) -> int:
        return int.from_bytes(decode(text.encode(), "a number"), "big")

    alice = ec.derive_private_key(number("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"), ec.SECP256R1())
    bob = ec.derive_private_key(number("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"), ec.SECP256R1())
    shared = alice.exchange(ec.ECDH(), bob.public_key())
    information = jose_jwe.other_information(b"A128GCM", b"Alice", b"Bob", 128)
    derived = ConcatKDFHash(hashes.SHA256(), 16, information).derive(shared)
    assert base64.urlsafe_b64encode(derived).rstrip(b"=") == b"VqqN6vgjbSBcIijNcacQGg"


def test_the_bank_certificate_must_be_valid(workshop: Workshop) -> None:
    with pytest.raises(KeyUnavailable, match="expired"):
        sealed(jwe(workshop, "us", "bank", signed="nothing", clock=later(900)), CONTENT)


# ---- profiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "HS256"},
        {"algorithm": "none"},
        {"accepted_algorithms": []},
        {"accepted_algorithms": ["none"]},
        {"encoded_payload": False},
        {"headers": {"alg": "ES256"}},
        {"headers": {"kid": "1"}},
        {"critical_headers": ["absent"]},
        {"signing_certificate": None},
        {"signing_key_passphrase": None},
        {"bank_signing_certificates": []},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_profile_with_a_mistake_is_refused(changes: dict[str, Any]) -> None:
    assert JwsProfile(**table("us", "bank"))
    with pytest.raises(ValidationError):
        JwsProfile(**table("us", "bank", **changes))


def test_the_words_of_a_connection_file_make_these_seals(workshop: Workshop) -> None:
    signed = table("us", "us")
    encrypted = {
        "kind": "jwe",
        "signed": signed,
        "bank_encryption_certificates": ["file:us.crt"],
        "decryption_keys": [workshop.decryption_key("us")],
    }
    for words in (signed, encrypted):
        profile = profiles.parse_profile(words)
        seal = profiles.build_seal(profile, workshop.directory, today)
        assert seal.kind == words["kind"]
        assert opened(seal, sealed(seal, CONTENT)) == CONTENT
        assert profiles.check(profile, workshop.directory, NOW, open_keys=True) == ()
        assert {use for use, _ in profiles.uses(profile)} >= {"signing_certificate", "bank_signing_certificates"}


def test_a_detached_signature_cannot_stand_inside_an_encryption(workshop: Workshop) -> None:
    with pytest.raises(ValidationError, match="compact"):
        jwe(workshop, "us", "bank", signed=table("us", "bank", form="detached"))


def test_profiles_say_what_they_use_and_what_would_not_work(workshop: Workshop) -> None:
    profile = JwsProfile(**table("us-ec", "bank", algorithm="ES256"))
    assert list(jose_jws_profile.problems(profile, workshop.directory, NOW, True)) == []
    wrong = JwsProfile(**table("us-ec", "bank", algorithm="ES384", signing_key="file:us.key"))
    said = "\n".join(jose_jws_profile.problems(wrong, workshop.directory, NOW, True))
    assert "does not fit the kind of key" in said
    assert "does not belong to the certificate" in said
    both = JweProfile(
        kind="jwe",
        signed=JwsProfile(**table("us", "bank")),
        bank_encryption_certificates=("file:bank-ec.crt",),
        decryption_keys=(workshop.decryption_key("us-ec"),),
    )
    assert [use for use, _ in jose_jwe_profile.uses(both)] == [
        *("signing_certificate", "bank_signing_certificates", "bank_encryption_certificates", "decryption_keys")
    ]
    assert list(jose_jwe_profile.problems(both, workshop.directory, NOW, True)) == []
    assert len(list(jose_jwe_profile.problems(both, workshop.directory, NOW.replace(year=2040), True))) == 4


def test_base64url_has_one_spelling() -> None:
    assert decode(b"AA", "it") == b"\x00"
    for text in (b"AB", b"A", b"AA==", b"A+", b"A/", b"A A", b"AA\n", "Ä".encode()):
        with pytest.raises(BadSeal):
            decode(text, "it")


def test_headers_are_small_objects() -> None:
    for text in (encode(b"[]"), encode(b'"x"'), encode(b"{"), encode(b"\xff"), encode(b" " * 20_000), encode(b"[" * 9000)):
        with pytest.raises(BadSeal, match="structure"):
            read_header(text)
    assert json.loads(decode(write_header({"a": "é"}), "it")) == {"a": "é"}
