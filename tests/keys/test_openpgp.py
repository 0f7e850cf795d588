"""The seal kind "openpgp": what it writes, what it refuses and with which words, and that nothing of it stays behind."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys.openpgp_packets import keys_in, own_keys_in
from keys.openpgp_profile import OpenPgpProfile, expiries, problems, uses
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.openpgp_workshop import PASSPHRASE, OpenPgpWorkshop, gpg_is_missing
from tests.keys.sealing import NOW, code_of, later, opened, sealed, today

pytestmark = pytest.mark.skipif(gpg_is_missing(), reason="needs the programs gpg and gpg-agent")

CONTENT = b'<?xml version="1.0"?>\r\n<Document>' + bytes(range(256)) * 40 + b"</Document>\n"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPgpWorkshop]:
    made = OpenPgpWorkshop(tmp_path_factory.mktemp("openpgp"))
    for name in ("us", "us-next", "bank", "mallory"):
        made.party(name)
    made.revoke("bank")
    yield made
    made.close()


def refusal(workshop: OpenPgpWorkshop, message: bytes, **changes: Any) -> BadSeal:
    """How "us" refuses a message that should be from "bank"."""
    with pytest.raises(BadSeal) as refused:
        opened(workshop.seal("us", "bank", **changes), message)
    return refused.value


def by_gpg(workshop: OpenPgpWorkshop, *arguments: str, signer: str | None = "bank", recipient: str | None = "us") -> bytes:
    """A message that plain gpg makes of CONTENT."""
    words = list(arguments)
    words += ["--sign", "--local-user", workshop.fingerprints[signer]] if signer else []
    words += ["--encrypt", "--recipient", workshop.fingerprints[recipient]] if recipient else []
    return workshop.gpg(*words, content=CONTENT)


# ---- both directions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoding": "armour", "compression": "none"},
        {"compression": "bzip2", "cipher": "aes-128", "digest": "sha256"},
        {"compression": "zip", "digest": "sha384"},
    ],
    ids=repr,
)
def test_what_is_sealed_opens_again(workshop: OpenPgpWorkshop, changes: dict[str, Any]) -> None:
    message = sealed(workshop.seal("bank", "us", **changes), CONTENT)
    assert opened(workshop.seal("us", "bank"), message) == CONTENT
    assert message.startswith(b"-----BEGIN PGP MESSAGE-----") == (changes.get("encoding") == "armour")


def test_nothing_to_seal_is_sealed_too(workshop: OpenPgpWorkshop) -> None:
    assert opened(workshop.seal("us", "bank"), sealed(workshop.seal("bank", "us"), b"")) == b""


def test_a_message_names_neither_file_nor_program(workshop: OpenPgpWorkshop) -> None:
    text = sealed(workshop.seal("bank", "us", encoding="armour"), CONTENT)
    assert b"Version:" not in text
    assert b"Comment:" not in text
    inside = workshop.gpg("--list-packets", content=text).decode()
    assert 'name=""' in inside


def test_every_valid_encryption_key_of_the_bank_becomes_a_recipient(workshop: OpenPgpWorkshop) -> None:
    both = [workshop.fingerprints["bank"], workshop.fingerprints["mallory"]]
    files = ["file:bank.pub", "file:mallory.pub"]
    message = sealed(workshop.seal("us", "bank", bank_keys=files, bank_encryption_fingerprints=both), CONTENT)
    for reader in ("bank", "mallory"):
        assert opened(workshop.seal(reader, "us"), message) == CONTENT


def test_an_own_key_of_the_time_before_a_rotation_still_opens(workshop: OpenPgpWorkshop) -> None:
    """Each with a passphrase of its own: gpg is told the one that it asks for."""
    other = workshop.directory / "other-passphrase"
    if not other.exists():
        other.write_text("battery staple")
        other.chmod(0o600)
        fingerprint = workshop.fingerprints["us-next"]
        words = ["gpg", "--homedir", str(workshop.home), "--batch", "--pinentry-mode", "loopback", "--command-fd", "0"]
        changed = subprocess.run(
            [*words, "--change-passphrase", fingerprint],
            input=f"{PASSPHRASE}\nbattery staple\n{PASSPHRASE}\nbattery staple\n".encode(),
            capture_output=True,
            check=False,
        )
        assert changed.returncode == 0, changed.stderr
        words = [
            "gpg",
            "--homedir",
            str(workshop.home),
            "--batch",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "battery staple",
        ]
        exported = subprocess.run([*words, "--export-secret-keys", fingerprint], capture_output=True, check=True).stdout
        (workshop.directory / "us-next.sec").write_bytes(exported)
    own = [
        {"key": "file:us-next.sec", "passphrase": "file:other-passphrase"},
        {"key": "file:us.sec", "passphrase": "file:passphrase"},
    ]
    seal = workshop.seal("us", "bank", decryption_keys=own)
    for reader in ("us", "us-next"):
        assert opened(seal, by_gpg(workshop, recipient=reader)) == CONTENT
        assert opened(seal, by_gpg(workshop, "--throw-keyids", recipient=reader)) == CONTENT, "recipients that are not named"


def test_an_expired_key_of_ours_still_opens(workshop: OpenPgpWorkshop) -> None:
    """Losing an answer would harm; reading it does not. A signature or an encryption by it would be another thing."""
    if "old bank" not in workshop.fingerprints:
        workshop.party("old bank", days=4000)
    message = by_gpg(workshop, signer="old bank")
    assert opened(workshop.seal("us", "old bank", clock=later(400)), message) == CONTENT


def test_pinned_subkeys_stand_for_themselves_alone(workshop: OpenPgpWorkshop) -> None:
    message = sealed(workshop.seal("us", "bank", bank_encryption_fingerprints=[workshop.subkeys["bank"]]), CONTENT)
    assert opened(workshop.seal("bank", "us"), message) == CONTENT
    wrong = workshop.seal("bank", "us", bank_signing_fingerprints=[workshop.subkeys["us"]])
    assert code_of(wrong, message) == "signer.unknown"


# ---- refused by name --------------------------------------------------------------------------------------------------


def test_what_gpg_makes_rightly_opens(workshop: OpenPgpWorkshop) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(workshop.seal("us", "bank"), by_gpg(workshop)) == CONTENT


REFUSED: dict[str, tuple[tuple[str, ...], str | None, str | None, str]] = {
    "unsigned": ((), None, "us", "signature.missing"),
    "only signed": ((), "bank", None, "encryption.missing"),
    "signed by nobody we know": ((), "mallory", "us", "signer.unknown"),
    "reflected: signed by ourselves": ((), "us", "us", "signer.unknown"),
    "for somebody else": ((), "bank", "mallory", "recipient.unknown"),
    "for nobody who is named": (("--throw-keyids",), "bank", "mallory", "decryption.failed"),
    "under a password": (("--symmetric",), "bank", None, "recipient.unknown"),
    "by two": (("--local-user", "mallory@example.com"), "bank", "us", "signature.several"),
    "SHA-1": (("--digest-algo", "SHA1"), "bank", "us", "algorithm.refused"),
    "SHA-224": (("--digest-algo", "SHA224"), "bank", "us", "algorithm.refused"),
    "triple DES": (("--cipher-algo", "3DES"), "bank", "us", "algorithm.refused"),
    "CAST5": (("--cipher-algo", "CAST5"), "bank", "us", "algorithm.refused"),
    "no protection against alteration": (("--rfc2440", "--cipher-algo", "AES256"), "bank", "us", "algorithm.refused"),
    "over text": (("--textmode",), "bank", "us", "algorithm.refused"),
    "expired signature": (("--default-sig-expire", "seconds=1"), "bank", "us", "signature.expired"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(workshop: OpenPgpWorkshop, case: str) -> None:
    arguments, signer, recipient, code = REFUSED[case]
    message = by_gpg(workshop, *arguments, signer=signer, recipient=recipient)
    soon = {"clock": lambda: NOW + timedelta(minutes=1)}
    assert refusal(workshop, message, **soon).code == code


def test_the_refused_signer_is_refused_with_his_key_in_the_keyring_too(workshop: OpenPgpWorkshop) -> None:
    """A key file may hold more keys than are pinned: the fingerprint decides, not whether gpg knows the key."""
    message = by_gpg(workshop, signer="mallory")
    assert refusal(workshop, message, bank_keys=["file:bank.pub", "file:mallory.pub"]).code == "signer.unknown"


def test_text_signatures_are_taken_where_the_profile_says_so(workshop: OpenPgpWorkshop) -> None:
    message = workshop.gpg(
        *("--textmode", "--sign", "--encrypt", "--local-user", "bank@example.com", "--recipient", "us@example.com"),
        content=b":20:A\n:25:B\n",
    )
    assert opened(workshop.seal("us", "bank", text_signatures=True), message) == b":20:A\n:25:B\n"


def test_an_expired_signer_is_told_from_an_unknown_one(workshop: OpenPgpWorkshop) -> None:
    message = by_gpg(workshop)
    assert refusal(workshop, message, clock=later(400)).code == "signer.expired"
    assert refusal(workshop, by_gpg(workshop, signer="mallory"), clock=later(400)).code == "signer.unknown"


def test_a_revoked_signer_is_refused(workshop: OpenPgpWorkshop) -> None:
    assert refusal(workshop, by_gpg(workshop), bank_keys=["file:bank-revoked.pub"]).code == "signer.revoked"


@pytest.mark.parametrize("message", [b"", b"\n", b"<Document/>", b"\x99" * 40, b"-----BEGIN PGP MESSAGE-----\n\n"], ids=repr)
def test_what_is_no_message_is_damaged(workshop: OpenPgpWorkshop, message: bytes) -> None:
    assert refusal(workshop, message).code == "structure"


def test_nothing_may_stand_behind_a_message(workshop: OpenPgpWorkshop) -> None:
    message = by_gpg(workshop)
    for trailing in (b"\x00", b"more", message, by_gpg(workshop, signer=None)):
        assert refusal(workshop, message + trailing).code in {"structure", "decryption.failed"}


def test_content_behind_the_encryption_is_refused(workshop: OpenPgpWorkshop) -> None:
    """A good message, and a signed one by the bank behind it that anybody may have kept."""
    assert refusal(workshop, by_gpg(workshop) + by_gpg(workshop, recipient=None)).code in CODES
    assert refusal(workshop, by_gpg(workshop, recipient=None) + by_gpg(workshop)).code in CODES


def test_content_that_is_larger_than_agreed_is_not_written_to_its_end(workshop: OpenPgpWorkshop) -> None:
    bomb = sealed(workshop.seal("bank", "us"), b"0" * 20_000_000)
    assert len(bomb) < 100_000
    out = io.BytesIO()
    with pytest.raises(BadSeal) as refused:
        workshop.seal("us", "bank", content_bytes_max=1_000_000).open(io.BytesIO(bomb), out)
    assert refused.value.code == "content.too-large"
    assert len(out.getvalue()) <= 1_000_000


# ---- altered on the way -----------------------------------------------------------------------------------------------

CODES = {
    *("structure", "encryption.missing", "recipient.unknown", "decryption.failed", "algorithm.refused"),
    *("signature.missing", "signature.invalid", "signature.several", "signer.unknown"),
}


@pytest.fixture(scope="module")
def small(workshop: OpenPgpWorkshop) -> bytes:
    return sealed(workshop.seal("bank", "us", compression="none"), b"<Document/>")


def test_no_region_of_a_message_may_be_altered(workshop: OpenPgpWorkshop, small: bytes) -> None:
    """A byte of each region: packet headers, key identifier, wrapped key, content, signature, its protection."""
    seal = workshop.seal("us", "bank")
    for at in range(0, len(small), 19):
        altered = small[:at] + bytes((small[at] ^ 0x11,)) + small[at + 1 :]
        assert code_of(seal, altered) in CODES, at


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_messages_never_open_to_something_else(workshop: OpenPgpWorkshop, small: bytes, data: st.DataObject) -> None:
    message = bytearray(small)
    start = data.draw(st.integers(0, len(message) - 1))
    stretch = data.draw(st.binary(min_size=1, max_size=30))
    message[start : start + len(stretch)] = stretch
    if bytes(message) != small:
        assert code_of(workshop.seal("us", "bank"), bytes(message)) in CODES


def test_a_message_cut_anywhere_is_refused(workshop: OpenPgpWorkshop, small: bytes) -> None:
    seal = workshop.seal("us", "bank")
    for length in (*range(1, len(small), 61), len(small) - 1):
        assert code_of(seal, small[:length]) in {"structure", "decryption.failed"}, length


def test_altered_armour_is_refused(workshop: OpenPgpWorkshop) -> None:
    text = sealed(workshop.seal("bank", "us", encoding="armour"), CONTENT)
    middle = len(text) // 2
    assert (
        refusal(workshop, text[:middle] + (b"A" if text[middle : middle + 1] != b"A" else b"B") + text[middle + 1 :]).code
        in CODES
    )
    assert refusal(workshop, text[: text.index(b"-----END") - 200]).code in CODES


def test_a_message_of_a_thousand_recipients_does_not_pile_up(workshop: OpenPgpWorkshop, small: bytes) -> None:
    first = small[: small[1] + 2]  # the packet with the wrapped key
    assert refusal(workshop, first * 20_000 + small[len(first) :]).code == "structure"


# ---- keys -------------------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase_is_the_operators_and_not_the_banks(workshop: OpenPgpWorkshop) -> None:
    wrong = workshop.seal(
        *("us", "bank"),
        signing_key_passphrase="file:wrong",
        decryption_keys=[{"key": "file:us.sec", "passphrase": "file:wrong"}],
    )
    with pytest.raises(KeyUnavailable, match="passphrase"):
        sealed(wrong, CONTENT)
    with pytest.raises(KeyUnavailable, match="passphrase"):
        opened(wrong, by_gpg(workshop))


def test_a_private_key_without_passphrase_is_never_handed_to_gpg(workshop: OpenPgpWorkshop, tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    words = ["gpg", "--homedir", str(place), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*words, "--quick-generate-key", "clear", "ed25519", "sign", "0"], check=True, capture_output=True)
    clear = subprocess.run([*words, "--export-secret-keys"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(place), "--kill", "gpg-agent"], check=True)
    with pytest.raises(KeyUnavailable, match="not protected by a passphrase"):
        own_keys_in("file:clear.sec", clear)
    (workshop.directory / "clear.sec").write_bytes(clear)
    (workshop.directory / "clear.sec").chmod(0o600)
    with pytest.raises(KeyUnavailable, match="not protected by a passphrase"):
        sealed(workshop.seal("us", "bank", signing_key="file:clear.sec"), CONTENT)


def test_what_is_no_key_is_said_to_be_none(workshop: OpenPgpWorkshop) -> None:
    armoured = (workshop.directory / "bank.pub").read_bytes()
    for damaged in (b"", b"text", armoured[:200], b"\x99\x00\x05\x03\x00\x00\x00\x00", armoured.replace(b"\n", b"\n*", 4)):
        with pytest.raises(KeyUnavailable):
            keys_in("file:bank.pub", damaged)
    with pytest.raises(KeyUnavailable, match="no private key"):
        own_keys_in("file:bank.pub", armoured)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_refused(data: bytes) -> None:
    for start in (b"", b"\x99\x00\x40", b"\xc5\x20\x04", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"):
        try:
            keys_in("file:x", start + data)
        except KeyUnavailable:
            continue


def test_a_pinned_key_must_be_there_and_valid(workshop: OpenPgpWorkshop) -> None:
    with pytest.raises(KeyUnavailable, match="no key file holds"):
        sealed(workshop.seal("us", "bank", bank_keys=["file:mallory.pub"]), CONTENT)
    with pytest.raises(KeyUnavailable, match="signing_fingerprint"):
        sealed(workshop.seal("us", "bank", signing_key="file:mallory.sec"), CONTENT)
    with pytest.raises(KeyUnavailable, match="is revoked"):
        sealed(workshop.seal("us", "bank", bank_keys=["file:bank-revoked.pub"]), CONTENT)
    for days, word in ((400, "expired"), (-30, "not valid before")):
        with pytest.raises(KeyUnavailable, match=word):
            sealed(workshop.seal("us", "bank", clock=later(days)), CONTENT)
    with pytest.raises(KeyUnavailable, match="not made for signing"):
        sealed(workshop.seal("us", "bank", signing_fingerprint=workshop.subkeys["us"]), CONTENT)


def test_a_missing_gpg_is_named_with_its_package(workshop: OpenPgpWorkshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KeyUnavailable, match="install the package gnupg"):
        sealed(workshop.seal("us", "bank"), CONTENT)


def test_nothing_stays_behind(workshop: OpenPgpWorkshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No home, no agent, no use of the user's own home; after success and after every kind of failure."""
    with tempfile.TemporaryDirectory(prefix="bg-") as place:
        user, scratch = Path(place) / "user", Path(place) / "tmp"
        user.mkdir()
        scratch.mkdir()
        monkeypatch.setenv("HOME", str(user))
        monkeypatch.setenv("GNUPGHOME", str(user / "gnupg"))
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        seal = workshop.seal("us", "bank")
        message = sealed(workshop.seal("bank", "us"), CONTENT)
        opened(seal, message)
        code_of(seal, message[:-1])
        with pytest.raises(OSError, match="disk is full"):
            seal.open(io.BytesIO(message), _FullDisk())
        assert not list(user.iterdir())
        assert not list(scratch.iterdir())
        if Path("/proc").is_dir():
            assert not [words for words in _command_lines() if str(scratch) in words]


class _FullDisk(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(28, "disk is full")


def _command_lines() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # ended meanwhile
                continue


def test_one_seal_serves_several_threads_at_once(workshop: OpenPgpWorkshop) -> None:
    seal, bank = workshop.seal("us", "bank"), workshop.seal("bank", "us")
    contents = [bytes((number,)) * 1000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(lambda content: sealed(bank, content), contents))
        assert list(pool.map(lambda message: opened(seal, message), messages)) == contents


def test_secrets_are_in_no_repr(workshop: OpenPgpWorkshop) -> None:
    seal = workshop.seal("us", "bank")
    assert PASSPHRASE not in repr(seal.sealing())
    assert PASSPHRASE not in repr(seal.opening())
    assert "BEGIN PGP" not in repr(seal.sealing())


def test_memory_does_not_grow_with_the_file(workshop: OpenPgpWorkshop, tmp_path: Path) -> None:
    """64 MiB there and back in a process of its own, whose peak is compared with that of 1 MiB."""
    script = """
import resource, sys
from pathlib import Path
from keys.openpgp_profile import OpenPgpProfile, build
from tests.keys.openpgp_workshop import OpenPgpProfile
from tests.keys.sealing import today
base, table_there, table_back, size, place = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5])
with (place / "content").open("wb") as out:
    for _ in range(size):
        out.write(bytes(1048576))
for table, source, target in ((table_there, "content", "message"), (table_back, "message", "opened")):
    seal = build(OpenPgpProfile.model_validate_json(table), base, today)
    with (place / source).open("rb") as reading, (place / target).open("wb") as writing:
        (seal.seal if source == "content" else seal.open)(reading, writing)
assert (place / "opened").stat().st_size == size * 1048576
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

    def peak(size: int) -> int:
        tables = [workshop.profile(*pair, compression="none").model_dump_json() for pair in (("bank", "us"), ("us", "bank"))]
        command = [sys.executable, "-c", script, str(workshop.directory), *tables, str(size), str(tmp_path)]
        root = str(Path(__file__).resolve().parents[2])
        done = subprocess.run(
            command, cwd=root, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout) // 1024

    assert peak(64) - peak(1) < 8, "MiB"


# ---- the profile ------------------------------------------------------------------------------------------------------


def test_fingerprints_are_taken_as_gpg_prints_them(workshop: OpenPgpWorkshop) -> None:
    fingerprint = workshop.fingerprints["us"]
    spaced = " ".join(fingerprint[at : at + 4] for at in range(0, 40, 4)).lower()
    assert workshop.profile("us", "bank", signing_fingerprint=spaced).signing_fingerprint == fingerprint


def test_every_mistake_in_a_profile_is_named(workshop: OpenPgpWorkshop) -> None:
    table = workshop.table(
        "us", "bank", signing_fingerprint="ABCD", compression="lzma", surplus=1, bank_keys=[], signing_key="store:us"
    )
    with pytest.raises(ValidationError) as refused:
        OpenPgpProfile.model_validate(table)
    assert {".".join(map(str, error["loc"])) for error in refused.value.errors()} == {
        *("signing_fingerprint", "compression", "surplus", "bank_keys", "signing_key")
    }


def test_nothing_is_opened_before_its_time(workshop: OpenPgpWorkshop) -> None:
    seal = workshop.seal("us", "bank", decryption_keys=[{"key": "file:absent", "passphrase": "file:absent"}])
    assert seal.kind == "openpgp"
    sealed(seal, CONTENT)
    with pytest.raises(KeyUnavailable, match="absent"):
        opened(seal, b"")


def test_the_check_finds_what_would_not_work(workshop: OpenPgpWorkshop) -> None:
    def found(days: int = 0, *, open_keys: bool = True, **changes: Any) -> str:
        profile = workshop.profile("us", "bank", **changes)
        return "\n".join(problems(profile, workshop.directory, NOW + timedelta(days=days), open_keys))

    assert found() == ""
    assert found(open_keys=False, signing_key_passphrase="file:absent") == ""
    assert "file:absent" in found(signing_key_passphrase="file:absent")
    assert "does not open the key" in found(decryption_keys=[{"key": "file:us.sec", "passphrase": "file:wrong"}])
    expired = found(400, open_keys=False)
    assert {line.partition(":")[0] for line in expired.splitlines()} == {
        *("signing_fingerprint", "bank_encryption_fingerprints", "bank_signing_fingerprints")
    }
    assert "bank_signing_fingerprints: no key file holds" in found(bank_signing_fingerprints=["0" * 40])
    assert "private key is in it" in found(bank_keys=["file:bank.sec"])
    overlap = [workshop.fingerprints["bank"], workshop.fingerprints["mallory"]]
    files = ["file:bank-revoked.pub", "file:mallory.pub"]
    assert found(bank_keys=files, bank_signing_fingerprints=overlap, bank_encryption_fingerprints=overlap) == ""


def test_days_left_can_be_told_without_private_keys(workshop: OpenPgpWorkshop) -> None:
    profile = workshop.profile("us", "bank", signing_key_passphrase="file:absent")
    told = list(expiries(profile, workshop.directory, today()))
    assert {(use, pin) for use, pin, _ in told} == {
        ("signing_fingerprint", workshop.fingerprints["us"]),
        ("bank_encryption_fingerprints", workshop.fingerprints["bank"]),
        ("bank_signing_fingerprints", workshop.fingerprints["bank"]),
    }
    assert {(end - NOW).days for _, _, end in told} == {364}
    assert list(uses(profile)) == []
