"""Keys in a token: a hardware module, a card, or SoftHSM. The private key never leaves it; see `hsm_session` for references."""

from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from keys import der
from keys.algorithms import OID_OF_DIGEST, RSA_BITS_MIN, KeyTransport, SignatureScheme
from keys.hsm_session import Held, TokenReference, library_for
from keys.keyring import PublicKey
from keys.keystore_crypto import KEY_BYTES
from keys.seal import KeyUnavailable
from keys.secrets import Directory


class TokenKey:
    """A private key in a token, behind the operations of `keyring.PrivateKey`."""

    __slots__ = ("_held", "_public")

    def __init__(self, held: Held, public: PublicKey) -> None:
        self._held = held
        self._public = public

    def __repr__(self) -> str:
        return f"<{self._held.reference.text}: {self.description} private key in a token>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied out of its process")

    @property
    def public_key(self) -> PublicKey:
        return self._public

    @property
    def description(self) -> str:
        """Its kind in words: "RSA 3072", "EC secp256r1"."""
        public = self._public
        return f"RSA {public.key_size}" if isinstance(public, rsa.RSAPublicKey) else f"EC {public.curve.name}"

    def sign(self, scheme: SignatureScheme, data: bytes, *, prehashed: bool = False) -> bytes:
        """See `keyring.PrivateKey`. ECDSA comes out of a token as r and s side by side, and becomes DER (RFC 3279, 2.2.3). A
        digest is signed by the mechanisms without a hash, of which that of PKCS #1 v1.5 wants a DigestInfo (RFC 8017, 9.2)."""
        from pkcs11 import MGF, Mechanism

        name = scheme.digest.upper()
        how: dict[str, Any] = {"mechanism": Mechanism.RSA_PKCS if prehashed else Mechanism[f"{name}_RSA_PKCS"]}
        if scheme.family == "rsa-pss":
            how["mechanism"] = Mechanism.RSA_PKCS_PSS if prehashed else Mechanism[f"{name}_RSA_PKCS_PSS"]
            how["mechanism_param"] = (Mechanism[name], MGF[name], scheme.hash.digest_size)
        elif scheme.family == "ecdsa":
            how["mechanism"] = Mechanism.ECDSA
            data = data if prehashed else _hashed(scheme, data)
        elif prehashed:
            data = der.sequence(der.algorithm(OID_OF_DIGEST[scheme.digest]), der.tlv(der.OCTET_STRING, data))
        with self._held.at_work() as (_, key):
            signature: bytes = key.sign(data, **how)
        if scheme.family != "ecdsa":
            return signature
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))

    def unwrap(self, transport: KeyTransport, wrapped: bytes) -> bytes:
        """See `keyring.PrivateKey`. Raises `KeyUnavailable` where the token has no OAEP with SHA-256 (SoftHSM 2 has none)."""
        import pkcs11
        from pkcs11 import MGF, Mechanism

        how: dict[str, Any] = {"mechanism": Mechanism.RSA_PKCS}
        if transport == "rsa-oaep-sha256":
            how = {"mechanism": Mechanism.RSA_PKCS_OAEP, "mechanism_param": (Mechanism.SHA256, MGF.SHA256, None)}
        wrong = (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange, pkcs11.DataInvalid, pkcs11.DataLenRange)
        with self._held.at_work() as (_, key):
            try:
                content_key: bytes = key.decrypt(wrapped, **how)
            except (*wrong, pkcs11.GeneralError, pkcs11.FunctionFailed):  # the last two: how SoftHSM says a wrong padding
                raise ValueError("not wrapped for this key") from None
            return content_key

    def agree(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        """See `keyring.PrivateKey`. The shared secret is derived in the token and read as a session object."""
        from pkcs11 import KDF, Attribute, KeyType, Mechanism

        if not isinstance(self._public, ec.EllipticCurvePublicKey) or peer.curve.name != self._public.curve.name:
            raise ValueError("key agreement needs keys on the same curve")
        point = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        bits = (self._public.key_size + 7) // 8 * 8
        how = {"mechanism": Mechanism.ECDH1_DERIVE, "mechanism_param": (KDF.NULL, None, point), "template": _readable()}
        with self._held.at_work() as (_, key):
            derived = key.derive_key(KeyType.GENERIC_SECRET, bits, **how)
            try:
                secret: bytes = derived[Attribute.VALUE]
            finally:
                derived.destroy()
            return secret


def _hashed(scheme: SignatureScheme, data: bytes) -> bytes:
    digest = Hash(scheme.hash)
    digest.update(data)
    return digest.finalize()


def token_key(reference: str, passphrase: str | None, base: Directory) -> TokenKey:
    """The private key a `pkcs11:` reference names; `passphrase` is the reference of the PIN. Raises `KeyUnavailable`: PIN wrong,
    token missing, object missing, each in its own words."""
    held = Held(reference, passphrase, base, "PRIVATE_KEY")
    with held.at_work() as (session, key):
        public = _public_key(held.reference, session, key)
    return TokenKey(held, public)


def _public_key(reference: TokenReference, session: Any, key: Any) -> PublicKey:
    """The public half: of an RSA key it is in the private key object, of an elliptic curve key in the public one beside it."""
    pkcs11 = library_for(reference.text)
    attribute = pkcs11.Attribute
    if key.key_type == pkcs11.KeyType.RSA:
        exponent, modulus = (int.from_bytes(key[name], "big") for name in (attribute.PUBLIC_EXPONENT, attribute.MODULUS))
        if modulus.bit_length() < RSA_BITS_MIN:
            raise KeyUnavailable(f"{reference.text}: RSA with {modulus.bit_length()} bits is too weak")
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    try:
        named = {"id": key[attribute.ID], "label": key[attribute.LABEL]}
        public = load_der_public_key(
            pkcs11.util.ec.encode_ec_public_key(session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, **named))
        )
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned, ValueError):
        raise KeyUnavailable(f"{reference.text}: the public key beside it (same label, same id) is not in the token") from None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise KeyUnavailable(f"{reference.text}: only RSA and elliptic curve keys are used for sealing")
    return public


class TokenMaster:
    """The master key of a key store in a token: data keys are wrapped and unwrapped inside it by AES key wrap (RFC 3394), which
    notices alterations. What a data key belongs to is bound by the MAC of its manifest."""

    __slots__ = ("_held",)

    def __init__(self, held: Held) -> None:
        self._held = held

    def __repr__(self) -> str:
        return f"<{self._held.reference.text}: master key in a token>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key is not copied out of its process")

    def wrap(self, key: bytes, context: bytes) -> bytes:  # noqa: ARG002  # see the class
        """See `keystore_crypto.Master`."""
        from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

        kind = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
        with self._held.at_work() as (session, master):
            within = session.create_object({**kind, **_readable(), Attribute.VALUE: key})
            try:
                wrapped: bytes = master.wrap_key(within, mechanism=Mechanism.AES_KEY_WRAP)
            finally:
                within.destroy()
            return wrapped

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:  # noqa: ARG002  # see the class
        """See `keystore_crypto.Master`."""
        import pkcs11
        from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

        if len(wrapped) != KEY_BYTES + 8:  # RFC 3394, 2.2.1
            raise ValueError("not wrapped by this master key")
        how = {"mechanism": Mechanism.AES_KEY_WRAP, "template": _readable()}
        with self._held.at_work() as (_, master):
            try:
                within = master.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped, **how)
            except (pkcs11.GeneralError, pkcs11.WrappedKeyInvalid, pkcs11.WrappedKeyLenRange, pkcs11.FunctionFailed):
                raise ValueError("not wrapped by this master key") from None
            try:
                key: bytes = within[Attribute.VALUE]
            finally:
                within.destroy()
            return key


def _readable() -> dict[Any, Any]:
    """What is made in a session only, to be read and thrown away."""
    from pkcs11 import Attribute

    return {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


def token_master(reference: str, base: Directory) -> TokenMaster:
    """The AES key a `pkcs11:` reference names, as the master key of a key store. Raises `KeyUnavailable`."""
    held = Held(reference, None, base, "SECRET_KEY")
    with held.at_work():
        return TokenMaster(held)
