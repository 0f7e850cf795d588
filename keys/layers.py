"""The seal kind "layers": one seal around another, for banks that want an XML signature inside an OpenPGP message and the like.

What passes between two layers is kept in a spool (`layers_spool`): a seal reads its source twice, and on the way in no inner
layer may see a byte before the outer one has found it good.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from keys.seal import Seal

Spool = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True, slots=True)
class LayersSeal:
    """Seals in order, the innermost first."""

    layers: tuple[Seal, ...]
    spool: Spool

    @property
    def kind(self) -> str:
        return "layers"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises what the layers raise."""
        self._through([layer.seal for layer in self.layers], source, out)

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises what the layers raise; a layer starts only after the one around it has come to its end."""
        self._through([layer.open for layer in reversed(self.layers)], source, out)

    def _through(self, steps: list[Callable[[BinaryIO, BinaryIO], None]], source: BinaryIO, out: BinaryIO) -> None:
        step, *rest = steps
        if not rest:
            step(source, out)
            return
        with self.spool() as between:
            step(source, between)
            between.seek(0)
            self._through(rest, between, out)
