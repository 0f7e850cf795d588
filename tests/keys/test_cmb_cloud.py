"""The seal of CMB 云直联: the whole vector of its notes to the byte, openssl as a witness, and what is not believed."""

import base64
import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys import cmb_cloud_profile, sm, sm_curve, store
from keys.cmb_cloud import PLACEHOLDER, CmbCloudKeys, CmbCloudSeal, canonical, padded, parsed
from keys.profiles import build_seal, certificates, check, parse_profile
from keys.seal import BadSeal, KeyUnavailable
from keys.sm import Sm4Key, SmPrivateKey, raw_signature, sm3, sm4_decrypt, sm4_encrypt
from keys.sm_keys import encrypted_pem, identity, public_pem
from tests.keys.sealing import code_of, later, opened, sealed, today
from tests.keys.sm_workshop import ITERATIONS, NEEDS, NEEDS_REASON, PASSPHRASE, SmWorkshop, openssl, valid_now

pytestmark = pytest.mark.skipif(NEEDS, reason=NEEDS_REASON)

UID = "N123456789"
SECRET = b"0123456789abcdef"
NUMBER = bytes.fromhex("a05c76ef1c3dc603749cff805c92f0ccdbbe21dc1bb581e343c6c7881e520d23")
NONCE = 0x6E57FCA8DC93E0577C0AF2195CBB8376D2F78776784C912DC62282D37C4E2667
PUBLIC = (
    "04cde386e4bdbd55193f9f3c97b9dc5a0ba3feaffe89e38015f04e19e5b17e0b29"
    "66caf84ddd96688f776e78d361ed4b7ce83406a736674a5fbf85b3b407da4cc0"
)
TEXT = (
    '{"request":{"body":{"bb1payqrx1":[{"busCod":"N02030","yurRef":"GW20260101000001"}]},"head":{"funcode":"BB1PAYQR",'
    '"reqid":"2026010112000000012345","userid":"N123456789"}},"signature":{"sigdat":"__signature_sigdat__",'
    '"sigtim":"20260101120000"}}'
)
SIGDAT = "yLKJiPTHT66plOnGKa8mxSXlDPEaeTeJQI7X9B/BNWEI1RV9nuJas5BOHs1abFPFXVbp7MAYaiQuR1peYSWo3g=="
DATA_SM3 = "cb185b69b1e3a8bbc0d7128219f0eeb27d1846d1ff2ad7d6dd9921a85f159c50"


class FixedNonce(SmPrivateKey):
    """Signs with a k that everybody knows: for the vector, and nowhere else. The numbers are those of GB/T 32918.2, 6.1."""

    __slots__ = ()

    def sign_digest(self, digest: bytes) -> bytes:
        d, n = int.from_bytes(self.number(), "big"), sm_curve.N
        x, _ = sm_curve.public_of(NONCE, 0)
        r = (int.from_bytes(digest, "big") + x) % n
        s = pow(1 + d, -1, n) * (NONCE - r * d) % n
        return sm.der_signature(sm_curve.packed(r, s))


def keys_of(signing: SmPrivateKey, *banks: SmPrivateKey, uid: str = UID, bank_uid: str = UID) -> CmbCloudKeys:
    return CmbCloudKeys(
        user_id=padded(uid),
        bank_user_id=padded(bank_uid),
        signing=signing,
        bank=tuple(identity("the bank", public_pem(bank.public)) for bank in banks),
        secret=Sm4Key(SECRET),
    )


@pytest.fixture(scope="module")
def ours() -> SmPrivateKey:
    return sm.new_private_key(store.random_bytes)


@pytest.fixture(scope="module")
def theirs() -> SmPrivateKey:
    return sm.new_private_key(store.random_bytes)


@pytest.fixture(scope="module")
def seal(ours: SmPrivateKey, theirs: SmPrivateKey) -> CmbCloudSeal:
    return CmbCloudSeal(lambda: keys_of(ours, theirs), today)


@pytest.fixture(scope="module")
def bank(theirs: SmPrivateKey) -> Callable[..., bytes]:
    """What the bank sends: a text signed over, with or without sorted keys, and encrypted."""

    def reply(text: str, *, over: str | None = None, key: SmPrivateKey = theirs, uid: str = UID) -> bytes:
        signature = base64.b64encode(sm.sign((over or text).encode(), key, padded(uid), "raw")).decode()
        return encrypted(text.replace(PLACEHOLDER, signature))

    return reply


def encrypted(text: str) -> bytes:
    return base64.b64encode(sm4_encrypt(text.encode(), Sm4Key(SECRET), "cbc", padded(UID)))


# ---- the vector -------------------------------------------------------------------------------------------------------


def test_the_vector_from_its_text_to_the_form_field() -> None:
    key = FixedNonce("the vector's", NUMBER, store.random_bytes)
    assert key.public.point.hex() == PUBLIC[2:]
    data = sealed(CmbCloudSeal(lambda: keys_of(key, key), today), TEXT.encode())
    assert data.startswith(b"GL2OKeesNXsHeqJ5p7VVASB6GshohmMmBYrocZs0pL6ciP0J")
    raw = base64.b64decode(data)
    assert len(raw) == 320
    assert sm3(raw).hex() == DATA_SM3
    assert sm4_decrypt(raw, Sm4Key(SECRET), "cbc", b"N123456789000000").decode() == TEXT.replace(PLACEHOLDER, SIGDAT)


def test_the_vector_is_opened_by_whoever_knows_its_public_key(ours: SmPrivateKey) -> None:
    signed = TEXT.replace(PLACEHOLDER, SIGDAT)
    keys = keys_of(ours, SmPrivateKey("the vector's", NUMBER, store.random_bytes))
    assert opened(CmbCloudSeal(lambda: keys, today), encrypted(signed)).decode() == signed


def test_openssl_decrypts_and_verifies_what_we_seal(seal: CmbCloudSeal, ours: SmPrivateKey, tmp_path: Path) -> None:
    data = sealed(seal, TEXT.encode())
    how = ("enc", "-d", "-sm4-cbc", "-K", SECRET.hex(), "-iv", b"N123456789000000".hex())
    text = openssl(*how, content=base64.b64decode(data)).decode()
    sigdat = json.loads(text)["signature"]["sigdat"]
    (tmp_path / "content").write_text(text.replace(sigdat, PLACEHOLDER), encoding="utf-8")
    (tmp_path / "signature").write_bytes(sm.der_signature(base64.b64decode(sigdat)))
    (tmp_path / "public").write_bytes(public_pem(ours.public))
    paths = ("-in", str(tmp_path / "content"), "-sigfile", str(tmp_path / "signature"), "-inkey", str(tmp_path / "public"))
    how = ("pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:N123456789000000", "-pubin")
    assert b"Successfully" in openssl(*how, *paths)


def test_we_open_what_openssl_signs_and_encrypts(tmp_path: Path) -> None:
    workshop = SmWorkshop(tmp_path)
    workshop.party("bank")
    (tmp_path / "content").write_text(TEXT, encoding="utf-8")
    how = ("pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:N123456789000000")
    signature = openssl(*how, "-inkey", str(tmp_path / "bank.clear"), "-in", str(tmp_path / "content"))
    text = TEXT.replace(PLACEHOLDER, base64.b64encode(raw_signature(signature)).decode())
    data = openssl("enc", "-sm4-cbc", "-K", SECRET.hex(), "-iv", b"N123456789000000".hex(), content=text.encode())
    keys = keys_of(workshop.keys["bank"], workshop.keys["bank"])
    assert opened(CmbCloudSeal(lambda: keys, today), base64.b64encode(data)).decode() == text


# ---- what is signed ---------------------------------------------------------------------------------------------------


def test_keys_are_sorted_at_every_level_and_nothing_is_escaped_that_need_not_be() -> None:
    value = parsed('{"b":[{"Z":"a < b & c/d","a":"甲 \\u4e59"}],"B":1.10,"a":{"y":-0,"x":true,"w":null,"v":1e3}}')
    assert canonical(value) == '{"B":1.10,"a":{"v":1e3,"w":null,"x":true,"y":-0},"b":[{"Z":"a < b & c/d","a":"甲 乙"}]}'


def test_a_request_is_signed_sorted_however_it_was_written(seal: CmbCloudSeal, ours: SmPrivateKey) -> None:
    loose = json.dumps(json.loads(TEXT), indent=1)
    text = sm4_decrypt(base64.b64decode(sealed(seal, loose.encode())), Sm4Key(SECRET), "cbc", padded(UID)).decode()
    sigdat = json.loads(text)["signature"]["sigdat"]
    assert text.replace(sigdat, PLACEHOLDER) == TEXT
    assert sm.verify(base64.b64decode(sigdat), TEXT.encode(), ours.public, padded(UID), "raw")


def test_spaces_and_a_placeholder_in_a_remark_stay_as_they_are(seal: CmbCloudSeal) -> None:
    remark = 'two  spaces, "sigdat":"__signature_sigdat__" and __signature_sigdat__'
    value = json.loads(TEXT)
    value["request"]["body"] = {"nusAge": remark}
    text = sm4_decrypt(base64.b64decode(sealed(seal, json.dumps(value).encode())), Sm4Key(SECRET), "cbc", padded(UID))
    assert json.loads(text)["request"]["body"]["nusAge"] == remark
    assert json.loads(text)["signature"]["sigdat"] != PLACEHOLDER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "no json",
        TEXT.replace("sigdat", "other"),
        TEXT.replace('"body":{', '"body":{"sigdat":"__signature_sigdat__",'),
    ],
)
def test_a_request_without_one_place_for_a_signature_is_not_sealed(seal: CmbCloudSeal, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sealed(seal, text.encode())


# ---- what is believed -------------------------------------------------------------------------------------------------

REPLY = (
    '{"response":{"head":{"resultcode":"SUC0000","bizcode":""},"body":{"b":"甲 乙","a":1.10}},'
    '"signature":{"sigtim":"20260101120001","sigdat":"__signature_sigdat__"}}'
)


def test_a_reply_is_believed_as_it_came_or_with_sorted_keys(seal: CmbCloudSeal, bank: Callable[..., bytes]) -> None:
    for over in (REPLY, canonical(parsed(REPLY))):
        text = opened(seal, bank(REPLY, over=over)).decode()
        assert json.loads(text)["response"]["body"] == {"b": "甲 乙", "a": 1.1}
    wrapped = bank(REPLY)
    assert opened(seal, b"\r\n".join(wrapped[at : at + 76] for at in range(0, len(wrapped), 76)) + b"\n")


def test_an_escaped_slash_in_the_signature_is_still_the_signature(seal: CmbCloudSeal, theirs: SmPrivateKey) -> None:
    for _ in range(50):  # a signature with a slash: nearly every one has
        signature = base64.b64encode(sm.sign(REPLY.encode(), theirs, padded(UID), "raw")).decode()
        if "/" in signature:
            break
    assert opened(seal, encrypted(REPLY.replace(PLACEHOLDER, signature.replace("/", "\\/"))))


def test_what_the_bank_did_not_sign_is_not_believed(
    seal: CmbCloudSeal, bank: Callable[..., bytes], ours: SmPrivateKey, theirs: SmPrivateKey
) -> None:
    altered = bank(REPLY.replace("SUC0000", "SUC0001"), over=REPLY)
    assert code_of(seal, altered) == "signature.invalid"
    assert code_of(seal, bank(REPLY, key=ours)) == "signature.invalid"
    assert code_of(seal, bank(REPLY, uid="N987654321")) == "signature.invalid"
    assert code_of(seal, bank(REPLY, over=REPLY.replace(PLACEHOLDER, ""))) == "signature.invalid"
    assert code_of(seal, encrypted(REPLY)) == "structure", "the placeholder is no signature"
    twice = REPLY.replace('"bizcode":""', '"resultcode":"SUC0000"')
    assert code_of(seal, bank(twice)) == "structure", "which of the two was signed?"
    two = REPLY.replace('"b":"甲 乙"', '"sigdat":"x"')
    assert code_of(seal, bank(two)) == "structure"
    assert code_of(CmbCloudSeal(lambda: keys_of(ours, theirs, bank_uid="BANK"), today), bank(REPLY)) == "signature.invalid"


def test_another_user_id_of_the_bank_can_be_told(bank: Callable[..., bytes], ours: SmPrivateKey, theirs: SmPrivateKey) -> None:
    keys = keys_of(ours, theirs, bank_uid="BANK")
    assert opened(CmbCloudSeal(lambda: keys, today), bank(REPLY, uid="BANK"))


def test_each_key_of_a_change_of_keys_is_believed(bank: Callable[..., bytes], ours: SmPrivateKey, theirs: SmPrivateKey) -> None:
    keys = keys_of(ours, ours, theirs)
    for key in (ours, theirs):
        assert opened(CmbCloudSeal(lambda: keys, today), bank(REPLY, key=key))


@pytest.mark.parametrize(
    "message",
    [b"", b"CDCServer: ErrMsg:IP is not allowed", b"AAAA", b"=" * 40, b"{}", base64.b64encode(bytes(32)), "甲".encode()],
)
def test_what_is_no_sealed_reply_is_refused_by_name(seal: CmbCloudSeal, message: bytes) -> None:
    assert code_of(seal, message) in {"structure", "decryption.failed"}


@pytest.mark.parametrize(
    "text", ["[]", '"x"', "{}", '{"signature":1}', '{"signature":{"sigdat":7}}', "[" * 100_000, '{"a":' * 2_000]
)
def test_what_is_no_signed_object_is_refused_by_name(seal: CmbCloudSeal, text: str) -> None:
    assert code_of(seal, encrypted(text)) == "structure"


@settings(max_examples=60)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_altered_reply_is_opened(seal: CmbCloudSeal, bank: Callable[..., bytes], place: int, bit: int) -> None:
    raw = bytearray(base64.b64decode(bank(REPLY)))
    raw[place % len(raw)] ^= 1 << bit
    with pytest.raises(BadSeal):
        opened(seal, base64.b64encode(raw))


# ---- the profile ------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path, ours: SmPrivateKey, theirs: SmPrivateKey) -> Path:
    pem = encrypted_pem(ours, PASSPHRASE.encode(), store.random_bytes, iterations=ITERATIONS)
    files = {"us.key": pem, "word": PASSPHRASE.encode(), "user": SECRET + b"\n", "bank.pub": public_pem(theirs.public)}
    files |= {"bank.b64": base64.b64encode(b"\x04" + theirs.public.point), "short": b"0123"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def table(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "cmb_cloud",
        "uid": UID,
        "signing_key": "file:us.key",
        "signing_key_passphrase": "file:word",
        "user_key": "file:user",
        "bank_signing_certificates": ["file:bank.b64"],
    } | changes


@pytest.mark.parametrize("public", ["file:bank.b64", "file:bank.pub"])
def test_a_table_makes_the_seal(directory: Path, bank: Callable[..., bytes], public: str) -> None:
    built = build_seal(parse_profile(table(bank_signing_certificates=[public])), directory, today)
    assert built.kind == "cmb_cloud"
    assert opened(built, bank(REPLY))
    assert sealed(built, TEXT.encode())


def test_nothing_is_opened_before_its_time(directory: Path) -> None:
    built = build_seal(parse_profile(table(signing_key="file:absent")), directory, today)
    with pytest.raises(KeyUnavailable, match="absent"):
        sealed(built, TEXT.encode())


def test_what_would_keep_it_from_working_is_named(directory: Path) -> None:
    def found(*, open_keys: bool = True, **changes: Any) -> tuple[str, ...]:
        return check(parse_profile(table(**changes)), directory, valid_now(), open_keys=open_keys)

    assert found() == ()
    assert found(open_keys=False, signing_key="file:absent", user_key="file:absent") == ()
    (problem,) = found(user_key="file:short")
    assert "user_key" in problem
    assert "16 characters" in problem
    assert "0123" not in problem
    assert found(signing_key="file:absent")[0].startswith("signing_key: file:absent")
    assert found(bank_signing_certificates=["file:word"])[0].startswith("bank_signing_certificates: file:word")


def test_every_mistake_in_a_table_is_named() -> None:
    wrong = table(uid="N1234567890123456", user_key="0123456789abcdef", bank_signing_certificates=[], surplus=1)
    with pytest.raises(ValidationError) as refused:
        parse_profile(wrong)
    named = {".".join(map(str, error["loc"])) for error in refused.value.errors()}
    assert {name.removeprefix("cmb_cloud.") for name in named} == {"uid", "user_key", "bank_signing_certificates", "surplus"}
    assert SECRET.decode() not in str(refused.value)


def test_a_certificate_of_the_bank_ends_and_is_told(tmp_path: Path) -> None:
    workshop = SmWorkshop(tmp_path)
    workshop.party("bank")
    profile = parse_profile(table(bank_signing_certificates=["file:bank.crt"]))
    assert isinstance(profile, cmb_cloud_profile.CmbCloudProfile)
    assert [name for name, _ in certificates(profile, tmp_path)] == ["file:bank.crt"]
    assert isinstance(certificates(profile, tmp_path)[0][1], datetime)
    pinned = identity("bank.crt", (tmp_path / "bank.crt").read_bytes())
    keys = CmbCloudKeys(
        user_id=padded(UID),
        bank_user_id=padded(UID),
        signing=workshop.keys["bank"],
        bank=(pinned,),
        secret=Sm4Key(SECRET),
    )
    signature = base64.b64encode(sm.sign(REPLY.encode(), workshop.keys["bank"], padded(UID), "raw")).decode()
    reply = encrypted(REPLY.replace(PLACEHOLDER, signature))
    assert opened(CmbCloudSeal(lambda: keys, valid_now), reply)
    assert code_of(CmbCloudSeal(lambda: keys, later(4000)), reply) == "signer.expired"


def test_what_is_secret_is_shown_by_nothing(seal: CmbCloudSeal, ours: SmPrivateKey, theirs: SmPrivateKey) -> None:
    assert SECRET.decode() not in repr(keys_of(ours, theirs))
    out = io.BytesIO()
    seal.seal(io.BytesIO(TEXT.encode()), out)
    assert SECRET not in out.getvalue()
