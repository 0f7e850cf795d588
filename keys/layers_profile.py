"""The words of a `[seal]` table with `kind = "layers"`, and the seal they make."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, InstanceOf, ValidationError

from keys import profiles, store
from keys.layers import LayersSeal
from keys.layers_spool import spool_factory
from keys.profile_base import Profile
from keys.secrets import Directory

LAYERS_MAX: Final = 4


def _layer(table: Any) -> Profile:
    if isinstance(table, Profile):
        return table
    if not isinstance(table, Mapping):
        raise ValueError("a layer is a table")  # noqa: TRY004  # pydantic reports ValueError
    if table.get("kind") in ("layers", "plain"):
        raise ValueError("a layer is a seal of its own: neither plain nor layers")
    try:
        return profiles.parse_profile(table)
    except ValidationError as problem:
        raise ValueError("; ".join(_words(problem))) from None


def _words(problem: ValidationError) -> Iterator[str]:
    """Key by key. What stands there is not repeated: it may be a secret in the wrong place."""
    known = profiles.kinds()
    for error in problem.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in error["loc"] if part not in known) or "kind"
        yield f"{where}: {error['msg'].removeprefix('Value error, ')}"


class LayersProfile(Profile):
    """`kind = "layers"`: one seal around another. The first is the innermost: sealed first, opened last."""

    kind: Literal["layers"]
    layers: tuple[Annotated[InstanceOf[Profile], BeforeValidator(_layer)], ...] = Field(min_length=2, max_length=LAYERS_MAX)
    memory_bytes: int = Field(default=8 * 1024 * 1024, ge=0)  # between two layers; what is more goes to disk, encrypted

    @property
    def suffix(self) -> str:
        """The suffixes of all layers, one after the other."""
        return "".join(profiles.profile_file_suffix(layer) for layer in self.layers)


def build(profile: LayersProfile, base: Directory, clock: Callable[[], datetime]) -> LayersSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    seals = tuple(profiles.build_seal(layer, base, clock) for layer in profile.layers)
    return LayersSeal(seals, spool_factory(profile.memory_bytes, store.random_bytes))


def uses(profile: LayersProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of every layer."""
    for number, layer in enumerate(profile.layers):
        yield from ((f"layers[{number}].{use}", reference) for use, reference in profiles.uses(layer))


def expiries(profile: LayersProfile, base: Directory, on: datetime) -> Iterator[tuple[str, str, datetime]]:
    """What ends without a certificate, in every layer."""
    for number, layer in enumerate(profile.layers):
        known = {reference for _, reference in profiles.uses(layer)}
        yield from ((f"layers[{number}]", name, end) for name, end in profiles.certificates(layer, base, on) if name not in known)


def problems(profile: LayersProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep a layer from working at that moment, in words."""
    for number, layer in enumerate(profile.layers):
        yield from (f"layers[{number}].{problem}" for problem in profiles.check(layer, base, on, open_keys=open_keys))
