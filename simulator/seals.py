"""The bank's side of a customer's seal: the profile is built by the keys room, from the bank's own keys."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keys.profiles import build_seal, parse_profile, profile_file_suffix
from keys.seal import Seal


def bank_seal(table: Mapping[str, Any], base: Path) -> tuple[Seal, str]:
    """The seal of one customer, and what the name of a sealed file is made to end in. Raises `ValueError` for a bad table."""
    profile = parse_profile(table)
    return build_seal(profile, base, lambda: datetime.now(UTC)), profile_file_suffix(profile)


def seal_file(seal: Seal, source: Path, target: Path) -> None:
    """Blocking. Raises `KeyUnavailable`."""
    with source.open("rb") as plain, target.open("wb") as sealed:
        seal.seal(plain, sealed)


def open_file(seal: Seal, source: Path, target: Path) -> None:
    """Blocking. Raises `BadSeal` or `KeyUnavailable`; then `target` holds nothing to be used."""
    with source.open("rb") as sealed, target.open("wb") as plain:
        seal.open(sealed, plain)
