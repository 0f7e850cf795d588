"""Which banks there are: the module `simulator.front.NAME` has the class `FRONT`."""

from importlib import import_module
from typing import Final

from simulator.front.bank import FrontBank

NAMES: Final = ("cib", "cmb", "cmb_cloud", "icbc", "spdb", "pingan", "boc", "bocom", "ccb", "cmbc", "abc")


def front_class(name: str) -> type[FrontBank]:
    """The class of a bank. Raises `KeyError` for a name that is none."""
    if name not in NAMES:
        raise KeyError(name)
    found: type[FrontBank] = import_module(f"simulator.front.{name}").FRONT
    return found
