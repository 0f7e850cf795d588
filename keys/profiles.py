"""The `[seal]` table of a connection file: which kinds of seals there are, and the seal a table makes.

Paths are references (`keys.secrets`), relative to the directory of the configuration. Nothing is opened when a seal is built:
certificates and keys are read when they are first used, so that a process which must not hold private keys never does.

A kind is a module with a profile class (its field `kind` says the word) and three functions: `build(profile, base, clock)`,
`uses(profile)` and `problems(profile, base, on, open_keys)`. Where keys have no certificates, `expiries(profile, base, on)` says
how long they last.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated, Any, BinaryIO, Final, Union, get_args

from pydantic import ConfigDict, Field, TypeAdapter

from keys import store
from keys.cms_profile import CmsProfile, DecryptionKey
from keys.keystore import store_at
from keys.plain_profile import PlainProfile
from keys.profile_base import Profile, Reference, Suffix
from keys.seal import KeyUnavailable, Seal
from keys.secrets import Directory

__all__ = [
    "CmsProfile",
    "DecryptionKey",
    "PlainProfile",
    "Profile",
    "Reference",
    "Suffix",
    "build_seal",
    "certificates",
    "check",
    "check_key_stores",
    "kinds",
    "parse_profile",
    "profile_class",
    "profile_file_suffix",
    "uses",
]

_MODULES: Final = (
    "keys.plain_profile",
    "keys.cms_profile",
    "keys.xmldsig_profile",
    "keys.xades_profile",
    "keys.openpgp_profile",
    "keys.jose_profile",
    "keys.sm_profile",
    "keys.cmb_cloud_profile",
    "keys.layers_profile",
)


def kinds() -> tuple[str, ...]:
    """The words that `kind` may say."""
    return tuple(_classes())


def profile_class(kind: str) -> type[Profile] | None:
    """The class of a kind, for those who explain what may stand in its table; None where there is no such kind."""
    found = _classes().get(kind)
    return None if found is None else found[0]


def parse_profile(table: Mapping[str, Any]) -> Profile:
    """Checks a `[seal]` table. Raises `pydantic.ValidationError` that names every wrong key."""
    found: Profile = _adapter().validate_python(dict(table))
    return found


def build_seal(profile: Profile, base: Directory, clock: Callable[[], datetime]) -> Seal:
    """The seal of a profile. `base` is where relative references start; `clock` gives the aware moment at which keys are judged.

    Opens nothing yet and so never fails; the seal raises `KeyUnavailable` when it is used. Keys in files and tokens are read
    once: after a change, build anew. Changes in a key store are noticed at the next file.
    """
    module = _module_of(profile)

    def build() -> Seal:
        built: Seal = module.build(profile, base, clock)
        return built

    stored = tuple(reference for reference in _references(profile) if reference.startswith("store:"))
    return _Following(build, stored, base, clock) if stored else build()


def profile_file_suffix(profile: Profile) -> str:
    """What a sealed file's name gets appended: ".p7m", or nothing."""
    return str(getattr(profile, "suffix", ""))


def certificates(profile: Profile, base: Directory, on: datetime | None = None) -> list[tuple[str, datetime]]:
    """Every certificate of a profile, or key that ends without one, with the moment it expires (aware, UTC), for the metric of
    days left; see `keys.keyring.days_left`. Reads what is public only, never a private key. Raises `KeyUnavailable`."""
    found = [(reference, store.load_certificate(reference, base).not_after) for _, reference in uses(profile)]
    expiries = getattr(_module_of(profile), "expiries", None)
    if expiries is not None:
        found += [(name, end) for _, name, end in expiries(profile, base, on or store.system_clock())]
    return found


def uses(profile: Profile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    found: Iterator[tuple[str, str]] = _module_of(profile).uses(profile)
    return found


def check(profile: Profile, base: Directory, on: datetime, *, open_keys: bool) -> tuple[str, ...]:
    """What would keep this profile from working at that moment, all of it, in words; empty if nothing would.

    `open_keys`: also open the private keys and see that they belong to their certificates.
    """
    return tuple(_module_of(profile).problems(profile, base, on, open_keys))


def check_key_stores(profiles: Iterable[Profile], base: Directory, others: Iterable[str] = ()) -> tuple[str, ...]:
    """Opens every row of the key store beside the configuration, if there is one, and of every store that these profiles, or
    `others` (references of routes), name: what is wrong, by name. For a process that is about to use them: nothing starts over a
    store that does not open whole."""
    default = store_at(base / store.STORE_DIRECTORY)
    stores = {default} if default.exists() else set()
    problems: list[str] = []
    named = {*others, *(text for profile in profiles for text in _references(profile))}
    for reference in sorted(text for text in named if text.startswith("store:")):
        try:
            if (place := store.store_reference(reference, base)) is not None:
                stores.add(place.store)
        except KeyUnavailable as problem:
            problems.append(str(problem))
    for found in sorted(stores, key=lambda keystore: str(keystore.directory)):
        problems += found.check_all()
    return tuple(problems)


class _Following:
    """A seal that is built anew when something changed in a key store its profile names. A file under way keeps its keys."""

    def __init__(
        self, build: Callable[[], Seal], stored: tuple[str, ...], base: Directory, clock: Callable[[], datetime]
    ) -> None:
        self._kind = build().kind
        self._current = store.remembered(build, stored, base, clock)

    def __repr__(self) -> str:
        return f"<seal {self._kind}, following its key store>"

    @property
    def kind(self) -> str:
        return self._kind

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`."""
        self._current().seal(source, out)

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`."""
        self._current().open(source, out)


@cache
def _classes() -> dict[str, tuple[type[Profile], ModuleType]]:
    """Profile class and module by kind. A module that is not part of this installation is passed over."""
    found: dict[str, tuple[type[Profile], ModuleType]] = {}
    for name in _MODULES:
        if find_spec(name) is None:
            continue
        module = import_module(name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Profile) and "kind" in value.model_fields:
                found |= {str(kind): (value, module) for kind in get_args(value.model_fields["kind"].annotation)}
    return found


@cache
def _adapter() -> TypeAdapter[Any]:
    known = tuple(dict.fromkeys(kind for kind, _ in _classes().values()))
    told_apart: Any = Annotated[Union[known], Field(discriminator="kind")]  # noqa: UP007  # known at run time only
    return TypeAdapter(told_apart, config=ConfigDict(hide_input_in_errors=True))


def _module_of(profile: Profile) -> ModuleType:
    return _classes()[str(getattr(profile, "kind"))][1]  # noqa: B009  # each kind has its own field of this name


def _references(value: Any) -> Iterator[str]:
    """Every text in a profile, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Profile):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _references(item)
