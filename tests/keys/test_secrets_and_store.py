"""Where keys rest and how they are reached: encrypted, private, never shown."""

import pickle
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from keys import der, secrets, store
from keys.keyring import Certificate, days_left
from keys.seal import KeyUnavailable
from tests.keys.workshop import ITERATIONS, NOW, PASSPHRASE, Workshop

SECRET = "tell-nobody-7f3a"


def private_file(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return f"file:{path.name}"


# ---- references -------------------------------------------------------------------------------------------------------


def test_references_resolve_byte_for_byte(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = private_file(directory / "s", b"\xff word \n")
    assert secrets.resolve(reference, directory, private=True) == b"\xff word \n"
    assert secrets.resolve(f"file:{directory / 's'}", Path("/nowhere")) == b"\xff word \n"
    monkeypatch.setenv("BANKGATE_TEST_WORD", "wörd")
    assert secrets.resolve("env:BANKGATE_TEST_WORD", directory, private=True) == "wörd".encode()


def test_a_passphrase_loses_its_line_end_and_nothing_else(directory: Path) -> None:
    for content in (b" word \n", b" word \r\n", b" word "):
        assert secrets.passphrase(private_file(directory / "s", content), directory) == b" word "
    with pytest.raises(KeyUnavailable, match="empty"):
        secrets.passphrase(private_file(directory / "s", b"\n"), directory)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_secret_that_others_may_reach_is_refused(directory: Path, mode: int) -> None:
    reference = private_file(directory / "s", b"word", mode)
    with pytest.raises(KeyUnavailable, match=f"chmod 600 {directory / 's'}"):
        secrets.passphrase(reference, directory)
    assert secrets.resolve(reference, directory) == b"word", "a certificate is no secret"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("file:absent", "file:absent: .*cannot be read: No such file"),
        ("file:.", "file:.: .*cannot be read: Is a directory"),
        ("env:BANKGATE_TEST_ABSENT", "env:BANKGATE_TEST_ABSENT: the environment variable is not set"),
        ("pkcs11:token=x", "pkcs11:token=x: .*never leaves it"),
        ("credential:x", "credential:x: .*given no systemd credentials"),
        ("credential:../x", "file:PATH or env:NAME"),
        ("vault:x", "file:PATH or env:NAME"),
        ("file:", "file:PATH or env:NAME"),
        ("env:", "file:PATH or env:NAME"),
        ("", "file:PATH or env:NAME"),
    ],
)
def test_a_reference_that_leads_nowhere_is_explained(directory: Path, reference: str, words: str) -> None:
    with pytest.raises(KeyUnavailable, match=words):
        secrets.resolve(reference, directory)


def test_a_secret_in_the_place_of_its_reference_is_not_repeated(directory: Path) -> None:
    for mistake in (SECRET, f"my:{SECRET}", f"pass word:{SECRET}"):
        with pytest.raises(KeyUnavailable) as refused:
            secrets.resolve(mistake, directory)
        assert SECRET not in str(refused.value)


def test_a_huge_file_is_no_secret(directory: Path) -> None:
    with (directory / "s").open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    with pytest.raises(KeyUnavailable, match="too large"):
        secrets.resolve("file:s", directory)


def test_only_files_have_paths(directory: Path) -> None:
    assert secrets.file_path("file:a/b", directory) == directory / "a" / "b"
    assert secrets.file_path("env:A", directory) is None


# ---- private keys -----------------------------------------------------------------------------------------------------


def test_a_new_key_is_stretched_as_strongly_as_today_asks() -> None:
    key = store.new_key("ec-p256")
    pem = key.encrypted_pem(PASSPHRASE.encode())
    opened = load_pem_private_key(pem, PASSPHRASE.encode())
    assert opened.public_key() == key.public_key
    assert der.integer(600_000) in der_of(pem)


def der_of(pem: bytes) -> bytes:
    import base64

    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


def test_a_key_is_never_written_in_clear() -> None:
    with pytest.raises(KeyUnavailable, match="never written without a passphrase"):
        store.new_key("ec-p256").encrypted_pem(b"")


@pytest.mark.parametrize("kind", store.KEY_KINDS)
def test_every_kind_of_key_can_be_made_kept_and_opened(directory: Path, kind: store.KeyKind) -> None:
    key = store.new_key(kind)
    reference = private_file(directory / "k", key.encrypted_pem(b"word", iterations=ITERATIONS))
    opened = store.load_private_key(reference, private_file(directory / "p", b"word\n"), directory)
    assert opened.public_key == key.public_key
    assert opened.description == {"rsa-3072": "RSA 3072", "rsa-4096": "RSA 4096", "ec-p256": "EC secp256r1"}.get(
        kind, "EC secp384r1"
    )


def clear_forms() -> dict[str, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    word = BestAvailableEncryption(b"word")
    return {
        "PKCS#8 in clear": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "old form in clear": key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "old form, encrypted": key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, word),
        "OpenSSH": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "PKCS#12": pkcs12.serialize_key_and_certificates(b"x", key, None, None, word),
    }


def test_keys_in_any_other_form_are_refused_with_the_way_out(directory: Path) -> None:
    passphrase = private_file(directory / "p", b"word")
    for name, content in clear_forms().items():
        with pytest.raises(KeyUnavailable, match="run: bankgate keys import"):
            store.load_private_key(private_file(directory / "k", content), passphrase, directory)
        assert store.key_file_problem(directory / "k") is not None, name


def test_a_wrong_passphrase_is_named_by_its_reference_only(directory: Path) -> None:
    reference = private_file(directory / "k", store.new_key("ec-p256").encrypted_pem(b"word", iterations=ITERATIONS))
    with pytest.raises(KeyUnavailable) as refused:
        store.load_private_key(reference, private_file(directory / "p", SECRET.encode()), directory)
    assert "file:k: the passphrase file:p does not open this key" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_key_in_memory_shows_nothing_of_itself(workshop: Workshop) -> None:
    key = workshop.keys["us"]
    assert repr(key) == str(key) == f"{key}" == "<RSA 3072 private key>"
    assert not hasattr(key, "__dict__")
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(key)


def test_holders_of_keys_show_nothing_of_them(workshop: Workshop) -> None:
    seal = workshop.seal("us", "bank")
    shown = repr(seal) + repr(workshop.own_key("us")) + repr(workshop.certificate("us"))
    assert PASSPHRASE not in shown
    assert "PRIVATE" not in shown
    assert "0x3082" not in shown


def test_a_key_of_another_certificate_is_found_out_at_first_use(workshop: Workshop) -> None:
    own = store.own_key("file:us.crt", "file:bank.key", "file:passphrase", workshop.directory)
    with pytest.raises(KeyUnavailable, match=r"file:bank\.key: this private key does not belong to the certificate file:us\.crt"):
        own.open()


def test_a_key_is_opened_once(workshop: Workshop) -> None:
    own = store.own_key("file:us.crt", "file:us.key", "file:passphrase", workshop.directory)
    assert own.open() is own.open()


# ---- files ------------------------------------------------------------------------------------------------------------


def test_files_are_private_whole_and_never_replaced(directory: Path) -> None:
    store.write_new(directory / "new" / "k", b"first", private=True)
    assert stat.S_IMODE((directory / "new" / "k").stat().st_mode) == 0o600
    with pytest.raises(KeyUnavailable, match="exists already, and keys are never overwritten"):
        store.write_new(directory / "new" / "k", b"second", private=True)
    assert (directory / "new" / "k").read_bytes() == b"first"
    assert [path.name for path in (directory / "new").iterdir()] == ["k"], "nothing half written stays behind"
    with pytest.raises(KeyUnavailable, match="cannot be written"):
        store.write_new(directory / "new" / "k" / "below", b"", private=False)


# ---- certificates -----------------------------------------------------------------------------------------------------


def test_a_self_signed_certificate_says_what_it_is_for() -> None:
    key = store.new_key("ec-p256")
    subject = store.Subject(
        common_name="Ours", organization="Ours Ltd", country="DE", dns_names=("localhost",), addresses=("127.0.0.1",)
    )
    made = store.self_signed(key, subject, on=NOW, days=30)
    assert made.subject.rfc4514_string() == "CN=Ours,O=Ours Ltd,C=DE"
    made.verify_directly_issued_by(made)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_agreement, usage.key_encipherment) == (True, True, False)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    found = Certificate.of("c", made)
    assert found.key_identifier == x509.SubjectKeyIdentifier.from_public_key(key.public_key).digest
    assert made.not_valid_after_utc == NOW + timedelta(days=30)
    assert (found.days_left(NOW), found.days_left(NOW + timedelta(days=30, hours=1))) == (30, -1)
    assert days_left(found.not_after, NOW) == 30


def test_a_signing_request_carries_the_key_and_proves_it() -> None:
    key = store.new_key("rsa-3072")
    request = x509.load_pem_x509_csr(store.signing_request(key, store.Subject(common_name="Ours", dns_names=("a.example",))))
    assert request.is_signature_valid
    assert request.public_key() == key.public_key
    assert request.subject.rfc4514_string() == "CN=Ours"


def certificate_of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    digest = hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7).not_valid_before(NOW).not_valid_after(NOW)
    return builder.sign(key, digest)


def test_certificates_with_unfit_keys_are_refused() -> None:
    with pytest.raises(KeyUnavailable, match="weak: RSA with 1024 bits is too weak"):
        Certificate.of("weak", certificate_of(rsa.generate_private_key(65537, 1024)))
    with pytest.raises(KeyUnavailable, match="only RSA and the curves"):
        Certificate.of("other", certificate_of(ed25519.Ed25519PrivateKey.generate()))


def test_certificates_load_from_pem_and_der_one_a_file(workshop: Workshop, directory: Path) -> None:
    pem = (workshop.directory / "us.crt").read_bytes()
    (directory / "pem").write_bytes(b"some words before\n" + pem)
    (directory / "der").write_bytes(workshop.certificates["us"].public_bytes(Encoding.DER))
    assert store.load_certificate("file:pem", directory).parsed == store.load_certificate("file:der", directory).parsed
    for name, content, words in (
        ("two", pem + pem, "2 certificates are in it"),
        ("text", b"hello", "not a certificate"),
        ("broken", pem.replace(b"MII", b"!!!"), "not a certificate"),
        ("key", (workshop.directory / "us.key").read_bytes(), "not a certificate|0 certificates"),
    ):
        (directory / name).write_bytes(content)
        with pytest.raises(KeyUnavailable, match=words):
            store.load_certificate(f"file:{name}", directory)


# ---- taking over ------------------------------------------------------------------------------------------------------


def test_foreign_keys_are_taken_over(workshop: Workshop) -> None:
    for name, content in clear_forms().items():
        if name == "DER":
            with pytest.raises(KeyUnavailable, match="neither PEM nor PKCS#12"):
                store.take_over(name, content, None)
            continue
        assert store.needs_passphrase(content) or name.endswith("in clear")
        word = b"word" if name in {"old form, encrypted", "PKCS#12"} else None
        key, certificates = store.take_over(name, content, word)
        assert (key.description, certificates) == ("RSA 2048", ()), name
    mine, other = workshop.certificates["us"], workshop.certificates["bank"]
    chain = other.public_bytes(Encoding.PEM) + mine.public_bytes(Encoding.PEM)
    _, certificates = store.take_over("chain", chain + (workshop.directory / "us.key").read_bytes(), PASSPHRASE.encode())
    assert certificates == (mine, other), "the own certificate first"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x00", b"-----BEGIN X-----\n", b"-----BEGIN CERTIFICATE-----\nMAA=\n"])
def test_what_holds_no_key_is_refused(content: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        store.take_over("it", content, None)


def test_two_keys_in_one_file_are_refused(workshop: Workshop) -> None:
    both = (workshop.directory / "us.key").read_bytes() + (workshop.directory / "bank.key").read_bytes()
    with pytest.raises(KeyUnavailable, match="one private key was expected"):
        store.take_over("it", both, PASSPHRASE.encode())
