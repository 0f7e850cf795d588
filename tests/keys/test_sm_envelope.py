"""The seal kind "sm": both directions, what it refuses and with which words, and its profile."""

import io
import os
import tracemalloc
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys import der
from keys.seal import BadSeal, KeyUnavailable, SealError
from keys.sm import Message
from keys.sm_envelope_write import SM2_SIGN, SM3, TYPES, Writing, _Encrypting, identifier
from keys.sm_keys import SmOwnKey, load_identity
from keys.sm_profile import SmProfile, expiries, problems, uses
from tests.keys.sealing import code_of, opened, sealed
from tests.keys.sm_workshop import NEEDS, NEEDS_REASON, SmWorkshop, valid_now

pytestmark = pytest.mark.skipif(NEEDS, reason=NEEDS_REASON)

CONTENT = "<Document>一万元</Document>".encode("gb18030")
CODES = {
    *("structure", "algorithm.refused", "recipient.unknown", "decryption.failed", "encryption.missing", "signature.missing"),
    *("signature.invalid", "signature.several", "signer.unknown", "attributes.missing", "content-type.unexpected"),
    *("content.missing", "content.too-large"),
}
FORMS: list[dict[str, Any]] = [
    {},
    {"content_encryption": "sm4-gcm"},
    {"syntax": "gmt0010"},
    {"encoding": "pem", "include_certificate": False, "include_signing_time": False},
    {"end": "pub"},
    {"end": "pub", "content_encryption": "sm4-gcm"},
    {"end": "pub", "syntax": "gmt0010"},
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> SmWorkshop:
    made = SmWorkshop(tmp_path_factory.mktemp("sm"))
    for name in ("us", "bank", "mallory"):
        made.party(name)
    return made


def later(days: int) -> Any:
    return lambda: valid_now() + timedelta(days=days)


def refusal(workshop: SmWorkshop, message: bytes, **changes: Any) -> BadSeal:
    """How "us" refuses a message that should be from "bank"."""
    with pytest.raises(BadSeal) as refused:
        opened(workshop.seal("us", "bank", **changes), message)
    return refused.value


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize("content", [CONTENT, b"", bytes(16), os.urandom(300_000)], ids=["content", "empty", "block", "large"])
def test_what_is_sealed_opens_again(workshop: SmWorkshop, form: dict[str, Any], content: bytes) -> None:
    end = {"end": form.get("end", "crt")}
    assert opened(workshop.seal("us", "bank", **end), sealed(workshop.seal("bank", "us", **form), content)) == content


def test_every_valid_encryption_certificate_of_the_bank_becomes_a_recipient(workshop: SmWorkshop) -> None:
    message = sealed(workshop.seal("us", "bank", bank_encryption_certificates=["file:mallory.crt", "file:bank.pub"]), CONTENT)
    assert opened(workshop.seal("mallory", "us"), message) == CONTENT
    by_public_key = [{"key": "file:bank.key", "passphrase": "file:passphrase", "certificate": "file:bank.pub"}]
    assert opened(workshop.seal("bank", "us", decryption_keys=by_public_key), message) == CONTENT


def test_user_ids_are_those_of_the_profile(workshop: SmWorkshop) -> None:
    message = sealed(workshop.seal("bank", "us", user_id="N123456789000000"), CONTENT)
    assert opened(workshop.seal("us", "bank", bank_user_id="N123456789000000"), message) == CONTENT
    assert refusal(workshop, message).code == "signature.invalid"


# ---- refused by name --------------------------------------------------------------------------------------------------


class Tail:
    """A padder that ends the content with bytes of the forger's choice."""

    def __init__(self, tail: bytes) -> None:
        self._tail = tail

    def update(self, data: bytes) -> bytes:
        return data

    def finalize(self) -> bytes:
        return self._tail


def forged(workshop: SmWorkshop, inside: bytes, *, gcm: bool = False, padding: bytes | None = None) -> bytes:
    """Any bytes, encrypted for "us"."""
    out = io.BytesIO()
    recipient = load_identity("file:us.crt", workshop.directory)
    signer = SmOwnKey(load_identity("file:bank.crt", workshop.directory), lambda: workshop.keys["bank"])
    writing = Writing(
        signer=signer,
        recipients=(recipient,),
        user_id=b"",
        at=None,
        syntax="cms",
        gcm=gcm,
        with_certificate=False,
        random_bytes=os.urandom,
    )
    encrypting = _Encrypting(out, len(inside), writing)
    if padding is not None:
        encrypting._padder = Tail(padding)  # type: ignore[assignment]
    encrypting.write(inside)
    encrypting.close()
    return out.getvalue()


def signed(
    workshop: SmWorkshop,
    by: str = "bank",
    *,
    named: str | None = None,
    attributes: bool = True,
    digest_algorithm: str = SM3,
    signature_algorithm: str = SM2_SIGN,
    content_type: str = TYPES["cms"].data,
    signatures: int = 1,
    detached: bool = False,
    digest: bytes | None = None,
    content: bytes = CONTENT,
) -> bytes:
    """A SignedData put together piece by piece, right unless told otherwise."""
    from keys.sm import sm3

    key = workshop.keys[by]
    values = {"1.2.840.113549.1.9.3": der.oid(TYPES["cms"].data), "1.2.840.113549.1.9.4": der.tlv(0x04, digest or sm3(content))}
    encoded = sorted(der.sequence(der.oid(kind), der.set_of((value,))) for kind, value in values.items())
    message = Message(key.public)
    message.update(der.set_of(encoded) if attributes else content)
    info = der.sequence(
        der.integer(1),
        identifier(load_identity(f"file:{named or by}.crt", workshop.directory)),
        der.algorithm(digest_algorithm),
        der.tlv(0xA0, *encoded) if attributes else b"",
        der.sequence(der.oid(signature_algorithm)),
        der.tlv(0x04, key.sign_digest(message.digest())),
    )
    inside = der.sequence(
        der.integer(1),
        der.set_of((der.algorithm(digest_algorithm),)),
        der.sequence(der.oid(content_type), b"" if detached else der.tlv(0xA0, der.tlv(0x04, content))),
        der.set_of([info] * signatures),
    )
    return der.sequence(der.oid(TYPES["cms"].signed), der.tlv(0xA0, inside))


def test_a_forgery_without_a_fault_opens(workshop: SmWorkshop) -> None:
    """Else the refusals below would prove nothing."""
    for gcm in (False, True):
        assert opened(workshop.seal("us", "bank"), forged(workshop, signed(workshop), gcm=gcm)) == CONTENT


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"by": "mallory"}, "signer.unknown"),
        ({"by": "mallory", "named": "bank"}, "signature.invalid"),
        ({"digest": bytes(32)}, "signature.invalid"),
        ({"signatures": 2}, "signature.several"),
        ({"signatures": 0}, "signature.missing"),
        ({"detached": True}, "content.missing"),
        ({"content_type": TYPES["cms"].signed}, "content-type.unexpected"),
        ({"digest_algorithm": "2.16.840.1.101.3.4.2.1"}, "algorithm.refused"),
        ({"signature_algorithm": "1.2.840.10045.4.3.2"}, "algorithm.refused"),
        ({"attributes": False}, "attributes.missing"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("gcm", [False, True])
def test_refused(workshop: SmWorkshop, how: dict[str, Any], code: str, gcm: bool) -> None:
    assert refusal(workshop, forged(workshop, signed(workshop, **how), gcm=gcm)).code == code


def test_signatures_without_attributes_are_taken_where_the_profile_says_so(workshop: SmWorkshop) -> None:
    message = forged(workshop, signed(workshop, attributes=False))
    assert opened(workshop.seal("us", "bank", signed_attributes="optional"), message) == CONTENT
    assert (
        refusal(workshop, forged(workshop, signed(workshop, "mallory", named="bank", attributes=False))).code
        == "attributes.missing"
    )


def test_attributes_of_another_message_are_no_content(workshop: SmWorkshop) -> None:
    values = der.set_of([der.sequence(der.oid("1.2.840.113549.1.9.3"), der.set_of((der.oid(TYPES["cms"].data),)))])
    message = forged(workshop, signed(workshop, attributes=False, content=values))
    assert refusal(workshop, message, signed_attributes="optional").code == "attributes.missing"


def test_what_is_left_out_is_missed(workshop: SmWorkshop) -> None:
    assert refusal(workshop, signed(workshop)).code == "encryption.missing"
    assert refusal(workshop, forged(workshop, CONTENT)).code == "signature.missing"
    assert refusal(workshop, forged(workshop, CONTENT, gcm=True)).code == "signature.missing"
    assert refusal(workshop, sealed(workshop.seal("bank", "mallory"), CONTENT)).code == "recipient.unknown"
    assert refusal(workshop, sealed(workshop.seal("us", "us"), CONTENT)).code == "signer.unknown", "reflected"
    assert refusal(workshop, sealed(workshop.seal("bank", "us"), CONTENT), content_bytes_max=3).code == "content.too-large"
    for message in (b"", b"text", b"\x30\x00", CONTENT):
        assert refusal(workshop, message).code == "structure"
    for trailing in (b"\x00", sealed(workshop.seal("bank", "us"), CONTENT)):
        assert refusal(workshop, sealed(workshop.seal("bank", "us"), CONTENT) + trailing).code == "structure"


def test_an_expired_signer_is_told_from_an_unknown_one(workshop: SmWorkshop) -> None:
    message = sealed(workshop.seal("bank", "us"), CONTENT)
    assert refusal(workshop, message, clock=later(4000)).code == "signer.expired"


# ---- altered on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encryption", ["sm4-cbc", "sm4-gcm"])
def test_no_altered_byte_goes_unnoticed(workshop: SmWorkshop, encryption: str) -> None:
    """Every byte of a message, by each of a few masks. Only the version numbers outside the encryption may change."""
    message = sealed(workshop.seal("bank", "us", content_encryption=encryption, include_certificate=False), CONTENT)
    seal = workshop.seal("us", "bank")
    versions = {at + 2 for at in range(80) if message[at : at + 2] == b"\x02\x01"}
    survived = set()
    for at in range(len(message)):
        for mask in (0x01, 0x80, 0xFF):
            altered = message[:at] + bytes((message[at] ^ mask,)) + message[at + 1 :]
            code = code_of(seal, altered)
            assert code in CODES | {None}, at
            if code is None:
                survived.add(at)
    assert survived <= versions


_MESSAGES: dict[str, bytes] = {}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(FORMS[:4]))
def test_altered_messages_never_open_to_something_else(workshop: SmWorkshop, data: st.DataObject, form: dict[str, Any]) -> None:
    name = repr(form)
    if name not in _MESSAGES:  # made once: a fresh one each time would not be the same example again
        _MESSAGES[name] = sealed(workshop.seal("bank", "us", **form), CONTENT)
    message = bytearray(_MESSAGES[name])
    start = data.draw(st.integers(0, len(message) - 1))
    stretch = data.draw(st.binary(min_size=1, max_size=40))
    message[start : start + len(stretch)] = stretch
    seal = workshop.seal("us", "bank")
    assert (code_of(seal, bytes(message)) or opened(seal, bytes(message))) in {CONTENT, *CODES}


@pytest.mark.parametrize("encryption", ["sm4-cbc", "sm4-gcm"])
def test_a_message_cut_anywhere_is_damaged(workshop: SmWorkshop, encryption: str) -> None:
    message = sealed(workshop.seal("bank", "us", content_encryption=encryption), CONTENT)
    for length in range(0, len(message), 13):
        assert refusal(workshop, message[:length]).code == "structure", length


def test_a_wrong_padding_and_a_broken_inside_are_the_same_to_an_attacker(workshop: SmWorkshop) -> None:
    inside = signed(workshop)
    count = 16 - len(inside) % 16
    right = bytes((count,)) * count
    assert opened(workshop.seal("us", "bank"), forged(workshop, inside, padding=right)) == CONTENT, "else this proves nothing"
    wrong = (bytes(count), right[:-1] + b"\x00", right[:-1] + b"\x11", bytes((count ^ 1,)) + right[1:] if count > 1 else b"\x02")
    messages = [forged(workshop, inside, padding=padding) for padding in wrong]
    messages += [
        forged(workshop, CONTENT),
        forged(workshop, inside + inside),
        forged(workshop, b""),
    ]
    told = {(problem.code, problem.detail) for problem in (refusal(workshop, message) for message in messages)}
    assert {code for code, _ in told} == {"signature.missing"}
    assert len(told) == 1


# ---- streams ----------------------------------------------------------------------------------------------------------


class Repeated(io.RawIOBase):
    """A source of `size` bytes that is nowhere in memory."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def read(self, count: int = -1) -> bytes:
        found = bytes(min(count, self._size - self._at))
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at


class Nowhere(io.RawIOBase):
    def write(self, data: Any) -> int:
        return len(data)


@pytest.mark.parametrize("encryption", ["sm4-cbc", "sm4-gcm"])
def test_memory_does_not_grow_with_the_file(workshop: SmWorkshop, encryption: str, tmp_path: Any) -> None:
    seals = [workshop.seal(*pair, content_encryption=encryption) for pair in (("bank", "us"), ("us", "bank"))]
    opened(seals[1], sealed(seals[0], b"warm"))
    with (tmp_path / "message").open("w+b") as file:
        tracemalloc.start()
        try:
            seals[0].seal(Repeated(24 << 20), file)  # type: ignore[arg-type]
            file.seek(0)
            seals[1].open(file, Nowhere())  # type: ignore[arg-type]
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


def test_a_source_that_changes_between_its_readings_is_not_signed(workshop: SmWorkshop) -> None:
    class Growing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            super().seek(0, 2)
            self.write(b"more")
            return super().seek(offset, whence)

    with pytest.raises(SealError, match="changed"):
        workshop.seal("us", "bank").seal(Growing(CONTENT), io.BytesIO())


# ---- keys and profile -------------------------------------------------------------------------------------------------


def test_keys_must_fit_and_open(workshop: SmWorkshop) -> None:
    with pytest.raises(KeyUnavailable, match="does not belong"):
        sealed(workshop.seal("us", "bank", signing_key="file:mallory.key"), CONTENT)
    with pytest.raises(KeyUnavailable, match="does not open"):
        sealed(workshop.seal("us", "bank", signing_key_passphrase="file:wrong"), CONTENT)
    with pytest.raises(KeyUnavailable, match="has expired"):
        sealed(workshop.seal("us", "bank", clock=later(4000)), CONTENT)
    with pytest.raises(KeyUnavailable, match="no encryption certificate"):
        sealed(workshop.seal("us", "bank", signing_certificate="file:us.pub", clock=later(4000)), CONTENT)
    workshop.path("us.clear").chmod(0o600)
    with pytest.raises(KeyUnavailable, match="encrypted private key"):
        sealed(workshop.seal("us", "bank", signing_key="file:us.clear"), CONTENT)
    with pytest.raises(KeyUnavailable, match="private key is in it"):
        sealed(workshop.seal("us", "bank", bank_encryption_certificates=["file:us.clear"]), CONTENT)


def test_nothing_is_opened_before_its_time(workshop: SmWorkshop) -> None:
    absent = [{"key": "file:absent", "passphrase": "file:absent", "certificate": "file:absent"}]
    seal = workshop.seal("us", "bank", decryption_keys=absent)
    assert seal.kind == "sm"
    sealed(seal, CONTENT)
    with pytest.raises(KeyUnavailable, match="absent"):
        opened(seal, b"")


def test_every_mistake_in_a_profile_is_named(workshop: SmWorkshop) -> None:
    table = workshop.table("us", "bank", user_id="", content_encryption="sm1", surplus=1, signing_key="store:us")
    with pytest.raises(ValidationError) as refused:
        SmProfile.model_validate(table)
    assert {".".join(map(str, error["loc"])) for error in refused.value.errors()} == {
        *("user_id", "content_encryption", "surplus", "signing_key")
    }
    with pytest.raises(ValidationError, match=r"GM/T 0010 has no SM4-GCM"):
        workshop.profile("us", "bank", syntax="gmt0010", content_encryption="sm4-gcm")


def test_the_check_finds_what_would_not_work(workshop: SmWorkshop) -> None:
    def found(days: int = 0, *, open_keys: bool = True, **changes: Any) -> str:
        profile = workshop.profile("us", "bank", **changes)
        return "\n".join(problems(profile, workshop.directory, valid_now() + timedelta(days=days), open_keys))

    assert found() == ""
    assert found(open_keys=False, signing_key_passphrase="file:absent") == ""
    assert "signing_key: file:absent" in found(signing_key_passphrase="file:absent")
    assert "does not belong" in found(signing_key="file:mallory.key")
    expired = {line.partition(":")[0] for line in found(4000, open_keys=False).splitlines()}
    assert expired == {"signing_certificate", "bank_encryption_certificates", "bank_signing_certificates", "decryption_keys"}
    assert found(4000, open_keys=False, end="pub") == "", "bare public keys do not expire"


def test_days_left_can_be_told_without_private_keys(workshop: SmWorkshop) -> None:
    profile = workshop.profile("us", "bank", signing_key="file:absent", bank_signing_certificates=["file:bank.pub"])
    told = list(expiries(profile, workshop.directory, valid_now()))
    assert {(use, reference) for use, reference, _ in told} == {
        *(("signing_certificate", "file:us.crt"), ("bank_encryption_certificates", "file:bank.crt")),
        ("decryption_keys", "file:us.crt"),
    }
    assert all(isinstance(end, datetime) and end.tzinfo for _, _, end in told)
    assert list(uses(profile)) == []
