"""The words of the profiles of signed requests, and what they make."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field, model_validator

from keys import secrets, store
from keys.algorithms import RSA_BITS_MIN
from keys.api_signing import Alipay, WechatPay
from keys.keyring import Certificate, PublicKey
from keys.profile_base import Profile, Reference, certificate_problems, key_problems, passphrase_problem
from keys.seal import KeyUnavailable
from keys.secrets import Directory


class _SignedRequests(Profile):
    """The words that both share."""

    signing_key: Reference
    signing_key_passphrase: Reference | None = None
    signing_certificate: Reference

    @model_validator(mode="after")
    def _passphrase(self) -> "_SignedRequests":
        if problem := passphrase_problem(self.signing_key, self.signing_key_passphrase):
            raise ValueError(f"signing_key_passphrase: {problem}")
        return self


class AlipayProfile(_SignedRequests):
    """`kind = "alipay-rsa2"`."""

    kind: Literal["alipay-rsa2"]
    alipay_certificates: tuple[Reference, ...] = Field(min_length=1)  # pinned


class WechatPayProfile(_SignedRequests):
    """`kind = "wechatpay-v3"`."""

    kind: Literal["wechatpay-v3"]
    merchant: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
    platform_certificates: tuple[Reference, ...] = ()  # pinned
    platform_public_keys: dict[Annotated[str, Field(pattern=r"^PUB_KEY_ID_[0-9A-Za-z]{1,64}$")], Reference] = Field(
        default_factory=dict
    )  # pinned; by the name that WeChat Pay gives them
    api_key: Reference  # the APIv3 key

    @model_validator(mode="after")
    def _pinned(self) -> "WechatPayProfile":
        if not self.platform_certificates and not self.platform_public_keys:
            raise ValueError("platform_certificates or platform_public_keys: without either, no answer can be verified")
        return self


def build_alipay(profile: AlipayProfile, base: Directory) -> Alipay:
    """Reads the certificates; the private key is opened when it first signs. Raises `KeyUnavailable`."""
    own = store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base)
    return Alipay(own=own, pinned=tuple(store.load_certificate(reference, base) for reference in profile.alipay_certificates))


def build_wechatpay(profile: WechatPayProfile, base: Directory) -> WechatPay:
    """Reads the certificates, public keys and the APIv3 key; the private key is opened when it first signs. Raises
    `KeyUnavailable`."""
    certificates = [store.load_certificate(reference, base) for reference in profile.platform_certificates]
    pinned: dict[str, Certificate | PublicKey] = {f"{known.parsed.serial_number:X}": known for known in certificates}
    pinned |= {name: _public_key(reference, base) for name, reference in profile.platform_public_keys.items()}
    return WechatPay(
        merchant=profile.merchant,
        own=store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base),
        pinned=pinned,
        api_key=secrets.passphrase(profile.api_key, base),
    )


def _public_key(reference: str, base: Directory) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(secrets.resolve(reference, base))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnavailable(f"{reference}: this is not a public key in PEM form") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        raise KeyUnavailable(f"{reference}: an RSA key of at least {RSA_BITS_MIN} bits is needed")
    return key


def uses(profile: AlipayProfile | WechatPayProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    yield "signing_certificate", profile.signing_certificate
    if isinstance(profile, AlipayProfile):
        yield from (("alipay_certificates", reference) for reference in profile.alipay_certificates)
    else:
        yield from (("platform_certificates", reference) for reference in profile.platform_certificates)


def problems(profile: AlipayProfile | WechatPayProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private key."""
    yield from certificate_problems(uses(profile), base, on)
    if isinstance(profile, WechatPayProfile):
        for name, reference in profile.platform_public_keys.items():
            try:
                _public_key(reference, base)
            except KeyUnavailable as problem:
                yield f"platform_public_keys: {name}: {problem}"
    if open_keys:
        yield from key_problems(
            "signing_key", profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base
        )
