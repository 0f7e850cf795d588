"""Whether a bank's certificate holds: each reason against it has a code and words of its own, and each is shown to bite."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import algos, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from keys import store
from keys.keyring import Certificate
from keys.profiles import build_seal, check, parse_profile
from keys.seal import BadSeal, KeyUnavailable
from keys.trust import Trust, authority, revocation_list, subject_named
from tests.keys.authorities import Authority, name, pem, usage
from tests.keys.workshop import NOW, PASSPHRASE, Workshop, later, opened, sealed

ROOT = Authority("Root")
BANKS = Authority("Banks", above=ROOT)
FALSE_BANKS = Authority("Banks")  # the same name, another key
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
SIGNS = usage(digital_signature=True)


def leaf(**how: Any) -> Certificate:
    issuer = how.pop("issuer", BANKS)
    return Certificate.of("bank.crt", issuer.issue("Bank", KEY, **{"key_usage": SIGNS} | how))


def code(trust: Trust, certificate: Certificate, use: Any = "sign", days: int = 0) -> str | None:
    finding = trust.finding(certificate, use, later(days)())
    if finding is None:
        return None
    assert str(finding).startswith("the certificate bank.crt is not trusted: ")
    assert str(finding).endswith(f"[{finding.code}]")
    return finding.code


def by_itself() -> Certificate:
    return Certificate.of("bank.crt", Authority("Self").certificate)


CHAIN = (BANKS.certificate, ROOT.certificate)


def test_a_certificate_issued_below_the_chain_holds() -> None:
    for chain in (CHAIN, (BANKS.certificate,)):
        assert code(Trust(chain), leaf()) is None
        assert code(Trust(chain, (BANKS.crl(), ROOT.crl())), leaf()) is None
        assert code(Trust(chain, (BANKS.crl([8]),)), leaf()) is None, "another one was revoked"


CASES: dict[str, tuple[str, Callable[[], str | None]]] = {
    "expired": ("expired", lambda: code(Trust(CHAIN), leaf(days=10), days=11)),
    "not valid yet": ("not-yet-valid", lambda: code(Trust(CHAIN), leaf(), days=-2)),
    "an authority that expired": (
        "expired",
        lambda: code(Trust((short.certificate,)), leaf(issuer=short)) if (short := Authority("Short", days=399)) else None,
    ),
    "revoked": ("revoked", lambda: code(Trust(CHAIN, (BANKS.crl([7]),)), leaf())),
    "an authority that was revoked": (
        "revoked",
        lambda: code(Trust(CHAIN, (BANKS.crl(), ROOT.crl([BANKS.certificate.serial_number]))), leaf()),
    ),
    "no revocation list at all": ("crl-missing", lambda: code(Trust(CHAIN, ()), leaf())),
    "no revocation list of its issuer": ("crl-missing", lambda: code(Trust(CHAIN, (ROOT.crl(),)), leaf())),
    "a stale revocation list": ("crl-stale", lambda: code(Trust(CHAIN, (BANKS.crl(days=7),)), leaf(), days=8)),
    "a revocation list from the future": ("crl-stale", lambda: code(Trust(CHAIN, (BANKS.crl(on=later(5)()),)), leaf())),
    "a forged revocation list": ("crl-invalid", lambda: code(Trust(CHAIN, (BANKS.crl(key=FALSE_BANKS.key),)), leaf())),
    "another authority": ("wrong-ca", lambda: code(Trust((Authority("Others").certificate,)), leaf())),
    "another authority of the same name": ("wrong-ca", lambda: code(Trust((FALSE_BANKS.certificate,)), leaf())),
    "by itself": (
        "wrong-ca",
        lambda: code(Trust((ROOT.certificate,)), Certificate.of("bank.crt", Authority("Self").certificate)),
    ),
    "made for encryption, signs": ("wrong-usage", lambda: code(Trust(CHAIN), leaf(key_usage=usage(key_agreement=True)))),
    "made to sign, encrypts": ("wrong-usage", lambda: code(Trust(CHAIN), leaf(), "encrypt")),
}


@pytest.mark.parametrize("case", CASES)
def test_each_reason_has_its_own_code(case: str) -> None:
    wanted, found = CASES[case]
    assert found() == wanted


def test_a_certificate_whose_own_signature_is_weak_vouches_for_nobody() -> None:
    """SHA-1 (FIPS 180-4; collisions with a chosen prefix since 2020) would let a customer of the authority be the bank. OpenSSL
    alone takes it: no security level is set for a store."""
    assert code(Trust(CHAIN), signed_with_sha1(leaf())) == "weak-signature"
    assert code(Trust(CHAIN), leaf()) is None


def signed_with_sha1(certificate: Certificate) -> Certificate:
    """The same certificate as its authority would once have signed it. `cryptography` does not write this any more."""
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha1_ecdsa"})
    inner = asn1_x509.TbsCertificate.load(certificate.parsed.tbs_certificate_bytes)
    inner["signature"] = algorithm
    signature = BANKS.key.sign(inner.dump(force=True), ec.ECDSA(hashes.SHA1()))  # what is refused here
    whole = asn1_x509.Certificate(
        {"tbs_certificate": inner, "signature_algorithm": algorithm, "signature_value": core.OctetBitString(signature)}
    )
    return Certificate.of("bank.crt", x509.load_der_x509_certificate(whole.dump()))


def test_a_revoked_authority_elsewhere_does_not_matter() -> None:
    other = Authority("Old banks", above=ROOT)
    revoked = ROOT.crl([other.certificate.serial_number + 1])
    assert code(Trust((*CHAIN, other.certificate), (BANKS.crl(), revoked)), leaf()) is None


def test_key_usage_follows_the_kind_of_key_and_its_absence_allows_everything() -> None:
    assert code(Trust(CHAIN), leaf(key_usage=None), "encrypt") is None
    assert code(Trust(CHAIN), leaf(key_usage=usage(key_agreement=True)), "encrypt") is None
    assert code(Trust(CHAIN), leaf(key_usage=usage(key_encipherment=True)), "encrypt") == "wrong-usage", "not with an EC key"
    assert code(Trust(CHAIN), leaf(key_usage=usage(content_commitment=True))) is None


def test_what_is_no_authority_no_list_and_no_subject_is_refused() -> None:
    with pytest.raises(KeyUnavailable, match="not that of an authority"):
        authority("file:x", leaf().parsed)
    assert authority("file:x", ROOT.certificate) is ROOT.certificate
    with pytest.raises(KeyUnavailable, match="no certificate revocation list"):
        revocation_list("file:x", b"hello")
    for text in ("", "Bank", "CN"):
        with pytest.raises(ValueError, match="RFC 4514"):
            subject_named(text)
    assert subject_named("CN=Bank") == name("Bank")


# ---- in a profile -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(workshop: Workshop, tmp_path: Path) -> Workshop:
    """A workshop of its own, whose bank "bank" is certified by an authority as serial number 7."""
    made = Workshop(tmp_path)
    for own in ("us", "us-ec", "bank", "bank-ec"):
        made.keys[own] = workshop.keys[own]
        made.certificates[own] = workshop.certificates[own]
        (tmp_path / f"{own}.key").write_bytes((workshop.directory / f"{own}.key").read_bytes())
        (tmp_path / f"{own}.key").chmod(0o600)
    both = usage(digital_signature=True, key_encipherment=True)
    made.certificates["bank"] = BANKS.issue("Bank", made.keys["bank"].public_key, key_usage=both)
    for own, certificate in made.certificates.items():
        pem(tmp_path / f"{own}.crt", certificate)
    pem(tmp_path / "banks.crt", BANKS.certificate)
    pem(tmp_path / "root.crt", ROOT.certificate)
    pem(tmp_path / "crl.pem", BANKS.crl())
    return made


TRUST = {"chain": ["file:banks.crt", "file:root.crt"], "crl": ["file:crl.pem"]}


def from_bank(bank: Workshop, by: str = "bank", **changes: Any) -> bytes:
    return sealed(bank.seal(by, "us", **changes), b"an answer")


def test_a_pinned_certificate_that_the_authority_vouches_for_opens_and_seals(bank: Workshop) -> None:
    us = bank.seal("us", "bank", **TRUST)
    assert opened(us, from_bank(bank)) == b"an answer"
    assert opened(bank.seal("bank", "us"), sealed(us, b"x")) == b"x"
    assert check(parse_profile(bank.table("us", "bank", **TRUST)), bank.directory, NOW, open_keys=True) == ()


def test_a_revoked_signer_is_refused_and_a_revoked_recipient_gets_nothing(bank: Workshop) -> None:
    """The list is read at every use: no restart between the revocation and its effect."""
    us, message = bank.seal("us", "bank", **TRUST), from_bank(bank)
    assert opened(us, message) == b"an answer"
    pem(bank.directory / "crl.pem", BANKS.crl([7]))
    with pytest.raises(BadSeal) as refused:
        opened(us, message)
    assert refused.value.code == "signer.revoked"
    with pytest.raises(KeyUnavailable, match=r"no encryption certificate of the bank can be used: .*\[revoked\]"):
        sealed(us, b"x")
    problems = check(parse_profile(bank.table("us", "bank", **TRUST)), bank.directory, NOW, open_keys=False)
    assert [problem.partition(":")[0] for problem in problems] == ["bank_encryption_certificates", "bank_signing_certificates"]


@pytest.mark.parametrize(
    ("crl", "words"),
    [
        (BANKS.crl(on=later(-30)()), "crl-stale"),
        (ROOT.crl(), "crl-missing"),
        (BANKS.crl(key=FALSE_BANKS.key), "crl-invalid"),
    ],
)
def test_a_list_the_operator_must_fetch_is_no_bad_seal(bank: Workshop, crl: x509.CertificateRevocationList, words: str) -> None:
    """The message is kept and opened once the list is there; a bad seal would be put away for good."""
    message = from_bank(bank)
    pem(bank.directory / "crl.pem", crl)
    us = bank.seal("us", "bank", **TRUST)
    with pytest.raises(KeyUnavailable, match=words):
        opened(us, message)
    (bank.directory / "crl.pem").unlink()
    with pytest.raises(KeyUnavailable, match=r"file:crl\.pem"):
        opened(us, message)
    pem(bank.directory / "crl.pem", BANKS.crl())
    assert opened(us, message) == b"an answer"


@pytest.mark.parametrize(
    ("certificate", "wanted"),
    [
        (lambda public: FALSE_BANKS.issue("Bank", public), "signer.wrong-ca"),
        (lambda public: BANKS.issue("Bank", public, key_usage=usage(key_encipherment=True)), "signer.wrong-usage"),
        (lambda public: BANKS.issue("Bank", public, on=later(-30)(), days=10), "signer.expired"),
    ],
)
def test_a_pinned_certificate_that_does_not_hold_is_refused_by_name(
    bank: Workshop, certificate: Callable[[Any], x509.Certificate], wanted: str
) -> None:
    bank.certificates["bank"] = certificate(bank.keys["bank"].public_key)
    pem(bank.directory / "bank.crt", bank.certificates["bank"])
    forged = bank.encrypted("us", bank.signed("bank", b"x", scheme()))
    with pytest.raises(BadSeal) as refused:
        opened(bank.seal("us", "bank", **TRUST), forged)
    assert refused.value.code == wanted


def scheme() -> Any:
    from keys.algorithms import scheme_named

    return scheme_named("rsa-pkcs1-sha256")


def test_a_renewed_certificate_of_a_listed_subject_is_taken_without_being_pinned(bank: Workshop) -> None:
    renewed = BANKS.issue("Bank", bank.keys["bank-ec"].public_key, serial=8, key_usage=SIGNS)
    bank.certificates["bank-ec"] = renewed
    pem(bank.directory / "bank-ec.crt", renewed)
    message = from_bank(bank, "bank-ec", signature="ecdsa-sha256")
    with pytest.raises(BadSeal, match=r"signer\.unknown"):
        opened(bank.seal("us", "bank", **TRUST), message)
    listed = bank.seal("us", "bank", **TRUST, bank_subjects=["CN=Bank"])
    assert opened(listed, message) == b"an answer"
    assert opened(listed, from_bank(bank)) == b"an answer", "the pinned one too"
    only = bank.seal("us", "bank", **TRUST, bank_subjects=["CN=Bank"], bank_signing_certificates=[])
    assert opened(only, message) == b"an answer"
    pem(bank.directory / "crl.pem", BANKS.crl([8]))
    with pytest.raises(BadSeal, match=r"signer\.revoked"):
        opened(listed, message)


@pytest.mark.parametrize(
    ("issuer", "subject", "wanted"),
    [
        (BANKS, "Another bank", "signer.unknown"),  # any certificate of the same authority
        (FALSE_BANKS, "Bank", "signer.wrong-ca"),  # the right name from another authority
        (None, "Bank", "signer.wrong-ca"),  # the right name from nobody
    ],
)
def test_an_authority_alone_and_a_name_alone_are_not_enough(
    bank: Workshop, issuer: Authority | None, subject: str, wanted: str
) -> None:
    by = issuer or Authority(subject)
    bank.certificates["bank-ec"] = by.issue(subject, bank.keys["bank-ec"].public_key, serial=9, key_usage=SIGNS)
    pem(bank.directory / "bank-ec.crt", bank.certificates["bank-ec"])
    message = from_bank(bank, "bank-ec", signature="ecdsa-sha256")
    with pytest.raises(BadSeal) as refused:
        opened(bank.seal("us", "bank", **TRUST, bank_subjects=["CN=Bank"]), message)
    assert refused.value.code == wanted


# ---- seals other than CMS -----------------------------------------------------------------------------------------------------

KINDS = ("xmldsig", "xades", "jws", "jwe")
CONTENT = b"<Document><Amt>1.00</Amt></Document>"


def of_kind(bank: Workshop, kind: str, own: str, other: str, **changes: Any) -> Any:
    """A seal of that kind, as a profile in a connection file makes it. `changes` go where the signature is described."""
    signing = {
        "kind": "jws" if kind == "jwe" else kind,
        "signing_key": f"file:{own}.key",
        "signing_key_passphrase": "file:passphrase",
        "signing_certificate": f"file:{own}.crt",
        "bank_signing_certificates": [f"file:{other}.crt"],
    } | changes
    around = {
        "kind": "jwe",
        "signed": signing,
        "bank_encryption_certificates": [f"file:{other}.crt"],
        "decryption_keys": [bank.decryption_key(own)],
    }
    return parse_profile(around if kind == "jwe" else signing)


def seal_of_kind(bank: Workshop, kind: str, own: str, other: str, **changes: Any) -> Any:
    return build_seal(of_kind(bank, kind, own, other, **changes), bank.directory, lambda: NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_signature_is_held_to_chain_and_revocation(bank: Workshop, kind: str) -> None:
    if kind.startswith("j"):
        pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")
    message = sealed(seal_of_kind(bank, kind, "bank", "us"), CONTENT)
    us = seal_of_kind(bank, kind, "us", "bank", **TRUST)
    assert opened(us, message) == CONTENT
    pem(bank.directory / "crl.pem", BANKS.crl([7]))
    with pytest.raises(BadSeal, match=r"signer\.revoked"):
        opened(us, message)
    problems = check(of_kind(bank, kind, "us", "bank", **TRUST), bank.directory, NOW, open_keys=False)
    uses = 2 if kind == "jwe" else 1  # the bank's certificate signs, and is encrypted for
    assert [problem.rpartition("[")[2] for problem in problems] == ["revoked]"] * uses


def test_nothing_is_encrypted_in_json_for_a_certificate_that_was_revoked(bank: Workshop) -> None:
    """As under CMS. The words `chain` and `crl` stand in [seal.signed], and are meant for every certificate of the bank."""
    pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")
    us = seal_of_kind(bank, "jwe", "us", "bank", **TRUST)
    assert sealed(us, CONTENT)
    both = usage(digital_signature=True, key_encipherment=True)
    pem(bank.directory / "bank-next.crt", BANKS.issue("Bank", bank.keys["bank"].public_key, serial=8, key_usage=both))
    pem(bank.directory / "crl.pem", BANKS.crl([8]))
    table = {"bank_encryption_certificates": ["file:bank-next.crt"]}
    profile = parse_profile(of_kind(bank, "jwe", "us", "bank", **TRUST).model_dump() | table)
    with pytest.raises(KeyUnavailable, match=r"bank-next.crt is not trusted.*\[revoked\]"):
        sealed(build_seal(profile, bank.directory, lambda: NOW), CONTENT)
    problems = check(profile, bank.directory, NOW, open_keys=False)
    assert [problem.partition(":")[0] for problem in problems] == ["bank_encryption_certificates"]
    both_named = parse_profile(profile.model_dump() | {"bank_encryption_certificates": ["file:bank-next.crt", "file:bank.crt"]})
    assert sealed(build_seal(both_named, bank.directory, lambda: NOW), CONTENT), "the other one holds"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("crl", "words"),
    [
        (BANKS.crl(on=later(-30)()), "crl-stale"),
        (ROOT.crl(), "crl-missing"),
        (BANKS.crl(key=FALSE_BANKS.key), "crl-invalid"),
    ],
)
def test_no_kind_of_signature_is_bad_because_a_list_must_be_fetched(
    bank: Workshop, kind: str, crl: x509.CertificateRevocationList, words: str
) -> None:
    if kind.startswith("j"):
        pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")
    message = sealed(seal_of_kind(bank, kind, "bank", "us"), CONTENT)
    pem(bank.directory / "crl.pem", crl)
    with pytest.raises(KeyUnavailable, match=words):
        opened(seal_of_kind(bank, kind, "us", "bank", **TRUST), message)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("certificate", "wanted"),
    [
        (lambda public: FALSE_BANKS.issue("Bank", public), "signer.wrong-ca"),
        (lambda public: BANKS.issue("Bank", public, key_usage=usage(key_encipherment=True)), "signer.wrong-usage"),
        (lambda public: BANKS.issue("Bank", public, on=later(-30)(), days=10), "signer.expired"),
    ],
)
def test_every_kind_of_signature_by_a_certificate_that_does_not_hold_is_refused_by_name(
    bank: Workshop, kind: str, certificate: Callable[[Any], x509.Certificate], wanted: str
) -> None:
    if kind.startswith("j"):
        pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")
    bank.certificates["bank"] = certificate(bank.keys["bank"].public_key)
    pem(bank.directory / "bank.crt", bank.certificates["bank"])
    both = usage(digital_signature=True, key_encipherment=True)
    pem(bank.directory / "us.crt", BANKS.issue("us", bank.keys["us"].public_key, on=later(-60)(), key_usage=both))
    then = NOW - timedelta(days=25) if wanted == "signer.expired" else NOW  # it was valid when the bank signed
    message = sealed(build_seal(of_kind(bank, kind, "bank", "us"), bank.directory, lambda: then), CONTENT)
    with pytest.raises(BadSeal) as refused:
        opened(seal_of_kind(bank, kind, "us", "bank", **TRUST), message)
    assert refused.value.code == wanted


@pytest.mark.parametrize("kind", ["cms", *KINDS])
def test_another_key_certified_by_the_same_authority_signs_nothing_of_the_banks(bank: Workshop, kind: str) -> None:
    """Anybody can be a customer of that authority, under any name it lets through."""
    if kind.startswith("j"):
        pytest.importorskip("joserfc", reason="needs the package joserfc (pip install 'bankgate[jose]')")
    both = usage(digital_signature=True, key_encipherment=True)
    thief = bank.directory / "thief.crt"
    bank.keys["thief"] = store.new_key("rsa-3072")
    bank.certificates["thief"] = BANKS.issue("Bank", bank.keys["thief"].public_key, serial=9, key_usage=both)
    pem(thief, bank.certificates["thief"])
    (bank.directory / "thief.key").write_bytes(bank.keys["thief"].encrypted_pem(PASSPHRASE.encode(), iterations=1000))
    (bank.directory / "thief.key").chmod(0o600)
    if kind == "cms":
        message, us = sealed(bank.seal("thief", "us"), CONTENT), bank.seal("us", "bank", **TRUST)
    else:
        message, us = sealed(seal_of_kind(bank, kind, "thief", "us"), CONTENT), seal_of_kind(bank, kind, "us", "bank", **TRUST)
    with pytest.raises(BadSeal) as refused:
        opened(us, message)
    assert refused.value.code in {"signer.unknown", "signature.invalid"}


def test_lists_and_subjects_need_a_chain(bank: Workshop) -> None:
    for changes in ({"crl": ["file:crl.pem"]}, {"bank_subjects": ["CN=Bank"]}):
        with pytest.raises(ValueError, match="need the certificates of the authorities"):
            parse_profile(bank.table("us", "bank", **changes))
    with pytest.raises(ValueError, match="RFC 4514"):
        parse_profile(bank.table("us", "bank", **TRUST, bank_subjects=["Bank"]))
    table = bank.table("us", "bank", chain=["file:bank.crt"])
    assert [
        found
        for found in check(parse_profile(table), bank.directory, NOW, open_keys=False)
        if "not that of an authority" in found
    ]


def test_nothing_of_the_chain_is_read_before_it_is_used(bank: Workshop) -> None:
    build_seal(parse_profile(bank.table("us", "bank", **TRUST)), Path("/nowhere"), lambda: NOW + timedelta(0))
