"""Reading a key store: what is public in it, and what the master key proves and opens."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import keymaterial
from keys.algorithms import KeyTransport, SignatureScheme
from keys.keymaterial import SoftwareKey, random_bytes
from keys.keyring import PublicKey
from keys.keystore_crypto import Master, context_of, mac_context, open_material
from keys.keystore_files import INDEX, Files, manifest_file, material_file
from keys.keystore_master import master_named
from keys.keystore_model import Index, Manifest, Purpose, Version, altered, check_name, decode_index, decode_manifest, digest_of
from keys.seal import KeyUnavailable
from keys.secrets import Directory, named_master


class StoredKey:
    """A private key of the store in memory, for the purposes it was made for and no others."""

    __slots__ = ("_key", "_name", "_purposes")

    def __init__(self, key: SoftwareKey, name: str, purposes: tuple[Purpose, ...]) -> None:
        self._key = key
        self._name = name
        self._purposes = purposes

    def __repr__(self) -> str:
        return f"<{self._name}: {self._key.description} private key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied out of its process")

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key

    @property
    def description(self) -> str:
        return self._key.description

    def sign(self, scheme: SignatureScheme, data: bytes, *, prehashed: bool = False) -> bytes:
        """See `keyring.PrivateKey`. Raises `KeyUnavailable` where the key is not for signing."""
        self._check("sign")
        return self._key.sign(scheme, data, prehashed=prehashed)

    def unwrap(self, transport: KeyTransport, wrapped: bytes) -> bytes:
        """See `keyring.PrivateKey`. Raises `KeyUnavailable` where the key is not for decryption."""
        self._check("decrypt")
        return self._key.unwrap(transport, wrapped)

    def agree(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        """See `keyring.PrivateKey`. Raises `KeyUnavailable` where the key is not for decryption."""
        self._check("decrypt")
        return self._key.agree(peer)

    def _check(self, purpose: Purpose) -> None:
        if purpose not in self._purposes:
            raise KeyUnavailable(f"{self._name}: this key was made to {' and '.join(self._purposes)}, not to {purpose}")


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What the master key opens first."""

    reference: str
    wrapped: bytes = field(repr=False)  # of the MAC key, as found: another one means that the master key was changed
    master: Master = field(repr=False)
    mac_key: bytes = field(repr=False)


class Reader:
    """One store, read. Threads and processes may share it. A relative reference of the master key starts beside it.

    `master`: where the master key is, if not where the process was told (`secrets.named_master`) or where the index says. The
    index is read before anything proves it: whoever may write the directory can put a whole store of their own there, under a
    master key of their own. A process that was told its master key does not take that.
    """

    def __init__(self, directory: Directory, master: str | None = None) -> None:
        self._files = Files(directory)
        self._master = master
        self._unlocked: Unlocked | None = None

    @property
    def directory(self) -> Directory:
        return self._files.directory

    @property
    def beside(self) -> Directory:
        """Where relative references of the master key start: the directory that holds the store."""
        return self.directory.absolute().parent

    def exists(self) -> bool:
        """Whether there is a store that this process may see."""
        return self._files.exists()

    def stamp(self) -> str:
        """Changes with every change of the store."""
        return digest_of(self._files.read(INDEX))

    # ---- public contents, without the master key ------------------------------------------------------------------------

    def public_index(self) -> Index:
        """The index, unproven."""
        with self._files.locked(exclusively=False):
            return self._public_index()

    def public_manifests(self) -> tuple[Manifest, ...]:
        """All manifests, unproven, by name."""
        with self._files.locked(exclusively=False):
            index = self._public_index()
            return tuple(self._manifest(index, name, None) for name in sorted(index.entries))

    def public_manifest(self, name: str) -> Manifest:
        """One manifest, unproven. Raises `KeyUnavailable` where there is no such key."""
        with self._files.locked(exclusively=False):
            return self._manifest(self._public_index(), name, None)

    def snapshot(self) -> dict[str, bytes]:
        """Every file that is in force, as it is: encrypted, and worth nothing without the master key."""
        with self._files.locked(exclusively=False):
            index = self._public_index()
            names = [INDEX]
            for name, entry in index.entries.items():
                names.append(manifest_file(name, entry.revision))
                alive = (version for version in self._manifest(index, name, None).versions if version.alive)
                names += [material_file(name, version.number) for version in alive]
            return {name: self._files.read(name) for name in names}

    # ---- what the master key proves and opens ---------------------------------------------------------------------------

    def manifest(self, name: str) -> Manifest:
        """One manifest, proven to be as bankgate wrote it."""
        with self._files.locked(exclusively=False):
            index, unlocked = self._opened_index()
            return self._manifest(index, name, unlocked.mac_key)

    def private_key(self, name: str, version: int) -> StoredKey:
        """The private key of a version. Raises `KeyUnavailable` where it is destroyed or retired, does not open, or does not
        belong to the public key that the manifest names."""
        manifest, key = self._software(name, version)
        _refuse_retired(manifest, version)
        return StoredKey(key, f"store:{name}@{version}", manifest.purposes)

    def clear_pem(self, name: str, version: int, *purposes: Purpose) -> bytes:
        """A private key as PKCS#8 PEM in memory, for a library that takes nothing else: TLS and SSH. Never to be written
        anywhere. Raises `KeyUnavailable` where the key was not made for one of these purposes, or its version is retired."""
        manifest, key = self._software(name, version)
        _refuse_retired(manifest, version)
        if not set(purposes) & set(manifest.purposes):
            raise KeyUnavailable(f"store:{name}: this key was made to {' and '.join(manifest.purposes)} and is handed to nobody")
        return keymaterial.clear_pem(key)

    def signing_request(self, name: str, version: int, subject: keymaterial.Subject) -> bytes:
        """A certificate signing request for a version, PEM. Changes nothing; see `request_certificate`."""
        return keymaterial.signing_request(self._software(name, version)[1], subject)

    def check_all(self) -> tuple[str, ...]:
        """Opens every row with the master key: what is wrong with the store, by name, in words; empty if nothing is.

        To be asked before anything starts, and after a restore.
        """
        problems: list[str] = []
        try:
            problems += [f"group or others may reach {path}" for path in self._files.reachable_by_others()]
            with self._files.locked(exclusively=False):
                index, unlocked = self._opened_index()
                for name in sorted(index.entries):
                    problems += self._row_problems(index, name, unlocked)
        except KeyUnavailable as problem:
            problems.append(str(problem))
        return tuple(problems)

    # ---- within ---------------------------------------------------------------------------------------------------------

    def _public_index(self) -> Index:
        return decode_index(self._files.read(INDEX), None, self._called(INDEX))

    def _software(self, name: str, version: int) -> tuple[Manifest, SoftwareKey]:
        with self._files.locked(exclusively=False):
            index, unlocked = self._opened_index()
            manifest = self._manifest(index, name, unlocked.mac_key)
            return manifest, self._key_of(manifest, manifest.version(version), unlocked)

    def _key_of(self, manifest: Manifest, version: Version, unlocked: Unlocked) -> SoftwareKey:
        called = self._called(material_file(manifest.name, version.number))
        if version.wrapped_key is None:
            raise KeyUnavailable(f"store:{manifest.name}@{version.number}: the private key of this version was destroyed")
        sealed = self._files.read(material_file(manifest.name, version.number))
        context = context_of(manifest.key_id, version.number)
        try:
            data_key = unlocked.master.unwrap(version.wrapped_key, context)
        except ValueError:
            raise KeyUnavailable(f"{called}: the master key does not open the data key of this version") from None
        key = keymaterial.from_material(called, open_material(sealed, data_key, context, called))
        if spki(key.public_key) != version.public_key:
            raise altered(called)
        return key

    def _row_problems(self, index: Index, name: str, unlocked: Unlocked) -> Iterator[str]:
        try:
            manifest = self._manifest(index, name, unlocked.mac_key)
        except KeyUnavailable as problem:
            yield f"{name}: {problem}"
            return
        for version in manifest.versions:
            if not version.alive:
                continue
            try:
                self._key_of(manifest, version, unlocked)
                if version.certificates and spki(version.certificate().public_key()) != version.public_key:
                    yield f"{name}, version {version.number}: its certificate belongs to another key"
            except KeyUnavailable as problem:
                yield f"{name}, version {version.number}: {problem}"

    def _opened_index(self) -> tuple[Index, Unlocked]:
        data, called = self._files.read(INDEX), self._called(INDEX)
        unproven = decode_index(data, None, called)
        unlocked = self._unlocked
        reference = self._master or named_master() or unproven.master
        if unlocked is None or (unlocked.reference, unlocked.wrapped) != (reference, unproven.wrapped_mac_key):
            unlocked = self._unlock(unproven, reference)
        index = decode_index(data, unlocked.mac_key, called)
        self._unlocked = unlocked
        return index, unlocked

    def _unlock(self, index: Index, reference: str) -> Unlocked:
        master = master_named(reference, self.beside, random_bytes)
        try:
            mac_key = master.unwrap(index.wrapped_mac_key, mac_context(index.store_id))
        except ValueError:
            raise KeyUnavailable(
                f"the master key {reference} does not open the key store {self.directory}: it is another one, or "
                f"{self._called(INDEX)} was altered"
            ) from None
        return Unlocked(reference, index.wrapped_mac_key, master, mac_key)

    def _manifest(self, index: Index, name: str, mac_key: bytes | None) -> Manifest:
        entry = index.entries.get(check_name(name))
        if entry is None:
            raise KeyUnavailable(f"store:{name}: there is no key of this name in {self.directory}")
        file = manifest_file(name, entry.revision)
        data, called = self._files.read(file), self._called(file)
        if digest_of(data) != entry.digest:
            raise altered(called)
        manifest = decode_manifest(data, mac_key, called)
        if (manifest.name, manifest.revision) != (name, entry.revision):
            raise altered(called)
        return manifest

    def _called(self, file: str) -> str:
        return str(self.directory / file)


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def spki(public: PublicKeyTypes) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refuse_retired(manifest: Manifest, version: int) -> None:
    """Raises `KeyUnavailable`: a retired version is in use nowhere, also where it is named by its number."""
    if (state := manifest.version(version).state) == "retired":
        raise KeyUnavailable(f"store:{manifest.name}@{version}: this version is {state}")
