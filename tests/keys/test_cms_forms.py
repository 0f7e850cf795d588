"""CMS that is only signed, only encrypted, or signed beside its content: by explicit choice, and refused for anything else."""

import io
import tracemalloc
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys.profiles import parse_profile, uses
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.workshop import Workshop, code_of, later, opened, sealed

CONTENT = b"<Document>\n" + bytes(range(256)) * 3 + b"\r\n</Document>"
FORMS: list[dict[str, Any]] = [
    {"form": "signed"},
    {"form": "signed", "encoding": "pem", "signature": "rsa-pss-sha256"},
    {"form": "enveloped"},
    {"form": "enveloped", "content_encryption": "aes-256-gcm"},
    {"form": "enveloped", "encoding": "pem", "key_transport": "rsa-oaep-sha256"},
    {"form": "detached"},
    {"form": "detached", "signature": "rsa-pkcs1-sha384", "include_certificate": False},
]


@pytest.mark.parametrize("changes", FORMS)
@pytest.mark.parametrize("content", [CONTENT, b"", b"x" * 15, b"x" * 16, b"y" * 300_001])
def test_every_form_comes_back(workshop: Workshop, changes: dict[str, Any], content: bytes) -> None:
    assert opened(workshop.seal("bank", "us", **changes), sealed(workshop.seal("us", "bank", **changes), content)) == content


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=4000), form=st.sampled_from(["signed", "detached", "enveloped"]), chunk=st.integers(1, 500))
def test_any_content_comes_back_however_it_trickles_in(workshop: Workshop, content: bytes, form: str, chunk: int) -> None:
    message = sealed(workshop.seal("us", "bank", form=form), content)
    out = io.BytesIO()
    workshop.seal("bank", "us", form=form).open(Trickle(message, chunk), out)  # type: ignore[arg-type]
    assert out.getvalue() == content


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, as a pipe does."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__(data)
        self._count = count

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._count if size is None or size < 0 else min(size, self._count))


def test_what_a_bank_sends_may_have_another_form_than_what_we_send(workshop: Workshop) -> None:
    us = workshop.seal("us", "bank", form="enveloped", bank_form="signed")
    bank = workshop.seal("bank", "us", form="signed", bank_form="enveloped")
    assert opened(bank, sealed(us, CONTENT)) == CONTENT
    assert opened(us, sealed(bank, CONTENT)) == CONTENT


@pytest.mark.parametrize(
    ("sent", "expected", "code"),
    [
        ("signed", "signed-enveloped", "encryption.missing"),
        ("signed", "enveloped", "encryption.missing"),
        ("enveloped", "signed", "signature.missing"),
        ("enveloped", "signed-enveloped", "signature.missing"),
        ("enveloped", "detached", "structure"),
        ("signed-enveloped", "signed", "signature.missing"),
        ("signed", "detached", "structure"),
        ("detached", "signed", "structure"),
        ("detached", "signed-enveloped", "structure"),
    ],
)
def test_no_form_is_taken_for_another(workshop: Workshop, sent: str, expected: str, code: str) -> None:
    """Nobody may strip a layer, and have what is left accepted."""
    message = sealed(workshop.seal("bank", "us", form=sent), CONTENT)
    assert code_of(workshop.seal("us", "bank", form=expected), message) == code


def test_a_signed_message_inside_an_envelope_is_given_out_as_it_is_only_where_nothing_is_expected_inside(
    workshop: Workshop,
) -> None:
    """Whoever takes "enveloped" gets what was encrypted: here a signed message, which nobody has looked at."""
    message = sealed(workshop.seal("bank", "us"), CONTENT)
    inside = opened(workshop.seal("us", "bank", form="enveloped"), message)
    assert opened(workshop.seal("us", "bank", form="signed"), inside) == CONTENT


@pytest.mark.parametrize("form", ["signed", "detached"])
def test_no_altered_byte_of_a_signed_message_goes_unnoticed(workshop: Workshop, form: str) -> None:
    """Every byte, by a few masks. Only what says nothing may change: the version of the whole, and how mail is laid out."""
    message = sealed(workshop.seal("bank", "us", form=form, include_certificate=False), b"<Document>1000</Document>")
    us = workshop.seal("us", "bank", form=form)
    for at in range(0, len(message), 1 if form == "signed" else 3):
        for mask in (0x01, 0x80):
            altered = message[:at] + bytes((message[at] ^ mask,)) + message[at + 1 :]
            try:
                found = opened(us, altered)
            except BadSeal:
                continue
            assert found == b"<Document>1000</Document>", at


SPOILS = [b"", b"\r\n", b"\n", b"--", b"=", b";", b'"', b"\xff", b"Content-Type: a/b; boundary*0=x", b"\r\n\r\n", b"\x30\x80"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(["signed", "detached"]))
def test_spoilt_messages_end_in_a_named_error_or_say_what_was_signed(workshop: Workshop, data: st.DataObject, form: str) -> None:
    """However headers, boundaries and structures are broken: no other error, and no other content."""
    us = workshop.seal("us", "bank", form=form)
    if form not in _SEALED:
        _SEALED[form] = sealed(workshop.seal("bank", "us", form=form), CONTENT)
    message = bytearray(_SEALED[form])
    for _ in range(data.draw(st.integers(1, 3))):
        at, count = data.draw(st.integers(0, len(message))), data.draw(st.integers(0, 30))
        message[at : at + count] = data.draw(st.sampled_from(SPOILS) | st.binary(max_size=4))
    code = code_of(us, bytes(message))  # raises whatever is no BadSeal
    assert code or opened(us, bytes(message)) == CONTENT


_SEALED: dict[str, bytes] = {}


@pytest.mark.parametrize("changes", FORMS)
def test_every_form_is_damaged_when_cut(workshop: Workshop, changes: dict[str, Any]) -> None:
    message = sealed(workshop.seal("bank", "us", **changes), CONTENT)
    us = workshop.seal("us", "bank", **changes)
    for length in range(0, len(message) - 4, 97):
        assert code_of(us, message[:length]) == "structure", length


@pytest.mark.parametrize("changes", FORMS)
def test_nothing_may_stand_behind_a_message(workshop: Workshop, changes: dict[str, Any]) -> None:
    message = sealed(workshop.seal("bank", "us", **changes), CONTENT)
    assert code_of(workshop.seal("us", "bank", **changes), message + b"<Document/>") == "structure"


def test_an_altered_envelope_under_gcm_is_refused_and_under_cbc_may_give_rubbish(workshop: Workshop) -> None:
    """Why "enveloped" is the weakest form: without GCM nothing in it notices alterations."""
    for encryption, codes in (("aes-256-gcm", {"decryption.failed"}), ("aes-256-cbc", {"decryption.failed", None})):
        message = bytearray(sealed(workshop.seal("bank", "us", form="enveloped", content_encryption=encryption), CONTENT))
        message[-40] ^= 1
        assert code_of(workshop.seal("us", "bank", form="enveloped"), bytes(message)) in codes


@pytest.mark.parametrize("form", ["signed", "detached"])
def test_another_signer_an_expired_one_and_too_much_content_are_refused(workshop: Workshop, form: str) -> None:
    message = sealed(workshop.seal("bank", "us", form=form), CONTENT)
    pinned = workshop.seal("us", "bank", form=form, bank_signing_certificates=["file:us.crt"])
    assert code_of(pinned, message) == "signer.unknown"
    assert code_of(workshop.seal("us", "bank", form=form, clock=later(366)), message) == "signer.expired"
    assert code_of(workshop.seal("us", "bank", form=form, content_bytes_max=100), message) == "content.too-large"
    envelope = sealed(workshop.seal("bank", "us", form="enveloped"), CONTENT)
    assert code_of(workshop.seal("us", "bank", form="enveloped", content_bytes_max=100), envelope) == "content.too-large"


# ---- multipart/signed -------------------------------------------------------------------------------------------------


def test_a_detached_signature_is_multipart_signed_with_the_content_in_front(workshop: Workshop) -> None:
    import base64
    from email import message_from_bytes
    from email.message import Message

    parsed = message_from_bytes(sealed(workshop.seal("us", "bank", form="detached"), CONTENT))
    assert parsed.get_content_type() == "multipart/signed"
    assert (parsed.get_param("protocol"), parsed.get_param("micalg")) == ("application/pkcs7-signature", "sha-256")
    first, second = parsed.get_payload()
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert base64.b64decode(str(first.get_payload())) == CONTENT
    assert second.get_content_type() == "application/pkcs7-signature"


def detached(workshop: Workshop) -> bytes:
    return sealed(workshop.seal("bank", "us", form="detached"), CONTENT)


CHANGES: dict[str, tuple[bytes, bytes, str]] = {
    "no multipart": (b"multipart/signed", b"multipart/mixed_", "signature.missing"),
    "no signature type": (
        b"Content-Type: application/pkcs7-signature",
        b"Content-Type: application/octet-strea",
        "signature.missing",
    ),
    "no base64": (b"Content-Transfer-Encoding: base64\r\nContent-Disposition", b"Content-Disposition", "signature.missing"),
    "an unknown encoding": (
        b"octet-stream\r\nContent-Transfer-Encoding: base64",
        b"octet-stream\r\nContent-Transfer-Encoding: rot",
        "content-type.unexpected",
    ),
    "an altered header of the content": (b"application/octet-stream", b"application/octet-streaM", "signature.invalid"),
    "no boundary": (b"boundary=", b"limit=", "structure"),
    "no final boundary": (b"--\r\n", b"", "structure"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_multipart_message_that_is_none_is_refused_by_name(workshop: Workshop, change: str) -> None:
    old, new, code = CHANGES[change]
    message = detached(workshop)
    assert old in message
    altered = message[: message.rindex(old)] + new + message[message.rindex(old) + len(old) :]
    assert code_of(workshop.seal("us", "bank", form="detached"), altered) == code


def test_a_third_part_is_refused(workshop: Workshop) -> None:
    message = detached(workshop)
    boundary = message[message.index(b"--") : message.index(b"\r\n", message.index(b"\r\n--") + 2)].splitlines()[-1]
    end = message.rindex(b"--\r\n")
    more = message[:end] + b"\r\nContent-Type: text/plain\r\n\r\nhello\r\n" + boundary + message[end:]
    assert code_of(workshop.seal("us", "bank", form="detached"), more) == "signature.several"


def test_a_content_that_carries_its_own_signature_is_not_read_as_detached(workshop: Workshop) -> None:
    """A SignedData with a content of its own beside another content: which of both was signed?"""
    import base64

    message = detached(workshop)
    start = message.rindex(b"\r\n\r\n", 0, len(message) - 60) + 4
    end = message.rindex(b"\r\n--")
    attached = base64.encodebytes(sealed(workshop.seal("bank", "us", form="signed"), CONTENT))
    assert code_of(workshop.seal("us", "bank", form="detached"), message[:start] + attached + message[end:]) == "structure"


@pytest.mark.parametrize("form", ["signed", "detached", "enveloped"])
def test_memory_does_not_grow_with_the_content(workshop: Workshop, form: str) -> None:
    class Zeros(io.RawIOBase):
        """Twenty megabytes of nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.at = 0

        def read(self, size: int = -1) -> bytes:
            found = bytes(min(size, 20_000_000 - self.at))
            self.at += len(found)
            return found

        def seek(self, offset: int, whence: int = 0) -> int:
            self.at = offset
            return offset

        def tell(self) -> int:
            return self.at

    class Sink(io.RawIOBase):
        def write(self, data: Any) -> int:
            return len(data)

    us = workshop.seal("us", "bank", form=form)
    sealed(us, b"")  # opens the keys
    source: BinaryIO = Zeros()  # type: ignore[assignment]
    out: BinaryIO = Sink()  # type: ignore[assignment]
    tracemalloc.start()
    us.seal(source, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


# ---- what a profile must say ----------------------------------------------------------------------------------------------


def missing(workshop: Workshop, *gone: str, **changes: Any) -> set[str]:
    """The keys that are complained about when some are left out."""
    table = {key: value for key, value in workshop.table("us", "bank", **changes).items() if key not in gone}
    try:
        parse_profile(table)
    except ValidationError as refused:
        return {str(error["loc"][-1]) for error in refused.errors() if "Field required" in error["msg"]}
    return set()


SIGNING = ("signing_key", "signing_key_passphrase", "signing_certificate")


def test_each_form_asks_for_the_keys_it_needs_and_no_others(workshop: Workshop) -> None:
    encrypting = ("bank_encryption_certificates", "decryption_keys")
    assert missing(workshop, *SIGNING) == {"signing_key"}
    assert missing(workshop, *encrypting) == set(encrypting)
    assert missing(workshop, *encrypting, form="signed") == set()
    assert missing(workshop, *SIGNING, "bank_signing_certificates", form="enveloped") == set()
    assert missing(workshop, *SIGNING, form="signed") == {"signing_key"}
    assert missing(workshop, *SIGNING, "decryption_keys", form="enveloped", bank_form="signed") == set()
    without_signers = workshop.table("us", "bank", form="signed", bank_signing_certificates=[])
    with pytest.raises(ValidationError, match="pin a certificate of the bank"):
        parse_profile(without_signers)
    with pytest.raises(ValidationError, match="S/MIME text already"):
        parse_profile(workshop.table("us", "bank", form="detached", encoding="pem"))


def test_a_key_in_a_file_needs_its_passphrase_and_its_certificate(workshop: Workshop) -> None:
    table = workshop.table("us", "bank")
    for gone, words in (
        ("signing_key_passphrase", "needs the reference of its passphrase"),
        ("signing_certificate", "certificate"),
    ):
        with pytest.raises(ValidationError, match=words):
            parse_profile({key: value for key, value in table.items() if key != gone})
    for gone in ("passphrase", "certificate"):
        key = {name: value for name, value in workshop.decryption_key("us").items() if name != gone}
        with pytest.raises(ValidationError, match=gone):
            parse_profile(table | {"decryption_keys": [key]})
    with pytest.raises(ValidationError, match="has no passphrase of its own"):
        parse_profile(table | {"signing_key": "store:us", "signing_certificate": "file:us.crt"})


def test_certificates_that_a_form_does_not_use_are_not_counted(workshop: Workshop) -> None:
    found = {use for use, _ in uses(parse_profile(workshop.table("us", "bank", form="signed")))}
    assert found == {"signing_certificate", "bank_signing_certificates"}
    found = {use for use, _ in uses(parse_profile(workshop.table("us", "bank", form="enveloped")))}
    assert found == {"bank_encryption_certificates", "decryption_keys"}


def test_a_profile_without_a_signing_key_does_not_sign(workshop: Workshop) -> None:
    from keys.keyring import SealingKeys
    from tests.keys.workshop import NOW

    with pytest.raises(KeyUnavailable, match="no signing key"):
        SealingKeys(None, ()).signer_on(NOW)
