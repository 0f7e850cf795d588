"""The words `chain` and `crl` of a profile, the trust they make, and what is wrong with it at a moment."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import model_validator

from keys import secrets, store
from keys.profile_base import Profile, Reference
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.trust import Trust, Use, authority, revocation_list, subject_named

_USES: tuple[tuple[str, Use], ...] = (("bank_encryption_certificates", "encrypt"), ("bank_signing_certificates", "sign"))


class TrustWords(Profile):
    """Shared by the profiles of seals whose signers are pinned certificates."""

    chain: tuple[Reference, ...] = ()  # authorities that must have issued the bank's certificates
    crl: tuple[Reference, ...] = ()  # their revocation lists, read at every use

    @model_validator(mode="after")
    def _lists_of_somebody(self) -> "TrustWords":
        if self.crl and not self.chain:
            raise ValueError("chain: lists in crl need the certificates of the authorities")
        return self


def trust_of(profile: TrustWords, base: Directory, subjects: Iterable[str] = ()) -> Trust | None:
    """The authorities of a profile; None where it names none. Read anew each time: revocation lists are replaced every few hours.
    Raises `KeyUnavailable`."""
    if not profile.chain:
        return None
    authorities = tuple(authority(name, store.load_certificate(name, base).parsed) for name in profile.chain)
    lists = tuple(revocation_list(name, secrets.resolve(name, base)) for name in profile.crl)
    return Trust(authorities, lists if profile.crl else None, tuple(subject_named(text) for text in subjects))


def authorities_used(profile: TrustWords) -> Iterator[tuple[str, str]]:
    """The certificates of the authorities among those of a profile: their use, and their reference."""
    yield from (("chain", reference) for reference in profile.chain)


def trust_problems(
    profile: TrustWords, uses: Iterable[tuple[str, str]], base: Directory, on: datetime, subjects: Iterable[str] = ()
) -> Iterator[str]:
    """Every use for which no certificate of the bank is trusted at that moment, in words. `uses`: as a profile lists them."""
    try:
        trust = trust_of(profile, base, subjects)
    except KeyUnavailable as problem:
        yield f"chain: {problem}"
        return
    if trust is None:
        return
    listed = tuple(uses)
    for use, kind in _USES:
        findings = []
        for found, reference in listed:
            if found != use:
                continue
            try:
                certificate = store.load_certificate(reference, base)
            except KeyUnavailable:
                continue  # reported among the certificates
            findings.append(trust.finding(certificate, kind, on))
        if None not in findings:
            yield from (f"{use}: {finding}" for finding in findings)
