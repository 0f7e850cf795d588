"""The key store: named keys with their versions, encrypted at rest, in one directory.

What can be read without the master key is public: names, states, certificates, histories. Everything else asks for the master
key, which a process such as `serve` is never given. A change is made by somebody (`who`) at a moment (`at`), and says so in the
history of the key.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from cryptography import x509

from keys import keymaterial
from keys.keymaterial import SoftwareKey, random_bytes
from keys.keystore_crypto import KEY_BYTES, context_of, mac_context, seal_material
from keys.keystore_files import INDEX, manifest_file, material_file
from keys.keystore_master import master_named
from keys.keystore_model import (
    Entry,
    Event,
    Index,
    Manifest,
    Purpose,
    State,
    Version,
    check_name,
    digest_of,
    encode_index,
    encode_manifest,
)
from keys.keystore_read import Reader, Unlocked, der_of, spki
from keys.seal import KeyUnavailable
from keys.secrets import Directory, file_path


@dataclass(frozen=True, slots=True)
class _State:
    """The store as it stands, proven."""

    index: Index
    manifests: Mapping[str, Manifest]

    def files(self) -> Iterator[str]:
        """Every file that is in force."""
        for name, entry in self.index.entries.items():
            yield manifest_file(name, entry.revision)
            yield from (material_file(name, version.number) for version in self.manifests[name].versions if version.alive)


class KeyStore(Reader):
    """One store, read and changed."""

    @classmethod
    def create(cls, directory: Directory, master: str, *, who: str, at: datetime) -> "KeyStore":
        """A new, empty store under this master key. Raises `KeyUnavailable`."""
        store = cls(directory)
        store._check_apart(master)
        opened = master_named(master, store.beside, random_bytes)
        store._files.create()
        try:
            store_id, mac_key = random_bytes(16).hex(), random_bytes(KEY_BYTES)
            index = Index(
                store_id=store_id,
                master=master,
                master_generation=1,
                wrapped_mac_key=opened.wrap(mac_key, mac_context(store_id)),
                entries={},
                history=(Event(at, who, f"made, under the master key {master}"),),
            )
            store._files.write(INDEX, encode_index(index, mac_key))
        except BaseException:
            store._files.remove()
            raise
        return store

    # ---- changes --------------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        key: SoftwareKey,
        purposes: Iterable[Purpose],
        *,
        certificates: Iterable[x509.Certificate] = (),
        who: str,
        at: datetime,
        what: str = "created",
    ) -> Manifest:
        """A new named key with its first version, in the state "created". Raises `KeyUnavailable` where the name is taken."""
        chosen = tuple(dict.fromkeys(purposes))
        if not chosen:
            raise KeyUnavailable("a key is made for at least one purpose")
        with self._writing() as (state, unlocked):
            if check_name(name) in state.manifests:
                raise KeyUnavailable(
                    f"store:{name}: there is such a key already, and keys are never overwritten; give it a new version with: "
                    "bankgate keys rotate"
                )
            empty = Manifest(
                name=name,
                key_id=random_bytes(16).hex(),
                purposes=chosen,
                created_at=at,
                created_by=who,
                versions=(),
                history=(),
                revision=0,
            )
            event = Event(at, who, what, 1)
            version = self._new_version(empty, key, certificates, unlocked, event)
            return self._commit(state, unlocked, empty.with_version(version, event))

    def add_version(
        self,
        name: str,
        key: SoftwareKey,
        *,
        certificates: Iterable[x509.Certificate] = (),
        who: str,
        at: datetime,
        what: str = "created",
    ) -> Manifest:
        """The next version of a key, in the state "created": the first step of a rotation."""
        with self._writing() as (state, unlocked):
            manifest = _named(state, name)
            event = Event(at, who, what, manifest.last.number + 1)
            version = self._new_version(manifest, key, certificates, unlocked, event)
            return self._commit(state, unlocked, manifest.with_version(version, event))

    def request_certificate(self, name: str, version: int, *, who: str, at: datetime) -> Manifest:
        """Notes that a certificate signing request was written."""
        event = Event(at, who, "certificate requested", version)
        with self._writing() as (state, unlocked):
            return self._commit(state, unlocked, _named(state, name).moved(version, "certificate_requested", event))

    def attach_certificates(self, name: str, certificates: Iterable[x509.Certificate], *, who: str, at: datetime) -> Manifest:
        """Gives a version the certificates that were issued for it, its own first. The version is found by its public key."""
        found = tuple(certificates)
        own = spki(found[0].public_key()) if found else b""
        with self._writing() as (state, unlocked):
            manifest = _named(state, name)
            version = next((version for version in manifest.versions if version.alive and version.public_key == own), None)
            if version is None:
                raise KeyUnavailable(f"store:{name}: the certificate belongs to no version of this key")
            event = Event(at, who, f"certificate attached, SHA-256 {digest_of(der_of(found[0]))}", version.number)
            changed = replace(version, certificates=tuple(der_of(certificate) for certificate in found))
            return self._commit(state, unlocked, manifest.with_version(changed, event))

    def activate(
        self,
        name: str,
        version: int,
        *,
        who: str,
        at: datetime,
        active_from: datetime | None = None,
        active_until: datetime | None = None,
    ) -> Manifest:
        """Puts a version in use from a moment on (None: now); the ones in use until then go into overlap. Until that moment
        they go on signing."""
        starts = active_from or at
        with self._writing() as (state, unlocked):
            manifest = _named(state, name)
            if not manifest.version(version).certificates and set(manifest.purposes) & {"sign", "decrypt"}:
                raise KeyUnavailable(f"store:{name}@{version}: it has no certificate yet; attach one with: bankgate keys import")
            for other in manifest.versions:
                if other.state == "active" and other.number != version:
                    event = Event(at, who, f"overlap with version {version}", other.number)
                    manifest = manifest.moved(other.number, "overlap", event)
            event = Event(at, who, f"active from {starts:%Y-%m-%d %H:%M:%S} UTC", version)
            changed = manifest.moved(version, "active", event, active_from=starts, active_until=active_until)
            return self._commit(state, unlocked, changed)

    def move(self, name: str, version: int, to: State, *, who: str, at: datetime) -> Manifest:
        """Puts a version into overlap or retires it. Activation and destruction have methods of their own."""
        if to not in ("overlap", "retired"):
            raise KeyUnavailable(f"store:{name}@{version}: there is another way to make a version {to}")
        with self._writing() as (state, unlocked):
            return self._commit(state, unlocked, _named(state, name).moved(version, to, Event(at, who, to, version)))

    def destroy(self, name: str, version: int, *, who: str, at: datetime) -> Manifest:
        """Destroys the private key of a version for good: its data key leaves the manifest, its file is overwritten and removed.
        The manifest stays, and says who did it."""
        event = Event(at, who, "destroyed", version)
        with self._writing() as (state, unlocked):
            return self._commit(
                state, unlocked, _named(state, name).moved(version, "destroyed", event, wrapped_key=None, active_until=at)
            )

    def change_master(self, master: str, *, who: str, at: datetime) -> Index:
        """Wraps every data key anew by another master key, with a new MAC key, in one step. The old master key opens nothing of
        the store afterwards; it still opens backups from before."""
        self._check_apart(master)
        fresh = master_named(master, self.beside, random_bytes)
        with self._writing() as (state, old):
            mac_key = random_bytes(KEY_BYTES)
            event = Event(at, who, f"master key changed to {master}")
            index = replace(
                state.index,
                master=master,
                master_generation=state.index.master_generation + 1,
                wrapped_mac_key=fresh.wrap(mac_key, mac_context(state.index.store_id)),
                history=(*state.index.history, event),
            )
            unlocked = Unlocked(master, index.wrapped_mac_key, fresh, mac_key)
            rewrapped = [self._rewrapped(manifest, old, unlocked) for manifest in state.manifests.values()]
            self._write(_State(index, state.manifests), unlocked, rewrapped)
            self._unlocked = unlocked
        return self.public_index()

    def master_moved(self, *, who: str, at: datetime) -> Index:
        """Notes that the master key, still the same, is found by the reference this object was made with."""
        with self._writing() as (state, unlocked):
            event = Event(at, who, f"master key found by {unlocked.reference}")
            index = replace(state.index, master=unlocked.reference, history=(*state.index.history, event))
            self._write(_State(index, state.manifests), unlocked, ())
        return self.public_index()

    # ---- within ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[tuple[_State, Unlocked]]:
        """One writer at a time, over a store that is proven whole; what a crash left behind is shredded first."""
        with self._files.locked(exclusively=True):
            index, unlocked = self._opened_index()
            manifests = {name: self._manifest(index, name, unlocked.mac_key) for name in index.entries}
            state = _State(index, manifests)
            self._files.shred_all_but(state.files())
            yield state, unlocked

    def _commit(self, state: _State, unlocked: Unlocked, manifest: Manifest) -> Manifest:
        return self._write(state, unlocked, [manifest])[0]

    def _write(self, state: _State, unlocked: Unlocked, changed: Iterable[Manifest]) -> list[Manifest]:
        entries, manifests, written = dict(state.index.entries), dict(state.manifests), []
        for manifest in changed:
            advanced = replace(manifest, revision=manifest.revision + 1)
            data = encode_manifest(advanced, unlocked.mac_key)
            self._files.write(manifest_file(advanced.name, advanced.revision), data)
            entries[advanced.name], manifests[advanced.name] = Entry(advanced.revision, digest_of(data)), advanced
            written.append(advanced)
        index = replace(state.index, entries=entries, revision=state.index.revision + 1)
        self._files.write(INDEX, encode_index(index, unlocked.mac_key))
        self._files.shred_all_but(_State(index, manifests).files())
        return written

    def _new_version(
        self,
        manifest: Manifest,
        key: SoftwareKey,
        certificates: Iterable[x509.Certificate],
        unlocked: Unlocked,
        created: Event,
    ) -> Version:
        """Writes the material; the version counts only once its manifest is committed."""
        found, number = tuple(certificates), created.version or 1
        if found and found[0].public_key() != key.public_key:
            raise KeyUnavailable(f"store:{manifest.name}: the certificate belongs to another key")
        data_key, context = random_bytes(KEY_BYTES), context_of(manifest.key_id, number)
        sealed = seal_material(keymaterial.material_of(key), data_key, context, random_bytes)
        self._files.write(material_file(manifest.name, number), sealed)
        return Version(
            number=number,
            state="created",
            algorithm=key.description,
            public_key=spki(key.public_key),
            certificates=tuple(der_of(certificate) for certificate in found),
            created_at=created.at,
            created_by=created.who,
            wrapped_key=unlocked.master.wrap(data_key, context),
        )

    def _rewrapped(self, manifest: Manifest, old: Unlocked, new: Unlocked) -> Manifest:
        def rewrap(version: Version) -> Version:
            if version.wrapped_key is None:
                return version
            context = context_of(manifest.key_id, version.number)
            try:
                data_key = old.master.unwrap(version.wrapped_key, context)
            except ValueError:
                raise KeyUnavailable(
                    f"store:{manifest.name}@{version.number}: the master key does not open the data key of this version; "
                    "nothing was changed"
                ) from None
            return replace(version, wrapped_key=new.master.wrap(data_key, context))

        return replace(manifest, versions=tuple(rewrap(version) for version in manifest.versions))

    def _check_apart(self, master: str) -> None:
        path = file_path(master, self.beside)
        if path is not None and self._files.holds(path):
            raise KeyUnavailable(f"{master}: a master key inside the key store it opens protects nothing; keep it elsewhere")


@cache
def _opened(directory: Directory) -> KeyStore:
    return KeyStore(directory)


def store_at(directory: Directory) -> KeyStore:
    """The store of a directory; the same one each time, so that the master key is fetched once a process."""
    return _opened(directory.absolute())


def _named(state: _State, name: str) -> Manifest:
    if check_name(name) not in state.manifests:
        raise KeyUnavailable(f"store:{name}: there is no key of this name")
    return state.manifests[name]
