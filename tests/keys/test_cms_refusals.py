"""What must not open, and which words it is refused with."""

import base64
import hashlib
import io
import os
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys import der
from keys.cms_write import MESSAGE_DIGEST
from keys.seal import BadSeal, KeyUnavailable, Seal
from tests.keys.workshop import NOW, Forgery, Workshop, code_of, encrypted_with_padding, later, opened, sealed

CONTENT = b"<Document>ten thousand</Document>"


def refusal(workshop: Workshop, message: bytes, **changes: Any) -> BadSeal:
    """How "us" refuses a message from "bank"."""
    with pytest.raises(BadSeal) as refused:
        opened(workshop.seal("us", "bank", **changes), message)
    return refused.value


def forged(workshop: Workshop, *, gcm: bool = False, **how: Any) -> bytes:
    """A message by "bank" for "us", wrong in one way."""
    return workshop.encrypted("us", Forgery(workshop=workshop, **({"by": "bank", "content": CONTENT} | how)).build(), gcm=gcm)


def test_a_forgery_without_a_fault_opens(workshop: Workshop) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(workshop.seal("us", "bank"), forged(workshop)) == CONTENT
    assert opened(workshop.seal("us", "bank"), forged(workshop, by_key_identifier=True, gcm=True)) == CONTENT


# ---- altered on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encryption", ["aes-256-cbc", "aes-256-gcm"])
def test_no_altered_byte_goes_unnoticed(workshop: Workshop, encryption: str) -> None:
    """Every byte of a message, by each of a few masks. Only the version number of the whole may change."""
    a, b = ("tamper-a", "tamper-b")
    if a not in workshop.keys:
        workshop.party(a, "ec-p256")
        workshop.party(b, "ec-p256")
    scheme = {"signature": "ecdsa-sha256"}
    seal = workshop.seal(a, b, **scheme, content_encryption=encryption, include_certificate=False)
    opening = workshop.seal(b, a, **scheme)
    message = sealed(seal, CONTENT)
    version = message.index(b"\x02\x01") + 2
    survived = set()
    for at in range(len(message)):
        for mask in (0x01, 0x80, 0xFF):
            altered = message[:at] + bytes((message[at] ^ mask,)) + message[at + 1 :]
            if code_of(opening, altered) is None:
                survived.add(at)
    assert survived <= {version}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), gcm=st.booleans())
def test_altered_messages_never_open_to_something_else(workshop: Workshop, data: st.DataObject, gcm: bool) -> None:
    """With everything in the message that may be there, and any stretch of it replaced."""
    message = bytearray(workshop_message(workshop, gcm=gcm))
    start = data.draw(st.integers(0, len(message) - 1))
    stretch = data.draw(st.binary(min_size=1, max_size=40))
    message[start : start + len(stretch)] = stretch
    assert result(workshop.seal("us", "bank"), bytes(message)) in {CONTENT, *CODES}


def result(seal: Seal, message: bytes) -> bytes | str:
    """The content, or the code of the refusal."""
    return code_of(seal, message) or opened(seal, message)


CODES = {
    *("structure", "algorithm.refused", "recipient.unknown", "decryption.failed", "encryption.missing"),
    *("signature.missing", "signature.invalid", "signature.several", "signer.unknown", "signer.expired"),
    *("attributes.missing", "content-type.unexpected", "content.missing", "content.too-large"),
}

_MESSAGES: dict[bool, bytes] = {}


def workshop_message(workshop: Workshop, *, gcm: bool) -> bytes:
    if gcm not in _MESSAGES:
        encryption = "aes-256-gcm" if gcm else "aes-256-cbc"
        _MESSAGES[gcm] = sealed(workshop.seal("bank", "us", content_encryption=encryption), CONTENT)
    return _MESSAGES[gcm]


@pytest.mark.parametrize("encoding", ["der", "pem"])
def test_a_message_cut_anywhere_is_damaged(workshop: Workshop, encoding: str) -> None:
    message = sealed(workshop.seal("bank", "us", encoding=encoding), CONTENT)
    us = workshop.seal("us", "bank")
    for length in range(0, len(message) - 1, 13):
        assert code_of(us, message[:length]) == "structure", length
    assert code_of(us, message[:-2]) == "structure"


def test_pem_must_end_with_its_line(workshop: Workshop) -> None:
    message = sealed(workshop.seal("bank", "us", encoding="pem"), CONTENT)
    assert refusal(workshop, message[: message.index(b"-----END")]).code == "structure"


def test_damage_outside_the_encryption_is_not_blamed_on_the_inside(workshop: Workshop) -> None:
    """A stray end mark between the pieces of the encrypted content, where its length is definite."""
    content_info = der.parse(workshop_message(workshop, gcm=False)).children()
    enveloped = content_info[1].children()[0].children()
    kind, algorithm, encrypted = enveloped[2].children()
    pieces = der.tlv(0xA0, der.tlv(der.OCTET_STRING, encrypted.content[:160]), b"\x00\x00")
    inside = der.sequence(enveloped[0].raw, enveloped[1].raw, der.sequence(kind.raw, algorithm.raw, pieces))
    assert refusal(workshop, der.sequence(content_info[0].raw, der.tlv(0xA0, inside))).code == "structure"


@pytest.mark.parametrize("trailing", [b"\x00", b"\n", b"more", b"\x30\x00"])
def test_nothing_may_stand_behind_a_message(workshop: Workshop, trailing: bytes) -> None:
    assert refusal(workshop, workshop_message(workshop, gcm=False) + trailing).code == "structure"
    pem = sealed(workshop.seal("bank", "us", encoding="pem"), CONTENT)
    assert (code_of(workshop.seal("us", "bank"), pem + trailing) is None) == (trailing == b"\n"), "blank lines end text files"


def test_a_second_message_inside_the_encryption_is_refused(workshop: Workshop) -> None:
    inside = Forgery(workshop=workshop, by="bank", content=CONTENT).build()
    for gcm in (False, True):
        assert refusal(workshop, workshop.encrypted("us", inside + inside, gcm=gcm)).code == "signature.missing"


# ---- what the verdicts give away --------------------------------------------------------------------------------------


def _facts(problem: BadSeal) -> tuple[str, str]:
    return problem.code, problem.detail


def test_a_wrong_padding_looks_like_any_other_alteration(workshop: Workshop) -> None:
    """No padding oracle: neither code nor words tell whether the padding or the structure before it was wrong."""
    inside = Forgery(workshop=workshop, by="bank", content=CONTENT).build()
    if len(inside) % 16 == 15:
        inside = Forgery(workshop=workshop, by="bank", content=CONTENT + b" ").build()
    assert opened(workshop.seal("us", "bank"), encrypted_with_padding(workshop, "us", inside, lambda right: right)) == CONTENT
    faults = {
        "last byte": lambda right: right[:-1] + b"\x00",
        "last byte too large": lambda right: right[:-1] + b"\x11",
        "first byte": lambda right: b"\x7f" + right[1:],
        "shorter than it is": lambda right: right[:-1] + b"\x01",
    }
    seen = {_facts(refusal(workshop, encrypted_with_padding(workshop, "us", inside, fault))) for fault in faults.values()}
    seen |= {_facts(refusal(workshop, workshop.encrypted("us", os.urandom(640)))) for _ in range(20)}
    seen.add(_facts(refusal(workshop, workshop.encrypted("us", CONTENT))))
    seen.add(_facts(refusal(workshop, encrypted_with_padding(workshop, "us", CONTENT, lambda right: bytes(len(right))))))
    assert {code for code, _ in seen} == {"signature.missing"}
    assert len(seen) == 1


def test_with_a_bad_signature_the_padding_does_not_matter(workshop: Workshop) -> None:
    inside = Forgery(workshop=workshop, by="bank", content=CONTENT, signature=bytes(384)).build()
    faults = (lambda right: right, lambda right: bytes(len(right)))
    seen = [_facts(refusal(workshop, encrypted_with_padding(workshop, "us", inside, fault))) for fault in faults]
    assert seen[0] == seen[1]
    assert seen[0][0] == "signature.invalid"


@pytest.mark.parametrize(("gcm", "code"), [(False, "signature.missing"), (True, "decryption.failed")])
def test_a_wrong_content_key_looks_like_altered_content(workshop: Workshop, gcm: bool, code: str) -> None:
    """RFC 3218: what unwrapping yields (nothing, the wrong length, the wrong key) must not be told apart."""
    message = workshop_message(workshop, gcm=gcm)
    start = message.index(b"\x04\x82\x01\x80") + 4  # the wrapped key: 384 bytes
    public = workshop.certificate("us").public_key
    keys = [os.urandom(384), bytes(383) + b"\x01", *(_wrapped(public, os.urandom(length)) for length in (16, 31, 32, 33))]
    seen = {_facts(refusal(workshop, message[:start] + wrapped + message[start + 384 :])) for wrapped in keys}
    assert len(seen) == 1
    assert next(iter(seen))[0] == code


def _wrapped(public: Any, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    return bytes(public.encrypt(key, PKCS1v15()))


# ---- who signed, and what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gcm", [False, True])
def test_unsigned_content_is_refused(workshop: Workshop, gcm: bool) -> None:
    for inside in (CONTENT, b"", der.sequence(der.oid("1.2.840.113549.1.7.1"), der.tlv(0xA0, der.tlv(4, CONTENT)))):
        assert refusal(workshop, workshop.encrypted("us", inside, gcm=gcm)).code == "signature.missing"
    assert refusal(workshop, forged(workshop, signatures=0, gcm=gcm)).code == "signature.missing"


def test_signed_content_that_is_not_encrypted_is_refused(workshop: Workshop) -> None:
    assert refusal(workshop, Forgery(workshop=workshop, by="bank", content=CONTENT).build()).code == "encryption.missing"


def test_a_signer_that_is_not_pinned_is_refused_though_its_certificate_is_sent_along(workshop: Workshop) -> None:
    stranger = workshop.seal("bank-ec", "us", signature="ecdsa-sha384", include_certificate=True)
    assert refusal(workshop, sealed(stranger, CONTENT)).code == "signer.unknown"
    assert refusal(workshop, forged(workshop, by="us")).code == "signer.unknown"


def test_another_key_under_the_bank_s_name_is_refused(workshop: Workshop) -> None:
    """The same subject; the same subject and serial number; the same key identifier: only the pinned key counts."""
    workshop.party("impostor", "rsa-3072", common_name="bank")
    assert refusal(workshop, forged(workshop, by="impostor")).code == "signer.unknown"
    bank = workshop.certificates["bank"]
    impostor = workshop.keys["impostor"]
    copy = (
        x509.CertificateBuilder(bank.issuer, bank.subject, impostor.public_key, bank.serial_number)
        .not_valid_before(bank.not_valid_before_utc)
        .not_valid_after(bank.not_valid_after_utc)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(bank.public_key()), critical=False)
        .sign(impostor._key, hashes.SHA256())
    )
    assert refusal(workshop, forged(workshop, by="impostor", named_as=copy)).code == "signature.invalid"
    assert refusal(workshop, forged(workshop, by="impostor", named_as=copy, by_key_identifier=True)).code == "signature.invalid"


def test_other_content_under_a_good_signature_is_refused(workshop: Workshop) -> None:
    honest = hashlib.sha256(CONTENT).digest()
    assert refusal(workshop, forged(workshop, content=CONTENT.replace(b"ten", b"six"), digest=honest)).code == "signature.invalid"


def test_more_than_one_signature_is_refused(workshop: Workshop) -> None:
    assert refusal(workshop, forged(workshop, signatures=2)).code == "signature.several"


def test_a_detached_signature_is_refused(workshop: Workshop) -> None:
    assert refusal(workshop, forged(workshop, detached=True)).code == "content.missing"


@pytest.mark.parametrize("where", ["content_type", "attribute_content_type"])
def test_content_of_another_type_than_the_signed_one_is_refused(workshop: Workshop, where: str) -> None:
    other = {where: "1.2.840.113549.1.9.16.1.4"}
    assert refusal(workshop, forged(workshop, **other)).code == "content-type.unexpected"


def test_an_attribute_that_stands_twice_is_refused(workshop: Workshop) -> None:
    second = der.sequence(der.oid(MESSAGE_DIGEST), der.set_of((der.tlv(der.OCTET_STRING, bytes(32)),)))
    assert refusal(workshop, forged(workshop, extra_attributes=(second,))).code == "signature.missing"


@pytest.mark.parametrize(
    ("dotted", "name"), [("1.3.14.3.2.26", "SHA-1"), ("1.2.840.113549.2.5", "MD5"), ("2.16.840.1.101.3.4.2.4", "SHA-224")]
)
def test_weak_digests_are_refused_by_name(workshop: Workshop, dotted: str, name: str) -> None:
    for how in ({"announced": dotted}, {"signer_digest": dotted}):
        problem = refusal(workshop, forged(workshop, **how))
        assert problem.code == "algorithm.refused"
        assert name in problem.detail


def test_signed_attributes_may_be_missing_only_where_the_profile_says_so(workshop: Workshop) -> None:
    message = forged(workshop, attributes=False)
    assert refusal(workshop, message).code == "attributes.missing"
    assert opened(workshop.seal("us", "bank", signed_attributes="optional"), message) == CONTENT


def test_signed_attributes_are_not_taken_for_content(workshop: Workshop) -> None:
    """The signature over the attributes of an honest message holds over their bytes: they must not pass as a file."""
    honest = Forgery(workshop=workshop, by="bank", content=CONTENT)
    attributes = der.set_of(honest.attribute_set())
    stolen = forged(workshop, attributes=False, content=attributes)
    assert refusal(workshop, stolen, signed_attributes="optional").code == "attributes.missing"


# ---- for whom, and when -----------------------------------------------------------------------------------------------


def test_a_message_for_somebody_else_is_refused(workshop: Workshop) -> None:
    for recipient in ("bank", "bank-ec"):
        inside = Forgery(workshop=workshop, by="bank", content=CONTENT).build()
        assert refusal(workshop, workshop.encrypted(recipient, inside)).code == "recipient.unknown"


def test_a_signer_is_judged_on_the_day(workshop: Workshop) -> None:
    message = workshop_message(workshop, gcm=False)
    for days in (-1, 366):
        problem = refusal(workshop, message, clock=later(days))
        assert problem.code == "signer.expired"
    assert opened(workshop.seal("us", "bank", clock=later(364)), message) == CONTENT


def test_an_expired_own_decryption_key_still_reads(workshop: Workshop) -> None:
    workshop.same_key("us-old", "us", on=later(-400)(), days=30)
    inside = Forgery(workshop=workshop, by="bank", content=CONTENT).build()
    us = workshop.seal("us", "bank", decryption_keys=[workshop.decryption_key("us-old")])
    assert opened(us, workshop.encrypted("us-old", inside)) == CONTENT


def test_nothing_is_sealed_with_or_for_an_expired_certificate(workshop: Workshop) -> None:
    workshop.same_key("us-short", "us", on=NOW, days=10)
    workshop.same_key("bank-short", "bank", on=NOW, days=10)
    expired = {"signing_certificate": "file:us-short.crt"}
    with pytest.raises(KeyUnavailable, match=r"us-short\.crt has expired"):
        sealed(workshop.seal("us", "bank", clock=later(11), **expired), CONTENT)
    with pytest.raises(KeyUnavailable, match=r"not valid before"):
        sealed(workshop.seal("us", "bank", clock=later(-1), **expired), CONTENT)
    with pytest.raises(KeyUnavailable, match=r"encryption certificate of the bank.*bank-short\.crt has expired"):
        sealed(workshop.seal("us", "bank-short", clock=later(11)), CONTENT)
    both = ["file:bank-short.crt", "file:bank-ec.crt"]
    message = sealed(workshop.seal("us", "bank", clock=later(11), bank_encryption_certificates=both), CONTENT)
    assert code_of(workshop.seal("bank-short", "us", clock=later(11)), message) == "recipient.unknown"
    assert opened(workshop.seal("bank-ec", "us", signature="ecdsa-sha384", clock=later(11)), message) == CONTENT


# ---- hostile input ----------------------------------------------------------------------------------------------------


def test_content_is_bounded(workshop: Workshop) -> None:
    message = workshop_message(workshop, gcm=False)
    assert opened(workshop.seal("us", "bank", content_bytes_max=len(CONTENT)), message) == CONTENT
    assert refusal(workshop, message, content_bytes_max=len(CONTENT) - 1).code == "content.too-large"


HOSTILE = {
    "empty": b"",
    "spaces": b" \n\n ",
    "text": b"<Document/>",
    "a mail": b"From: somebody\n\nhello",
    "another pem": b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    "pem with bad text": b"-----BEGIN CMS-----\n!!!!\n-----END CMS-----\n",
    "pem with another end": b"-----BEGIN CMS-----\nMAA=\n-----END PKCS7-----\n",
    "base64 that goes on": base64.b64encode(b"0") + b"M" * 100_000,
    "one endless line": b"M" * 100_000 + b":",
    "ten thousand levels": b"\x30\x80" * 10_000,
    "a length beyond all files": b"\x30\x88" + b"\xff" * 8,
    "a length of 126 bytes": b"\x30\xfe" + b"\x01" * 126,
    "long tags": b"\x3f\x81\x01\x00",
    "a set": b"\x31\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_damaged_messages(workshop: Workshop, name: str) -> None:
    assert refusal(workshop, HOSTILE[name]).code == "structure"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), cut=st.integers(0, 60))
def test_noise_is_refused_by_the_one_named_error(workshop: Workshop, noise: bytes, cut: int) -> None:
    """Bare, behind a good beginning, and as what was decrypted."""
    us = workshop.seal("us", "bank")
    for message in (noise, b"\x30\x80" + noise, workshop_message(workshop, gcm=False)[:cut] + noise):
        with pytest.raises(BadSeal):
            us.open(io.BytesIO(message), io.BytesIO())


def test_an_endless_recipient_list_is_refused_before_it_is_read(workshop: Workshop) -> None:
    start = der.oid("1.2.840.113549.1.7.3")
    huge = der.wrap(der.SET, b"", 2**40)
    inside = der.wrap(der.SEQUENCE, der.integer(0) + huge, 2**40)
    message = der.wrap(der.SEQUENCE, start + der.wrap(0xA0, inside, 2**40), 2**40)
    problem = refusal(workshop, message + bytes(1000))
    assert problem.code == "structure"
    assert "larger" in problem.detail
