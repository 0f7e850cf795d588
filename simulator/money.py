"""Amounts between minor units, as mock-bank's interface has them, and decimals, as everybody else."""

from decimal import Decimal

_NONE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DIGITS = dict.fromkeys(_NONE, 0) | dict.fromkeys(_THREE, 3)
"""Digits behind the point where they are not two (ISO 4217:2015, table A.1)."""


def from_minor(units: int, currency: str) -> Decimal:
    """12.50 from 1250 and EUR."""
    return Decimal(units).scaleb(-_DIGITS.get(currency, 2))


def to_minor(amount: Decimal, currency: str) -> int:
    """1250 from 12.50 and EUR; what is finer than the currency is cut off."""
    return int(amount.scaleb(_DIGITS.get(currency, 2)))
