"""What gpg says, read strictly: its status lines (GnuPG, doc/DETAILS, "Format of the --status-fd output") and its key listings
(the same, "Format of the --with-colons listings").

Only what is said there counts. The exit code alone proves nothing: gpg ends with 0 for an unsigned message, for one by a key that
nobody pinned, and for some that are cut short.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keys.algorithms import RSA_BITS_MIN
from keys.seal import BadSeal, KeyUnavailable

Lines = tuple[str, ...]

# What an acceptable message makes gpg say, in this order, once each, apart from things that say nothing about its worth.
_GOOD: Final = (
    "BEGIN_DECRYPTION",
    "DECRYPTION_INFO",
    "PLAINTEXT",
    "NEWSIG",
    "GOODSIG",
    "VALIDSIG",
    "DECRYPTION_OKAY",
    "END_DECRYPTION",
)
_SEALED: Final = ("BEGIN_ENCRYPTION", "END_ENCRYPTION", "SIG_CREATED")
_SIGNATURE_VERDICTS: Final = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
_TROUBLE: Final = {"NODATA", "UNEXPECTED", "ERROR", "FAILURE", "BADARMOR", "BADMDC", "NO_PUBKEY", "SIGEXPIRED", "KEYREVOKED"}

UNNAMED: Final = "0" * 16  # a recipient that the message does not name (RFC 4880, 5.1)
_AES: Final = {"7", "8", "9"}  # RFC 4880, 9.2
_DIGESTS: Final = {"8": "sha256", "9": "sha384", "10": "sha512"}  # RFC 4880, 9.4
_SIGNERS: Final = {"1", "3", "19", "22"}  # RSA, ECDSA, EdDSA (RFC 4880, 9.1)
_BINARY, _TEXT = "00", "01"  # what a signature is over (RFC 4880, 5.2.1)

_NO_PUBLIC_KEY: Final = "9"  # reasons in ERRSIG
_UNSUPPORTED: Final = "4"
_BAD_PASSPHRASE: Final = 11  # of libgpg-error
_ERROR_CODE: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose messages are taken. Fingerprints of primary keys, or of single subkeys."""

    signers: frozenset[str]
    own_key_ids: frozenset[str]
    text_signatures: bool


def judge(code: int, status: Lines, expected: Expected) -> None:
    """Whether a message that gpg has decrypted may be believed. Raises `BadSeal`."""
    words = [tuple(line.split(" ")) for line in status]
    _judge_decryption(words, expected)
    _judge_signature([line for line in words if line[0] in _SIGNATURE_VERDICTS], words, expected)
    said = tuple(line[0] for line in words if line[0] in _GOOD)
    # For recipients that are not named gpg tries our keys one by one, and ends with 2 although the second was the right one.
    harmless = {0, 2} if ("ENC_TO", UNNAMED) in [line[:2] for line in words] else {0}
    if said != _GOOD or code not in harmless or any(line[0] in _TROUBLE for line in words):
        raise _structure()


def _structure() -> BadSeal:
    return BadSeal("structure", "the message is damaged, cut short, followed by something else, or no OpenPGP message at all")


def _judge_decryption(words: list[tuple[str, ...]], expected: Expected) -> None:
    said = {line[0] for line in words}
    if "BEGIN_DECRYPTION" not in said:
        if said & {"PLAINTEXT", "NEWSIG"}:
            raise BadSeal("encryption.missing", "the message is not encrypted; this profile takes what is signed and encrypted")
        raise _structure()
    if sum(line[0] == "BEGIN_DECRYPTION" for line in words) != 1:
        raise _structure()
    if "DECRYPTION_KEY" not in said:
        recipients = {line[1] for line in words if line[0] == "ENC_TO"}
        if not recipients & expected.own_key_ids:
            raise BadSeal("recipient.unknown", "the message is not encrypted for any of our keys")
        raise BadSeal(
            "decryption.failed", "the message names our key, but our key does not decrypt it: it was altered on the way"
        )
    details = [line for line in words if line[0] == "DECRYPTION_INFO"]
    if len(details) != 1 or len(details[0]) < 3:
        raise _structure()
    protection, cipher, aead = details[0][1], details[0][2], details[0][3] if len(details[0]) > 3 else "0"
    if cipher not in _AES:
        raise BadSeal("algorithm.refused", f"cipher {cipher} is not accepted: see the algorithms in keys/README.md")
    if protection == "0" and aead == "0":
        raise BadSeal("algorithm.refused", "encryption without protection against alteration is not accepted")
    if said & {"EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG"} and words[-1][:2] == ("FAILURE", "gpg-exit"):
        return  # gpg stops at such a signature, before it has seen the end of the encryption
    if "DECRYPTION_OKAY" not in said or said & {"DECRYPTION_FAILED", "BADMDC"} or (aead == "0" and "GOODMDC" not in said):
        raise BadSeal("decryption.failed", "the encrypted content was altered or cut short")


def _judge_signature(verdicts: list[tuple[str, ...]], words: list[tuple[str, ...]], expected: Expected) -> None:
    signatures = sum(line[0] == "NEWSIG" for line in words)
    if not signatures and not verdicts:
        raise BadSeal("signature.missing", "the message is encrypted, but nobody has signed it")
    if signatures != 1 or len(verdicts) != 1:
        raise BadSeal("signature.several", f"the message has {max(signatures, len(verdicts))} signatures; exactly one is taken")
    verdict = verdicts[0]
    if verdict[0] == "BADSIG":
        raise BadSeal("signature.invalid", "the signature does not hold: what was signed was altered")
    if verdict[0] == "ERRSIG":
        raise _unverifiable(verdict)
    valid = [line for line in words if line[0] == "VALIDSIG"]
    if len(valid) != 1 or len(valid[0]) != 11 or not valid[0][1].endswith(verdict[1]):
        raise _structure()
    _, signer, *_, public_key, digest, kind, primary = valid[0]
    if not {signer, primary} & expected.signers:
        raise _unknown_signer()
    if public_key not in _SIGNERS or digest not in _DIGESTS:
        raise BadSeal(
            "algorithm.refused", f"signature algorithm {public_key} with digest {digest} is not accepted: see keys/README.md"
        )
    if kind != _BINARY and not (kind == _TEXT and expected.text_signatures):
        raise BadSeal(
            "algorithm.refused", "the signature is over text and not over bytes (text_signatures = true takes those too)"
        )
    _judge_times(verdict[0])


def _unknown_signer() -> BadSeal:
    return BadSeal("signer.unknown", "the message is signed by a key that is not pinned")


def _unverifiable(verdict: tuple[str, ...]) -> BadSeal:
    reason = verdict[6] if len(verdict) > 6 else ""
    if reason == _NO_PUBLIC_KEY:
        return _unknown_signer()
    if reason == _UNSUPPORTED:
        return BadSeal("algorithm.refused", "the signature is by an algorithm that gpg does not know or does not accept")
    return BadSeal("signature.invalid", "the signature cannot be verified")


def _judge_times(keyword: str) -> None:
    if keyword == "EXPKEYSIG":
        raise BadSeal("signer.expired", "the signature holds, but the pinned key has expired: ask the bank for its current one")
    if keyword == "REVKEYSIG":
        raise BadSeal("signer.revoked", "the signature holds, but the pinned key is revoked: ask the bank for its current one")
    if keyword == "EXPSIG":
        raise BadSeal("signature.expired", "the signature has expired")


def sealed_well(code: int, status: Lines, signer: str) -> None:
    """Whether gpg has signed and encrypted. Raises `KeyUnavailable`, which says what kept it from it."""
    words = [tuple(line.split(" ")) for line in status]
    said = [line[0] for line in words]
    failures = [int(line[-1]) & _ERROR_CODE for line in words if line[0] == "FAILURE" and line[-1].isdecimal()]
    if _BAD_PASSPHRASE in failures:
        raise KeyUnavailable(f"the passphrase does not open our signing key {signer}")
    made = [word for word in said if word in _SEALED]  # small content is signed before encryption begins, larger content later
    if (
        code
        or sorted(made) != [*_SEALED]
        or made[-1] != "END_ENCRYPTION"
        or {"INV_RECP", "INV_SGNR", "ERROR", "FAILURE"} & set(said)
    ):
        raise KeyUnavailable(
            f"gpg did not sign and encrypt (exit code {code}, errors {failures or 'not named'}); see what "
            "`bankgate keys check` says about the keys of this connection"
        )


# ---- key listings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A key or subkey as gpg sees it at the moment of the listing."""

    fingerprint: str
    primary: str
    validity: str  # gpg's letter: e expired, r revoked, d disabled, i invalid, and others
    algorithm: str
    bits: int
    created: datetime
    expires: datetime | None
    can_sign: bool
    can_encrypt: bool

    def problem(self, on: datetime) -> str | None:
        """Why this key may not be used then, in words; None if it may."""
        if self.validity in {"r", "d", "i"}:
            words = {"r": "is revoked", "d": "is disabled", "i": "is not signed by itself as it should be"}
            return f"the key {self.fingerprint} {words[self.validity]}"
        if on < self.created:
            return f"the key {self.fingerprint} is not valid before {self.created:%Y-%m-%d %H:%M} UTC"
        if self.expires is not None and on >= self.expires:
            return f"the key {self.fingerprint} has expired on {self.expires:%Y-%m-%d %H:%M} UTC"
        if self.algorithm == "1" and self.bits < RSA_BITS_MIN:
            return f"the key {self.fingerprint} is RSA with {self.bits} bits, too weak; at least {RSA_BITS_MIN} are needed"
        return None


def listed(output: bytes) -> tuple[Listed, ...]:
    """The keys of a listing by `--with-colons`."""
    found: list[Listed] = []
    record: list[str] = []
    primary = ""
    for line in output.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] in {"pub", "sub", "sec", "ssb"}:
            record = fields
        elif fields[0] == "fpr" and record:
            fingerprint = fields[9]
            primary = fingerprint if record[0] in {"pub", "sec"} else primary
            found.append(
                Listed(
                    fingerprint=fingerprint,
                    primary=primary,
                    validity=record[1],
                    algorithm=record[3],
                    bits=int(record[2] or 0),
                    created=_moment(record[5]) or datetime.max.replace(tzinfo=UTC),
                    expires=_moment(record[6]),
                    can_sign="s" in record[11],
                    can_encrypt="e" in record[11],
                )
            )
            record = []
    return tuple(found)


def _moment(field: str) -> datetime | None:
    return datetime.fromtimestamp(int(field), UTC) if field.isdecimal() else None


def usable(pin: str, purpose: str, keys: Iterable[Listed], on: datetime) -> tuple[Listed, str | None]:
    """The key that a pinned fingerprint stands for, for "signing" or "encryption", and why it may not be used then, if so.

    A pinned primary key stands for itself and its subkeys; a pinned subkey for itself alone. Raises `KeyUnavailable` where there
    is no such key.
    """
    known = {key.fingerprint: key for key in keys}
    if pin not in known:
        raise KeyUnavailable(f"no key file holds the key with the fingerprint {pin}, or gpg does not take that key")
    pinned = known[pin]
    if problem := known[pinned.primary].problem(on):
        return pinned, problem
    candidates = [key for key in known.values() if pin in {key.fingerprint, key.primary} and _serves(key, purpose)]
    if not candidates:
        return pinned, f"the key {pin} is not made for {purpose}"
    problems = [key.problem(on) for key in candidates]
    return pinned, None if None in problems else problems[0]


def _serves(key: Listed, purpose: str) -> bool:
    return key.can_sign if purpose == "signing" else key.can_encrypt


def selector(key: Listed) -> str:
    """How gpg is told to use this key: a subkey exactly, a primary key by the subkey that gpg finds best."""
    return key.fingerprint if key.fingerprint == key.primary else f"{key.fingerprint}!"


def last_moment(pin: str, purpose: str, keys: tuple[Listed, ...]) -> datetime | None:
    """When the last key that the pin stands for expires, or its primary key before that; None where none does."""
    known = {key.fingerprint: key for key in keys}
    ends = [key.expires for key in keys if pin in {key.fingerprint, key.primary} and _serves(key, purpose)]
    latest = None if None in ends else max((end for end in ends if end is not None), default=None)
    primary = known[known[pin].primary].expires if pin in known else None
    return min((end for end in (latest, primary) if end is not None), default=None)
