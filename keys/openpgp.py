"""The seal kind "openpgp": signed and encrypted in one OpenPGP message (RFC 4880), by the program gpg in a home of its own.

gpg is run directly: what decides is the exact order of its status lines, which `keys.openpgp_status` reads, and that content,
status and passphrases stream through pipes of ours. (python-gnupg runs the same program, but keeps output in memory or in a file
of its own, feeds it from a second thread, and folds several signatures into one verdict.)

Trust is pinned fingerprints and nothing else: no web of trust, no key server, no keyring of a user. gpg writes content before it
has seen the signature behind it, as `keys.seal.Seal` says: on any error what was written is worthless.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, Final, Literal

from keys.openpgp_program import Gpg, Sink, StatusFlood, home
from keys.openpgp_status import UNNAMED, Expected, Listed, judge, listed, sealed_well, selector, usable
from keys.seal import BadSeal, KeyUnavailable

Compression = Literal["none", "zip", "zlib", "bzip2"]
Cipher = Literal["aes-256", "aes-128"]
Digest = Literal["sha256", "sha384", "sha512"]

_CIPHERS: Final[Mapping[Cipher, str]] = {"aes-256": "AES256", "aes-128": "AES"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPgpOptions:
    """How messages are made and which are taken. See `keys.openpgp_profile.OpenPgpProfile` for the words of a profile."""

    armour: bool = False
    compression: Compression = "zlib"
    cipher: Cipher = "aes-256"
    digest: Digest = "sha512"
    text_signatures: bool = False
    content_bytes_max: int = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class OwnKeyFile:
    """A private key of ours, encrypted by its passphrase: its packets, and the keys in them (16 digits each)."""

    name: str
    content: bytes = field(repr=False)
    key_ids: frozenset[str]
    passphrase: bytes = field(repr=False)

    @property
    def passphrases(self) -> dict[str, bytes]:
        return dict.fromkeys(self.key_ids, self.passphrase)


@dataclass(frozen=True, slots=True)
class SealingFiles:
    """What sealing needs. `signer` and `recipients` are fingerprints."""

    own: OwnKeyFile
    signer: str
    bank: bytes = field(repr=False)  # packets
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpeningFiles:
    """What opening needs. `signers` are fingerprints."""

    own: tuple[OwnKeyFile, ...]
    bank: bytes = field(repr=False)  # packets
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPgpSeal:
    """One profile, ready for use. Key files are asked for when they are first needed: a process that only seals never reads a
    decryption key, and one that does neither reads none."""

    options: OpenPgpOptions
    sealing: Callable[[], SealingFiles]
    opening: Callable[[], OpeningFiles]
    clock: Callable[[], datetime]

    @property
    def kind(self) -> str:
        return "openpgp"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Reads `source` once."""
        files, now = self.sealing(), self.clock()
        with home(files.own.content + files.bank, now) as gpg:
            keys = keys_of(gpg)
            signer = _signer(files.signer, keys, now)
            recipients = _recipients(files.recipients, keys, now)
            options = self.options
            words = ["--sign", "--encrypt", "--local-user", selector(signer)]
            words += [word for key in recipients for word in ("--recipient", selector(key))]
            words += ["--cipher-algo", _CIPHERS[options.cipher], "--digest-algo", options.digest.upper(), "--set-filename", ""]
            words += ["--compress-algo", "uncompressed" if options.compression == "none" else options.compression]
            words += ["--armor", "--no-emit-version", "--no-comments"] if options.armour else ["--no-armor"]
            ended = gpg.run(*words, source=source, out=out, passphrases=files.own.passphrases)
            sealed_well(ended.code, ended.status, files.signer)

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `BadSeal` with one of the codes of keys/README.md."""
        files, now = self.opening(), self.clock()
        passphrases = {key: word for own in files.own for key, word in own.passphrases.items()}
        expected = Expected(frozenset(files.signers), frozenset({*passphrases, UNNAMED}), self.options.text_signatures)
        bounded = _Bounded(out, self.options.content_bytes_max)
        with home(b"".join(own.content for own in files.own) + files.bank, now) as gpg:
            try:
                ended = gpg.run("--decrypt", source=source, out=bounded, passphrases=passphrases)
            except StatusFlood:
                raise BadSeal("structure", "the message has more recipients or signatures than any real one") from None
            try:
                judge(ended.code, ended.status, expected)
            except BadSeal as problem:
                if problem.code == "decryption.failed" and "DECRYPTION_KEY" not in _keywords(ended.status):
                    _check_passphrases(gpg, files.own, now)  # gpg says the same of a passphrase that does not open our key
                raise


@dataclass(slots=True)
class _Bounded:
    """Content on its way out, up to a limit: a small message can decompress to any size."""

    out: Sink
    remaining: int

    def write(self, data: bytes) -> None:
        self.remaining -= len(data)
        if self.remaining < 0:
            raise BadSeal("content.too-large", "the content is larger than content_bytes_max of the profile")
        self.out.write(data)


def keys_of(gpg: Gpg) -> tuple[Listed, ...]:
    """The keys in a home, as gpg sees them."""
    output = BytesIO()
    gpg.run(
        "--ignore-time-conflict", "--with-colons", "--with-subkey-fingerprint", "--fixed-list-mode", "--list-keys", out=output
    )
    return listed(output.getvalue())


def _signer(pin: str, keys: tuple[Listed, ...], on: datetime) -> Listed:
    key, problem = usable(pin, "signing", keys, on)
    if problem:
        raise KeyUnavailable(f"{problem}: the bank would refuse what is signed with it; renew it and agree it with the bank")
    return key


def _recipients(pins: tuple[str, ...], keys: tuple[Listed, ...], on: datetime) -> list[Listed]:
    """Those of the bank's encryption keys that may be used now. Raises `KeyUnavailable` if none may."""
    judged = [usable(pin, "encryption", keys, on) for pin in pins]
    found = [key for key, problem in judged if problem is None]
    if not found:
        reasons = "; ".join(problem for _, problem in judged if problem)
        raise KeyUnavailable(f"no encryption key of the bank can be used: {reasons}. Ask the bank for its current one")
    return found


def _keywords(status: tuple[str, ...]) -> set[str]:
    return {line.partition(" ")[0] for line in status}


def _check_passphrases(gpg: Gpg, own: tuple[OwnKeyFile, ...], on: datetime) -> None:
    """Raises `KeyUnavailable` for the first key file that its passphrase does not open."""
    for file in own:
        if problem := passphrase_problem(gpg, file, on):
            raise KeyUnavailable(problem)


def passphrase_problem(gpg: Gpg, own: OwnKeyFile, on: datetime) -> str | None:
    """Whether the keys of a file open and do their work, tried on a message of our own; in words, None if they do."""
    keys = [key for key in keys_of(gpg) if key.fingerprint[-16:] in own.key_ids and key.problem(on) is None]
    for key in keys:
        exactly = f"{key.fingerprint}!"
        if key.can_sign:
            ended = gpg.run("--sign", "--local-user", exactly, source=BytesIO(b"trial"), passphrases=own.passphrases)
            if "SIG_CREATED" not in _keywords(ended.status):
                return f"{own.name}: its passphrase does not open the key {key.fingerprint}, or the key is damaged"
        if key.can_encrypt:
            message, content = BytesIO(), BytesIO()
            gpg.run("--encrypt", "--recipient", exactly, source=BytesIO(b"trial"), out=message)
            message.seek(0)
            gpg.run("--decrypt", source=message, out=content, passphrases=own.passphrases)
            if content.getvalue() != b"trial":
                return f"{own.name}: its passphrase does not open the key {key.fingerprint}, or the key is damaged"
    return None
